"""Serializers of rows that come by the hundred: what the declared fields show, read with as little as it takes.

REST framework asks every field of every row for its attribute, whether that is callable, its default and its format.
Here each field is turned into one function of the row, once for a list.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeVar

from django.db.models import Model
from django.utils import timezone
from rest_framework import serializers

Reader = Callable[[Any], Any]
M = TypeVar("M", bound=Model)
# Of these a model's own value is what is shown.
AS_IT_IS = (serializers.IntegerField, serializers.BooleanField)
TEXTS = (serializers.CharField, serializers.ChoiceField, serializers.UUIDField, serializers.SlugField)


class RowSerializer(serializers.ModelSerializer[M]):
    """A `ModelSerializer` whose reading is quick; its fields mean what they always mean."""

    @cached_property
    def _readers(self) -> list[tuple[str, Reader]]:
        return [(str(field.field_name), self._reader(field)) for field in self._readable_fields]

    def to_representation(self, instance: M) -> dict[str, Any]:
        return {name: read(instance) for name, read in self._readers}

    def _reader(self, field: Any) -> Reader:
        if type(field) is serializers.SerializerMethodField:
            method: Reader = getattr(self, field.method_name)
            return method
        if type(field) is serializers.SlugRelatedField:
            return _read(f"{field.source}.{field.slug_field}", None)
        if type(field) in AS_IT_IS:
            return _read(field.source, None)
        if type(field) in TEXTS:
            return _read(field.source, str)
        if type(field) is serializers.DateTimeField:
            return _read(field.source, _moment_in(timezone.get_current_timezone()))
        return _as_declared(field)


def _read(source: str, shown: Reader | None) -> Reader:
    """The value at a dotted path, None where the path ends early."""
    way, _, last = source.rpartition(".")
    value, parent = attrgetter(last), attrgetter(way) if way else None

    def read(row: Any) -> Any:
        if parent is not None:
            row = parent(row)
        found = None if row is None else value(row)
        return found if found is None or shown is None else shown(found)

    return read


def _moment_in(zone: Any) -> Reader:
    def shown(moment: datetime) -> str:
        text = moment.astimezone(zone).isoformat()
        return f"{text[:-6]}Z" if text.endswith("+00:00") else text

    return shown


def _as_declared(field: Any) -> Reader:
    def read(row: Any) -> Any:
        value = field.get_attribute(row)
        return None if value is None else field.to_representation(value)

    return read
