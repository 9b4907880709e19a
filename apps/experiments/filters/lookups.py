"""LIKE and ILIKE with the pattern as it was written; and a comparison inside the JSON list of data sets."""

from typing import Any

from django.db.models import BooleanField, CharField, F, Field, ForeignKey, Func, Lookup, TextField


class _Like(Lookup):
    word = "LIKE"
    prepare_rhs = True

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left}::text {self.word} {right}", (*left_params, *right_params)


@CharField.register_lookup
@TextField.register_lookup
class Like(_Like):
    lookup_name = "like"


@CharField.register_lookup
@TextField.register_lookup
class ILike(_Like):
    lookup_name = "ilike"
    word = "ILIKE"


@Field.register_lookup
@ForeignKey.register_lookup
class AnyOf(Lookup):
    """`= ANY(array)`: like IN, but one parameter however many there are, which is quicker to send and to read."""

    lookup_name = "anyof"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, params = self.process_lhs(compiler, connection)
        return f"{left} = ANY(%s)", (*params, list(self.rhs))


class AnyDataset(Func):
    """Whether any data set of the run has `key` and compares with `value` so; one without the key has not."""

    output_field = BooleanField()
    conditions = {
        "=": "= %s",
        "!=": "<> %s",
        "LIKE": "LIKE %s",
        "ILIKE": "ILIKE %s",
        "NOT LIKE": "NOT LIKE %s",
        "NOT ILIKE": "NOT ILIKE %s",
        "IN": "= ANY(%s)",
        "NOT IN": "<> ALL(%s)",
    }

    def __init__(self, key: str, operator: str, value: str | list[str], **extra: Any) -> None:
        super().__init__(F("datasets"), **extra)
        self.key, self.operator, self.value = key, operator, value

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        column, params = compiler.compile(self.source_expressions[0])
        condition = self.conditions[self.operator]
        # Both parts are our own words; what a person wrote goes in as parameters.
        sql = f"EXISTS (SELECT 1 FROM jsonb_array_elements({column}) AS one WHERE one->>%s {condition})"  # noqa: S608
        return sql, [*params, self.key, self.value]
