"""Rollouts: waves, a stop on the first failure, and nobody left out without a word."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.catalog.models import ModuleVersion
from apps.core.exceptions import Conflict, InvalidInput, NotAllowed
from apps.environments.models import Environment, Rollout, RolloutItem
from apps.environments.services import environment_destroy, environment_stop, environment_upgrade
from apps.environments.services.rollouts import (
    rollout_advance,
    rollout_continue,
    rollout_give,
    rollout_look,
    rollout_skip,
    rollout_start,
    rollout_stop,
)
from apps.environments.services.values import inputs_plain
from apps.environments.tasks import rollouts_wake
from apps.notifications.models import Notification
from apps.provisioning.models import Change
from apps.provisioning.services import change_reject
from tests.environments.versions import required, version_with
from tests.factories import People, change_drive, change_of, environment_make, environment_running


def three(people: People) -> list[Environment]:
    return [environment_running(people, name=f"nb{number}") for number in range(3)]


def begun(people: People, version: ModuleVersion | None = None, **wish: Any) -> Rollout:
    wish.setdefault("wave_size", 2)
    rollout = rollout_start(actor=people.pete, version=version or version_with("2.0.0"), **wish)
    return advanced(rollout)


def advanced(rollout: Rollout) -> Rollout:
    rollout_advance(rollout_id=rollout.pk)
    rollout.refresh_from_db()
    return rollout


def states(rollout: Rollout) -> dict[str, str]:
    return dict(rollout.items.values_list("environment__name", "state"))


def reason(rollout: Rollout, name: str) -> str:
    return str(rollout.items.get(environment__name=name).reason)


def end(rollout: Rollout, name: str, to: str = "applied", **fields: Any) -> Rollout:
    change_drive(change_of(Environment.objects.get(name=name)), to, **fields)
    return advanced(rollout)


def test_a_wave_begins_when_the_one_before_is_settled(people: People) -> None:
    three(people)
    rollout = begun(people)
    assert states(rollout) == {"nb0": "planning", "nb1": "planning", "nb2": "waiting"}
    end(rollout, "nb0")
    assert states(rollout) == {"nb0": "done", "nb1": "planning", "nb2": "waiting"}
    end(rollout, "nb1")
    assert (rollout.wave, states(rollout)["nb2"]) == (2, "planning")
    end(rollout, "nb2")
    assert (rollout.state, set(states(rollout).values())) == ("finished", {"done"})
    assert set(Environment.objects.values_list("module_version__version", flat=True)) == {"2.0.0"}


def test_a_failure_pauses_it_and_what_is_under_way_goes_on(people: People) -> None:
    three(people)
    rollout = begun(people)
    change_drive(change_of(Environment.objects.get(name="nb0")), "planning")
    end(rollout, "nb0", "failed", code="terraform-failed")
    assert (rollout.state, "nb0" in rollout.reason) == ("paused", True)
    end(rollout, "nb1")
    assert states(rollout) == {"nb0": "failed", "nb1": "done", "nb2": "waiting"}
    assert Notification.objects.filter(user=people.pete, text__contains="is paused").count() == 1
    rollouts_wake()
    assert states(rollout)["nb2"] == "waiting"


def failed(people: People) -> Rollout:
    three(people)
    rollout = begun(people, wave_size=1)
    change_drive(change_of(Environment.objects.get(name="nb0")), "planning")
    return end(rollout, "nb0", "failed", code="terraform-failed")


def test_continuing_tries_what_failed_again(people: People) -> None:
    rollout = failed(people)
    rollout_continue(rollout=rollout, actor=people.pete)
    advanced(rollout)
    assert (rollout.state, states(rollout)["nb0"]) == ("running", "planning")
    end(rollout, "nb0")
    assert states(rollout) == {"nb0": "done", "nb1": "planning", "nb2": "waiting"}


def test_skipping_what_failed_goes_on_with_the_others(people: People) -> None:
    rollout = failed(people)
    rollout_skip(rollout=rollout, environment_id=Environment.objects.get(name="nb0").pk, actor=people.pete)
    advanced(rollout)
    assert (rollout.state, states(rollout)) == ("running", {"nb0": "skipped", "nb1": "planning", "nb2": "waiting"})


def test_stopping_begins_nothing_further_and_writes_down_what_was_under_way(people: People) -> None:
    three(people)
    rollout = begun(people)
    rollout_stop(rollout=rollout, actor=people.pete)
    rollout_stop(rollout=rollout, actor=people.pete)
    assert states(rollout) == {"nb0": "planning", "nb1": "planning", "nb2": "skipped"}
    change_drive(change_of(Environment.objects.get(name="nb0")))
    rollouts_wake()
    rollout.refresh_from_db()
    assert (rollout.state, states(rollout)["nb0"]) == ("stopped", "done")
    with pytest.raises(Conflict):
        rollout_continue(rollout=rollout, actor=people.pete)


def test_one_that_broke_midway_is_tried_again_from_there(people: People) -> None:
    three(people)
    rollout = begun(people, wave_size=1)
    change_drive(change_of(Environment.objects.get(name="nb0")), "applying")
    end(rollout, "nb0", "failed", code="terraform-failed")
    assert Environment.objects.get(name="nb0").status == "failed"
    rollout_continue(rollout=rollout, actor=people.pete)
    advanced(rollout)
    change = change_of(Environment.objects.get(name="nb0"))
    assert (states(rollout)["nb0"], change.reason) == ("planning", "Tried again")
    assert RolloutItem.objects.get(environment__name="nb0").change == change


def test_a_destructive_plan_waits_without_stopping_its_wave_but_holds_the_next(people: People) -> None:
    three(people)
    rollout = begun(people)
    change = change_of(Environment.objects.get(name="nb0"))
    change_drive(change, "planning")
    end(rollout, "nb0", "awaiting_approval", plan_hash="a" * 64, plan={"resources": [], "destructive": True})
    end(rollout, "nb1")
    assert states(rollout) == {"nb0": "waiting_for_confirmation", "nb1": "done", "nb2": "waiting"}
    assert rollout.state == "running"
    change.refresh_from_db()
    change_reject(change=change, actor=people.dana)
    advanced(rollout)
    assert states(rollout) == {"nb0": "skipped", "nb1": "done", "nb2": "planning"}
    assert reason(rollout, "nb0") == "The plan was discarded."


def test_nobody_is_left_out_without_a_word(people: People) -> None:
    three(people)
    environment_stop(environment=Environment.objects.get(name="nb1"), actor=people.dana)
    broken = environment_make(people, name="broken")
    change_drive(change_of(broken), "planning")
    change_drive(change_of(broken), "failed", code="terraform-failed")
    rollout = begun(people, wave_size=5)
    assert states(rollout) == {"nb0": "planning", "nb1": "waiting", "nb2": "planning", "broken": "skipped"}
    assert "stopping" in reason(rollout, "nb1")
    assert reason(rollout, "broken").startswith("Couldn't start")
    change_drive(change_of(Environment.objects.get(name="nb1")))
    rollouts_wake()
    assert states(rollout)["nb1"] == "planning"
    end(rollout, "nb1")
    assert Environment.objects.get(name="nb1").status == "stopped"


def test_values_can_be_given_once_for_all(people: People) -> None:
    three(people)
    version = version_with("2.0.0", required("seed"))
    rollout = begun(people, version)
    assert set(states(rollout).values()) == {"needs_input"}
    assert "Seed" in reason(rollout, "nb0")
    assert Notification.objects.filter(user=people.dana, text__contains="cannot be upgraded").count() == 2
    with pytest.raises(InvalidInput):
        rollout_give(rollout=rollout, inputs={"sed": "1"}, actor=people.pete)
    rollout_give(rollout=rollout, inputs={"seed": "7"}, actor=people.pete)
    advanced(rollout)
    assert states(rollout) == {"nb0": "planning", "nb1": "planning", "nb2": "needs_input"}
    assert inputs_plain(Environment.objects.get(name="nb0"))["seed"] == "7"


def test_a_value_for_all_touches_nobody_who_has_one(people: People) -> None:
    version = version_with("2.0.0", required("seed"))
    old = environment_running(people, name="old", module_version=version, inputs={"seed": "mine"})
    newer = version_with("2.1.0", required("seed"), required("second"))
    begun(people, newer, inputs={"seed": "theirs", "second": "2"})
    old.refresh_from_db()
    assert (inputs_plain(old)["seed"], inputs_plain(old)["second"]) == ("mine", "2")


def test_an_owner_who_upgrades_first_is_done(people: People) -> None:
    three(people)
    rollout = begun(people, wave_size=1)
    other = Environment.objects.get(name="nb2")
    environment_upgrade(environment=other, actor=people.dana)
    change_drive(change_of(other))
    environment_destroy(environment=Environment.objects.get(name="nb1"), actor=people.dana, confirm="nb1")
    change_drive(change_of(Environment.objects.get(name="nb1")))
    end(rollout, "nb0")
    assert states(rollout) == {"nb0": "done", "nb1": "skipped", "nb2": "done"}
    assert rollout.state == "finished"


def test_scopes(people: People) -> None:
    three(people)
    churn = environment_running(people, name="churn", team=people.churn)
    version = version_with("2.0.0")
    assert len(rollout_look(version=version)) == 4
    assert [c.environment for c in rollout_look(version=version, team=people.churn)] == [churn]
    rollout = begun(people, version, environments=[churn.pk])
    assert (rollout.scope, states(rollout)) == ("environments", {"churn": "planning"})
    assert [c.verdict for c in rollout_look(version=version, team=people.churn)] == []
    second = begun(people, version_with("2.1.0"), wave_size=9)
    assert (states(second)["churn"], states(second)["nb0"]) == ("skipped", "planning")
    assert reason(second, "churn") == "It has its turn in another rollout."


def test_owners_hear_before_and_after_and_the_log_keeps_it(people: People) -> None:
    environment_running(people, name="nb0")
    rollout = begun(people)
    end(rollout, "nb0")
    texts = list(Notification.objects.filter(user=people.dana).values_list("text", flat=True))
    assert any("will be upgraded to 2.0.0 by" in text for text in texts)
    assert any("has been upgraded to 2.0.0" in text for text in texts)
    actions = AuditEvent.objects.filter(action__startswith="environments:rollout").order_by("id")
    verbs = [(event.action.rsplit(":", 1)[-1], event.actor) for event in actions]
    assert verbs == [("start", people.pete), ("finish", None)]


@pytest.mark.parametrize("name", ["dana", "mira", "ada", "mallory"])
def test_only_platform_engineers_roll_out(people: People, name: str) -> None:
    environment_running(people, name="nb0")
    rollout = begun(people)
    actor: User = getattr(people, name)
    acts: list[Callable[[], Any]] = [
        lambda: rollout_start(actor=actor, version=version_with("2.0.0")),
        lambda: rollout_continue(rollout=rollout, actor=actor),
        lambda: rollout_stop(rollout=rollout, actor=actor),
        lambda: rollout_give(rollout=rollout, inputs={}, actor=actor),
        lambda: rollout_skip(rollout=rollout, environment_id=rollout.pk, actor=actor),
    ]
    for act in acts:
        with pytest.raises(NotAllowed):
            act()


def test_who_began_it_and_lost_the_right_pauses_it(people: People) -> None:
    three(people)
    rollout = begun(people, wave_size=1)
    User.objects.filter(pk=people.pete.pk).update(is_platform_engineer=False)
    end(rollout, "nb0")
    assert (rollout.state, "may not upgrade" in rollout.reason) == ("paused", True)


def test_what_cannot_be_begun_says_why(people: People) -> None:
    version = version_with("2.0.0")
    with pytest.raises(InvalidInput, match="nothing to upgrade"):
        rollout_start(actor=people.pete, version=version)
    environment_running(people, name="nb0", module_version=version)
    for wish in ({"wave_size": 0}, {"wave_size": 1000}, {"environments": [people.pete.pk]}, {"inputs": {"x": 1}}):
        with pytest.raises(InvalidInput):
            rollout_start(actor=people.pete, version=version, **wish)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput) as refused:
        rollout_start(actor=people.pete, version=version_with("2.1.0", status="draft"))
    assert "draft" in refused.value.errors["version"][0]


@pytest.mark.django_db(transaction=True)
def test_four_workers_at_once_begin_each_one_once(people: People) -> None:
    three(people)
    rollout = rollout_start(actor=people.pete, version=version_with("2.0.0"), wave_size=3)
    together, problems = threading.Barrier(4), []

    def work() -> None:
        try:
            together.wait(5)
            rollout_advance(rollout_id=rollout.pk)
        except Exception as error:
            problems.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert set(states(rollout).values()) == {"planning"}
    assert Change.objects.filter(kind="update").count() == 3


@pytest.mark.django_db(transaction=True)
def test_two_rollouts_at_once_give_each_environment_one_turn(people: People) -> None:
    three(people)
    versions = [version_with("2.0.0"), version_with("2.1.0")]
    together, problems = threading.Barrier(2), []

    def start(version: ModuleVersion) -> None:
        try:
            together.wait(5)
            rollout_start(actor=people.pete, version=version)
        except InvalidInput as error:
            problems.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=start, args=[version]) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(problems) == 1
    assert Rollout.objects.count() == 1
