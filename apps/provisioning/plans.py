"""A saved plan as people read it: what is created, changed, replaced, destroyed, with nothing sensitive in it.

Source of the format: Terraform's "JSON Output Format", the plan representation of `terraform show -json`.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from apps.provisioning.masking import UNKNOWN, masked, secrets_in
from apps.provisioning.terraform_log import (
    Diagnostic,
    LogEntry,
    diagnostics_from_log,
    diagnostics_from_text,
    log_line_parse,
    plan_is_stale,
)
from apps.provisioning.terraform_state import (
    StateFile,
    outputs_from_state,
    resources_from_state,
    state_read,
    state_secrets,
)

# The whole of what the portal reads of Terraform's answers, in one place to import from.
__all__ = [
    "AttributeChange",
    "Diagnostic",
    "LogEntry",
    "OutputChange",
    "PlanSummary",
    "ResourceChange",
    "StateFile",
    "diagnostics_from_log",
    "diagnostics_from_text",
    "log_line_parse",
    "outputs_from_state",
    "plan_digest",
    "plan_fingerprint",
    "plan_is_stale",
    "plan_masked",
    "plan_secrets",
    "plan_summary",
    "resources_from_state",
    "state_read",
    "state_secrets",
]

Action = Literal["create", "update", "replace", "delete", "read", "no-op", "forget", "import"]

# A failed creation left them half-made; they hold nothing that a person could lose.
REMADE_FREELY = {"slipway_service", "slipway_runtime"}


@dataclass(frozen=True)
class AttributeChange:
    """`before` and `after` are ready to be shown: masked, and "known after apply" where only the apply will tell."""

    name: str
    before: Any
    after: Any
    sensitive: bool = False
    unknown: bool = False
    forces_replacement: bool = False


@dataclass(frozen=True)
class ResourceChange:
    """One resource of a plan; `reason` is Terraform's own word, e.g. "replace_because_tainted".

    `importing` is the id of the existing thing that it takes over; where that is all, or little more, the action is
    "import".
    """

    address: str
    type: str
    name: str
    action: Action
    attributes: list[AttributeChange] = field(default_factory=list)
    reason: str = ""
    importing: str = ""

    @property
    def destructive(self) -> bool:
        """It ends something that worked. To make a half-made service again is not that."""
        again = self.reason == "replace_because_tainted" and self.type in REMADE_FREELY
        return self.action == "delete" or (self.action == "replace" and not again)


@dataclass(frozen=True)
class OutputChange:
    name: str
    action: Action
    before: Any
    after: Any
    sensitive: bool


@dataclass(frozen=True)
class PlanSummary:
    """`resources` are what the apply will do, `drift` is what changed outside Terraform since the last one."""

    resources: list[ResourceChange]
    drift: list[ResourceChange]
    outputs: list[OutputChange]
    fingerprint: str = ""

    @property
    def destructive(self) -> bool:
        return any(change.destructive for change in self.resources)

    @property
    def takes_over(self) -> bool:
        return any(change.importing for change in self.resources)

    @property
    def empty(self) -> bool:
        """Applying it would change neither a resource nor an output."""
        return not self.resources and not self.outputs

    @property
    def counts(self) -> dict[str, int]:
        """How many resources of each action, absent actions left out."""
        found: dict[str, int] = {}
        for change in self.resources:
            found[change.action] = found.get(change.action, 0) + 1
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain JSON for the database, the page and the API."""
        return {
            "resources": [asdict(change) | {"destructive": change.destructive} for change in self.resources],
            "drift": [asdict(change) for change in self.drift],
            "outputs": [asdict(output) for output in self.outputs],
            "outputs_change": bool(self.outputs),
            "counts": self.counts,
            "destructive": self.destructive,
            "empty": self.empty,
        }


