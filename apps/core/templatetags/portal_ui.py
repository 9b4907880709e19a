"""Template tags of the component vocabulary: icons, times, durations, figures, statuses and form controls.

Everything a page shows about time carries a machine-readable value beside the words, so that `portal.js` can keep the
words true while the page stays open. Without JavaScript the words are those of the moment the page was rendered.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from django import template
from django.contrib.staticfiles import finders
from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, FileInput, RadioSelect, Select, Textarea
from django.http import QueryDict
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()

TONES = frozenset({"neutral", "busy", "good", "warn", "bad"})
UNKNOWN = "–"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LIVE_FORMS = frozenset({"relative", "until"})

# After this many median durations the bar is 1 - e^-1.6 ≈ 80 % full; it creeps on and never reaches the end by itself.
PROGRESS_RATE = 1.6
PROGRESS_CEILING = 97.0


@cache
def _icon_names() -> frozenset[str]:
    """The names in `static/portal/icons.txt`, from which the sprite is made."""
    path = finders.find("portal/icons.txt")
    if not path:
        return frozenset()
    with open(path, encoding="utf-8") as file:
        return frozenset(file.read().split())


@register.simple_tag
def icon(name: str, label: str = "", size: int = 16) -> SafeString:
    """An icon of the sprite; hidden from screen readers unless it has a label.

    Raises TemplateSyntaxError for a name that the sprite does not hold, so that a typo fails a test, not a page.
    """
    return _icon(name, label, size)


@lru_cache(maxsize=512)
def _icon(name: str, label: str, size: int) -> SafeString:
    known = _icon_names()
    if known and name not in known:
        raise template.TemplateSyntaxError(f"No icon '{name}': add it to static/portal/icons.txt")
    name_attributes = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html(
        '<svg class="icon" width="{0}" height="{0}" {1}><use href="{2}#{3}"></use></svg>',
        size,
        name_attributes,
        static("vendor/icons/sprite.svg"),
        name,
    )


def _seconds(value: Any) -> float | None:
    if value is None or value == "":
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(value)


@register.filter
def duration(value: Any) -> str:
    """Seconds or a timedelta in the two largest units that matter: "9 s", "1 min 5 s", "2 h 10 min", "3 d 4 h"."""
    seconds = _seconds(value)
    if seconds is None:
        return UNKNOWN
    seconds = max(0.0, seconds)
    if seconds < 1 and seconds > 0:
        return f"{round(seconds * 1000)} ms"
    whole = round(seconds)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, secs = divmod(rest, 60)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes:
        return f"{minutes} min {secs} s" if secs else f"{minutes} min"
    return f"{secs} s"


def clock(value: datetime, now: datetime | None = None, zone: tzinfo | None = None) -> str:
    """A moment in the person's zone, as short as it can be said: "18:00", "Tomorrow 09:00", "21 Nov 18:00"."""
    zone = zone or timezone.get_current_timezone()
    return _clock(value.astimezone(zone), now or timezone.now())


def _clock(local: datetime, now: datetime) -> str:
    today = now.astimezone(local.tzinfo).date()
    days = (local.date() - today).days
    time = f"{local.hour:02}:{local.minute:02}"
    if days == 0:
        return time
    if days == 1:
        return f"Tomorrow {time}"
    if days == -1:
        return f"Yesterday {time}"
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day} {MONTHS[local.month - 1]}{year} {time}"


def relative(value: datetime, now: datetime | None = None, zone: tzinfo | None = None) -> str:
    """The distance of a moment from now: "just now", "3 min ago", "in 2 h 10 min"; a date beyond a week."""
    return _relative(value.astimezone(zone or timezone.get_current_timezone()), now or timezone.now())


def _relative(local: datetime, now: datetime) -> str:
    seconds = (now - local).total_seconds()
    if abs(seconds) > 7 * 86_400:
        return _clock(local, now)
    if seconds < 0:
        return f"in {duration(_coarse(-seconds))}"
    if seconds < 10:
        return "just now"
    return f"{duration(_largest_unit(seconds))} ago"


def _coarse(seconds: float) -> float:
    """Drop the seconds of what is longer than ten minutes: nobody plans by them, and the words would jitter."""
    return seconds if seconds < 600 else math.floor(seconds / 60) * 60


