"""What the filter language reads, says when it cannot, and prints back."""

from datetime import UTC, datetime

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from apps.experiments.exceptions import FilterInvalid
from apps.experiments.filters import All, AnyOf, Comparison, Field, Kind, Not, Words, filter_parse, filter_print
from apps.experiments.filters.fields import ATTRIBUTES, DATASET_KEYS
from apps.experiments.filters.nodes import Moment, Span
from apps.experiments.filters.values import period_of

NOW = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)


def metric(key: str, operator: str, value: float) -> Comparison:
    return Comparison(Field(Kind.METRIC, key), operator, value)


def attribute(key: str, operator: str, value: object) -> Comparison:
    return Comparison(Field(Kind.ATTRIBUTE, key), operator, value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", All()),
        ("metrics.auc > 0.9", metric("auc", ">", 0.9)),
        ("metric.auc>=-1e-3", metric("auc", ">=", -0.001)),
        ("metrics.`val acc` <> 1", metric("val acc", "!=", 1)),
        ('metrics."val acc" == 1', metric("val acc", "=", 1)),
        ("`metrics`.`a` = 1", metric("a", "=", 1)),
        ("metrics.val/acc < 2", metric("val/acc", "<", 2)),
        ("params.lr = '0.1'", Comparison(Field(Kind.PARAM, "lr"), "=", "0.1")),
        ("parameters.lr = 0.1", Comparison(Field(Kind.PARAM, "lr"), "=", 0.1)),
        ("param.kind = adam", Comparison(Field(Kind.PARAM, "kind"), "=", "adam")),
        ("tags.mlflow.source.name like '%py'", Comparison(Field(Kind.TAG, "mlflow.source.name"), "LIKE", "%py")),
        ("tag.`a``b` is not null", Comparison(Field(Kind.TAG, "a`b"), "IS NOT NULL", None)),
        ("params.x IS NULL", Comparison(Field(Kind.PARAM, "x"), "IS NULL", None)),
        ("params.x = \"it's\"", Comparison(Field(Kind.PARAM, "x"), "=", "it's")),
        ("params.x = 'it''s'", Comparison(Field(Kind.PARAM, "x"), "=", "it's")),
        ("dataset.name in ('a', \"b\")", Comparison(Field(Kind.DATASET, "name"), "IN", ("a", "b"))),
        ("run_id NOT IN ('a')", attribute("run_id", "NOT IN", ("a",))),
        ("attributes.status = 'FINISHED'", attribute("status", "=", "FINISHED")),
        ("status = failed", attribute("status", "=", "FAILED")),
        ("attr.`run name` = 'x'", attribute("run_name", "=", "x")),
        ("run name = 'x'", attribute("run_name", "=", "x")),
        ("run.Created > 1700000000000", attribute("start_time", ">", Moment("1700000000000"))),
        ("start_time > last 7 days", attribute("start_time", ">", Moment("last 7 days"))),
        ("started = 2026-11-03 ended > now", All((
            attribute("start_time", "=", Moment("2026-11-03")), attribute("end_time", ">", Moment("now")),
        ))),
        ("duration > 10m", attribute("duration", ">", Span(600))),
        ("duration > 1h30m", attribute("duration", ">", Span(5400))),
        ("duration < 90", attribute("duration", "<", 90.0)),
        ("adam lr", All((Words("adam"), Words("lr")))),
        ('"weight decay"', Words("weight decay")),
        ("a b or c", AnyOf((All((Words("a"), Words("b"))), Words("c")))),
        ("a and (b OR not c)", All((Words("a"), AnyOf((Words("b"), Not(Words("c"))))))),
        ("NOT (a AND b) AND c", All((Not(All((Words("a"), Words("b")))), Words("c")))),
        ("a in b is", All((Words("a"), Words("in"), Words("b"), Words("is")))),
    ],
)  # fmt: skip
def test_a_text_is_read_as_its_tree(text: str, meant: object) -> None:
    assert filter_parse(text) == meant


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("metrics.auc > ", 14, "A value is expected"),
        ("metrics.auc > '1'", 14, "a number"),
        ("metrics.auc", 11, "an operator is expected"),
        ("metrics.auc ! 1", 12, "!="),
        ("(a or b", 0, "not closed"),
        ("a or b)", 6, "closes nothing"),
        ("a ()", 2, "nothing between"),
        ("a or", 4, "missing"),
        ("or a", 0, "expected here"),
        ("a, b", 1, "expected here"),
        ("name = 'x", 7, "not closed"),
        ("> 1", 0, "what is compared"),
        ("lr > 0.1", 0, "params.lr"),
        ("statsu = 'x'", 0, "status"),
        ("foo.`bar` = 1", 0, "none of metrics"),
        ("metrics. > 1", 0, "name is missing"),
        ("datasets.size = 'x'", 0, "no size"),
        ("datasets.name is null", 14, "data set"),
        ("params.lr > '0.1'", 12, "a number without quotes"),
        ("tags.a > b", 9, "no order"),
        ("metrics.a LIKE 'x'", 10, "for texts"),
        ("name LIKE 'x\\'", 10, "backslash"),
        ("duration > 5 parsecs and x", None, ""),
        ("duration > 5parsecs", 11, "a length of time"),
        ("start_time > soon", 13, "A time is expected"),
        ("run_id in ('a'", 10, "closing"),
        ("run_id in ('a' 'b')", 15, "closing"),
        ("artifact_uri = 'x'", 0, "artifacts"),
        ("a\0b", 1, "cannot be part"),
        ("a \ud800", 2, "cannot be part"),
        ("name = `x`", 7, "quotes"),
        ("`x`", 0, "operator"),
        ("''", 0, "nothing between"),
        ("x" * 4001, 4000, "4000"),
        ("(" * 50 + "x", None, "nested too deep"),
        ("not " * 50 + "x", None, "nested too deep"),
        ("x " * 101, None, "100 terms"),
    ],
)
def test_an_error_points_at_its_character(text: str, position: int | None, words: str) -> None:
    if not words:
        filter_parse(text)
        return
    with pytest.raises(FilterInvalid) as caught:
        filter_parse(text)
    assert words in str(caught.value)
    assert position is None or caught.value.position == position


texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
keys = texts.filter(bool)
numbers = st.floats(allow_nan=False) | st.integers(-(10**6), 10**6).map(float)
spans = st.integers(0, 10**6).map(lambda seconds: Span(float(seconds)))
moments = st.sampled_from(["now", "today", "last 7 days", "7d", "3 h ago", "2026-11-03", "2026-11-03 14:00", "17000"])
ANY = ("=", "!=", "<", "<=", ">", ">=")
TEXTUAL = ("=", "!=", "LIKE", "ILIKE", "NOT LIKE", "NOT ILIKE")


def _lists(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(values, min_size=1, max_size=3).map(tuple)


def _pattern(operator: str, value: str) -> str:
    return value + "x" if "LIKE" in operator else value


def _compared(field: st.SearchStrategy, values: st.SearchStrategy, operators: tuple[str, ...]) -> st.SearchStrategy:
    one = st.tuples(st.sampled_from(operators), values).map(
        lambda pair: (pair[0], _pattern(*pair) if isinstance(pair[1], str) else pair[1])
    )
    many = st.tuples(st.sampled_from(["IN", "NOT IN"]), _lists(values))
    return st.tuples(field, one | many).map(lambda both: Comparison(both[0], *both[1]))


def _attributes(takes: str) -> st.SearchStrategy:
    names = [name for name, known in ATTRIBUTES.items() if known.takes == takes]
    return st.sampled_from(names).map(lambda name: Field(Kind.ATTRIBUTE, name))


def _keyed(kind: Kind) -> st.SearchStrategy:
    return keys.map(lambda key: Field(kind, key))


finite = numbers.filter(lambda value: abs(value) < 1e300)
comparisons = st.one_of(
    _compared(_keyed(Kind.METRIC), numbers, ANY),
    _compared(_keyed(Kind.PARAM), texts, TEXTUAL),
    _compared(_keyed(Kind.PARAM), finite, ANY),
    _compared(_keyed(Kind.TAG), texts, TEXTUAL),
    _compared(st.sampled_from(DATASET_KEYS).map(lambda key: Field(Kind.DATASET, key)), texts, TEXTUAL),
    _compared(_attributes("text"), texts, TEXTUAL),
    _compared(_attributes("span"), numbers | spans, ANY),
    _compared(_attributes("number"), numbers, ANY),
    _compared(_attributes("moment"), moments.map(Moment), ANY),
    st.tuples(_keyed(Kind.PARAM) | _keyed(Kind.TAG), st.sampled_from(["IS NULL", "IS NOT NULL"])).map(
        lambda both: Comparison(both[0], both[1], None)
    ),
)
words = texts.filter(lambda text: bool(text.strip())).map(Words)


def _flat(join: type) -> object:
    """Two and more, none of them of the same kind: so trees are that come out of a text."""
    return lambda parts: join(tuple(i for part in parts for i in (part.parts if isinstance(part, join) else (part,))))


trees = st.recursive(
    comparisons | words,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(_flat(All)),
        st.lists(inner, min_size=2, max_size=4).map(_flat(AnyOf)),
        inner.map(Not),
    ),
    max_leaves=8,
)


@given(trees)
def test_a_tree_printed_and_read_again_is_the_same(tree: object) -> None:
    assert filter_parse(filter_print(tree)) == tree  # type: ignore[arg-type]


@given(st.text(max_size=60) | st.text(st.sampled_from(list("ab.`'\"()<=!, 0m")), max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        tree = filter_parse(text)
    except FilterInvalid as error:
        assert 0 <= error.position <= len(text)  # noqa: PT017 - either is right
    else:
        assert filter_parse(filter_print(tree)) == tree


@pytest.mark.parametrize(
    ("words", "begin", "end"),
    [
        ("today", "2026-11-21T00:00", "2026-11-22T00:00"),
        ("yesterday", "2026-11-20T00:00", "2026-11-21T00:00"),
        ("this week", "2026-11-16T00:00", "2026-11-23T00:00"),
        ("last month", "2026-10-01T00:00", "2026-11-01T00:00"),
        ("2026-12", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("last 2 h", "2026-11-21T12:30", "2026-11-21T14:30"),
        ("2 h ago", "2026-11-21T12:30", "2026-11-21T12:30"),
        ("0", "1970-01-01T00:00", "1970-01-01T00:00"),
    ],
)
def test_a_moment_means_a_period(words: str, begin: str, end: str) -> None:
    with timezone.override(UTC):
        period = period_of(words, NOW)
    assert period is not None
    assert [at.strftime("%Y-%m-%dT%H:%M") for at in (period.begin, period.end)] == [begin, end]
