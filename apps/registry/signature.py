"""MLflow model signatures: what a model takes and gives, read from the text in `MLmodel` without loading anything.

A signature is `{"inputs": [...], "outputs": [...], "params": [...]}`; each entry is a field as `field_read` makes it.
Format: mlflow.types.schema (`ColSpec.to_dict`, `TensorSpec.to_dict`, `ParamSpec.to_dict`).
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from apps.registry.reading import plain, text

MOST_FIELDS = 2_000
DEEPEST = 6
PARTS = ("inputs", "outputs", "params")


@dataclass(frozen=True)
class Field:
    """One column, tensor or parameter. `name` is empty for what has none; `shape` only of tensors and arrays.

    `type` is MLflow's word ("double", "long", "string", ...), for tensors numpy's ("float64"), nested types spelled out
    ("array(double)", "{a: long, b?: string}").
    """

    name: str
    type: str
    required: bool = True
    tensor: bool = False
    shape: tuple[int, ...] | None = None
    default: Any = None

    @property
    def shown_type(self) -> str:
        shape = f" ({', '.join('any' if size < 0 else str(size) for size in self.shape)})" if self.shape else ""
        return f"{'tensor of ' if self.tensor else ''}{self.type}{shape}"


@dataclass(frozen=True)
class Signature:
    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()
    params: tuple[Field, ...] = ()

    @property
    def summary(self) -> str:
        """In a cell: "30 columns → 1 column"."""
        return f"{_counted(self.inputs)} → {_counted(self.outputs)}" if self.inputs or self.outputs else ""


def signature_stored(data: Any) -> Signature | None:
    """From the column of a row; None where the model has none."""
    if not isinstance(data, dict):
        return None
    parts = {part: tuple(_stored(each) for each in data.get(part) or []) for part in PARTS}
    return Signature(**parts)


def signature_data(found: Signature) -> dict[str, Any]:
    return asdict(found)


def signature_read(data: Any) -> Signature | None:
    """From the `signature` of an MLmodel file, whose parts are JSON texts. None where it cannot be understood."""
    if not isinstance(data, dict):
        return None
    parts = {part: _part(data.get(part)) for part in PARTS}
    return Signature(**parts) if any(parts.values()) else None


def _part(value: Any) -> tuple[Field, ...]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return ()
    fields = [field_read(each) for each in value[:MOST_FIELDS]] if isinstance(value, list) else []
    return tuple(field for field in fields if field is not None)


def field_read(data: Any) -> Field | None:
    if not isinstance(data, dict):
        return None
    name, required = text(data.get("name"), 250), bool(data.get("required", not data.get("optional", False)))
    if data.get("type") == "tensor":
        spec = data.get("tensor-spec")
        spec = spec if isinstance(spec, dict) else {}
        return Field(name, text(spec.get("dtype"), 40), required, True, _shape(spec.get("shape")))
    default = data.get("default")
    shown = _type(data, 0)
    # Lists and objects of parameters are kept as they are; anything odd is left out.
    kept = plain(default) if isinstance(default, str | int | float | bool | list | dict) else None
    return Field(name, shown, required, False, _shape(data.get("shape")), kept)


def _type(data: Any, depth: int) -> str:
    if not isinstance(data, dict) or depth > DEEPEST:
        return "?"
    kind = text(data.get("type") or data.get("dtype"), 40)
    if kind in ("array", "map"):
        return f"{kind}({_type(data.get('items') or data.get('values'), depth + 1)})"
    if kind == "object" and isinstance(data.get("properties"), dict):
        inner = [
            f"{text(key, 60)}{'' if isinstance(each, dict) and each.get('required', True) else '?'}: "
            f"{_type(each, depth + 1)}"
            for key, each in list(data["properties"].items())[:50]
        ]
        return "{" + ", ".join(inner) + "}"
    return kind


def _shape(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, list | tuple) or len(value) > 16:
        return None
    return tuple(size for size in value if isinstance(size, int))


def _stored(data: dict[str, Any]) -> Field:
    shape = data.get("shape")
    return Field(**{**data, "shape": tuple(shape) if shape is not None else None})


def _counted(fields: tuple[Field, ...]) -> str:
    if not fields:
        return "nothing said"
    if len(fields) == 1:
        return fields[0].shown_type if fields[0].tensor else f"1 column ({fields[0].type[:20]})"
    return f"{len(fields)} {'tensors' if fields[0].tensor else 'columns'}"
