"""The part of a module's CHANGELOG.md that is about one version."""

import re

LONGEST = 20_000
_HEADING = re.compile(r"(#{1,4})\s+(.*)")
_VERSION = re.compile(r"\[?v?(\d+\.\d+\.\d+[0-9A-Za-z.+-]*)\]?")


def changelog_part(text: str, version: str) -> str:
    """What stands under the heading of that version ("## 1.2.0", "## [v1.2.0] - 2026-01-31"); empty without one."""
    level, lines = 0, []
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if level and heading and len(heading[1]) <= level:
            break
        if level:
            lines.append(line)
        elif heading and (named := _VERSION.match(heading[2].strip())) and named[1].rstrip(".") == version:
            level = len(heading[1])
    return "\n".join(lines).strip()[:LONGEST]
