"""`manage.py doctor`: looks at everything the portal stands on, names each fault in plain words, and its cure.

Apps register probes in their module `probes`, which the command imports. A probe yields a :class:`Finding` for each
fault and nothing where all is well; one that breaks is itself a finding, so that the others still speak.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from portal.up.process import ProcessIdentity


class Severity(StrEnum):
    FAULT = "fault"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """`code` is stable; `cure` is a command or a sentence; `fix` mends it without a risk and says what it did."""

    code: str
    what: str
    cure: str
    severity: Severity = Severity.FAULT
    fix: Callable[[], str] | None = None


@dataclass(frozen=True)
class Patient:
    """What the first look found. `supervisor` is the `manage.py up` of this folder, `own` that services are given.

    `expected`: whether the portal's processes should be running at all.
    """

    data: Path
    supervisor: ProcessIdentity | None
    own: bool
    database: bool
    broker: bool

    @property
    def expected(self) -> bool:
        return self.own or self.supervisor is not None


@dataclass(frozen=True)
class Probe:
    """`needs` names what must be there first, else the probe is left out: "folder", "database", "broker", "portal"."""

    name: str
    ask: Callable[[Patient], Iterator[Finding]]
    needs: frozenset[str] = frozenset()

    def can_ask(self, patient: Patient) -> bool:
        there = {
            "folder": patient.data.is_dir(),
            "database": patient.database,
            "broker": patient.broker,
            "portal": patient.expected,
        }
        return all(there[need] for need in self.needs)


@dataclass
class Report:
    """What one probe found; `asked` is False where something it needs does not answer."""

    name: str
    asked: bool
    findings: list[Finding] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        if not self.asked:
            return "not asked"
        if any(finding.severity == Severity.FAULT for finding in self.findings):
            return "fault"
        return "warning" if self.findings else "well"


_probes: dict[str, Probe] = {}


def register_probe(name: str, ask: Callable[[Patient], Iterator[Finding]], *, needs: tuple[str, ...] = ()) -> None:
    _probes[name] = Probe(name, ask, frozenset(needs))


def examine(patient: Patient, *, fix: bool = False) -> list[Report]:
    """Ask every probe, in the order of registration; with `fix` mend what can be mended safely."""
    return [_examine(probe, patient, fix=fix) for probe in _probes.values()]


def _examine(probe: Probe, patient: Patient, *, fix: bool) -> Report:
    if not probe.can_ask(patient):
        return Report(probe.name, asked=False)
    report = Report(probe.name, asked=True)
    try:
        for finding in probe.ask(patient):
            if fix and finding.fix is not None:
                report.fixed.append(finding.fix())
            else:
                report.findings.append(finding)
    except Exception as error:
        said = str(error).strip().splitlines()
        what = f"This could not be examined: {type(error).__name__} {said[0] if said else ''}".strip()
        report.findings.append(Finding("doctor:broken", what, "See the log, and report it if it stays."))
    return report


def reports_json(reports: list[Report]) -> dict[str, Any]:
    return {
        "ok": all(report.state != "fault" for report in reports),
        "checks": [
            {
                "name": report.name,
                "state": report.state,
                "mended": report.fixed,
                "findings": [
                    {"code": one.code, "severity": str(one.severity), "what": one.what, "cure": one.cure}
                    for one in report.findings
                ],
            }
            for report in reports
        ],
    }