def plan_digest(plan: Path) -> str:
    """SHA-256 of a plan file: what is approved, and the only thing that is applied."""
    with plan.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def plan_fingerprint(plan_json: dict[str, Any]) -> str:
    """Equal for two plans that do the same, so that one made anew needs no new approval."""
    told = [
        [entry["address"], change["actions"], change.get("before"), change.get("after"), change.get("after_unknown")]
        + ([change["importing"]] if change.get("importing") else [])
        for entry in plan_json.get("resource_changes", ())
        if (change := entry["change"])["actions"] != ["no-op"] or change.get("importing")
    ]
    outputs = {
        name: [entry["actions"], entry.get("after")] for name, entry in plan_json.get("output_changes", {}).items()
    }
    canonical = json.dumps([sorted(told, key=lambda item: item[0]), outputs], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def plan_summary(plan_json: dict[str, Any], *, secrets: Iterable[str] = ()) -> PlanSummary:
    """What a plan will do. `secrets` must not show wherever they turn up, nor what the plan itself marks."""
    known = {*secrets, *plan_secrets(plan_json)}
    changes = [_resource(entry, known) for entry in plan_json.get("resource_changes", ())]
    drift = [_resource(entry, known) for entry in plan_json.get("resource_drift", ())]
    outputs = [_output(name, entry, known) for name, entry in sorted(plan_json.get("output_changes", {}).items())]
    return PlanSummary(
        resources=[change for change in changes if change.action != "no-op"],
        drift=[change for change in drift if change.action != "no-op"],
        outputs=[output for output in outputs if output.action != "no-op"],
        fingerprint=plan_fingerprint(plan_json),
    )


def plan_secrets(plan_json: dict[str, Any]) -> set[str]:
    """Every value the plan marks as sensitive, in resources, outputs and variables: to redact with, never to store."""
    found: set[str] = set()
    for entry in [*plan_json.get("resource_changes", ()), *plan_json.get("resource_drift", ())]:
        found |= _change_secrets(entry["change"])
    for change in plan_json.get("output_changes", {}).values():
        found |= _change_secrets(change)
    declared = plan_json.get("configuration", {}).get("root_module", {}).get("variables", {})
    for name, entry in plan_json.get("variables", {}).items():
        if declared.get(name, {}).get("sensitive"):
            found |= secrets_in(entry.get("value"), True)
    return found


def plan_masked(plan_json: dict[str, Any], *, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """The whole of Terraform's JSON with every sensitive value replaced, by its place and wherever else it turns up.

    Its shape stays, and with it what is unknown: that is absent from `after`, as Terraform has it.
    """
    known = {*secrets, *plan_secrets(plan_json)}
    plan = {**plan_json}
    for part in ("resource_changes", "resource_drift"):
        if part in plan:
            plan[part] = [{**entry, "change": _change_masked(entry["change"])} for entry in plan[part]]
    for part in ("output_changes", "variables"):
        if part in plan:
            plan[part] = {name: dict(entry) for name, entry in plan[part].items()}
    for name, entry in plan.get("output_changes", {}).items():
        plan["output_changes"][name] = _change_masked(entry)
    declared = plan_json.get("configuration", {}).get("root_module", {}).get("variables", {})
    for name, entry in plan.get("variables", {}).items():
        if declared.get(name, {}).get("sensitive"):
            entry["value"] = masked(entry.get("value"), True)
    if "planned_values" in plan:
        plan["planned_values"] = _values_masked(plan["planned_values"])
    if "prior_state" in plan:
        prior = plan["prior_state"]
        plan["prior_state"] = {**prior, "values": _values_masked(prior.get("values") or {})}
    found: dict[str, Any] = masked(plan, secrets=known)
    return found


def _change_masked(change: dict[str, Any]) -> dict[str, Any]:
    return {
        **change,
        "before": masked(change.get("before"), change.get("before_sensitive", False)),
        "after": masked(change.get("after"), change.get("after_sensitive", False)),
    }


def _values_masked(values: dict[str, Any]) -> dict[str, Any]:
    """`planned_values` and the values of a state: outputs, and modules of resources within one another."""
    shown = {**values}
    if "outputs" in values:
        shown["outputs"] = {
            name: {**output, "value": masked(output.get("value"), bool(output.get("sensitive")))}
            for name, output in values["outputs"].items()
        }
    if "root_module" in values:
        shown["root_module"] = _module_masked(values["root_module"])
    return shown


def _module_masked(module: dict[str, Any]) -> dict[str, Any]:
    resources = [
        {**one, "values": masked(one.get("values"), one.get("sensitive_values", False))}
        for one in module.get("resources", ())
    ]
    children = [_module_masked(child) for child in module.get("child_modules", ())]
    return {**module, "resources": resources, "child_modules": children}


def _change_secrets(change: dict[str, Any]) -> set[str]:
    before = secrets_in(change.get("before"), change.get("before_sensitive", False))
    return before | secrets_in(change.get("after"), change.get("after_sensitive", False))


def _action(actions: list[str]) -> Action:
    if "delete" in actions and "create" in actions:
        return "replace"
    return actions[0] if actions else "no-op"  # type: ignore[return-value]


def _resource(entry: dict[str, Any], secrets: set[str]) -> ResourceChange:
    change = entry["change"]
    action = _action(change["actions"])
    importing = change.get("importing") or {}
    taken = str(masked(importing.get("id") or UNKNOWN, secrets=secrets)) if importing else ""
    if taken and action in ("no-op", "update"):
        action = "import"
    return ResourceChange(
        address=entry["address"],
        type=entry["type"],
        name=entry["name"],
        action=action,
        attributes=_attributes(change, secrets) if action != "no-op" else [],
        reason=entry.get("action_reason", ""),
        importing=taken,
    )


def _attributes(change: dict[str, Any], secrets: set[str]) -> list[AttributeChange]:
    before, after = change.get("before") or {}, change.get("after") or {}
    told = change.get("after_unknown")
    unknown: dict[str, Any] = told if isinstance(told, dict) else {}
    before_marks, after_marks = change.get("before_sensitive", False), change.get("after_sensitive", False)
    forcing = {str(path[0]) for path in change.get("replace_paths", ()) if path}
    found = []
    for name in sorted({*before, *after, *unknown}):
        later = unknown.get(name, False)
        if before.get(name) == after.get(name) and not later:
            continue
        marks = _mark(before_marks, name), _mark(after_marks, name)
        found.append(
            AttributeChange(
                name=name,
                before=masked(before.get(name), marks[0], secrets=secrets),
                after=masked(after.get(name), marks[1], later, secrets=secrets),
                sensitive=any(bool(mark) for mark in marks),
                unknown=bool(later),
                forces_replacement=name in forcing,
            )
        )
    return found


def _mark(marks: Any, name: str) -> Any:
    return marks.get(name, False) if isinstance(marks, dict) else marks


def _output(name: str, change: dict[str, Any], secrets: set[str]) -> OutputChange:
    marks = change.get("before_sensitive", False), change.get("after_sensitive", False)
    return OutputChange(
        name=name,
        action=_action(change["actions"]),
        before=masked(change.get("before"), marks[0], secrets=secrets),
        after=masked(change.get("after"), marks[1], change.get("after_unknown", False), secrets=secrets),
        sensitive=any(bool(mark) for mark in marks),
    )
