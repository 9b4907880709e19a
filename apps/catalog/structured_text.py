"""Nested values as people write them, JSON or Terraform's own notation, and types as they read them."""

import json
import re
from typing import Any

from django.core.exceptions import ValidationError

from apps.catalog.interface.hcl_syntax import HclSyntaxError, expression_parse
from apps.catalog.interface.type_constraints import ObjectAttribute, TerraformType, TypeConstraintError, constant

# What begins like a value is one: a slip in it is an error and does not quietly become text.
_VALUE = re.compile(r"""[\[{"<(]|-?\d|(true|false|null)\Z""")


def is_plain_text(text: str) -> bool:
    """Whether text for the type `any` is meant as text."""
    return not _VALUE.match(text.strip())


def read_structured(text: str) -> Any:
    """The JSON value of JSON or of an HCL expression without references. Raises `ValidationError` with the place."""
    try:
        return read_json(text)
    except _JsonSyntax as not_json:
        try:
            return constant(expression_parse(text.strip()))
        except TypeConstraintError as error:
            message = str(error)
            raise ValidationError(f"{message[:1].upper()}{message[1:]}") from None
        except HclSyntaxError as not_hcl:
            # The reader that came further is the one whose notation was meant.
            place = max((not_json.line, not_json.column), (not_hcl.line or 0, not_hcl.column or 0))
            lines = text.rstrip().split("\n")
            line, column = min(place, (len(lines), len(lines[-1]) + 1))
            raise ValidationError(
                f"This is neither JSON nor Terraform's notation: line {line}, column {column}."
            ) from None


class _JsonSyntax(ValidationError):
    """Not JSON at all, as against JSON with a value that is refused."""

    def __init__(self, line: int, column: int) -> None:
        super().__init__(f"This is not valid JSON: line {line}, column {column}.")
        self.line = line
        self.column = column


def read_json(text: str) -> Any:
    """JSON without the constants and repeated names that Python would let pass. Raises `ValidationError`."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_pairs)
    except json.JSONDecodeError as error:
        raise _JsonSyntax(error.lineno, error.colno) from None
    except RecursionError:
        raise ValidationError("This is nested too deeply.") from None
    except ValueError as error:
        if isinstance(error, _JsonRefused):
            raise ValidationError(str(error)) from None
        raise ValidationError("This is not valid JSON.") from None


class _JsonRefused(ValueError):
    """Valid for Python's reader, not for us."""


def _refuse_constant(name: str) -> Any:
    raise _JsonRefused("Enter finite numbers.")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise _JsonRefused("A name appears twice.")
    return mapping


def type_shape(of: TerraformType, indent: str = "") -> str:
    """A type over several lines, as its author would write it."""
    if of.element is not None:
        return f"{of.kind}({type_shape(of.element, indent)})"
    if of.kind == "tuple":
        return f"tuple([{', '.join(type_shape(element, indent) for element in of.elements)}])"
    if of.kind == "object":
        inner = indent + "  "
        lines = [f"{inner}{name} = {_attribute_shape(item, inner)}\n" for name, item in of.attributes.items()]
        return f"object({{\n{''.join(lines)}{indent}}})" if lines else "object({})"
    return of.kind


def _attribute_shape(attribute: ObjectAttribute, indent: str) -> str:
    shape = type_shape(attribute.type, indent)
    if not attribute.optional:
        return shape
    if attribute.default is None:
        return f"optional({shape})"
    return f"optional({shape}, {json.dumps(attribute.default, ensure_ascii=False)})"
