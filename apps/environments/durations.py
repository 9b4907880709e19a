"""Lengths of time as people and modules write them: "8h", "30m", "7d", "1h 30m", or seconds."""

import re

LONGEST_SECONDS = 10 * 366 * 86_400
UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
PART = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)\s*")


def duration_seconds(text: str | int | float) -> int:
    """Seconds of "8h", "1h 30m" or 28800. Raises ValueError for anything else, negative and zero lengths included."""
    if isinstance(text, bool):
        raise ValueError("a truth value is not a length of time")  # noqa: TRY004
    if isinstance(text, int | float):
        seconds = float(text)
    else:
        written = text.strip().lower()
        parts = PART.findall(written)
        if written.isdigit():
            seconds = float(written)
        elif parts and not PART.sub("", written):
            seconds = sum(float(count) * UNITS[unit] for count, unit in parts)
        else:
            raise ValueError(f"“{text}” is not a length of time; write for example 8h or 30m")
    if not 0 < seconds <= LONGEST_SECONDS:
        raise ValueError("give a length of time above zero and of at most ten years")
    return int(seconds)


def duration_words(seconds: float) -> str:
    """The two largest units that matter: "8 h", "1 h 30 min", "7 d"."""
    left, shown = round(seconds), []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            shown.append(f"{count} {unit}")
    return " ".join(shown[:2]) or "0 s"
