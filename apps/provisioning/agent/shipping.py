"""From files of the machine to rows of the portal: log lines and state versions, each exactly once.

A cursor row moves in the same transaction as the lines it stands for, under the machine's lease, so that neither a
crash between two files nor two agents at once lose or repeat a line.
"""

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from apps.core.crypto import decrypt, encrypt
from apps.core.redaction import MASK, text_redacted
from apps.provisioning.agent.build_log import LogBudget
from apps.provisioning.leases import Lease
from apps.provisioning.models import Change, CommandRecord, LogCursor, LogLine, StateVersion, Workspace
from apps.provisioning.registry import log_callbacks, state_callbacks
from apps.provisioning.selectors import state_newest
from apps.provisioning.stage import StageResult
from apps.provisioning.terraform_state import ERRORED, StateFile, state_is_too_large, state_read, state_rescue

READ_AT_ONCE = 256 * 1024
LONGEST_LINE = 4000
# Shorter values stand in too many innocent places to be replaced.
SHORTEST_SECRET = 6


class Line(NamedTuple):
    at: datetime
    level: str
    text: str


class Redactor:
    """Replaces known secret values; Terraform masks its own, this holds for everything else that reaches a log."""

    def __init__(self, secrets: Iterable[Any]) -> None:
        self.secrets: list[str] = []
        self.learn(secrets)

    def learn(self, secrets: Iterable[Any]) -> None:
        """Know these values, and the strings inside them, as secrets from now on."""
        found = set(self.secrets)
        for secret in secrets:
            _strings(secret, found)
        self.secrets = sorted((s for s in found if len(s) >= SHORTEST_SECRET), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text_redacted(text)


def _strings(value: Any, into: set[str]) -> None:
    if isinstance(value, str):
        into |= _shapes(value)
    elif isinstance(value, dict):
        for item in value.values():
            _strings(item, into)
    elif isinstance(value, list | tuple):
        for item in value:
            _strings(item, into)


def _shapes(secret: str) -> set[str]:
    """A secret as a program may print it: as it is, line by line, as JSON, in an address or a form, in base64."""
    lines = {line.strip() for line in secret.splitlines()}
    addresses = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    return {secret, *lines, json.dumps(secret)[1:-1], *addresses, *_encoded(secret.encode("utf-8", "surrogatepass"))}


def _encoded(secret: bytes) -> set[str]:
    """In base64 behind none, one or two other bytes ("user:secret"), without the letters that mix with those."""
    found = set()
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + secret).decode()
        text = text[-(-shift * 8 // 6) : (shift + len(secret)) * 8 // 6]
        found |= {text, text.replace("+", "-").replace("/", "_")}
    return found


def file_read_lines(path: Path, offset: int) -> tuple[list[str], int]:
    """Whole lines of `path` from byte `offset`, and the offset behind them; a line still being written waits."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            block = file.read(READ_AT_ONCE)
    except FileNotFoundError:
        return [], offset
    end = block.rfind(b"\n") + 1
    if end == 0 and len(block) == READ_AT_ONCE:
        end = len(block)
    return block[:end].decode("utf-8", "replace").splitlines(), offset + end


def cursor_position(workspace: Workspace, source: str) -> str:
    """Where the last shipment of `source` ended; empty before the first."""
    rows = LogCursor.objects.filter(workspace=workspace, source=source)
    return rows.values_list("position", flat=True).first() or ""


def lines_ship(
    *,
    lease: Lease,
    workspace: Workspace,
    stream: str,
    source: str,
    lines: list[Line],
    position: str,
    change: Change | None,
) -> int:
    """Store lines and move the cursor of `source` to `position`; returns the number of the last line."""
    with transaction.atomic():
        lease.check()
        last = LogLine.objects.filter(workspace=workspace, stream=stream).aggregate(last=Max("number"))["last"] or 0
        rows = [
            LogLine(
                workspace=workspace,
                change=change,
                stream=stream,
                number=last + index,
                at=line.at,
                level=line.level[:8],
                text=line.text.replace("\x00", "�")[:LONGEST_LINE],
            )
            for index, line in enumerate(lines, 1)
        ]
        LogLine.objects.bulk_create(rows)
        LogCursor.objects.update_or_create(workspace=workspace, source=source, defaults={"position": position})
        shown = [{"n": r.number, "at": r.at.isoformat(), "level": r.level, "text": r.text} for r in rows]
        for start in range(0, len(shown), 200):
            for callback in log_callbacks:
                callback(workspace, stream, shown[start : start + 200])
        return last + len(rows)


def build_log_ship(
    *,
    lease: Lease,
    change: Change,
    path: Path,
    redact: Redactor,
    parse: Callable[[str], Any],
    budget: LogBudget | None = None,
) -> list[Any] | None:
    """Ship a block of what Terraform has written to `path` since the last time; returns the parsed entries.

    None where nothing was new. Of lines beyond the `budget` only errors are stored.
    """
    source = f"{change.pk}/{path.parent.name}/{path.name}"
    offset = int(cursor_position(change.workspace, source) or 0)
    raw, end = file_read_lines(path, offset)
    if end == offset:
        return None
    budget = budget or LogBudget(change)
    entries = [entry for entry in map(parse, raw) if entry is not None]
    lines = []
    for entry in entries:
        for text in budget.texts(entry):
            instead = budget.admit(entry.level)
            if instead is not None:
                lines.append(Line(entry.at or timezone.now(), entry.level, instead or redact(text)))
    lines_ship(
        lease=lease,
        workspace=change.workspace,
        stream=LogLine.Stream.BUILD,
        source=source,
        lines=lines,
        position=str(end),
        change=change,
    )
    return entries


def state_ship(*, lease: Lease, workspace: Workspace, change: Change | None, path: Path) -> bool:
    """Store the state file as a new version if it is one; True when it was new."""
    state = state_read(path.parent)
    return state is not None and state_store(lease=lease, workspace=workspace, change=change, state=state)


def state_store(*, lease: Lease, workspace: Workspace, change: Change | None, state: StateFile) -> bool:
    with transaction.atomic():
        lease.check()
        version, created = StateVersion.objects.get_or_create(
            workspace=workspace,
            lineage=state.lineage,
            serial=state.serial,
            digest=hashlib.sha256(state.content).hexdigest(),
            defaults={"change": change, "cipher": encrypt(state.content)},
        )
        if created:
            Workspace.objects.filter(pk=workspace.pk).update(state_serial=state.serial)
            for callback in state_callbacks:
                callback(version, state.data)
    return created


def state_shipped(workspace: Workspace) -> StateFile | None:
    """The newest state the portal has."""
    newest = state_newest(workspace.pk)
    if newest is None:
        return None
    content = decrypt(bytes(newest.cipher))
    return StateFile(content, json.loads(content))


def state_restore(*, workspace: Workspace, path: Path) -> None:
    """Put the newest shipped state back where the machine has lost its own, or a kill or a full disk has torn it.

    Terraform writes its state in place. The torn file is kept beside it; what it knew and no version does is found
    again by name. Raises OSError where the disk is full: then nothing may begin.
    """
    if state_is_too_large(path.parent):
        # Not torn: Terraform knows it, and nobody else has it.
        return
    present = state_read(path.parent)
    if present is None and os.path.lexists(path):
        path.replace(path.with_suffix(".torn"))
    newest = state_newest(workspace.pk)
    if newest is not None:
        older = present and present.lineage == newest.lineage and present.serial < newest.serial
        if present is None or older:
            _state_write(path, decrypt(bytes(newest.cipher)))
    elif rescued := state_rescue(path.parent):
        _state_write(path, rescued.content)
    path.with_name(ERRORED).unlink(missing_ok=True)


def _state_write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".restoring")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_bytes(content)
    temporary.rename(path)


def commands_record(change: Change, result: StageResult) -> None:
    """Once each, although an agent that was killed before it could close the change has recorded them already."""
    known = set(CommandRecord.objects.filter(change=change).values_list("name", "started_at"))
    found = [
        CommandRecord(
            change=change,
            name=command.name,
            started_at=datetime.fromtimestamp(command.started_at, UTC),
            finished_at=datetime.fromtimestamp(command.finished_at, UTC),
            exit_code=command.exit_code,
        )
        for command in result.commands
    ]
    CommandRecord.objects.bulk_create(row for row in found if (row.name, row.started_at) not in known)
