"""The demo workspace."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import Membership, Team, User
from apps.audit.models import AuditEvent
from apps.catalog.models import Module


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


def seed(*arguments: str) -> str:
    out = StringIO()
    call_command("seed_demo", *arguments, stdout=out)
    return out.getvalue()


def test_it_makes_the_cast_and_publishes_the_modules(db: None, folder: Path) -> None:
    said = seed("--without-experiments")
    password = (folder / "password").read_text().strip()
    assert (folder / "password").stat().st_mode & 0o777 == 0o600
    assert password not in said
    assert set(Team.objects.values_list("slug", flat=True)) == {"vision", "churn", "pricing"}
    assert all(user.check_password(password) for user in User.objects.all())
    roles = set(Membership.objects.values_list("user__username", "team__slug", "role"))
    assert roles == {
        ("dana", "vision", "member"),
        ("dana", "churn", "member"),
        ("mira", "vision", "manager"),
        ("mira", "churn", "manager"),
        ("mallory", "pricing", "member"),
    }
    assert User.objects.get(username="pete").is_platform_engineer
    assert User.objects.get(username="ada").is_auditor
    assert Module.objects.get(slug="local-notebook").latest_version.published_by.username == "pete"


def test_a_second_time_changes_nothing(db: None, folder: Path) -> None:
    seed("--without-experiments")
    User.objects.filter(username="dana").update(first_name="Danielle", password="her own")
    before = (folder / "password").read_text(), AuditEvent.objects.count()
    seed("--without-experiments")
    assert ((folder / "password").read_text(), AuditEvent.objects.count()) == before
    dana = User.objects.get(username="dana")
    assert (dana.first_name, dana.password) == ("Danielle", "her own")


def test_a_lost_password_is_made_anew_for_everybody(db: None, folder: Path) -> None:
    seed("--without-experiments")
    first = (folder / "password").read_text()
    (folder / "password").unlink()
    seed("--without-experiments")
    second = (folder / "password").read_text()
    assert second != first
    assert User.objects.get(username="mira").check_password(second.strip())


def test_without_mlflow_it_says_so_and_keeps_what_it_did(db: None, folder: Path, settings: Any) -> None:
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:1"
    with pytest.raises(CommandError, match="no experiments were made"):
        seed("--wait-mlflow", "0")
    assert User.objects.count() == 5
