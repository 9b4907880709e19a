"""From MLflow's JSON of a model or version to the values of a row. What is missing, too long or odd does no harm."""

import hashlib
import json
import math
from datetime import UTC, datetime
from typing import Any

from apps.registry.models import NAME_LENGTH

JSON = dict[str, Any]
TEXT_LIMIT = 100_000
MOST_VALUES = 2_000


def fingerprint(data: Any) -> str:
    """Says whether two answers are the same: 128 bits, hex."""
    text = json.dumps(data, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def text(value: Any, limit: int = TEXT_LIMIT) -> str:
    """A text as PostgreSQL takes it: without NUL and lone surrogates."""
    found = "" if value is None else str(value)
    return found.replace("\x00", "").encode("utf-8", "replace").decode()[:limit]


def plain(value: Any, depth: int = 12) -> Any:
    """A JSON value as PostgreSQL takes it; what is nested deeper than anybody reads is left out."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list | dict) and depth == 0:
        return None
    if isinstance(value, list):
        return [plain(each, depth - 1) for each in value]
    if isinstance(value, dict):
        return {text(key): plain(each, depth - 1) for key, each in value.items()}
    return number_read(value) if isinstance(value, float) else value


def moment(milliseconds: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, tz=UTC) if milliseconds else None
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def whole(value: Any) -> int:
    try:
        return int(value)
    except (ValueError, TypeError):
        return 0


def tags_read(data: JSON) -> dict[str, str]:
    tags = data.get("tags")
    pairs = [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
    return {text(tag.get("key"), 250): text(tag.get("value"), 5000) for tag in pairs[:MOST_VALUES]}


def number_read(value: Any) -> float | str | None:
    """JSON holds neither NaN nor infinity: these are words. MLflow's own ±1.797e308 are infinities."""
    try:
        found = float(value)
    except (ValueError, TypeError):
        return None
    if math.isnan(found):
        return "NaN"
    return ("Infinity" if found > 0 else "-Infinity") if abs(found) >= 1.797e308 else found


def metrics_read(metrics: Any) -> dict[str, Any]:
    """Newest values by key; a metric logged for several data sets keeps the last one listed."""
    pairs = [each for each in metrics if isinstance(each, dict)] if isinstance(metrics, list) else []
    return {text(each.get("key"), 250): number_read(each.get("value")) for each in pairs[:MOST_VALUES]}


def metrics_of_version(model: Any, run: JSON) -> dict[str, Any]:
    """Of the logged model, else of the run.

    MLflow copies to a logged model what the run said at the step that `log_model` was given, 0 where none was: of a
    curve that is its first point, and NaN becomes 0. Of a run with one model the newest values are meant; of one with
    several nobody knows.
    """
    found, newest = metrics_read(model), metrics_read((run.get("data") or {}).get("metrics"))
    if not found:
        return newest
    outputs = [each for each in (run.get("outputs") or {}).get("model_outputs") or [] if isinstance(each, dict)]
    if any(whole(each.get("step")) for each in outputs):
        return found
    steps = {
        text(each.get("key"), 250): whole(each.get("step")) for each in (run.get("data") or {}).get("metrics") or []
    }
    for each in model:
        key = text(each.get("key"), 250) if isinstance(each, dict) else ""
        if key in newest and not whole(each.get("step")) and not each.get("dataset_name"):
            if steps[key] == 0 and newest[key] != "NaN":
                continue
            if len(outputs) < 2:
                found[key] = newest[key]
            else:
                found.pop(key, None)
    return found


def params_read(params: Any) -> dict[str, str]:
    pairs = [each for each in params if isinstance(each, dict)] if isinstance(params, list) else []
    named = ((text(each.get("key") or each.get("name"), 250), text(each.get("value"), 6000)) for each in pairs)
    return dict(list(named)[:MOST_VALUES])


def aliases_read(data: JSON) -> dict[str, int]:
    aliases = data.get("aliases")
    pairs = [each for each in aliases if isinstance(each, dict)] if isinstance(aliases, list) else []
    return {text(each.get("alias"), 255): whole(each.get("version")) for each in pairs}


def name_usable(data: JSON) -> bool:
    name = data.get("name")
    return isinstance(name, str) and 0 < len(name) <= NAME_LENGTH and text(name) == name


def json_shown(value: Any, indent: str = "") -> str:
    """A JSON value for people: lists and objects of plain values stay on one line."""
    inner = indent + "  "
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(each, dict | list) and each for each in members):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        named = (
            f"{inner}{json.dumps(key, ensure_ascii=False)}: {json_shown(each, inner)}" for key, each in value.items()
        )
        return "{\n" + ",\n".join(named) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + json_shown(each, inner) for each in members) + f"\n{indent}]"
