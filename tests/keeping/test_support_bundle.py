"""The support bundle holds what helps, and no secret: canaries are planted wherever one could get in."""

import io
import tarfile
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

CANARIES = {name: f"canary-{name}-77d1f0" for name in ("environment", "file", "password", "agent", "bearer", "url")}


@pytest.fixture
def data(tmp_path: Path, settings, monkeypatch: pytest.MonkeyPatch) -> Path:  # type: ignore[no-untyped-def]
    folder = tmp_path / "data"
    for name in ("", "logs", "keys", "agent"):
        (folder / name).mkdir(mode=0o700)
    settings.DATA_DIR = folder
    (folder / "keys" / "mlflow").write_text(CANARIES["file"])
    (folder / "password").write_text(CANARIES["password"])
    (folder / "agent" / "secret").write_text(CANARIES["agent"])
    monkeypatch.setenv("MY_SERVICE_TOKEN", CANARIES["environment"])
    key = folder / "keys" / "encryption"
    key.write_text(Fernet.generate_key().decode())
    settings.SLIPWAY_KEYS, settings.SLIPWAY_KEYS_FILE = [], str(key)
    lines = [f"said {value}" for name, value in CANARIES.items() if name not in ("bearer", "url")]
    lines += [f"Authorization: Bearer {CANARIES['bearer']}", f"postgresql://me:{CANARIES['url']}@db/x", key.read_text()]
    lines += [settings.SECRET_KEY, "slw_" + "a" * 32, "an ordinary line"]
    (folder / "logs" / "web.log").write_text("\n".join(lines))
    return folder


def test_the_bundle_holds_what_helps_and_no_secret(data: Path, db: None, tmp_path: Path, settings) -> None:  # type: ignore[no-untyped-def]
    target = tmp_path / "bundle.tar.gz"
    call_command("support_bundle", str(target), stdout=io.StringIO())
    assert target.stat().st_mode & 0o777 == 0o600
    with tarfile.open(target) as tar:
        parts = {entry.name.partition("/")[2]: tar.extractfile(entry).read().decode() for entry in tar}  # type: ignore[union-attr]
    assert set(parts) == {"doctor.json", "versions.json", "configuration.json", "failures.json", "logs/web.log"}
    everything = "\n".join(parts.values())
    assert "an ordinary line" in parts["logs/web.log"]
    assert '"checks"' in parts["doctor.json"]
    assert "Django==" in parts["versions.json"] or "django==" in parts["versions.json"]
    secrets = [*CANARIES.values(), settings.SECRET_KEY, (data / "keys" / "encryption").read_text(), "slw_aaaa"]
    assert [secret for secret in secrets if secret in everything] == []


def test_a_file_that_is_there_is_not_written_over(data: Path, db: None, tmp_path: Path) -> None:
    (tmp_path / "bundle").write_text("mine")
    with pytest.raises(CommandError, match="exists already"):
        call_command("support_bundle", str(tmp_path / "bundle"))
    assert (tmp_path / "bundle").read_text() == "mine"
