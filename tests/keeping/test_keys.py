"""Keys: which are needed, rotation in the middle of other writes, and what a lost one says."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db.models import BinaryField
from django.test import Client

from apps.core import ciphers, crypto, health, rotation
from apps.core.ciphers import binary_declared, ciphers_rotate, keys_in_use, keys_lost, values_unreadable
from apps.core.crypto import KeyLost, decrypt, encrypt, key_id, keys_known
from apps.environments.models import Environment
from apps.provisioning.models import Change, StateVersion, Workspace


@pytest.fixture
def key_file(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:  # type: ignore[no-untyped-def]
    path = tmp_path / "encryption"
    path.write_text(Fernet.generate_key().decode() + "\n")
    settings.SLIPWAY_KEYS, settings.SLIPWAY_KEYS_FILE = [], str(path)
    monkeypatch.setattr(rotation, "ON_THE_WAY_SECONDS", 0)
    monkeypatch.setattr(health, "_keys_seen", {})
    return path


@pytest.fixture
def stored(key_file: Path, db: None) -> list[StateVersion]:
    """An environment as launched, with two states and outputs."""
    from tests.factories import environment_make, people_make

    environment = environment_make(people_make())
    workspace = environment.workspace
    Workspace.objects.filter(pk=workspace.pk).update(outputs=encrypt(b"outputs"))
    return [
        StateVersion.objects.create(
            workspace=workspace, lineage="l", serial=serial, digest="d", cipher=encrypt(b"state %d" % serial)
        )
        for serial in (1, 2)
    ]


def rotate(*arguments: str) -> str:
    out = StringIO()
    call_command("rotate_keys", *arguments, stdout=out)
    return out.getvalue()


def test_every_binary_column_is_encrypted_or_says_why_not() -> None:
    columns = [
        (model._meta.label, field.name)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, BinaryField)
    ]
    assert len(columns) >= 7
    assert [column for column in columns if not binary_declared(*column)] == []


def test_a_value_names_its_key_and_values_of_before_open_with_any(key_file: Path) -> None:
    cipher = encrypt(b"secret")
    assert cipher.startswith(key_id(key_file.read_text().strip()).encode() + b":")
    old = Fernet(key_file.read_text().strip()).encrypt(b"older")
    assert (decrypt(cipher), decrypt(old)) == (b"secret", b"older")


def test_a_changed_value_is_lost_not_garbage(key_file: Path) -> None:
    cipher = encrypt(b"secret")
    with pytest.raises(KeyLost):
        decrypt(cipher[:-4] + b"AAAA")


def test_rotation_puts_everything_under_a_new_key_and_drops_the_old(stored: list[StateVersion], key_file: Path) -> None:
    before = keys_known().first
    told = rotate("--drop-old")
    assert keys_known().first != before
    assert list(keys_known().by_id) == [keys_known().first]
    assert set(keys_in_use()) == {keys_known().first}
    assert "2 states" in told
    assert before in told
    assert [decrypt(bytes(row.cipher)) for row in StateVersion.objects.order_by("serial")] == [b"state 1", b"state 2"]
    assert len(key_file.read_text().split()) == 1


def test_values_of_before_keys_had_names_are_rotated_too(stored: list[StateVersion], key_file: Path) -> None:
    unnamed = Fernet(key_file.read_text().strip()).encrypt(b"older")
    StateVersion.objects.filter(pk=stored[0].pk).update(cipher=unnamed)
    assert "" in keys_in_use()
    rotate("--drop-old")
    stored[0].refresh_from_db()
    assert decrypt(bytes(stored[0].cipher)) == b"older"


def test_a_rotation_ended_anywhere_goes_on(
    stored: list[StateVersion], key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended after each number of values: at every point all values open, and running it again makes no second key."""

    class Killed(Exception):
        pass

    real, left = ciphers.encrypt, [1]

    def dying(plain: bytes) -> bytes:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        return real(plain)

    monkeypatch.setattr(ciphers, "encrypt", dying)
    total = sum(kinds.total() for kinds in keys_in_use().values())
    for _ in range(total):
        left[0] = 1
        try:
            rotate()
        except Killed:
            assert values_unreadable() == []
            assert len(keys_known().by_id) == 2
        else:
            break
    monkeypatch.setattr(ciphers, "encrypt", real)
    rotate("--same-key", "--drop-old")
    assert set(keys_in_use()) == {keys_known().first}
    assert values_unreadable() == []


