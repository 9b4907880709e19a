"""Reading the state file the local backend keeps in a work directory: resources and outputs, with nothing sensitive.

The file itself is read (format version 4), not `terraform show`, which would start every provider to say the same.
"""

import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.provisioning.masking import masked, secrets_in

STATE = "terraform.tfstate"
ERRORED = "errored.tfstate"
DUMP = b"Emergency state dump"
# Read, parsed, encrypted and kept with every version: a larger one is no state that people could look after.
LIMIT = 64 * 1024 * 1024
# Older engines leave what only a provider's schema marks unmarked in the state.
TELLING = re.compile(
    r"(^|_)(secret|secrets|password|passwd|token|private_key|access_key|credentials?)(_|$)", re.IGNORECASE
)


@dataclass(frozen=True)
class StateFile:
    """`content` is the file as it is, to be encrypted and shipped; `data` is it parsed."""

    content: bytes
    data: dict[str, Any]

    @property
    def serial(self) -> int:
        return int(self.data.get("serial", 0))

    @property
    def lineage(self) -> str:
        return str(self.data.get("lineage", ""))


def state_read(work: Path) -> StateFile | None:
    """The state; None where there is none or it is just being written. A link put there by a module is not followed."""
    return _state_parse(_file_read(work / STATE))


def state_is_too_large(work: Path) -> bool:
    """Whether there is a state that is kept on this machine alone, because it is too large to be shipped."""
    try:
        status = (work / STATE).lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > LIMIT


def state_rescue(work: Path, logs: Iterable[Path] = ()) -> StateFile | None:
    """What Terraform could save when it could not write its state (a full disk), if it is newer than the state file.

    Terraform (1.x, `backend/local`) truncates the state before it writes it, so that a write that fails leaves half of
    one; it then writes `errored.tfstate`, and where that fails too, prints the state as a line of its JSON log.
    """
    found = [state for path in logs for state in _states_dumped(path)]
    if (errored := _state_parse(_file_read(work / ERRORED))) is not None:
        found.append(errored)
    present = state_read(work)
    newest = max(found, key=lambda state: state.serial, default=None)
    if newest is None or (present and present.lineage == newest.lineage and present.serial > newest.serial):
        return None
    return newest


def _file_read(path: Path) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LIMIT:
            return None
        return file.read()


def _state_parse(content: bytes | None) -> StateFile | None:
    if not content:
        return None
    try:
        data = json.loads(content)
    except ValueError:
        return None
    return StateFile(content, data) if isinstance(data, dict) else None


def _states_dumped(log: Path) -> Iterator[StateFile]:
    """States among the lines of a JSON log: {"@message": "Emergency state dump", "state": {...}}."""
    content = _file_read(log) or b""
    for line in content.splitlines() if DUMP in content else ():
        entry = _state_parse(line) if DUMP in line else None
        if entry and isinstance(entry.data.get("state"), dict) and "lineage" in entry.data["state"]:
            state = entry.data["state"]
            yield StateFile(json.dumps(state, indent=2).encode(), state)


def resources_from_state(state: dict[str, Any], *, secrets: Iterable[str] = ()) -> list[dict[str, Any]]:
    """[{address, type, name, status, attributes}] of managed resources; status "ready", "tainted" or "deposed"."""
    managed = [entry for entry in state.get("resources", ()) if entry.get("mode") == "managed"]
    instances = [(entry, instance) for entry in managed for instance in entry.get("instances", ())]
    known = {*secrets, *state_secrets(state)}
    return [
        {
            "address": _address(entry, instance),
            "type": entry["type"],
            "name": entry["name"],
            "status": _status(instance),
            "attributes": {
                name: masked(_plain(value), marks, secrets=known)
                for name, value, marks in _marked(instance)
                if value is not None
            },
        }
        for entry, instance in instances
    ]


def outputs_from_state(state: dict[str, Any], *, mask: bool = False) -> dict[str, dict[str, Any]]:
    """{name: {value, sensitive}}; unless masked to be stored encrypted, as an application's secret is among them."""
    known = state_secrets(state) if mask else set()
    found = {}
    for name, entry in state.get("outputs", {}).items():
        value, sensitive = entry.get("value"), bool(entry.get("sensitive"))
        found[name] = {"value": masked(value, sensitive, secrets=known) if mask else value, "sensitive": sensitive}
    return found


def outputs_to_store(state: dict[str, Any], *, secrets: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """{name: {value, sensitive, shown}}, to be kept encrypted; `shown` is what people may see.

    An output that nobody marked may still repeat a secret, so it is masked by value as well.
    """
    known = {*secrets, *state_secrets(state)}
    return {
        name: entry | {"shown": masked(entry["value"], entry["sensitive"], secrets=known)}
        for name, entry in outputs_from_state(state).items()
    }


def state_secrets(state: dict[str, Any]) -> set[str]:
    """Every value the state marks as sensitive. For redacting; never to be stored."""
    found: set[str] = set()
    for entry in state.get("resources", ()):
        for instance in entry.get("instances", ()):
            for _, value, marks in _marked(instance):
                found |= secrets_in(_plain(value), marks)
    for output in state.get("outputs", {}).values():
        found |= secrets_in(output.get("value"), bool(output.get("sensitive")))
    return found


def _marked(instance: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """(attribute, value, marks) of one instance; marks are true or a tree of the value's shape."""
    attributes = instance.get("attributes") or {}
    marks: dict[str, Any] = {}
    for path in instance.get("sensitive_attributes") or ():
        steps = [_step(step) for step in path]
        if steps:
            marks[steps[0]] = _mark(_plain(attributes.get(steps[0])), steps[1:], marks.get(steps[0], False))
    for name in attributes:
        if TELLING.search(name) and isinstance(attributes[name], str | dict | list):
            marks[name] = True
    return [(name, value, marks.get(name, False)) for name, value in attributes.items()]


def _mark(value: Any, steps: list[Any], held: Any) -> Any:
    """`held` with the end of `steps` marked; the whole of `value` where the path does not lead through it."""
    if not steps or held is True:
        return True
    first = steps[0]
    if isinstance(value, dict) and first in value:
        tree = held if isinstance(held, dict) else {}
        return tree | {first: _mark(value[first], steps[1:], tree.get(first, False))}
    if isinstance(value, list) and isinstance(first, int) and first < len(value):
        items = held if isinstance(held, list) else [False] * len(value)
        return [_mark(value[i], steps[1:], mark) if i == first else mark for i, mark in enumerate(items)]
    return True


def _step(step: dict[str, Any]) -> Any:
    value = step.get("value")
    return value.get("value") if isinstance(value, dict) else value


def _plain(value: Any) -> Any:
    """A value of dynamic type is kept as {value, type}."""
    if isinstance(value, dict) and set(value) == {"value", "type"}:
        return value["value"]
    return value


def _address(entry: dict[str, Any], instance: dict[str, Any]) -> str:
    module = f"{entry['module']}." if entry.get("module") else ""
    key = instance.get("index_key")
    index = "" if key is None else f"[{json.dumps(key)}]"
    return f"{module}{entry['type']}.{entry['name']}{index}"


def _status(instance: dict[str, Any]) -> str:
    if instance.get("deposed"):
        return "deposed"
    return "tainted" if instance.get("status") == "tainted" else "ready"
