import threading
import uuid
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.crypto import decrypt_json
from apps.environments.exceptions import DiskShort, LaunchInvalid, NameTaken
from apps.environments.models import Environment
from apps.environments.services import environment_launch, name_suggest, terraform_values
from apps.provisioning.models import Change
from tests.factories import MachineFactory, People, change_of, environment_make, notebook_version


def test_a_launch_makes_a_workspace_of_the_same_id_and_one_change(people: People) -> None:
    environment = environment_make(people)
    change = change_of(environment)
    assert environment.status == "queued"
    assert environment.workspace_id == environment.pk == change.workspace_id
    assert (change.kind, change.status, change.requested_by) == ("create", "queued", people.dana)


def test_values_hold_what_the_portal_fills_in(people: People) -> None:
    environment = environment_make(people, name="Churn study", inputs={"memory_gb": 4})
    values = decrypt_json(bytes(change_of(environment).values))
    assert values["memory_gb"] == 4
    assert values["slipway"]["running"] is True
    assert values["slipway"]["name"] == "Churn study"
    assert values["slipway"]["team"] == "vision"
    assert values["slipway"]["app_url"].startswith("http://churn-study-")
    assert values["slipway_secrets"]["mlflow_tracking_token"]
    assert terraform_values(environment, False)["slipway"]["running"] is False


def test_values_are_left_out_where_the_module_does_not_declare_them(people: People) -> None:
    version = notebook_version()
    environment = environment_make(people, module_version=version)
    kept = [v for v in version.interface["variables"] if v["name"] not in ("slipway", "slipway_secrets", "cpu")]
    environment.module_version.interface = {**version.interface, "variables": kept}
    assert not {"slipway", "slipway_secrets", "cpu"} & terraform_values(environment, True).keys()


def test_a_preset_fills_in_and_an_input_wins_over_it(people: People) -> None:
    large = environment_make(people, name="a", preset="large")
    assert large.inputs["memory_gb"] == 8
    assert large.preset == "large"
    own = environment_make(people, name="b", preset="large", inputs={"memory_gb": 6})
    assert (own.inputs["memory_gb"], own.inputs["cpu"], own.preset) == (6, 2, "")


def test_sensitive_inputs_are_masked_wherever_they_can_be_seen(people: People) -> None:
    environment = environment_make(people, inputs={"secret_variables": {"TOKEN": "s3cr3t-value"}})
    change = change_of(environment)
    seen = [environment.inputs, *AuditEvent.objects.values_list("before", "after"), change.plan, change.reason]
    assert "s3cr3t-value" not in repr(seen)
    assert b"s3cr3t" not in bytes(environment.inputs_cipher) + bytes(change.values)
    assert decrypt_json(bytes(environment.inputs_cipher))["secret_variables"] == {"TOKEN": "s3cr3t-value"}


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"name": "--- !"}, "name"),
        ({"name": "a\u200bb"}, "name"),
        ({"preset": "huge"}, "preset"),
        ({"ttl_seconds": 1}, "ttl"),
        ({"ttl_seconds": 8 * 86_400}, "ttl"),
        ({"inputs": {"memory_gb": 0}}, "inputs.memory_gb"),
        ({"inputs": {"nope": 1}}, "inputs.nope"),
        ({"inputs": {"slipway": {}}}, "inputs.slipway"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(people: People, wish: dict, field: str) -> None:
    with pytest.raises(LaunchInvalid) as caught:
        environment_make(people, **{"name": "nb", **wish})
    assert field in caught.value.errors
    assert not Environment.objects.exists()
    assert not Change.objects.exists()


def test_only_a_member_launches_into_a_team(people: People) -> None:
    for owner in (people.mallory, people.pete, people.ada):
        with pytest.raises(LaunchInvalid) as caught:
            environment_make(people, owner=owner)
        assert "team" in caught.value.errors


def test_a_name_is_unique_among_the_owners_living_environments(people: People) -> None:
    first = environment_make(people, name="study")
    with pytest.raises(NameTaken):
        environment_make(people, name=" study ")
    environment_make(people, owner=people.mira, name="study")
    Environment.objects.filter(pk=first.pk).update(status="destroyed")
    again = environment_make(people, name="study")
    assert again.slug != first.slug


def test_a_slug_is_a_host_name_whatever_the_name_is(people: People) -> None:
    for number, name in enumerate(["Ünïcode 日本", "日本", "a_b", "x" * 60]):
        slug = environment_make(people, name=name).slug
        assert len(slug) <= 60, number
        assert slug.replace("-", "").isalnum()
        assert slug.isascii()
        assert slug[0] != "-"


def test_the_same_form_again_leads_to_the_same_environment(people: People) -> None:
    token = str(uuid.uuid4())
    first = environment_make(people, token=token)
    assert environment_make(people, token=token, name="another").pk == first.pk
    assert Environment.objects.count() == 1
    assert environment_make(people, owner=people.mira, token=token).pk != first.pk


def test_nothing_is_launched_when_the_disk_is_nearly_full(people: People) -> None:
    machine = MachineFactory(
        expires_at=timezone.now() + timedelta(minutes=1), disk_bytes=100 * 2**30, free_disk_bytes=4 * 2**30
    )
    with pytest.raises(DiskShort, match=r"4\.0 GB"):
        environment_make(people)
    machine.free_disk_bytes = 6 * 2**30
    machine.save()
    environment_make(people)


def test_a_suggested_name_is_free(people: People) -> None:
    module = notebook_version().module
    assert name_suggest(user=people.dana, module=module) == "notebook"
    environment_make(people, name="notebook")
    assert name_suggest(user=people.dana, module=module) == "notebook 2"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("token", ["", "c0ffee00-0000-4000-8000-000000000000"])
def test_of_two_launches_at_once_one_environment_comes(people: People, token: str) -> None:
    version = notebook_version()
    outcomes: list[object] = []
    together = threading.Barrier(2)

    def launch() -> None:
        try:
            together.wait(5)
            made = environment_launch(
                actor=people.dana, team=people.vision, module_version=version, name="twin", token=token
            )
            outcomes.append(made.pk)
        except NameTaken:
            outcomes.append("taken")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=launch) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(outcomes) == 2
    assert Environment.objects.count() == 1
    assert Change.objects.count() == 1
    assert ("taken" in outcomes) is (not token)


def test_a_launch_that_fails_leaves_nothing_behind(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("apps.environments.services.locking.change_request", refuse)
    with pytest.raises(RuntimeError), transaction.atomic():
        environment_make(people)
    assert not Environment.objects.exists()
    assert not AuditEvent.objects.filter(action__startswith="environments:").exists()
