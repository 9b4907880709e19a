"""What a plan would lose is said in words, and is let go only by who types the environment's name."""

import re
from typing import Any

import pytest

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.provisioning import services
from apps.provisioning.exceptions import ConfirmationMissing
from apps.provisioning.losses import losses_in, losses_of
from apps.provisioning.models import Change
from apps.provisioning.plans import plan_fingerprint, plan_summary


def entry(address: str, actions: list[str], **more: Any) -> dict[str, Any]:
    kind, name = re.sub(r"\[[^]]*\]", "", address).split(".")[-2:]
    change = {"actions": actions, "before": {"name": "home"}, "after": None, "after_unknown": {}} | more
    return {"address": address, "type": kind, "name": name, "change": change}


@pytest.mark.parametrize(
    ("address", "actions", "lost"),
    [
        ("slipway_volume.home", ["delete"], True),
        ("slipway_volume.home", ["delete", "create"], True),
        ("slipway_volume.home", ["create", "delete"], True),
        ("slipway_volume.home", ["update"], False),
        ("slipway_volume.home", ["create"], False),
        ("slipway_service.app", ["delete"], False),
        ('module.a["x"].slipway_volume.home[0]', ["delete"], True),
        ("aws_sagemaker_notebook_instance.this", ["delete", "create"], True),
    ],
)
def test_only_what_holds_data_and_ends_is_lost(address: str, actions: list[str], lost: bool) -> None:
    assert bool(losses_of({"resource_changes": [entry(address, actions)]})) is lost


def test_a_loss_has_the_modules_words_and_its_size() -> None:
    plan = {
        "resource_changes": [
            entry("slipway_volume.home", ["delete"]),
            entry("aws_sagemaker_notebook_instance.this", ["delete"], before={"volume_size": 20}),
        ]
    }
    old = {"resource_labels": {"slipway_volume.home": "Your files"}}
    files, notebook = losses_of(plan, [old, {}], lambda kind, before: 7 if kind == "slipway_volume" else None)
    assert (files.label, files.size_bytes, files.size_is_limit) == ("Your files", 7, False)
    assert (notebook.label, notebook.size_bytes, notebook.size_is_limit) == ("The notebook's volume", 20 * 2**30, True)


@pytest.mark.parametrize("declared", ["terraform_data", "terraform_data.store"])
def test_a_module_names_data_of_its_own_and_a_newer_version_cannot_hide_it(declared: str) -> None:
    plan = {"resource_changes": [entry("terraform_data.store[1]", ["delete"])]}
    assert not losses_of(plan, [{}, {}])
    assert losses_of(plan, [{"data_resources": [declared]}, {}])
    assert losses_of(plan, [{}, {"data_resources": [declared]}])


def test_a_plan_from_before_losses_were_stored_is_looked_at_by_its_types() -> None:
    resources = [
        {"address": "slipway_volume.home", "type": "slipway_volume", "action": "replace"},
        {"address": "slipway_service.app", "type": "slipway_service", "action": "delete"},
    ]
    assert [loss["address"] for loss in losses_in({"resources": resources})] == ["slipway_volume.home"]
    assert losses_in({"resources": resources, "lost": []}) == [] == losses_in(None)


def test_what_is_taken_over_is_said_and_counts_for_the_fingerprint() -> None:
    kept = entry("terraform_data.old", ["no-op"], after={"name": "home"})
    taken = entry("terraform_data.old", ["no-op"], after={"name": "home"}, importing={"id": "abc"})
    summary = plan_summary({"resource_changes": [taken]})
    assert [(item.action, item.importing) for item in summary.resources] == [("import", "abc")]
    assert summary.takes_over
    assert not summary.destructive
    assert not summary.empty
    assert plan_summary({"resource_changes": [kept]}).empty
    assert plan_fingerprint({"resource_changes": [kept]}) != plan_fingerprint({"resource_changes": [taken]})


def waiting(change: Change) -> Change:
    lost = [{"address": "slipway_volume.home", "type": "slipway_volume", "action": "delete", "label": "Your files"}]
    Change.objects.filter(pk=change.pk).update(
        status="awaiting_approval", plan_hash="a" * 64, plan={"resources": [], "lost": lost}
    )
    change.refresh_from_db()
    return change


@pytest.mark.parametrize("confirm", ["", "else", " "])
def test_nothing_is_lost_without_the_name(change: Change, dana: User, confirm: str) -> None:
    with pytest.raises(ConfirmationMissing) as refused:
        services.change_approve(change=waiting(change), actor=dana, plan_hash="a" * 64, confirm=confirm)
    assert "confirm" in refused.value.errors
    change.refresh_from_db()
    assert (change.status, change.approved_hash) == ("awaiting_approval", "")


def test_with_the_name_it_is_applied_and_the_audit_names_what_was_lost(change: Change, dana: User) -> None:
    name = waiting(change).workspace.name
    services.change_approve(change=change, actor=dana, plan_hash="a" * 64, confirm=f" {name} ")
    change.refresh_from_db()
    assert change.status == "planned"
    event = AuditEvent.objects.get(action="provisioning:change:approved")
    assert event.after["lost"] == ["Your files (slipway_volume.home)"]
