"""A filter's tree as a condition over runs.

Each comparison of a metric, parameter or tag is `id IN (SELECT run_id …)`: PostgreSQL hashes the ids once, whatever
stands around it, so OR and NOT cost no more than AND. An OR of nothing but those is one such set, a UNION: where it
finds few, no run of the others is looked at.
"""

import math
import sys
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from apps.experiments.filters.fields import ATTRIBUTES, Attribute
from apps.experiments.filters.lookups import AnyDataset
from apps.experiments.filters.nodes import All, AnyOf, Comparison, Kind, Moment, Node, Not, Span, Value, Words
from apps.experiments.filters.values import period_of
from apps.experiments.models import VALUE_LENGTH, RunMetric, RunParam, RunTag

NOTHING = Q(pk__in=[])
LOOKUPS = {"=": "exact", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte", "LIKE": "like", "ILIKE": "ilike"}
# Of MLflow's own tags these are columns of a run, and no rows of RunTag.
TAG_COLUMNS = {"mlflow.runName": "name", "mlflow.parentRunId": "parent_run_id", "mlflow.note.content": "note"}
MODELS: dict[Kind, type[Model]] = {Kind.METRIC: RunMetric, Kind.PARAM: RunParam, Kind.TAG: RunTag}
LARGEST = sys.float_info.max


def filter_q(node: Node, *, experiment_id: str = "", now: datetime | None = None) -> Q:
    """The condition; with an experiment's id only its rows are looked through. "Today" is that of `now`."""
    return _Compiler(experiment_id, now or timezone.now()).of(node)


class _Compiler:
    def __init__(self, experiment_id: str, now: datetime) -> None:
        self.scope = {"experiment": experiment_id} if experiment_id else {}
        self.now = now

    def of(self, node: Node) -> Q:
        if isinstance(node, Comparison):
            return self.comparison(node)
        if isinstance(node, Words):
            return Q(haystack__contains=node.text.lower())
        if isinstance(node, Not):
            return ~self.of(node.part)
        if isinstance(node, AnyOf) and (found := self.found(node)) is not None:
            return Q(pk__in=found)
        result = Q()
        for part in node.parts:
            result = result & self.of(part) if isinstance(node, All) else result | self.of(part)
        return result

    def comparison(self, node: Comparison) -> Q:
        kind, key = node.field.kind, node.field.key
        if kind is Kind.ATTRIBUTE:
            return self._attribute(ATTRIBUTES[key], node)
        if kind is Kind.DATASET:
            value: Any = list(node.value) if isinstance(node.value, tuple) else node.value
            return Q(AnyDataset(key, node.operator, value))
        if kind is Kind.TAG and key in TAG_COLUMNS:
            return self._column_tag(TAG_COLUMNS[key], node)
        having = Q(pk__in=self._having(node))
        return ~having if node.operator == "IS NULL" else having

    def found(self, node: Node) -> QuerySet[Any] | None:
        """The ids of exactly the runs that match; None where rows of metrics, parameters and tags do not tell."""
        if isinstance(node, Comparison):
            is_row = node.field.kind in MODELS and not (node.field.kind is Kind.TAG and node.field.key in TAG_COLUMNS)
            return self._having(node) if is_row and node.operator != "IS NULL" else None
        if not isinstance(node, All | AnyOf) or not node.parts:
            return None
        sets = [found for part in node.parts if (found := self.found(part)) is not None]
        if len(sets) < len(node.parts):
            return None
        first, *others = sets
        if isinstance(node, AnyOf):
            return first.union(*others)
        for other in others:
            first = first.filter(run_id__in=other)
        return first

    def _having(self, node: Comparison) -> QuerySet[Any]:
        """The ids of the runs with a row of the key and, but for IS NULL and IS NOT NULL, such a value."""
        kind = node.field.kind
        condition = Q()
        if node.value is not None:
            condition = _value_q(node.operator, node.value, "value" if kind is Kind.METRIC else "number")
        rows: QuerySet[Any] = MODELS[kind]._default_manager.filter(condition, key=node.field.key, **self.scope)
        return rows.order_by().values("run_id")

    def _column_tag(self, column: str, node: Comparison) -> Q:
        """A tag that is kept as a column; empty means that it is not there."""
        if node.operator == "IS NULL":
            return Q(**{column: ""})
        there = ~Q(**{column: ""})
        return there if node.operator == "IS NOT NULL" else there & _text_q(column, node.operator, node.value)

    def _attribute(self, attribute: Attribute, node: Comparison) -> Q:
        column, value = attribute.column, node.value
        if node.operator in {"IS NULL", "IS NOT NULL"}:
            nullable = attribute.takes != "text" or column == "environment_id"
            absent = Q(**{f"{column}__isnull": True}) if nullable else Q(**{column: ""})
            return absent if node.operator == "IS NULL" else ~absent
        if attribute.takes == "moment":
            return self._each(node, lambda operator, one: self._moment(column, operator, one))
        if attribute.takes in {"number", "span"}:
            return self._each(node, lambda operator, one: _number_q(column, operator, _amount(one, attribute)))
        if column == "environment_id":
            return self._each(node, _uuid_q)
        return _text_q(column, node.operator, value)

    def _each(self, node: Comparison, compare: Any) -> Q:
        """IN as one or another, NOT IN as none of them; all of a NULL is false."""
        if not isinstance(node.value, tuple):
            return compare(node.operator, node.value)  # type: ignore[no-any-return]
        result = Q() if node.operator == "NOT IN" else NOTHING
        for one in node.value:
            result = result & compare("!=", one) if node.operator == "NOT IN" else result | compare("=", one)
        return result

    def _moment(self, column: str, operator: str, value: Value) -> Q:
        assert isinstance(value, Moment)
        period = period_of(value.text, self.now)
        if period is None:  # It was a moment when it was parsed: a leap day of another year, at worst.
            return NOTHING
        begin, end = Q(**{f"{column}__gte": period.begin}), Q(**{f"{column}__lt": period.end})
        if period.is_instant:
            begin, end = Q(**{f"{column}__gte": period.begin}), Q(**{f"{column}__lte": period.end})
        after, before = Q(**{f"{column}__gte": period.end}), Q(**{f"{column}__lt": period.begin})
        if period.is_instant:
            after = Q(**{f"{column}__gt": period.end})
        if period.rolling:  # "later than the last 7 days" means within them.
            after, end = begin, Q()
        known = Q(**{f"{column}__isnull": False})
        conditions = {"=": begin & end, "!=": known & ~(begin & end), ">": after, ">=": begin, "<": before, "<=": end}
        return known & conditions[operator]


def _amount(value: Value, attribute: Attribute) -> float:
    seconds = value.seconds if isinstance(value, Span) else float(value)  # type: ignore[arg-type]
    return seconds * attribute.per_second


def _value_q(operator: str, value: Value, number_column: str) -> Q:
    """Over a row of RunMetric (`value`), or of RunParam and RunTag (`number`, `short`, `value`)."""
    if isinstance(value, tuple):
        result = Q() if operator == "NOT IN" else NOTHING
        for one in value:
            once = _value_q("!=" if operator == "NOT IN" else "=", one, number_column)
            result = result & once if operator == "NOT IN" else result | once
        return result
    if isinstance(value, float):
        return _number_q(number_column, operator, value, row=True)
    return _text_q("value", operator, value, short="short")


def _number_q(column: str, operator: str, value: float, *, row: bool = False) -> Q:
    """NULL is NaN in a row and "not known" in a run: NaN differs from every number, the unknown is left out."""
    if math.isnan(value):
        same = Q(**{f"{column}__isnull": True})
        return {"=": same, "!=": ~same}.get(operator, NOTHING) if row else NOTHING
    # MLflow writes an infinity as the largest number there is, and people who copy it mean the infinity.
    if abs(value) >= LARGEST:
        value = math.copysign(math.inf, value)
    if column == "duration_ms":
        return _integer_q(column, operator, value)
    if operator == "!=":
        unlike = ~Q(**{column: value})
        return unlike | Q(**{f"{column}__isnull": True}) if row else unlike & Q(**{f"{column}__isnull": False})
    return Q(**{f"{column}__{LOOKUPS[operator]}": value})


def _integer_q(column: str, operator: str, value: float) -> Q:
    """Against a column of whole numbers: fractions lie between two of them, large numbers beyond all."""
    known = Q(**{f"{column}__isnull": False})
    if abs(value) > 2**62:
        return known if (value > 0) == (operator in {"<", "<="}) or operator == "!=" else NOTHING
    if operator in {"=", "!="} and not value.is_integer():
        return known if operator == "!=" else NOTHING
    if operator == "!=":
        return known & ~Q(**{column: int(value)})
    limit = math.floor(value) if operator in {">", "<="} else math.ceil(value)
    return Q(**{f"{column}__{LOOKUPS[operator]}": limit})


def _text_q(column: str, operator: str, value: Value, short: str = "") -> Q:
    if isinstance(value, tuple):
        texts = [_text(one) for one in value]
        whole = Q(**{f"{column}__in": texts})
        if short and operator == "IN":
            whole = Q(**{f"{short}__in": [text[:VALUE_LENGTH] for text in texts]}) & whole
        return ~whole if operator == "NOT IN" else whole
    text = _text(value)
    if operator == "=":
        indexed = Q(**{short: text[:VALUE_LENGTH]}) if short else Q(**{column: text})
        return indexed & Q(**{column: text}) if short and len(text) >= VALUE_LENGTH else indexed
    if operator == "!=":
        return ~Q(**{column: text})
    negated = operator.startswith("NOT ")
    like = Q(**{f"{column}__{LOOKUPS[operator.removeprefix('NOT ')]}": text})
    return ~like if negated else like


def _text(value: Value) -> str:
    return value if isinstance(value, str) else str(value)


def _uuid_q(operator: str, value: Value) -> Q:
    try:
        known: Q = Q(environment_id=UUID(str(value)))
    except ValueError:
        known = NOTHING
    return known if operator == "=" else ~known & Q(environment_id__isnull=False)
