"""Shortening what pages show of plans and states: a module may put megabytes into one attribute."""

import json
from typing import Any

LONGEST_TEXT = 4000
MOST_TEXT = 1024 * 1024
LARGEST_OUTPUT = 256 * 1024
LEFT_OUT = "… (left out: too much to show)"


class Shown:
    """What one page may hold in all; once it is used up only names are left."""

    def __init__(self, total: int = MOST_TEXT) -> None:
        self.left = total

    def shorten(self, value: Any) -> Any:
        if isinstance(value, str):
            text = value
            if len(text) > LONGEST_TEXT:
                text = f"{text[:LONGEST_TEXT]}… ({len(text) - LONGEST_TEXT:,} characters left out)"
            return self._spend(len(text), text)
        if isinstance(value, dict):
            return self._spend(2, None) or {
                str(self.shorten(str(name))): self.shorten(item) for name, item in self._some(value.items())
            }
        if isinstance(value, list):
            return self._spend(2, None) or [self.shorten(item) for item in self._some(value)]
        return self._spend(8, value)

    def _spend(self, size: int, value: Any) -> Any:
        self.left -= size
        return value if self.left >= 0 else LEFT_OUT

    def _some(self, items: Any) -> list[Any]:
        """No more of them than there is room for, and one that says so."""
        found: list[Any] = []
        for item in items:
            if len(found) * 2 > self.left:
                break
            found.append(item)
        return found


def resources_shortened(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Resources of a state with their attributes as far as a page can hold them."""
    shown = Shown()
    return [item | {"attributes": shown.shorten(item["attributes"])} for item in resources]


def outputs_shortened(outputs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Outputs as they are kept: the value of a huge one is in the state alone."""
    shown = Shown()
    found = {}
    for name, output in outputs.items():
        is_huge = len(json.dumps(output["value"])) > LARGEST_OUTPUT
        found[name] = output | {"shown": shown.shorten(output["shown"])} | ({"value": None} if is_huge else {})
    return found


def plan_shortened(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan summary with the values of its attributes and outputs as far as a page can hold them."""
    shown = Shown()
    for change in [*plan["resources"], *plan["drift"]]:
        for attribute in change["attributes"]:
            attribute["before"] = shown.shorten(attribute["before"])
            attribute["after"] = shown.shorten(attribute["after"])
    for output in plan["outputs"]:
        output["before"], output["after"] = shown.shorten(output["before"]), shown.shorten(output["after"])
    return plan
