"""What the route writes down of a call that moves aliases, and of which it writes nothing."""

import json
from typing import Any

import pytest

from apps.experiments.mlflow_principal import MlflowPrincipal
from apps.experiments.mlflow_rules import V2, call_read, rule_find
from apps.experiments.model_writes import UNDER_WAY_SECONDS, Outcome, _line, _outcome, _understood

DANA = MlflowPrincipal("dana", frozenset({"churn"}), frozenset({"write"}), environment_id="e1")
ALIAS = {"name": "churn.scores", "alias": "champion", "version": "2"}


def line(method: str, tail: str, data: Any, query: str = "") -> tuple[str, dict[str, Any]]:
    path = V2 + tail
    rule = rule_find(method, path)
    assert rule is not None
    return _line(DANA, call_read(rule=rule, method=method, path=path, query=query, body=json.dumps(data).encode()))


def told(method: str, tail: str, data: Any, query: str = "") -> tuple[Any, ...]:
    name, first = line(method, tail, data, query)
    return (name, first["does"], first["alias"], first["version"]) if first else ()


def test_calls_that_move_aliases_are_written_down_with_whose_token_it_was() -> None:
    assert told("POST", "/registered-models/alias", ALIAS) == ("churn.scores", "alias", "champion", 2)
    assert told("DELETE", "/registered-models/alias", ALIAS) == ("churn.scores", "alias", "champion", None)
    gone = {"name": "churn.scores", "version": "2"}
    assert told("DELETE", "/model-versions/delete", gone) == ("churn.scores", "version", "", 2)
    assert told("DELETE", "/registered-models/delete", gone) == ("churn.scores", "model", "", None)
    renamed = {"name": "churn.scores", "new_name": "churn.ratings"}
    assert told("POST", "/registered-models/rename", renamed) == ("churn.scores", "model", "", None)
    first = line("POST", "/registered-models/alias", {**ALIAS, "user": "mira", "environment": "e2"})[1]
    assert (first["user"], first["environment"]) == ("dana", "e1")


@pytest.mark.parametrize(
    ("data", "query"),
    [({**ALIAS, "version": None}, ""), ({**ALIAS, "version": "x"}, ""), ({**ALIAS, "version": "9" * 30}, ""),
     ({**ALIAS, "version": [2]}, ""), ({**ALIAS, "version": "-1"}, ""), ({**ALIAS, "alias": ["a"]}, ""),
     ({**ALIAS, "alias": None}, ""), ({**ALIAS, "alias": "x" * 256}, ""),
     ({**ALIAS, "name": ["churn.scores"]}, ""), ({**ALIAS, "name": 5}, ""),
     ({**ALIAS, "name": [{}]}, ""),
     (ALIAS, "name=churn.other"), ({"alias": "champion", "version": "2"}, "name=churn.other")],
)  # fmt: skip
def test_what_is_not_clear_is_not_written_down(data: Any, query: str) -> None:
    assert told("POST", "/registered-models/alias", data, query) == ()


def test_other_calls_are_not_written_down() -> None:
    assert told("POST", "/registered-models/set-tag", {**ALIAS, "key": "a", "value": "b"}) == ()
    assert told("GET", "/registered-models/alias", ALIAS) == ()
    assert told("PATCH", "/registered-models/update", ALIAS) == ()


def test_an_answer_says_what_came_of_it() -> None:
    made, unknown = Outcome.MADE, Outcome.UNKNOWN
    assert [_outcome(status) for status in (200, 400, 404, 500, 503)] == [
        made, Outcome.REFUSED, Outcome.REFUSED, unknown, unknown,
    ]  # fmt: skip


def test_a_call_without_its_answer_is_under_way_for_some_time() -> None:
    name, first = line("POST", "/registered-models/alias", ALIAS)
    assert name
    begun, ended = json.dumps(first), json.dumps({"id": first["id"], "outcome": "made", "at": first["at"] + 1})
    (early,) = _understood([begun], first["at"] + 1)
    assert (early.outcome, early.ended) == (Outcome.UNDER_WAY, None)
    (late,) = _understood([begun], first["at"] + UNDER_WAY_SECONDS + 1)
    assert late.outcome is Outcome.UNKNOWN
    (done,) = _understood([begun, ended], first["at"] + 1)
    assert (done.outcome, done.begun, done.ended, done.lines) == (Outcome.MADE, 0, 1, (begun, ended))
    assert _understood([ended], first["at"]) == []