def _largest_unit(seconds: float) -> float:
    unit = next(unit for unit in (86_400, 3_600, 60, 1) if seconds >= unit or unit == 1)
    return math.floor(seconds / unit) * unit


@register.simple_tag
def time(value: datetime | None, form: str = "relative") -> SafeString:
    """A `<time>` element. Forms: relative ("3 min ago", "in 2 h"), clock ("18:00"), until ("in 2 h 10 min") or full."""
    if value is None:
        return SafeString(UNKNOWN)
    if timezone.is_naive(value):
        raise ValueError("time: a naive datetime has no place on a page")
    return time_element(value, form, timezone.now(), timezone.get_current_timezone())


def time_element(value: datetime, form: str, now: datetime, zone: tzinfo) -> SafeString:
    """The same for whoever shows a hundred: to ask for the time and the zone takes longer than to write them."""
    local = value.astimezone(zone)
    day = f"{local.day} {MONTHS[local.month - 1]} {local.year}"
    full = f"{day} {local.hour:02}:{local.minute:02}:{local.second:02} {local.tzname() or ''}".strip()
    live = f' data-live-time="{form}"' if form in LIVE_FORMS else ""
    words = _relative(local, now) if live else _clock(local, now) if form == "clock" else full
    stamp = value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6]
    # Digits, names of months and zones, our own words: there are a hundred of these on a page, and nothing to escape.
    return SafeString(f'<time datetime="{stamp}Z" title="{full}"{live}>{words}</time>')


@register.simple_tag
def elapsed(since: datetime | None, until: datetime | None = None) -> SafeString:
    """The time since a start, counting while the page is open; fixed when an end is given."""
    if since is None:
        return SafeString(UNKNOWN)
    seconds = ((until or timezone.now()) - since).total_seconds()
    if until is not None:
        return format_html('<span class="num">{}</span>', duration(seconds))
    return format_html(
        '<span class="num" data-elapsed="{}">{}</span>', round(max(0.0, seconds) * 1000), duration(math.floor(seconds))
    )


@register.simple_tag
def money(amount: Decimal | float | None, currency: str = "€", per: str = "") -> SafeString:
    """An amount of money; an unknown price is said, never shown as 0."""
    if amount is None:
        return SafeString('<span class="text-secondary">no price yet</span>')
    value = Decimal(str(amount))
    digits = 4 if value and abs(value) < Decimal("0.1") else 2
    shown = f"{currency}{round(value, digits):,}"
    return format_html('<span class="num">{}{}</span>', shown, f" / {per}" if per else "")


def four_digits(value: float) -> str:
    """A figure with four significant digits: 0.9131, 4,312, 1.235e+06."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{int(value):,}"
    text = f"{value:,.4g}" if 1e-4 <= abs(value) < 1e6 else f"{value:.4g}"
    return text.replace("-", "−", 1) if value < 0 else text


@register.simple_tag
def number(value: float | Decimal | None, unit: str = "") -> SafeString:
    """A figure with four significant digits; the full value is in the title and is what copying takes."""
    if value is None:
        return SafeString(UNKNOWN)
    shown = four_digits(float(value))
    return format_html(
        '<data class="num" value="{}" title="{}">{}{}</data>', value, value, shown, f" {unit}" if unit else ""
    )


@register.filter
def bytes_size(value: float | None) -> str:
    """A size of files or memory in binary steps: "512 MB", "1.4 GB"."""
    if value is None:
        return UNKNOWN
    size = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit in {"B", "kB"} or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"


@register.simple_tag
def status(tone: str, label: str, pulse: bool = False) -> SafeString:
    """A state as a dot and a word. Tones: neutral, busy (work under way), good, warn, bad."""
    if tone not in TONES:
        raise template.TemplateSyntaxError(f"No status tone '{tone}': one of {', '.join(sorted(TONES))}")
    moving = " status-moving" if pulse or tone == "busy" else ""
    return format_html(
        '<span class="state state-{}{}"><span class="state-dot" aria-hidden="true"></span>{}</span>',
        tone,
        moving,
        label,
    )


@register.simple_tag
def progress_value(elapsed_s: float, median_s: float | None, done: int = 0, total: int = 1) -> float:
    """How full the bar is, in percent: by the usual time where it is known, else by steps; never 100.

    `portal.js` continues the same curve and keeps the largest value it has shown.
    """
    if median_s:
        share = 1 - math.exp(-PROGRESS_RATE * max(0.0, float(elapsed_s)) / float(median_s))
    else:
        share = (done + 0.5) / max(1, total)
    return round(min(PROGRESS_CEILING, 100 * share), 1)


@register.simple_tag(takes_context=True)
def query(context: Mapping[str, Any], **changes: Any) -> str:
    """The address's query with some parameters changed; None drops one. Paging is dropped when anything changes."""
    request = context.get("request")
    params: QueryDict = request.GET.copy() if request else QueryDict(mutable=True)
    for name in {"cursor", "page"} - changes.keys():
        params.pop(name, None)
    for name, value in changes.items():
        params.pop(name, None)
        if value is not None and value != "":
            params[name] = str(value)
    encoded = params.urlencode()
    return f"?{encoded}" if encoded else "?"


