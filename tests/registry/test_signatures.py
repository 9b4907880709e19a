"""What breaks callers of a model between two signatures, and what does not."""

import json
from typing import Any

import pytest

from apps.registry.signature import Signature, signature_data, signature_read, signature_stored
from apps.registry.signature_difference import signatures_compare

AGE = {"type": "long", "name": "age", "required": True}
INCOME = {"type": "double", "name": "income", "required": True}
LABEL = {"type": "long"}


def tensor(shape: list[int], dtype: str = "float64", name: str | None = None) -> dict[str, Any]:
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}, **({"name": name} if name else {})}


def signature(inputs: Any = (AGE, INCOME), outputs: Any = (LABEL,), params: Any = ()) -> Signature | None:
    parts = {"inputs": inputs, "outputs": outputs, "params": params}
    return signature_read({part: json.dumps(list(value)) for part, value in parts.items()})


CASES = [
    ("nothing", {}, {}, [], []),
    ("another order of named inputs", {}, {"inputs": (INCOME, AGE)}, [], []),
    ("removed input", {}, {"inputs": (AGE,)}, ["removed"], []),
    ("renamed input", {}, {"inputs": (AGE, {**INCOME, "name": "salary"})}, ["renamed"], []),
    ("retyped input", {}, {"inputs": (AGE, {**INCOME, "type": "string"})}, ["retyped"], []),
    ("narrowed input", {}, {"inputs": ({**AGE, "type": "integer"}, INCOME)}, ["retyped"], []),
    (
        "widened input",
        {"inputs": ({**AGE, "type": "integer"}, INCOME)},
        {"inputs": ({**AGE, "type": "long"}, INCOME)},
        [],
        ["widened"],
    ),
    ("new required input", {}, {"inputs": (AGE, INCOME, {**AGE, "name": "visits"})}, ["required"], []),
    (
        "new optional input",
        {},
        {"inputs": (AGE, INCOME, {"type": "long", "name": "visits", "required": False})},
        [],
        ["added"],
    ),
    ("optional becomes required", {"inputs": ({**AGE, "required": False},)}, {"inputs": (AGE,)}, ["required"], []),
    ("required becomes optional", {"inputs": (AGE,)}, {"inputs": ({**AGE, "required": False},)}, [], ["optional"]),
    ("retyped output", {}, {"outputs": ({"type": "double"},)}, ["retyped"], []),
    ("output with a name", {}, {"outputs": ({"type": "long", "name": "label"},)}, ["removed", "added"], []),
    ("second output", {}, {"outputs": (LABEL, {"type": "double"})}, ["added"], []),
    ("removed output", {"outputs": (LABEL, {"type": "double"})}, {}, ["removed"], []),
    (
        "third named output",
        {"outputs": ({"type": "long", "name": "a"}, {"type": "long", "name": "b"})},
        {"outputs": ({"type": "long", "name": "a"}, {"type": "long", "name": "b"}, {"type": "long", "name": "c"})},
        [],
        ["added"],
    ),
    ("tensor of another width", {"inputs": (tensor([-1, 64]),)}, {"inputs": (tensor([-1, 32]),)}, ["retyped"], []),
    ("tensor of any width", {"inputs": (tensor([-1, 64]),)}, {"inputs": (tensor([-1, -1]),)}, [], ["widened"]),
    ("tensor of another rank", {"inputs": (tensor([-1, 64]),)}, {"inputs": (tensor([-1, 8, 8]),)}, ["retyped"], []),
    (
        "tensor of another number type",
        {"inputs": (tensor([-1, 64]),)},
        {"inputs": (tensor([-1, 64], "float32"),)},
        ["retyped"],
        [],
    ),
    ("columns become a tensor", {}, {"inputs": (tensor([-1, 2]),)}, ["removed", "removed", "required"], []),
    ("removed parameter", {"params": ({"name": "k", "default": 1, "type": "long"},)}, {}, ["removed"], []),
    ("new parameter", {}, {"params": ({"name": "k", "default": 1, "type": "long"},)}, [], ["added"]),
    (
        "another default",
        {"params": ({"name": "k", "default": 1, "type": "long"},)},
        {"params": ({"name": "k", "default": 2, "type": "long"},)},
        [],
        ["default"],
    ),
]


@pytest.mark.parametrize(("old", "new", "breaking", "fine"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_what_breaks_and_what_does_not(old: Any, new: Any, breaking: list[str], fine: list[str]) -> None:
    compared = signatures_compare(signature(**old), signature(**new))
    assert sorted(each.kind for each in compared.breaking) == sorted(breaking)
    assert sorted(each.kind for each in compared.differences if not each.breaking) == sorted(fine)


def test_what_breaks_comes_first_and_says_what_it_was() -> None:
    optional = {"type": "long", "name": "visits", "required": False}
    compared = signatures_compare(signature(), signature(inputs=(optional, AGE, {**INCOME, "type": "string"})))
    assert [each.text for each in compared.differences] == [
        "Input “income” was double and is string",
        "“visits” (long) is a new optional input",
    ]


@pytest.mark.parametrize(("old", "new"), [(None, signature()), (signature(), None), (None, None)])
def test_without_a_signature_nothing_is_claimed(old: Signature | None, new: Signature | None) -> None:
    assert "cannot be said" in signatures_compare(old, new).unknown


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "x",
        {"inputs": "not json"},
        {"inputs": "[[[["},
        {"inputs": json.dumps({"a": 1})},
        {"inputs": "[1, null]"},
    ],
)
def test_what_is_no_signature_is_none(data: Any) -> None:
    assert signature_read(data) is None


def test_odd_parts_are_read_without_failing() -> None:
    deep: Any = {"type": "long"}
    for _ in range(50):
        deep = {"type": "array", "items": deep}
    found = signature(inputs=({"type": "tensor", "tensor-spec": "x"}, {**deep, "name": "\x00\ud800"}, {"type": 5}))
    assert found is not None
    assert found.inputs[1].name == "?"


def test_a_signature_is_the_same_after_it_was_stored() -> None:
    found = signature(inputs=(tensor([-1, 64]), {"type": "object", "name": "o", "properties": {"a": {"type": "long"}}}))
    assert found is not None
    assert signature_stored(json.loads(json.dumps(signature_data(found)))) == found
