"""How lists of the API are paged and ordered: `{results, next, previous, count}`, by cursor, stable to the last row."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, Model, QuerySet
from rest_framework.filters import OrderingFilter
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from apps.core.exceptions import InvalidInput
from apps.core.paging import Page, order_of, page_of

PAGE_SIZE = 50
PAGE_SIZE_LIMIT = 200


class CountedCursorPagination(BasePagination):
    """Pages by cursor with an exact count, or null with `?count=false` and where the view sets `counted = False`."""

    page: Page[Any]
    count: int | None = None

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.request = request
        size = self._size(request)
        self.page = page_of(queryset, cursor=request.query_params.get("cursor", ""), size=size)
        if self._is_counted(request, view):
            self.count = queryset.order_by().count()
        return self.page.rows

    def _size(self, request: Request) -> int:
        raw = request.query_params.get("page_size", "")
        if not raw:
            return PAGE_SIZE
        if not (raw.isascii() and raw.isdigit()) or int(raw[:9]) < 1:
            raise InvalidInput(errors={"page_size": [f"Give a whole number from 1 to {PAGE_SIZE_LIMIT}."]})
        return min(int(raw[:9]), PAGE_SIZE_LIMIT)

    def _is_counted(self, request: Request, view: Any) -> bool:
        asked = request.query_params.get("count", "true").lower() not in {"false", "0", "no"}
        return asked and getattr(view, "counted", True)

    def _link(self, cursor: str | None) -> str | None:
        if cursor is None:
            return None
        address = remove_query_param(self.request.build_absolute_uri(), "cursor")
        return replace_query_param(address, "cursor", cursor)

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "results": data,
                "next": self._link(self.page.next),
                "previous": self._link(self.page.previous),
                "count": self.count,
            }
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        count = {"type": "integer", "nullable": True, "description": "Exact; null with `?count=false`."}
        return {
            "type": "object",
            "required": ["results", "next", "previous", "count"],
            "properties": {"results": schema, "next": link, "previous": link, "count": count},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        def parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
            return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}

        size = {"type": "integer", "minimum": 1, "maximum": PAGE_SIZE_LIMIT, "default": PAGE_SIZE}
        return [
            parameter("cursor", "Where the page begins; take it from `next` or `previous`.", {"type": "string"}),
            parameter("page_size", "Rows in a page.", size),
            parameter("count", "`false` leaves the rows uncounted.", {"type": "boolean", "default": True}),
        ]


class StableOrderingFilter(OrderingFilter):
    """`?ordering=-created_at,name`: NULL last, the primary key at the end. An unknown field is an error."""

    PLAIN_TYPES: ClassVar[tuple[str, ...]] = ("JSONField", "BinaryField", "ManyToManyField")

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        ordering = self.get_ordering(request, queryset, view)
        if ordering:
            queryset = queryset.order_by(
                *(F(name[1:]).desc() if name.startswith("-") else F(name).asc() for name in ordering)
            )
        return queryset.order_by(*(field.expression(reverse=False) for field in order_of(queryset)))

    def remove_invalid_fields(
        self, queryset: QuerySet[Any], fields: Iterable[str], view: Any, request: Request
    ) -> list[str]:
        valid = [name for name, _ in self.get_valid_fields(queryset, view, {"request": request})]
        fields = list(fields)
        wrong = [name for name in fields if name.lstrip("-") not in valid]
        if wrong:
            known = ", ".join(valid)
            raise InvalidInput(errors={"ordering": [f"{wrong[0][:60]!r} is not one of: {known}."]})
        return [("-" if name.startswith("-") else "") + name.lstrip("-") for name in fields]

    def get_default_valid_fields(
        self, queryset: QuerySet[Any], view: Any, context: Mapping[str, Any] | None = None
    ) -> list[tuple[str, str]]:
        found = super().get_default_valid_fields(queryset, view, context or {})
        return [(name, label) for name, label in found if self._is_column(queryset.model, name)]

    def _is_column(self, model: type[Model], name: str) -> bool:
        try:
            field = model._meta.get_field(name.split("__")[0])
        except FieldDoesNotExist:
            return False
        return field.concrete and field.get_internal_type() not in self.PLAIN_TYPES
