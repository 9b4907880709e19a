"""What changes for people and for what reads outputs when one version of a module follows another."""

from dataclasses import asdict, dataclass
from typing import Any

from apps.catalog.interface.model import ModuleInterface, Output, Variable
from apps.catalog.interface.type_constraints import TerraformType

LONGEST_VALUE = 80
MASK = "••••••"


@dataclass(frozen=True)
class Changed:
    """One input or output that is in both. `what` says what of it changed, in sentences; `breaking` that somebody who
    used the old version has to do something."""

    name: str
    what: tuple[str, ...]
    breaking: bool


@dataclass(frozen=True)
class InterfaceDifference:
    """`breaking` where a launch or an upgrade that worked before may not, or where an output somebody reads is gone."""

    inputs_added: tuple[str, ...] = ()
    inputs_removed: tuple[str, ...] = ()
    inputs_changed: tuple[Changed, ...] = ()
    outputs_added: tuple[str, ...] = ()
    outputs_removed: tuple[str, ...] = ()
    outputs_changed: tuple[Changed, ...] = ()
    required_added: tuple[str, ...] = ()

    @property
    def breaking(self) -> bool:
        changed = any(item.breaking for item in (*self.inputs_changed, *self.outputs_changed))
        return bool(changed or self.required_added or self.inputs_removed or self.outputs_removed)

    @property
    def is_empty(self) -> bool:
        return self == InterfaceDifference()

    @property
    def sentences(self) -> tuple[tuple[str, bool], ...]:
        """(sentence, whether it is a breaking change), the breaking ones first."""
        found: list[tuple[str, bool]] = []
        for name in self.inputs_added:
            needed = name in self.required_added
            found.append((f"Input “{name}” is new{' and has to be given' if needed else ''}.", needed))
        found += [(f"Input “{name}” is gone; what was set there is dropped.", True) for name in self.inputs_removed]
        found += [(f"Output “{name}” is new.", False) for name in self.outputs_added]
        found += [(f"Output “{name}” is gone.", True) for name in self.outputs_removed]
        for kind, items in (("Input", self.inputs_changed), ("Output", self.outputs_changed)):
            found += [(f"{kind} “{item.name}”: {'; '.join(item.what)}.", item.breaking) for item in items]
        return tuple(sorted(found, key=lambda entry: not entry[1]))

    def to_json(self) -> dict[str, Any]:
        sentences = [{"text": text, "breaking": breaking} for text, breaking in self.sentences]
        return {**asdict(self), "breaking": self.breaking, "sentences": sentences}


def interface_difference(old: ModuleInterface, new: ModuleInterface) -> InterfaceDifference:
    """`new` against `old`. What the portal fills in is no input; hidden inputs count, policies may set them."""
    before = {item.name: item for item in old.variables if not item.reserved}
    after = {item.name: item for item in new.variables if not item.reserved}
    outputs_before = {item.name: item for item in old.outputs}
    outputs_after = {item.name: item for item in new.outputs}
    changed = [_input_changed(before[name], after[name]) for name in after if name in before]
    outputs_changed = [
        _output_changed(outputs_before[name], outputs_after[name]) for name in outputs_after if name in outputs_before
    ]
    added = tuple(name for name in after if name not in before)
    return InterfaceDifference(
        inputs_added=added,
        inputs_removed=tuple(name for name in before if name not in after),
        inputs_changed=tuple(item for item in changed if item is not None),
        outputs_added=tuple(name for name in outputs_after if name not in outputs_before),
        outputs_removed=tuple(name for name in outputs_before if name not in outputs_after),
        outputs_changed=tuple(item for item in outputs_changed if item is not None),
        required_added=tuple(name for name in added if after[name].required),
    )


def _input_changed(old: Variable, new: Variable) -> Changed | None:
    what: list[tuple[str, bool]] = []
    if str(old.type) != str(new.type):
        what.append(
            (f"the type was {_short(str(old.type))} and is {_short(str(new.type))}", not _widens(old.type, new.type))
        )
    if old.required != new.required:
        what.append(("it has to be given now", True) if new.required else ("it need not be given any more", False))
    elif old.has_default and old.default != new.default:
        what.append((f"the default was {_value(old)} and is {_value(new)}", False))
    if old.nullable and not new.nullable:
        what.append(("it may not be null any more", old.has_default and old.default is None))
    elif new.nullable and not old.nullable:
        what.append(("it may be null", False))
    if old.sensitive != new.sensitive:
        what.append(("it is a secret now", False) if new.sensitive else ("it is no secret any more", True))
    what += _rules(old, new)
    return _changed(new.name, what)


def _rules(old: Variable, new: Variable) -> list[tuple[str, bool]]:
    before = {_normal(rule.condition) for rule in old.validations}
    after = {_normal(rule.condition): rule.error_message for rule in new.validations}
    found: list[tuple[str, bool]] = []
    for condition, message in after.items():
        if condition not in before:
            found.append((f"a new rule: {_short(message)}", True))
    if gone := len(before - after.keys()):
        found.append((f"{gone} rule{'s' if gone > 1 else ''} gone", False))
    options_before = [option.value for option in old.presentation.options]
    options_after = [option.value for option in new.presentation.options]
    if options_after and options_before != options_after:
        fewer = [value for value in options_before if value not in options_after]
        if fewer:
            found.append((f"no longer offered: {_short(', '.join(map(str, fewer)))}", True))
        elif options_before:
            more = [value for value in options_after if value not in options_before]
            found.append((f"also offered: {_short(', '.join(map(str, more)))}" if more else "options reordered", False))
        else:
            found.append(("it has to be one of its options now", True))
    return found


def _output_changed(old: Output, new: Output) -> Changed | None:
    if old.sensitive == new.sensitive:
        return None
    return _changed(new.name, [("it is a secret now", True) if new.sensitive else ("it is no secret any more", True)])


def _changed(name: str, what: list[tuple[str, bool]]) -> Changed | None:
    if not what:
        return None
    return Changed(name, tuple(text for text, _ in what), any(breaking for _, breaking in what))


def _widens(old: TerraformType, new: TerraformType) -> bool:
    """Whether every value of the old type is one of the new type, as Terraform converts it."""
    if new.kind == "any" or str(old) == str(new):
        return True
    if new.kind == "string" and old.kind in ("number", "bool"):
        return True
    if old.element is not None and new.element is not None:
        return (old.kind == new.kind or (old.kind, new.kind) == ("set", "list")) and _widens(old.element, new.element)
    if old.kind == new.kind == "object":
        return _object_widens(old, new)
    return False


def _object_widens(old: TerraformType, new: TerraformType) -> bool:
    for name, attribute in new.attributes.items():
        known = old.attributes.get(name)
        if known is None:
            if not attribute.optional:
                return False
        elif (known.optional and not attribute.optional) or not _widens(known.type, attribute.type):
            return False
    return True


def _normal(condition: str) -> str:
    return " ".join(condition.split())


def _value(variable: Variable) -> str:
    if variable.sensitive:
        return MASK
    return _short("null" if variable.default is None else repr(variable.default))


def _short(text: str) -> str:
    text = " ".join(str(text).split()).rstrip(".")
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
