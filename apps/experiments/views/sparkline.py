"""A metric of the newest runs as a small line, drawn on the server."""

import math
from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core.templatetags.portal_ui import four_digits

WIDTH, HEIGHT, EDGE = 96, 24, 3


def sparkline(values: Sequence[float | None], metric: str) -> SafeString:
    """Oldest on the left; nothing for fewer than two numbers. Its words say what the line shows."""
    numbers = [float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)]
    if len(numbers) < 2:
        return SafeString("")
    least, most = min(numbers), max(numbers)
    span = (most - least) or 1.0
    step = (WIDTH - 2 * EDGE) / (len(numbers) - 1)
    # A constant line stands in the middle. Halves before the difference, which may be more than a float holds.
    places = [
        (EDGE + index * step, _height(number, least, span) if most > least else HEIGHT / 2)
        for index, number in enumerate(numbers)
    ]
    path = " ".join(f"{'M' if index == 0 else 'L'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(places))
    said = f"{metric} of the {len(numbers)} newest runs, from {four_digits(least)} to {four_digits(most)}"
    x, y = places[-1]
    return format_html(
        '<svg class="sparkline" width="{}" height="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<title>{}</title><path d="{}"/><circle cx="{}" cy="{}" r="2"/></svg>',
        WIDTH, HEIGHT, WIDTH, HEIGHT, said, said, path, f"{x:.1f}", f"{y:.1f}",
    )  # fmt: skip


def _height(number: float, least: float, span: float) -> float:
    share = (number / 2 - least / 2) / (span / 2) if math.isfinite(span) else 0.5
    return HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE)
