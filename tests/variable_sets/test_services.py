"""Who writes what, which names and values are taken, which value counts, and what is remembered of old ones."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.factories import People

pytestmark = pytest.mark.django_db
SECRET = "canary-of-services-81aa"


def put(row: Any, actor: Any, name: str, value: Any = SECRET, kind: str = "environment", **options: Any) -> Any:
    from apps.variable_sets.services import variable_set_value

    return variable_set_value(variable_set=row, actor=actor, name=name, kind=kind, value=value, **options)


def refused(row: Any, actor: Any, name: str, value: Any = SECRET, kind: str = "environment", **options: Any) -> Any:
    from apps.variable_sets.exceptions import VariableInvalid

    with pytest.raises(VariableInvalid) as caught:
        put(row, actor, name, value, kind, **options)
    assert SECRET not in str(caught.value.errors)
    return caught.value.errors


def given(people: "People", team: Any = None, target: str = "local", module: str = "") -> Any:
    from apps.variable_sets.selectors import variables_for

    return variables_for(team=team or people.vision, target=target, module_slug=module)


@pytest.mark.parametrize(
    "name", ["TF_LOG", "LD_PRELOAD", "PYTHONPATH", "SLIPWAY_KEYS", "DJANGO_X", "DATABASE_URL", "BROKER_URL", "PATH",
             "HOME", "BASH_ENV", "GIT_ASKPASS", "GODEBUG", "tf_log", "A-B", "1A", "", "A B", "Ä", "A" * 101],
)  # fmt: skip
def test_names_that_turn_terraform_around_are_refused(people: "People", everybody: Any, name: str) -> None:
    assert list(refused(everybody, people.pete, name)) == ["name"]


def test_a_variable_of_terraform_has_a_kind_of_its_own(people: "People", everybody: Any) -> None:
    assert "Terraform variable" in refused(everybody, people.pete, "TF_VAR_region")["name"][0]
    for name in ("slipway", "slipway_secrets", "count", "a b", "1a"):
        assert "name" in refused(everybody, people.pete, name, kind="terraform")
    put(everybody, people.pete, "subnet-id", "subnet-1234", "terraform")


def test_files_have_plain_names_and_something_that_points_to_them(people: "People", everybody: Any) -> None:
    assert "name" in refused(everybody, people.pete, "../x", kind="file", environment_variable="A_FILE")
    assert "name" in refused(everybody, people.pete, "..", kind="file", environment_variable="A_FILE")
    assert "environment_variable" in refused(everybody, people.pete, "x.json", kind="file")
    assert "environment_variable" in refused(
        everybody, people.pete, "x.json", kind="file", environment_variable="LD_PRELOAD"
    )


@pytest.mark.parametrize("value", ["", " \n ", "short", "a\x00bcdefg", "x" * 17_000, 5, None, ["a"]])
def test_values_that_no_environment_can_hold_are_refused(people: "People", everybody: Any, value: Any) -> None:
    assert list(refused(everybody, people.pete, "KEY", value)) == ["value"]


@pytest.mark.parametrize("value", ["", "[1, 2", '{"a": ' * 90, None, "{" + "x" * 70_000, float("nan"), 10**30])
def test_values_that_no_module_can_take_are_refused(people: "People", everybody: Any, value: Any) -> None:
    assert list(refused(everybody, people.pete, "key", value, "terraform", sensitive=False)) == ["value"]


def test_terraform_values_are_texts_or_json(people: "People", everybody: Any) -> None:
    for name, typed in {"a": "1.10", "b": "[1, 2]", "c": ' {"x": "y"} ', "d": "true", "e": {"k": [1]}}.items():
        put(everybody, people.pete, name, typed, "terraform", sensitive=False)
    expected = {"a": "1.10", "b": [1, 2], "c": {"x": "y"}, "d": "true", "e": {"k": [1]}}
    assert given(people).terraform == expected


def test_a_browser_changes_no_file(people: "People", everybody: Any) -> None:
    put(everybody, people.pete, "c.ini", "[a]\r\nkey = 12345678\r\n", "file", environment_variable="A_FILE")
    assert given(people).files[0].content == "[a]\nkey = 12345678\n"
    assert "12345678" in given(people).secrets


def test_a_manager_writes_sets_of_the_own_team_and_one_target(people: "People") -> None:
    from apps.core.exceptions import InvalidInput, NotAllowed
    from apps.variable_sets.services import variable_set_create, variable_set_update

    for team in (None, people.pricing):
        with pytest.raises(NotAllowed):
            variable_set_create(actor=people.mira, name="x", team=team, target="aws")
    with pytest.raises(InvalidInput, match="another value"):
        variable_set_create(actor=people.mira, name="x", team=people.vision)
    row = variable_set_create(actor=people.mira, name="x", team=people.vision, target="aws")
    put(row, people.mira, "AWS_REGION")
    assert list(refused(row, people.mira, "AWS_CONFIG_FILE")) == ["name"]
    assert "kind" in refused(row, people.mira, "c.ini", kind="file", environment_variable="A_FILE")
    with pytest.raises(InvalidInput):
        variable_set_update(variable_set=row, actor=people.mira, name="x", description="", target="", module=None)
    for stranger in (people.dana, people.ada, people.mallory):
        with pytest.raises(NotAllowed):
            put(row, stranger, "AWS_REGION")
        with pytest.raises(NotAllowed):
            variable_set_create(actor=stranger, name="y", team=people.vision, target="aws")


def test_the_most_specific_value_counts(people: "People") -> None:
    from apps.variable_sets.services import variable_set_create
    from tests.factories import notebook_version

    module = notebook_version().module
    scopes = [
        {},
        {"target": "local"},
        {"module": module},
        {"module": module, "target": "local"},
        {"team": people.vision},
        {"team": people.vision, "target": "local"},
        {"team": people.vision, "module": module},
    ]
    for number, scope in enumerate(scopes):
        row = variable_set_create(actor=people.pete, name=f"set {number}", **scope)
        put(row, people.pete, "WHERE", f"value {number}")
        assert given(people, module=module.slug).environment["WHERE"] == f"value {number}"
    assert given(people, team=people.pricing, module=module.slug).environment["WHERE"] == "value 3"
    assert given(people, team=people.pricing, target="aws").environment["WHERE"] == "value 0"
    assert given(people, target="aws").environment["WHERE"] == "value 4"


def test_two_sets_that_are_equally_near_give_one_name_once(people: "People", everybody: Any) -> None:
    from apps.variable_sets.exceptions import VariableTaken
    from apps.variable_sets.services import variable_set_create, variable_set_update

    other = variable_set_create(actor=people.pete, name="Other")
    put(everybody, people.pete, "A_FILE")
    with pytest.raises(VariableTaken, match="Proxy"):
        put(other, people.pete, "A_FILE")
    with pytest.raises(VariableTaken):
        put(other, people.pete, "x.ini", kind="file", environment_variable="A_FILE")
    # A Terraform variable of the same name is something else; so is a set for one target, until it is for all.
    put(other, people.pete, "A_FILE", kind="terraform")
    third = variable_set_create(actor=people.pete, name="Third", target="aws")
    put(third, people.pete, "A_FILE")
    with pytest.raises(VariableTaken):
        variable_set_update(variable_set=third, actor=people.pete, name="Third", description="", target="", module=None)


def test_a_secret_stays_one_until_it_is_set_anew(people: "People", everybody: Any) -> None:
    from apps.variable_sets.values import UNSET

    put(everybody, people.pete, "KEY")
    assert "value" in refused(everybody, people.pete, "KEY", UNSET, sensitive=False)
    assert "value" in refused(everybody, people.pete, "KEY", "", sensitive=False)
    put(everybody, people.pete, "KEY", "not-secret", sensitive=False)
    assert given(people).environment["KEY"] == "not-secret"
    # What it was may still stand in a state.
    assert SECRET in given(people).secrets
    assert "not-secret" not in given(people).secrets


def test_replaced_and_deleted_secrets_are_masked_until_nothing_shows_them(people: "People", everybody: Any) -> None:
    from apps.provisioning.set_usage import retired_values_done
    from apps.variable_sets.services import variable_set_delete
    from tests.factories import change_drive, change_of, environment_running

    put(everybody, people.pete, "KEY", "first-value-1")
    environment = environment_running(people)
    put(everybody, people.pete, "KEY", "second-value-2")
    variable_set_delete(variable_set=everybody, actor=people.pete)
    assert given(people).environment == {}
    assert {"first-value-1", "second-value-2"} <= set(given(people).secrets)
    assert retired_values_done().count() == 0

    from apps.environments.services import environment_stop

    environment_stop(environment=environment, actor=people.dana)
    change_drive(change_of(environment))
    assert retired_values_done().count() == 2


def test_which_environments_ran_with_an_older_value(people: "People", vision: Any) -> None:
    from apps.variable_sets.presenting import usage_rows
    from tests.factories import environment_make, environment_running

    put(vision, people.mira, "KEY")
    old = environment_running(people, name="old")
    variable = put(vision, people.mira, "KEY", "another-value")
    new = environment_running(people, name="new")
    waiting = environment_make(people, name="waiting")
    environment_running(people, name="elsewhere", team=people.churn)
    rows = {row["usage"].name: row for row in usage_rows(vision, [variable], people.pete)}
    assert set(rows) == {old.name, new.name, waiting.name}
    assert rows["old"]["newer"] == ["KEY"]
    assert rows["new"]["newer"] == []
    assert rows["waiting"]["usage"].last_ran_at is None


def test_the_audit_says_what_was_set_and_never_to_what(people: "People", everybody: Any) -> None:
    from apps.audit.models import AuditEvent
    from apps.variable_sets.services import variable_delete

    put(everybody, people.pete, "KEY", "a-readable-value", sensitive=False)
    put(everybody, people.pete, "KEY")
    variable_delete(variable=everybody.variables.get(), actor=people.pete)
    events = list(AuditEvent.objects.filter(action__startswith="variable_sets:variable:").order_by("id"))
    assert [event.action.rpartition(":")[2] for event in events] == ["set", "replaced", "deleted"]
    told = str([(event.before, event.after, event.target_name) for event in events])
    assert "KEY" in told
    assert SECRET not in told
    assert "a-readable-value" not in told


def test_keys_are_rotated(people: "People", everybody: Any, settings: Any) -> None:
    from cryptography.fernet import Fernet

    from apps.core.ciphers import ciphers_rotate
    from apps.core.crypto import key_id

    put(everybody, people.pete, "KEY", "first-value-1")
    put(everybody, people.pete, "KEY")
    fresh = Fernet.generate_key().decode()
    settings.SLIPWAY_KEYS = [fresh, *settings.SLIPWAY_KEYS]
    assert ciphers_rotate() >= 2
    assert bytes(everybody.variables.get().cipher).startswith(key_id(fresh).encode())
    assert given(people).environment["KEY"] == SECRET


def test_what_is_given_is_printed_without_values(people: "People", everybody: Any) -> None:
    put(everybody, people.pete, "KEY")
    assert SECRET not in repr(given(people))
