"""Paging by key: a page begins after the last row of the one before it, however many rows came or went meanwhile.

An order is a list of fields that ends in the primary key; NULL sorts last. The cursor holds the values of those fields
at the edge of the page, and is signed, so that what comes back was made here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.core import signing
from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, Model, Q, QuerySet
from django.db.models.expressions import OrderBy

from apps.core.exceptions import InvalidInput

SALT = "core.paging"
M = TypeVar("M", bound=Model)


class CursorInvalid(InvalidInput):
    code = "core:bad-cursor"
    title = "The page cannot be found by this cursor; begin with the first page"


@dataclass(frozen=True)
class OrderField:
    """A field of the order; `nullable` fields get NULLS LAST, others keep the plain order that indexes have."""

    name: str
    descending: bool
    nullable: bool

    def expression(self, *, reverse: bool) -> OrderBy:
        descending = self.descending != reverse
        if not self.nullable:
            return F(self.name).desc() if descending else F(self.name).asc()
        # NULL is last in the shown order, so first when the order is read backwards.
        nulls = {"nulls_first": True} if reverse else {"nulls_last": True}
        return F(self.name).desc(**nulls) if descending else F(self.name).asc(**nulls)

    def beyond(self, value: Any, *, reverse: bool) -> Q:
        """Rows that come after `value` in this field alone."""
        if value is None:
            return ~Q(**{f"{self.name}__isnull": True}) if reverse else Q(pk__in=[])
        operator = "lt" if self.descending != reverse else "gt"
        further = Q(**{f"{self.name}__{operator}": value})
        return further | Q(**{f"{self.name}__isnull": True}) if self.nullable and not reverse else further

    def equal(self, value: Any) -> Q:
        return Q(**{f"{self.name}__isnull": True}) if value is None else Q(**{self.name: value})


@dataclass(frozen=True)
class Page(Generic[M]):
    rows: list[M]
    next: str | None
    previous: str | None


def order_of(rows: QuerySet[Any]) -> list[OrderField]:
    """The order of a queryset, completed by the primary key in the direction of the first field."""
    model = rows.model
    primary = model._meta.pk.name
    stated = [_field(rows, item) for item in rows.query.order_by or model._meta.ordering]
    kept: list[OrderField] = []
    for item in stated:
        if item.name in {"pk", primary}:
            return [*kept, OrderField(primary, item.descending, nullable=False)]
        if item.name not in {other.name for other in kept}:
            kept.append(item)
    return [*kept, OrderField(primary, bool(kept) and kept[0].descending, nullable=False)]


def _field(rows: QuerySet[Any], item: Any) -> OrderField:
    if isinstance(item, OrderBy):
        field: Any = item.expression
        name, descending = field.name, item.descending
    elif isinstance(item, F):
        name, descending = str(item.name), False  # type: ignore[attr-defined]
    else:
        name, descending = str(item).lstrip("-"), str(item).startswith("-")
    return OrderField(name, descending, _is_nullable(rows.model, name))


def _is_nullable(model: type[Model], name: str) -> bool:
    """Whether a field, or anything on the way to it, may be NULL; an annotation may."""
    if name == "pk":
        return False
    for part in name.split("__"):
        try:
            field = model._meta.get_field(part)
        except FieldDoesNotExist:
            return True
        if getattr(field, "null", True):
            return True
        model = field.related_model  # type: ignore[assignment]
    return False


def page_of(rows: QuerySet[M], *, cursor: str, size: int) -> Page[M]:
    """One page of `rows` in their order. Raises `CursorInvalid` for a cursor of another order or not made here."""
    order = order_of(rows)
    reverse, values = _cursor_read(cursor, order) if cursor else (False, None)
    ordered = rows.order_by(*(field.expression(reverse=reverse) for field in order))
    if values is not None:
        ordered = ordered.filter(_beyond(order, values, reverse=reverse))
    found = list(ordered[: size + 1])
    more, found = len(found) > size, found[:size]
    if reverse:
        found.reverse()
    if not found:
        return Page([], None, None)
    has_next, has_previous = (True, more) if reverse else (more, values is not None)
    return Page(
        found,
        _cursor_write(order, found[-1], reverse=False) if has_next else None,
        _cursor_write(order, found[0], reverse=True) if has_previous else None,
    )


def _beyond(order: Sequence[OrderField], values: Sequence[Any], *, reverse: bool) -> Q:
    """(a, b, c) after (x, y, z): a after x, or a = x and b after y, or a = x and b = y and c after z."""
    result, same = Q(pk__in=[]), Q()
    for field, value in zip(order, values, strict=True):
        result |= same & field.beyond(value, reverse=reverse)
        same &= field.equal(value)
    first, value = order[0], values[0]
    if first.nullable or len(order) == 1:
        return result
    # Says the same once more in a form that an index on the first field can follow.
    operator = "lte" if first.descending != reverse else "gte"
    return Q(**{f"{first.name}__{operator}": value}) & result


def _cursor_write(order: Sequence[OrderField], row: Model, *, reverse: bool) -> str:
    values = [_plain(_value(row, field.name)) for field in order]
    return signing.dumps({"o": _order_name(order), "v": values, "r": int(reverse)}, salt=SALT, compress=True)


def _cursor_read(cursor: str, order: Sequence[OrderField]) -> tuple[bool, list[Any]]:
    try:
        held = signing.loads(cursor[:4000], salt=SALT)
    except (signing.BadSignature, ValueError, UnicodeError):
        raise CursorInvalid from None
    if held["o"] != _order_name(order) or len(held["v"]) != len(order):
        raise CursorInvalid("The cursor belongs to a list in another order; begin with the first page")
    return bool(held["r"]), held["v"]


def _order_name(order: Sequence[OrderField]) -> str:
    return ",".join(f"{'-' if field.descending else ''}{field.name}" for field in order)


def _value(row: Any, name: str) -> Any:
    for part in name.split("__"):
        row = None if row is None else getattr(row, part)
    return row


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    return value.pk if isinstance(value, Model) else value