def _control_class(field: BoundField) -> str:
    widget = field.field.widget
    if isinstance(widget, CheckboxInput):
        return "form-check-input"
    if isinstance(widget, RadioSelect | CheckboxSelectMultiple):
        return ""
    if isinstance(widget, Select):
        return "form-select"
    if isinstance(widget, Textarea) and widget.attrs.get("data-code"):
        return "form-control font-monospace"
    return "form-control"


@register.filter
def control(field: BoundField) -> SafeString:
    """The widget of a form field with our classes, tied to its help and its error for assistive technology."""
    widget = field.field.widget
    attrs: dict[str, Any] = {}
    classes = [widget.attrs.get("class", ""), _control_class(field), "is-invalid" if field.errors else ""]
    if joined := " ".join(part for part in classes if part):
        attrs["class"] = joined
    described = [field.auto_id + suffix for suffix, there in _descriptions(field) if there]
    if described and not widget.use_fieldset:
        attrs["aria-describedby"] = " ".join(described)
    if field.errors and not widget.use_fieldset:
        attrs["aria-invalid"] = "true"
    return field.as_widget(attrs=attrs)


def _descriptions(field: BoundField) -> tuple[tuple[str, Any], ...]:
    return (("_help", field.help_text), ("_error", field.errors))


@register.filter
def described_by(field: BoundField) -> str:
    """Ids of the help and error of a grouped field (radios, checkboxes), for its fieldset."""
    return " ".join(field.auto_id + suffix for suffix, there in _descriptions(field) if there)


@register.filter
def control_kind(field: BoundField) -> str:
    """How `components/field.html` lays a field out: checkbox, group, file or line."""
    widget = field.field.widget
    if isinstance(widget, CheckboxInput):
        return "checkbox"
    if isinstance(widget, RadioSelect | CheckboxSelectMultiple):
        return "group"
    return "file" if isinstance(widget, FileInput) else "line"


@register.filter
def plan_word(action: str) -> str:
    """What people read for an action of a plan."""
    return {
        "create": "Create",
        "update": "Change",
        "replace": "Replace",
        "delete": "Destroy",
        "read": "Read",
        "no-op": "Keep",
        "import": "Take over",
        "forget": "Forget",
    }.get(action, action.capitalize())


@register.filter
def plan_icon(action: str) -> str:
    """The icon of an action of a plan; the word stands beside it."""
    icons = {
        "create": "plus",
        "update": "pencil",
        "replace": "replace",
        "delete": "trash",
        "read": "eye",
        "import": "arrow-right",
    }
    return icons.get(action, "minus")


@register.filter
def plan_value(value: Any) -> str:
    """A value of a plan on one line; what is not known before the apply is said."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value or "“”"
    return json.dumps(value, ensure_ascii=False)


@register.simple_tag
def attributes(values: Mapping[str, Any] | None) -> SafeString:
    """A mapping as attributes of an element, escaped; None and False leave one out, True writes a bare one."""
    pairs = ((name, value) for name, value in (values or {}).items() if value is not None and value is not False)
    return format_html_join(
        "", "{}", ((format_html(" {}", n) if v is True else format_html(' {}="{}"', n, v),) for n, v in pairs)
    )
