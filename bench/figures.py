"""Figures and their arithmetic: what was measured, what the bare tool needed in the same run, and the ratio."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Figure:
    """One line of the table. `ours` and `bare` are in `unit`; `holds` is None where there is no target."""

    part: str
    what: str
    ours: float
    unit: str
    bare: float | None = None
    beside: str = ""
    target: str = ""
    holds: bool | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.bare if self.bare else None


def limited(part: str, what: str, ours: float, unit: str, limit: float) -> Figure:
    """A figure that must stay under a limit."""
    return Figure(part, what, ours, unit, target=f"under {limit:g} {unit}", holds=ours < limit)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("there is nothing to take a percentile of")
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle value; the mean of both where there are two."""
    ordered, half = sorted(values), len(values) // 2
    if not ordered:
        raise ValueError("there is nothing to take a median of")
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def number(value: float, unit: str) -> str:
    """Three digits that mean something, then the unit."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def table(figures: Sequence[Figure]) -> list[str]:
    """The figures as lines of a Markdown table."""
    lines = ["| Part | Measured | Slipway | Bare, same run | Ratio | Target | |", "|---|---|---:|---:|---:|---|---|"]
    for row in figures:
        bare = f"{number(row.bare, row.unit)} ({row.beside})" if row.bare is not None else row.beside
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        held = {True: "holds", False: "**missed**", None: ""}[row.holds]
        cells = [row.part, row.what, number(row.ours, row.unit), bare, ratio, row.target, held]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
