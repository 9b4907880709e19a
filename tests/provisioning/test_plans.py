"""Plans, states and logs as people get to see them: right, complete, and without anything sensitive."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.provisioning.masking import MASK, UNKNOWN, masked, secrets_in
from apps.provisioning.plans import (
    diagnostics_from_log,
    diagnostics_from_text,
    log_line_parse,
    outputs_from_state,
    plan_fingerprint,
    plan_is_stale,
    plan_secrets,
    plan_summary,
    resources_from_state,
)

SECRET = "s3cret-value"


def change(actions: list[str], before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    marks = {"before_sensitive": False, "after_sensitive": False, "after_unknown": {}}
    return {"actions": actions, "before": before, "after": after} | marks | more


def resource(address: str = "slipway_service.lab", reason: str = "", **of: Any) -> dict[str, Any]:
    kind, name = address.split(".")
    return {"address": address, "type": kind, "name": name, "action_reason": reason, "change": change(**of)}


def plan(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resource_changes": list(resources), **more}


@pytest.mark.parametrize(
    ("actions", "action", "destructive"),
    [
        (["create"], "create", False),
        (["update"], "update", False),
        (["delete"], "delete", True),
        (["delete", "create"], "replace", True),
        (["create", "delete"], "replace", True),
        (["read"], "read", False),
    ],
)
def test_actions_are_named_and_destruction_is_recognised(actions: list[str], action: str, destructive: bool) -> None:
    summary = plan_summary(plan(resource(actions=actions, before={"name": "a"}, after={"name": "b"})))
    assert [item.action for item in summary.resources] == [action]
    assert summary.destructive is destructive


@pytest.mark.parametrize(("kind", "destructive"), [("slipway_service", False), ("slipway_volume", True)])
def test_making_a_half_made_service_again_destroys_nothing(kind: str, destructive: bool) -> None:
    again = resource(f"{kind}.x", "replace_because_tainted", actions=["delete", "create"], before={}, after={})
    assert plan_summary(plan(again)).destructive is destructive


def test_what_stays_as_it_is_is_left_out() -> None:
    same = resource(actions=["no-op"], before={"a": 1}, after={"a": 1})
    summary = plan_summary(plan(same, output_changes={"o": change(["no-op"], 1, 1)}))
    assert summary.empty
    assert summary.to_json()["resources"] == []
    updated = plan_summary(plan(resource(actions=["update"], before={"a": 1, "b": 1}, after={"a": 1, "b": 2})))
    assert [item.name for item in updated.resources[0].attributes] == ["b"]


def test_unknown_values_are_named_and_replacements_explained() -> None:
    replaced = resource(
        actions=["delete", "create"],
        before={"name": "a", "id": "1", "tags": {"x": "1"}},
        after={"name": "b", "tags": {"y": "2"}},
        after_unknown={"id": True, "tags": {"z": True}},
        replace_paths=[["name"]],
    )
    found = {item.name: item for item in plan_summary(plan(replaced)).resources[0].attributes}
    assert found["name"].forces_replacement
    assert (found["id"].before, found["id"].after, found["id"].unknown) == ("1", UNKNOWN, True)
    assert found["tags"].after == {"y": "2", "z": UNKNOWN}


def test_sensitive_values_show_nowhere_not_even_as_copies() -> None:
    document = plan(
        resource(
            actions=["update"],
            before={"env": {"KEY": SECRET, "OPEN": "1"}, "list": [{"a": "x"}], "copy": f"user:{SECRET}"},
            after={"env": {"KEY": "0ther-secret", "OPEN": "2"}, "list": [{"a": "variable-secret"}], "copy": "y"},
            before_sensitive={"env": {"KEY": True}},
            after_sensitive={"env": {"KEY": True}, "list": [{}]},
        ),
        output_changes={"token": change(["create"], None, "0utput-secret", after_sensitive=True)},
        variables={"password": {"value": {"deep": ["variable-secret"]}}, "plain": {"value": "shown-value"}},
        configuration={"root_module": {"variables": {"password": {"sensitive": True}, "plain": {}}}},
    )
    shown = json.dumps(plan_summary(document).to_json(), ensure_ascii=False)
    secrets = {SECRET, "0ther-secret", "variable-secret", "0utput-secret"}
    assert plan_secrets(document) == secrets
    assert not [secret for secret in secrets if secret in shown]
    (environment,) = [item for item in plan_summary(document).resources[0].attributes if item.name == "env"]
    assert environment.after == {"KEY": MASK, "OPEN": "2"}
    assert environment.sensitive
    assert f"user:{MASK}" in shown


def test_a_wholly_sensitive_resource_is_wholly_masked() -> None:
    hidden = resource(actions=["create"], after={"a": SECRET, "b": [SECRET]}, after_sensitive=True)
    assert {item.after for item in plan_summary(plan(hidden)).resources[0].attributes} == {MASK}


values = st.recursive(
    st.text(max_size=8) | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values, values)
def test_marked_places_never_survive_masking(value: Any, other: Any) -> None:
    tree = {"open": other, "deep": [{"hidden": value, "secret": SECRET}]}
    marks = {"deep": [{"hidden": True, "secret": True}]}
    result = masked(tree, marks, secrets=secrets_in(tree, marks))
    assert result["deep"][0]["hidden"] in (None, MASK)
    assert SECRET not in json.dumps(result)


def test_the_fingerprint_tells_content_not_time() -> None:
    first = plan(resource(actions=["create"], after={"a": 1}), timestamp="2026-01-01T00:00:00Z")
    later = plan(resource(actions=["create"], after={"a": 1}), timestamp="2026-01-02T00:00:00Z")
    other = plan(resource(actions=["create"], after={"a": 2}))
    assert plan_fingerprint(first) == plan_fingerprint(later)
    assert plan_fingerprint(first) != plan_fingerprint(other)


STATE = {
    "outputs": {"secret": {"value": "0utput-secret", "sensitive": True}, "address": {"value": "127.0.0.1:1"}},
    "resources": [
        {
            "mode": "managed",
            "type": "slipway_service",
            "name": "lab",
            "instances": [
                {
                    "attributes": {
                        "name": "lab",
                        "secret": "unmarked-by-old-engines",
                        "env": {"KEY": SECRET, "A": "b"},
                        "copy": SECRET,
                        "dynamic": {"value": {"x": "dynamic-secret", "y": "open"}, "type": ["object", {}]},
                    },
                    "sensitive_attributes": [
                        [{"type": "get_attr", "value": "env"}, {"type": "index", "value": {"value": "KEY"}}],
                        [{"type": "get_attr", "value": "dynamic"}, {"type": "get_attr", "value": "x"}],
                    ],
                }
            ],
        },
        {
            "mode": "managed",
            "module": "module.a",
            "type": "t",
            "name": "n",
            "instances": [{"index_key": "k", "status": "tainted", "attributes": {"list": ["1", SECRET]}}],
        },
        {"mode": "data", "type": "d", "name": "d", "instances": [{"attributes": {}}]},
    ],
}


def test_the_state_is_shown_without_its_secrets() -> None:
    service, other = resources_from_state(STATE)
    assert (service["address"], service["status"]) == ("slipway_service.lab", "ready")
    assert (other["address"], other["status"]) == ('module.a.t.n["k"]', "tainted")
    assert service["attributes"] == {
        "name": "lab",
        "secret": MASK,
        "env": {"KEY": MASK, "A": "b"},
        "copy": MASK,
        "dynamic": {"x": MASK, "y": "open"},
    }
    assert other["attributes"]["list"] == ["1", MASK]
    assert outputs_from_state(STATE)["secret"] == {"value": "0utput-secret", "sensitive": True}
    masked_outputs = outputs_from_state(STATE, mask=True)
    assert masked_outputs["secret"]["value"] == MASK
    assert masked_outputs["address"] == {"value": "127.0.0.1:1", "sensitive": False}


def line(**told: Any) -> str:
    return json.dumps({"@level": "info", "@timestamp": "2026-01-01T00:00:00Z"} | {f"{k}": v for k, v in told.items()})


def test_log_lines_tell_resource_action_and_time() -> None:
    told = {"resource": {"addr": "t.n"}, "action": "create", "elapsed_seconds": 3}
    entry = log_line_parse(line(type="apply_progress", hook=told, **{"@message": "t.n: Still creating..."}))
    assert entry is not None
    assert (entry.hook, entry.resource, entry.action, entry.elapsed_s) == ("apply_progress", "t.n", "create", 3.0)
    assert entry.at.isoformat() == "2026-01-01T00:00:00+00:00"
    step = log_line_parse(line(type="slipway_step", step="apply", **{"@message": "apply"}))
    assert step is not None
    assert (step.step, step.message) == ("apply", "Making the changes")


def test_outputs_leave_their_values_behind() -> None:
    told = {"o": {"sensitive": False, "value": SECRET}}
    assert SECRET not in repr(log_line_parse(line(type="outputs", outputs=told, **{"@message": "Outputs: 1"})))


@pytest.mark.parametrize("text", ["", "  ", line(type="version", **{"@message": "Terraform 1"}), line(type="log")])
def test_lines_that_say_nothing_are_dropped(text: str) -> None:
    assert log_line_parse(text) is None


@pytest.mark.parametrize("text", ["plain words", "[1, 2]", "{broken", '{"hook": 3, "@message": "x", "diagnostic": []}'])
def test_any_line_can_be_read(text: str) -> None:
    assert log_line_parse(text) is not None


def test_diagnostics_are_found_in_json_and_in_text() -> None:
    told = {"severity": "error", "summary": "Saved plan is stale", "detail": "d", "address": "t.n"}
    place = {"filename": "main.tf", "start": {"line": 3}}
    lines = [line(type="diagnostic", diagnostic=told | {"range": place}, **{"@level": "error"})] * 2
    (found,) = diagnostics_from_log(lines)
    assert (found.summary, found.address, found.place) == ("Saved plan is stale", "t.n", "main.tf line 3")
    assert plan_is_stale([found])
    boxed = "╷\n│ Error: No plan\n│ \n│ It is gone.\n╵\n╷\n│ Warning: Old\n╵\n"
    assert [(item.severity, item.summary, item.detail) for item in diagnostics_from_text(boxed)] == [
        ("error", "No plan", "It is gone."),
        ("warning", "Old", ""),
    ]
    assert diagnostics_from_text("nothing of the kind") == []
