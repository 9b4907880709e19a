"""Numbers, lengths of time and moments as people write them."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_datetime

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
WORDS_FOR_NUMBERS = {"nan": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf, "infinity": math.inf}
UNITS = {
    "ms": 0.001,
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86_400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604_800.0),
    **dict.fromkeys(("month", "months"), 30 * 86_400.0),
    **dict.fromkeys(("year", "years"), 365 * 86_400.0),
}
# Of no more than so many years; a longer one is no date any more.
LONGEST_S = 300 * 365 * 86_400.0
SPAN = re.compile(r"(?:\d+(?:\.\d+)?[a-z]+)+", re.ASCII)
SPAN_PART = re.compile(r"(\d+(?:\.\d+)?)([a-z]+)", re.ASCII)
DAY = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?", re.ASCII)


def number_read(text: str) -> float | None:
    """The number a text is, NaN and infinities included; None where it is none."""
    if NUMBER.fullmatch(text):
        return float(text)
    return WORDS_FOR_NUMBERS.get(text.lower())


def span_read(text: str) -> float | None:
    """Seconds of "90s", "1h30m", "2d"; None for anything else, also for a length no date can be moved by."""
    text = text.lower()
    if not SPAN.fullmatch(text):
        return None
    seconds = 0.0
    for amount, unit in SPAN_PART.findall(text):
        if unit not in UNITS:
            return None
        seconds += float(amount) * UNITS[unit]
    return seconds if seconds <= LONGEST_S else None


@dataclass(frozen=True)
class Period:
    """From `begin` until before `end`; an instant is a period whose both ends are one. `rolling` ones end now."""

    begin: datetime
    end: datetime
    rolling: bool = False

    @property
    def is_instant(self) -> bool:
        return self.begin == self.end


def period_of(text: str, now: datetime) -> Period | None:
    """What a moment means at `now`, in the person's zone: a day is midnight to midnight there. None: no moment."""
    words = " ".join(text.lower().split())
    try:
        return _instant(text.strip(), now) or _day(words) or _named(words, now) or _counted(words, now)
    except (OverflowError, ValueError):
        return None


def _instant(text: str, now: datetime) -> Period | None:
    number = number_read(text)
    if number is not None:
        return _millis(number)
    if text.lower() == "now":
        return Period(now, now)
    if DAY.fullmatch(text) or not (found := parse_datetime(text)):
        return None
    # In UTC: PostgreSQL knows no offsets beyond 16 hours, which can be written all the same.
    at = (found if found.tzinfo else timezone.make_aware(found)).astimezone(UTC)
    return Period(at, at)


def _millis(number: float) -> Period:
    """MLflow's milliseconds since 1970; what lies beyond all dates stands for the first or the last of them."""
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number)
    except (OverflowError, ValueError):
        at = datetime.max.replace(tzinfo=UTC) if number > 0 else datetime.min.replace(tzinfo=UTC)
    return Period(at, at)


def _day(words: str) -> Period | None:
    found = DAY.fullmatch(words)
    if found is None:
        return None
    year, month, day = int(found[1]), int(found[2]), int(found[3] or 1)
    begin = datetime.combine(date(year, month, day), time.min)
    if found[3]:
        return Period(timezone.make_aware(begin), timezone.make_aware(begin + timedelta(days=1)))
    return Period(timezone.make_aware(begin), timezone.make_aware(_months_on(begin, 1)))


def _named(words: str, now: datetime) -> Period | None:
    today = datetime.combine(timezone.localtime(now).date(), time.min)
    week, month = today - timedelta(days=today.weekday()), today.replace(day=1)
    year = month.replace(month=1)
    known = {
        "today": (today, today + timedelta(days=1)),
        "yesterday": (today - timedelta(days=1), today),
        "this week": (week, week + timedelta(days=7)),
        "last week": (week - timedelta(days=7), week),
        "this month": (month, _months_on(month, 1)),
        "last month": (_months_on(month, -1), month),
        "this year": (year, _months_on(year, 12)),
        "last year": (_months_on(year, -12), year),
    }
    if words not in known:
        return None
    begin, end = known[words]
    return Period(timezone.make_aware(begin), timezone.make_aware(end))


def _counted(words: str, now: datetime) -> Period | None:
    """ "last 7 days" and "7d": from then until now; "7 days ago": the instant."""
    parts = words.split(" ")
    ago = parts[-1] == "ago"
    inner = [part for part in parts if part not in {"last", "ago"}]
    seconds = span_read("".join(inner))
    if seconds is None or (ago and parts[0] == "last"):
        return None
    begin = now - timedelta(seconds=seconds)
    return Period(begin, begin) if ago else Period(begin, now, rolling=True)


def _months_on(first: datetime, months: int) -> datetime:
    count = first.year * 12 + first.month - 1 + months
    return first.replace(year=count // 12, month=count % 12 + 1)
