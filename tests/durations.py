"""The files of the suite that take long, in `durations.txt`: `make test` begins with them, so that neither of its two
processes is left alone with one in the end. Written anew from runs of both parts:

    pytest -m "not e2e and not matrix" -o junit_family=xunit1 --junitxml=/tmp/1.xml
    pytest -m "e2e and not matrix" -o junit_family=xunit1 --junitxml=/tmp/2.xml
    python -m tests.durations /tmp/1.xml /tmp/2.xml
"""

import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

import pytest

LIST = Path(__file__).with_suffix(".txt")
LONG_SECONDS = 10


def long_files() -> dict[str, int]:
    return {path: int(seconds) for seconds, path in map(str.split, LIST.read_text(encoding="utf-8").splitlines())}


def longest_first(items: list[pytest.Item]) -> None:
    seconds = long_files()
    items.sort(key=lambda item: -seconds.get(item.nodeid.partition("::")[0], 0))


def write(reports: Iterable[str]) -> None:
    found: dict[str, float] = defaultdict(float)
    for report in reports:
        for case in ElementTree.parse(report).iter("testcase"):
            found[case.get("file", "")] += float(case.get("time", 0))
    kept = sorted(((round(seconds), path) for path, seconds in found.items() if seconds >= LONG_SECONDS), reverse=True)
    LIST.write_text("".join(f"{seconds} {path}\n" for seconds, path in kept), encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1:])
