"""Terraform's type constraints: read, written as people write them, and held against JSON values.

Source: https://developer.hashicorp.com/terraform/language/expressions/type-constraints
"""

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from apps.catalog.interface.hcl_syntax import Node
from apps.catalog.interface.problems import did_you_mean

PRIMITIVES = frozenset({"string", "number", "bool", "any"})
COLLECTIONS = frozenset({"list", "set", "map"})

# Bounds of a single value. A form field or a JSON document beyond them is a mistake or an attack.
MAX_STRING = 10_000
MAX_ITEMS = 1_000
MAX_DEPTH = 12
# The largest whole number that JSON readers agree on.
MAX_NUMBER = 2**53 - 1


class TypeConstraintError(Exception):
    """The expression after `type =` is not a type constraint."""


@dataclass(frozen=True)
class ValueProblem:
    """Why a value does not fit its type. `path` is "" for the value itself, else like `.disks[2].size`."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path.lstrip('.')}: {self.message}" if self.path else self.message


@dataclass(frozen=True)
class ObjectAttribute:
    """One attribute of an object type; an optional one without a default is null when it is left out."""

    type: "TerraformType"
    optional: bool = False
    default: Any = None


@dataclass(frozen=True)
class TerraformType:
    """A type constraint: `element` for list, set and map, `attributes` for object, `elements` for tuple."""

    kind: str
    element: "TerraformType | None" = None
    attributes: dict[str, ObjectAttribute] = field(default_factory=dict)
    elements: tuple["TerraformType", ...] = ()

    def __str__(self) -> str:
        if self.element is not None:
            return f"{self.kind}({self.element})"
        if self.kind == "tuple":
            return f"tuple([{', '.join(map(str, self.elements))}])"
        if self.kind == "object":
            return f"object({{{', '.join(self._attribute_texts())}}})"
        return self.kind

    def _attribute_texts(self) -> Iterator[str]:
        for name, attribute in self.attributes.items():
            if not attribute.optional:
                yield f"{name}={attribute.type}"
            elif attribute.default is None:
                yield f"{name}=optional({attribute.type})"
            else:
                yield f"{name}=optional({attribute.type}, {json.dumps(attribute.default, ensure_ascii=False)})"

    @property
    def is_primitive(self) -> bool:
        return self.kind in PRIMITIVES and self.kind != "any"

    def to_json(self) -> Any:
        if self.element is not None:
            return [self.kind, self.element.to_json()]
        if self.kind == "tuple":
            return ["tuple", [element.to_json() for element in self.elements]]
        if self.kind == "object":
            items = self.attributes.items()
            return ["object", {name: [item.type.to_json(), item.optional, item.default] for name, item in items}]
        return self.kind

    @classmethod
    def from_json(cls, data: Any) -> "TerraformType":
        if isinstance(data, str):
            return cls(data)
        kind, rest = data
        if kind == "tuple":
            return cls(kind, elements=tuple(cls.from_json(element) for element in rest))
        if kind == "object":
            items = {
                name: ObjectAttribute(cls.from_json(of), optional, default)
                for name, (of, optional, default) in rest.items()
            }
            return cls(kind, attributes=items)
        return cls(kind, element=cls.from_json(rest))


ANY = TerraformType("any")


def type_from_node(node: Node) -> TerraformType:
    """The type that the expression after `type =` stands for. Raises `TypeConstraintError`."""
    if node[0] == "lit" and node[1] in PRIMITIVES:  # "string" in quotes: the notation before Terraform 0.12
        return TerraformType(node[1])
    if node[0] == "name":
        if node[1] in PRIMITIVES:
            return TerraformType(node[1])
        if node[1] in {"list", "set", "map"}:
            return TerraformType(node[1], element=ANY)
        raise TypeConstraintError(f"“{node[1]}” is not a type." + did_you_mean(node[1], PRIMITIVES | COLLECTIONS))
    if node[0] == "call" and len(node[2]) == 1:
        return _type_constructed(node[1], node[2][0])
    raise TypeConstraintError("Write a type such as string, number, bool, list(string), map(string) or object({...}).")


def _type_constructed(name: str, argument: Node) -> TerraformType:
    if name in COLLECTIONS:
        return TerraformType(name, element=type_from_node(argument))
    if name == "tuple" and argument[0] == "tuple":
        return TerraformType("tuple", elements=tuple(type_from_node(element) for element in argument[1]))
    if name == "object" and argument[0] == "object":
        return TerraformType("object", attributes={str(key[1]): _attribute(value) for key, value in argument[1]})
    raise TypeConstraintError(f"“{name}(...)” is not a type." + did_you_mean(name, COLLECTIONS | {"tuple", "object"}))


def _attribute(node: Node) -> ObjectAttribute:
    if node[0] == "call" and node[1] == "optional" and 1 <= len(node[2]) <= 2:
        of = type_from_node(node[2][0])
        default = constant(node[2][1]) if len(node[2]) == 2 else None
        if default is not None:
            default, problems = value_fit(of, default, lenient=True)
            if problems:
                raise TypeConstraintError(f"The default of an optional attribute does not fit its type: {problems[0]}")
        return ObjectAttribute(of, optional=True, default=default)
    return ObjectAttribute(type_from_node(node))


def constant(node: Node) -> Any:
    """The JSON value of an expression without references. Raises `TypeConstraintError` for anything else."""
    if node[0] == "lit":
        return node[1]
    if node[0] == "tuple":
        return [constant(item) for item in node[1]]
    if node[0] == "object":
        pairs = [(str(constant(key)), constant(value)) for key, value in node[1]]
        value = dict(pairs)
        if len(value) != len(pairs):
            twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
            raise TypeConstraintError(f"“{twice[:60]}” appears twice.")
        return value
    if node[0] == "unary" and node[1] == "-":
        value = constant(node[2])
        if isinstance(value, int | float) and not isinstance(value, bool):
            return -value
    raise TypeConstraintError("this has to be a plain value, without references, functions or templates.")


def value_fit(
    of: TerraformType, value: Any, *, lenient: bool = False, complete: bool = False
) -> tuple[Any, list[ValueProblem]]:
    """Hold a JSON value against a type: the value in normal form, and what is wrong with it.

    `lenient` converts between string, number and bool and allows null within collections as Terraform does: meant for
    what the module's author wrote, not for what people enter. `complete` fills in optional attributes.
    Normal form: whole numbers are int, a set keeps the first of equal elements, text is Unicode NFC (as in Terraform).
    """
    fitting = _Fitting(lenient=lenient, complete=complete)
    return fitting.fit(of, value, "", 0), fitting.problems


class _Fitting:
    """One walk over a value, collecting problems."""

    def __init__(self, *, lenient: bool, complete: bool) -> None:
        self.lenient = lenient
        self.complete = complete
        self.problems: list[ValueProblem] = []

    def fit(self, of: TerraformType, value: Any, path: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            return self._wrong(path, f"This is nested deeper than {MAX_DEPTH} levels.")
        if value is None:
            # The caller decides on null as a whole; inside of a collection it is a gap.
            if path and not self.lenient and of.kind != "any":
                return self._wrong(path, "A value is missing here.")
            return None
        return getattr(self, f"_fit_{of.kind}")(of, value, path, depth)

    def _wrong(self, path: str, message: str) -> Any:
        """Note the problem; there is no value then."""
        self.problems.append(ValueProblem(path, message))
        return None

    def _fit_string(self, of: TerraformType, value: Any, path: str, depth: int) -> Any:
        if self.lenient and isinstance(value, bool | int | float):
            value = json.dumps(value)
        if not isinstance(value, str):
            return self._wrong(path, "Enter text.")
        return self._text(value, path)

    def _text(self, value: str, path: str) -> str | None:
        if len(value) > MAX_STRING:
            return self._wrong(path, f"Use at most {MAX_STRING:,} characters.")
        if "\x00" in value:
            return self._wrong(path, "The text contains a null character, which cannot be stored.")
        if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
            return self._wrong(path, "The text contains half a character (a lone surrogate).")
        return unicodedata.normalize("NFC", value)

    def _fit_number(self, of: TerraformType, value: Any, path: str, depth: int) -> Any:
        if self.lenient and isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                pass
        if isinstance(value, bool) or not isinstance(value, int | float):
            return self._wrong(path, "Enter a number.")
        if isinstance(value, float) and not math.isfinite(value):
            return self._wrong(path, "Enter a finite number.")
        if abs(value) > MAX_NUMBER:
            return self._wrong(path, f"Enter a number between -{MAX_NUMBER} and {MAX_NUMBER}.")
        return int(value) if value == int(value) else value

    def _fit_bool(self, of: TerraformType, value: Any, path: str, depth: int) -> Any:
        if self.lenient and value in ("true", "false"):
            value = value == "true"
        if not isinstance(value, bool):
            return self._wrong(path, "Choose yes or no (true or false).")
        return value

    def _fit_list(self, of: TerraformType, value: Any, path: str, depth: int) -> Any:
        if not isinstance(value, list):
            return self._wrong(path, "Enter a list.")
        if len(value) > MAX_ITEMS:
            return self._wrong(path, f"Use at most {MAX_ITEMS:,} items.")
        return [self.fit(of.element or ANY, item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]

    def _fit_set(self, of: TerraformType, value: Any, path: str, depth: int) -> Any:
        items = self._fit_list(of, value, path, depth)
        if items is None:
            return None
        first: dict[str, Any] = {}
        for item in items:
            first.setdefault(json.dumps(item, sort_keys=True), item)
        return list(first.values())

    def _fit_tuple(self, of: TerraformType, value: Any, path: str, depth: int) -> Any:
        if not isinstance(value, list) or len(value) != len(of.elements):
            return self._wrong(path, f"Enter a list of exactly {len(of.elements)} items.")
        pairs = enumerate(zip(of.elements, value, strict=True))
        return [self.fit(element, item, f"{path}[{index}]", depth + 1) for index, (element, item) in pairs]

    def _fit_map(self, of: TerraformType, value: Any, path: str, depth: int) -> Any:
        if not self._is_mapping(value, path):
            return None
        fitted = {}
        for key, item in value.items():
            name = self._text(key, path)
            if name is not None:
                fitted[name] = self.fit(of.element or ANY, item, f"{path}.{name[:60]}", depth + 1)
        return fitted

    def _is_mapping(self, value: Any, path: str) -> bool:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            self._wrong(path, "Enter names with values (an object).")
            return False
        if len(value) > MAX_ITEMS:
            self._wrong(path, f"Use at most {MAX_ITEMS:,} items.")
            return False
        return True

    def _fit_object(self, of: TerraformType, value: Any, path: str, depth: int) -> Any:
        if not self._is_mapping(value, path):
            return None
        for key in value.keys() - of.attributes.keys():
            if not self.lenient:
                self._wrong(path, f"There is no “{key[:60]}” here." + did_you_mean(key, of.attributes))
        fitted = {}
        for name, attribute in of.attributes.items():
            present = value.get(name)
            if present is not None:
                fitted[name] = self.fit(attribute.type, present, f"{path}.{name}", depth + 1)
            elif name not in value and not attribute.optional:
                self._wrong(f"{path}.{name}", "A value is missing here.")
            elif self.complete:
                # Terraform completes a default in its turn: an object in it may leave out optional attributes.
                given = attribute.default
                fitted[name] = None if given is None else self.fit(attribute.type, given, f"{path}.{name}", depth + 1)
            elif name in value:
                fitted[name] = None
        return fitted

    def _fit_any(self, of: TerraformType, value: Any, path: str, depth: int) -> Any:
        if isinstance(value, list):
            return self._fit_list(TerraformType("list", element=ANY), value, path, depth)
        if isinstance(value, dict):
            return self._fit_map(TerraformType("map", element=ANY), value, path, depth)
        if isinstance(value, str):
            return self._fit_string(of, value, path, depth)
        if isinstance(value, bool):
            return value
        return self._fit_number(of, value, path, depth)
