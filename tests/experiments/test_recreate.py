"""Lineage of a run, held against our records, and launching its environment again."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.crypto import encrypt_json
from apps.environments.models import Environment
from apps.environments.services.values import inputs_plain
from apps.experiments.lineage import Standing, lineage_of
from apps.provisioning.models import StateVersion
from tests.experiments.run_making import Study, browser_of, study_make

pytestmark = [pytest.mark.django_db]
REPOSITORY = "https://git.example/vision/churn.git"
COMMIT = "ab" * 20


@pytest.fixture
def people(db: None) -> Any:
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def study(tracker: Any, people: Any) -> Study:
    return study_make(tracker, people.vision)


@pytest.fixture
def environment(people: Any) -> Environment:
    return environment_of(people)


def environment_of(people: Any, **wish: Any) -> Environment:
    """Launched and built, with the state that Terraform left."""
    from tests.factories import change_drive, change_of, environment_make

    wish.setdefault("inputs", {"cpu": 2, "memory_gb": 4, "repository": REPOSITORY})
    made = environment_make(people, **wish)
    change = change_drive(change_of(made), "planned", plan_hash="c0ffee" * 8)
    change_drive(change)
    state = {
        "resources": [
            {
                "type": "slipway_runtime",
                "name": "python",
                "instances": [{"attributes": {"id": "d1" * 32, "requirements": "numpy==2.0\n"}}],
            }
        ]
    }
    StateVersion.objects.create(
        workspace_id=made.pk, change=change, lineage="l", serial=1, digest="d", cipher=encrypt_json(state)
    )
    made.refresh_from_db()
    return made


def tags_of(environment: Environment, **more: str) -> dict[str, str]:
    """As the run context and the route write them."""
    version = environment.module_version
    return {
        "slipway.environment_id": str(environment.pk),
        "slipway.environment": environment.name,
        "slipway.user": environment.owner.username,
        "slipway.module": version.module.slug,
        "slipway.module_version": version.version,
        "slipway.plan_hash": "c0ffee" * 8,
        "slipway.runtime_digest": "d1" * 32,
        "slipway.git.commit": COMMIT,
        "slipway.git.repository": REPOSITORY,
        **{f"slipway.{key}": value for key, value in more.items()},
    }


def now_ms(**later: float) -> int:
    return int((timezone.now() + timedelta(**later)).timestamp() * 1000)


def standing(study: Study, tags: dict[str, str], **later: float) -> dict[str, Standing]:
    started = timezone.now() + timedelta(**later)
    found = lineage_of(tags=tags, experiment=study.experiment, started_at=started)
    return {fact.key: fact.standing for fact in found.facts}


def test_what_follows_from_our_records_is_verified(study: Study, environment: Environment) -> None:
    found = standing(study, tags_of(environment))
    assert set(found.values()) == {Standing.VERIFIED}
    assert set(found) == {"environment", "module", "plan", "runtime"}


def test_a_claim_that_our_records_contradict_is_told(study: Study, environment: Environment) -> None:
    tags = tags_of(environment, plan_hash="dead", module_version="9.9.9", runtime_digest="beef")
    found = standing(study, tags)
    assert found["environment"] == Standing.VERIFIED
    assert {found[key] for key in ("module", "plan", "runtime")} == {Standing.DISAGREES}


def test_what_cannot_be_verified_is_claimed(study: Study, environment: Environment, people: Any) -> None:
    from tests.factories import environment_running

    theirs = environment_running(people, name="theirs", team=people.pricing, owner=people.mallory)
    cases: list[tuple[dict[str, str], dict[str, float]]] = [
        ({**tags_of(environment), "slipway.environment_id": "no-uuid"}, {}),
        ({**tags_of(environment), "slipway.environment_id": "0" * 8 + "-0000-4000-8000-" + "0" * 12}, {}),
        ({**tags_of(environment), "slipway.environment_id": str(theirs.pk)}, {}),
        (tags_of(environment), {"hours": -5}),
    ]
    for tags, later in cases:
        found = standing(study, tags, **later)
        assert set(found.values()) == {Standing.CLAIMED}, tags
    assert standing(study, {}) == {"environment": Standing.UNKNOWN}


def test_the_page_marks_claims(study: Study, environment: Environment, people: Any) -> None:
    run_id = study.run(start=now_ms(), end=now_ms(minutes=1), tags=tags_of(environment, plan_hash="dead"))
    shown = browser_of(people.dana).get(f"/experiments/runs/{run_id}/lineage/").content.decode()
    for words in ("Verified", "Claim disagrees", "Claimed", environment.name, f"/environments/{environment.pk}/"):
        assert words in shown


def asked(study: Study, people: Any, tags: dict[str, str], user: Any = None) -> tuple[Any, str]:
    run_id = study.run(start=now_ms(), end=now_ms(minutes=1), tags=tags)
    answer = browser_of(user or people.dana).get(f"/experiments/runs/{run_id}/recreate/")
    assert answer.status_code == 200
    return answer.context["recreation"], f"/experiments/runs/{run_id}/recreate/"


def test_one_click_launches_the_same_again(study: Study, environment: Environment, people: Any) -> None:
    found, address = asked(study, people, tags_of(environment))
    assert not found.stops
    assert not found.different, found.different
    browser = browser_of(people.dana)
    form = browser.get(address).context["form"]
    filled = {"name": form["name"].value(), "token": form["token"].value()}
    answer = browser.post(address, filled)
    assert answer.status_code == 302, answer.content.decode()
    made = Environment.objects.exclude(pk=environment.pk).get()
    assert answer["Location"] == f"/environments/{made.pk}/"
    assert made.module_version_id == environment.module_version_id
    inputs = inputs_plain(made)
    assert (inputs["cpu"], inputs["memory_gb"]) == (2, 4)
    assert (inputs["repository"], inputs["revision"]) == (REPOSITORY, COMMIT)
    assert (made.team, made.owner, made.status) == (people.vision, people.dana, "queued")
    assert AuditEvent.objects.filter(action="experiments:run:recreated").count() == 1
    # The same filled form again leads to the same environment.
    assert browser.post(address, filled)["Location"] == f"/environments/{made.pk}/"
    assert Environment.objects.count() == 2


def why(found: Any, label: str) -> str:
    return next(point.why for point in found.different if point.label == label)


def test_uncommitted_code_and_a_missing_commit_are_said_before(
    study: Study, environment: Environment, people: Any
) -> None:
    tags = tags_of(environment)
    dirty, _ = asked(study, people, {**tags, "slipway.git.dirty": "true"})
    assert "not committed" in why(dirty, "Uncommitted code")
    bare = {key: value for key, value in tags.items() if ".git." not in key}
    nothing, _ = asked(study, people, bare)
    assert "not started in a Git working copy" in why(nothing, "Code")
    odd, _ = asked(study, people, {**tags, "slipway.git.commit": "--upload-pack=id"})
    assert "is not a commit" in why(odd, "Code")
    assert "revision" not in odd.inputs


def test_an_unknown_environment_cannot_be_recreated(study: Study, people: Any) -> None:
    found, address = asked(study, people, {"slipway.environment": "gone"})
    assert "is not known" in found.stops[0]
    answer = browser_of(people.dana).post(address, {"name": "x", "token": "t"})
    assert answer.status_code == 422
    assert not Environment.objects.exists()


def test_who_is_not_of_the_team_reads_but_does_not_launch(study: Study, environment: Environment, people: Any) -> None:
    found, address = asked(study, people, tags_of(environment), people.pete)
    assert "Only members of Vision" in found.stops[0]
    assert browser_of(people.pete).post(address, {"name": "x"}).status_code == 422
    assert browser_of(people.mallory).get(address).status_code == 404
    assert Environment.objects.count() == 1


def test_a_revoked_version_gives_way_to_the_present_one(study: Study, environment: Environment, people: Any) -> None:
    from tests.factories import notebook_version

    old = environment.module_version
    old.status, old.status_reason = "revoked", "It leaked."
    old.save()
    found, _ = asked(study, people, tags_of(environment))
    assert "Nothing of Notebook can be launched now" in found.stops[0]
    notebook_version(version="99.0.0", digest="9" * 64)
    found, address = asked(study, people, tags_of(environment))
    assert not found.stops
    assert "It leaked." in why(found, "Module version")
    assert browser_of(people.dana).post(address, {"name": "again"}).status_code == 302
    assert Environment.objects.get(name="again").module_version.version == "99.0.0"


def test_a_version_that_checks_nothing_out_says_so(study: Study, people: Any) -> None:
    from tests.factories import notebook_version

    interface = notebook_version().interface
    without = {**interface, "variables": [one for one in interface["variables"] if one["name"] != "revision"]}
    old = notebook_version(version="0.9.0", digest="8" * 64, interface=without)
    found, _ = asked(study, people, tags_of(environment_of(people, module_version=old, name="old")))
    assert f"check out {COMMIT[:12]} by hand" in why(found, "Code")
    assert "revision" not in found.inputs


def test_secrets_are_given_again_and_never_copied(study: Study, people: Any) -> None:
    secret = {"secret_variables": {"TOKEN": "hush-hush"}, "cpu": 1, "memory_gb": 2}
    environment = environment_of(people, inputs=secret, name="with secrets")
    found, address = asked(study, people, tags_of(environment))
    assert "never read back" in why(found, "Secret variables")
    browser = browser_of(people.mira)
    page = browser.get(address).content.decode()
    assert "hush-hush" not in page
    assert 'name="secret-secret_variables"' in page
    assert browser.post(address, {"name": "empty"}).status_code == 302
    assert not inputs_plain(Environment.objects.get(name="empty")).get("secret_variables")
    assert browser.post(address, {"name": "given", "secret-secret_variables": "TOKEN=new"}).status_code == 302
    assert inputs_plain(Environment.objects.get(name="given"))["secret_variables"] == {"TOKEN": "new"}


def test_inputs_are_those_of_then_and_policies_of_now(study: Study, environment: Environment, people: Any) -> None:
    from apps.environments.services import environment_update
    from apps.policies.services import input_policy_set

    tags = tags_of(environment)
    run_id = study.run(start=now_ms(), end=now_ms(minutes=1), tags=tags)
    environment.status = "running"
    environment.save()
    environment_update(environment=environment, actor=people.dana, inputs={"cpu": 4})
    browser = browser_of(people.dana)
    found = browser.get(f"/experiments/runs/{run_id}/recreate/").context["recreation"]
    assert found.inputs["cpu"] == 2
    input_policy_set(actor=people.pete, module=environment.module, team=people.vision, rules={"cpu": {"fix": 1}})
    found = browser.get(f"/experiments/runs/{run_id}/recreate/").context["recreation"]
    assert "It was 2" in why(found, "Cores")


def test_what_the_launch_refuses_stands_on_the_page(study: Study, environment: Environment, people: Any) -> None:
    _, address = asked(study, people, tags_of(environment))
    answer = browser_of(people.dana).post(address, {"name": environment.name})
    assert answer.status_code == 422
    assert "already have an environment" in answer.content.decode()
    assert Environment.objects.count() == 1