def test_what_is_written_meanwhile_is_not_taken_back(
    stored: list[StateVersion], key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes a newer state between the rotation's read and its update."""
    real = ciphers.decrypt

    def interrupted(cipher: bytes) -> bytes:
        plain = real(cipher)
        if plain == b"state 1":
            StateVersion.objects.filter(pk=stored[0].pk).update(cipher=encrypt(b"newer"))
        return plain

    monkeypatch.setattr(ciphers, "decrypt", interrupted)
    rotate()
    stored[0].refresh_from_db()
    assert decrypt(bytes(stored[0].cipher)) == b"newer"


def test_a_running_process_takes_up_a_key_without_a_restart(key_file: Path) -> None:
    encrypt(b"warm")
    fresh = rotation.key_add(key_file)
    assert encrypt(b"x").startswith(fresh.encode())


def test_transactions_of_other_databases_hold_nothing_up(stored: list[StateVersion], settings) -> None:  # type: ignore[no-untyped-def]
    own = settings.DATABASES["default"]
    address = {"host": own["HOST"], "port": own["PORT"] or None, "user": own["USER"], "password": own["PASSWORD"]}
    with psycopg.connect(dbname="postgres", **address) as other:
        other.execute("SELECT txid_current()")
        rotate("--drop-old")
    assert len(keys_known().by_id) == 1


def test_an_older_key_stays_while_a_value_needs_it(
    stored: list[StateVersion], key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotation.key_add(key_file)
    monkeypatch.setattr(rotation, "ciphers_rotate", lambda: 0)
    with pytest.raises(rotation.RotationRefused, match="still need"):
        rotation.keys_drop(key_file)
    assert len(key_file.read_text().split()) == 2


def test_a_lost_key_fails_readiness_by_name_and_count(stored: list[StateVersion], key_file: Path) -> None:
    lost = keys_known().first
    key_file.write_text(Fernet.generate_key().decode())
    check = Client().get("/readyz").json()["checks"]["keys"]
    assert check["state"] == "down"
    assert f"key {lost} is missing" in check["detail"]
    assert "2 states" in check["detail"]
    assert len(values_unreadable()) == sum(kinds.total() for kinds in keys_lost().values()) >= 5
    with pytest.raises(CommandError, match=lost):
        rotate("--same-key")


def test_a_key_that_comes_back_mends_readiness_at_once(stored: list[StateVersion], key_file: Path) -> None:
    old = key_file.read_text()
    key_file.write_text(Fernet.generate_key().decode())
    assert Client().get("/readyz").json()["checks"]["keys"]["state"] == "down"
    key_file.write_text(Fernet.generate_key().decode() + "\n" + old)
    assert Client().get("/readyz").json()["checks"]["keys"]["state"] == "up"


def test_keys_of_the_environment_are_rotated_without_a_file(db: None, settings) -> None:  # type: ignore[no-untyped-def]
    from tests.factories import environment_make, people_make

    environment_make(people_make())
    settings.SLIPWAY_KEYS = [Fernet.generate_key().decode(), *settings.SLIPWAY_KEYS]
    assert ciphers_rotate() >= 2
    assert set(keys_in_use()) == {keys_known().first}
    settings.SLIPWAY_KEYS = settings.SLIPWAY_KEYS[:1]
    assert values_unreadable() == []


def test_a_key_file_that_is_gone_is_named(settings, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    settings.SLIPWAY_KEYS, settings.SLIPWAY_KEYS_FILE = [], str(tmp_path / "none")
    with pytest.raises(crypto.ImproperlyConfigured, match="SLIPWAY_KEYS_FILE"):
        encrypt(b"x")


def test_the_secret_key_is_renewed_with_the_old_one_as_fallback(settings, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    settings.DATA_DIR = tmp_path
    (tmp_path / "keys").mkdir()
    kept = tmp_path / "keys" / "secret_key"
    kept.write_text("old-one\n")
    rotate("--secret-key")
    first, second = kept.read_text().split()
    assert second == "old-one"
    rotate("--secret-key", "--drop-old")
    assert kept.read_text().split() == [first]


def test_changes_keep_their_values_readable(stored: list[StateVersion]) -> None:
    """A change that is queued while keys rotate is carried out with what was asked for."""
    change = Change.objects.get()
    before = crypto.decrypt_json(bytes(change.values))
    rotate("--drop-old")
    change.refresh_from_db()
    assert crypto.decrypt_json(bytes(change.values)) == before
    assert Environment.objects.count() == 1
