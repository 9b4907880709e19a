"""Terraform's JSON lines, and what it prints where it has none: progress and diagnostics.

Source of the format: Terraform's "Machine-Readable UI". Values of outputs are never taken over.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# Terraform's words for a plan that no longer fits its state, or that another version wrote.
STALE = ("saved plan is stale", "saved plan does not match", "failed to read plan", "invalid plan file")
BOX = re.compile(r"^[╷│╵]\s?")
HEADLINE = re.compile(r"^(Error|Warning): (.+)$")
STEPS = {
    "init": "Getting providers and modules ready",
    "plan": "Working out what has to change",
    "show": "Reading the plan",
    "apply": "Making the changes",
}


@dataclass(frozen=True)
class Diagnostic:
    """An error or a warning; `address` is the resource it is about, `place` reads "main.tf line 3"."""

    severity: str
    summary: str
    detail: str = ""
    address: str = ""
    place: str = ""


@dataclass(frozen=True)
class LogEntry:
    """One line for people. `hook` is Terraform's type (apply_start, apply_complete, diagnostic, ...), "text" for
    plain ones.

    `action` and `elapsed_s` belong to the resource; `step` is set on the line before each of Terraform's commands.
    """

    at: datetime
    level: str
    message: str
    hook: str = "text"
    resource: str = ""
    action: str = ""
    elapsed_s: float | None = None
    step: str = ""
    diagnostic: Diagnostic | None = None


def log_line_parse(line: str) -> LogEntry | None:
    """One line of `log.jsonl`; None for an empty one and for those that tell a person nothing."""
    text = line.strip()
    if not text:
        return None
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return LogEntry(datetime.now(UTC), _level_of_text(text), BOX.sub("", text))
    kind = str(told.get("type") or "log")
    if kind == "version":
        return None
    message = str(told.get("@message") or "").strip()
    about, change = _object(told, "hook"), _object(told, "change")
    resource = about.get("resource") or change.get("resource") or {}
    diagnostic = _diagnostic(told["diagnostic"]) if isinstance(told.get("diagnostic"), dict) else None
    step = str(told.get("step") or "") if kind == "slipway_step" else ""
    if not message and diagnostic is None:
        return None
    return LogEntry(
        at=_time(told.get("@timestamp")),
        level={"warn": "warning"}.get(str(told.get("@level")), str(told.get("@level") or "info")),
        message=STEPS.get(step, message) if step else message,
        hook=kind,
        resource=str(resource.get("addr") or (diagnostic.address if diagnostic else "")),
        action=str(about.get("action") or change.get("action") or ""),
        elapsed_s=_number(about.get("elapsed_seconds")),
        step=step,
        diagnostic=diagnostic,
    )


def diagnostics_from_log(lines: Iterable[str]) -> list[Diagnostic]:
    """Errors and warnings of a log, each once, in their order."""
    found: list[Diagnostic] = []
    plain: list[str] = []
    for line in lines:
        if not line.lstrip().startswith("{"):
            plain.append(line)
        elif '"diagnostic"' in line and (entry := log_line_parse(line)) is not None and entry.diagnostic:
            found.append(entry.diagnostic)
    return list(dict.fromkeys([*found, *diagnostics_from_text("\n".join(plain))]))


def diagnostics_from_text(text: str) -> list[Diagnostic]:
    """Those of a command that has no JSON output, or that failed before it could write any."""
    found: list[Diagnostic] = []
    headline: tuple[str, str] | None = None
    body: list[str] = []
    for line in [*(BOX.sub("", raw).rstrip() for raw in text.splitlines()), None]:
        match = HEADLINE.match(line) if line is not None else None
        if headline and (match or line is None):
            found.append(Diagnostic(headline[0].lower(), headline[1], "\n".join(body).strip()))
        if match:
            headline, body = (match[1], match[2]), []
        elif line is not None:
            body.append(line)
    return found


def plan_is_stale(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether an apply was refused because the plan has to be made again; nothing was changed then."""
    return any(word in item.summary.lower() for item in diagnostics for word in STALE if item.severity == "error")


def _diagnostic(told: dict[str, Any]) -> Diagnostic:
    where = _object(told, "range")
    line = (where.get("start") or {}).get("line")
    return Diagnostic(
        severity=str(told.get("severity") or "error"),
        summary=str(told.get("summary") or "").strip(),
        detail=str(told.get("detail") or "").strip(),
        address=str(told.get("address") or ""),
        place=f"{where['filename']} line {line}" if where.get("filename") and line else "",
    )


def _object(told: dict[str, Any], name: str) -> dict[str, Any]:
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def _time(text: Any) -> datetime:
    try:
        at = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return datetime.now(UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _level_of_text(text: str) -> str:
    match = HEADLINE.match(BOX.sub("", text))
    return match[1].lower() if match else "info"
