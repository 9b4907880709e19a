"""Which Terraform is taken, what it is told, and what its stages leave on a disk."""

import json
import os
import stat
from pathlib import Path

import pytest

from apps.provisioning.engine import EngineMissing, PlanOptions, engine_select, engines_found, plan_command
from apps.provisioning.initialisation import lock_prepare
from apps.provisioning.stage import stage_attach
from apps.provisioning.terraform_environment import environment_build, mirrors_found, rc_text
from apps.provisioning.terraform_sandbox import sandbox_prefix
from apps.provisioning.terraform_state import state_read


def executable(directory: Path, name: str, says: str) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_the_named_binary_comes_first_then_path_then_the_embedded_one(tmp_path: Path) -> None:
    named = executable(tmp_path / "named", "my-tofu", "OpenTofu v1.9.1")
    executable(tmp_path / "bin", "terraform", "Terraform v1.12.0")
    executable(tmp_path / "bin", "tofu", "OpenTofu v1.10.0")
    environ = {"PATH": f"{tmp_path / 'bin'}:{os.defpath}", "TERRAFORM_BINARY": str(named)}
    found, _ = engines_found(environ)
    assert [(item.source, item.kind, item.version) for item in found][:3] == [
        ("env", "tofu", "1.9.1"),
        ("path", "terraform", "1.12.0"),
        ("path", "tofu", "1.10.0"),
    ]
    assert engine_select(environ) == found[0]
    assert found[-1].source == "embedded"


def test_what_cannot_be_used_is_skipped_with_its_reason(tmp_path: Path) -> None:
    executable(tmp_path, "terraform", "Terraform v1.5.7")
    executable(tmp_path, "tofu", "no version at all")
    found, skipped = engines_found({"PATH": f"{tmp_path}:{os.defpath}"})
    assert all(item.source == "embedded" for item in found)
    assert [item.reason for item in skipped] == [
        "terraform 1.5.7 is older than 1.9",
        "`version` ended with 0 and told no version",
    ]


def test_nothing_takes_the_place_of_a_named_binary_that_does_not_work(tmp_path: Path) -> None:
    old = executable(tmp_path, "terraform", "Terraform v1.5.7")
    for path, reason in ((str(old), "older than"), (str(tmp_path / "none"), "no such file")):
        with pytest.raises(EngineMissing, match=reason):
            engine_select({"PATH": os.environ["PATH"], "TERRAFORM_BINARY": path})


def test_an_upgrade_under_a_running_agent_is_noticed(tmp_path: Path) -> None:
    environ = {"PATH": f"{tmp_path}:{os.defpath}"}
    executable(tmp_path, "terraform", "Terraform v1.12.0")
    assert engine_select(environ).version == "1.12.0"
    executable(tmp_path, "terraform", "Terraform v1.12.10")
    assert engine_select(environ).version == "1.12.10"


def test_commands_carry_options_and_never_values() -> None:
    engine = engine_select(os.environ)
    command = plan_command(engine, PlanOptions(destroy=True, targets=("a.b",), replace=("c.d",)))
    assert {"-destroy", "-target=a.b", "-replace=c.d", "-input=false", "-json"} <= set(command)
    assert "-refresh-only" in plan_command(engine, PlanOptions(refresh_only=True, refresh=False))
    assert "-refresh=false" in plan_command(engine, PlanOptions(refresh=False))


def test_the_environment_is_an_allow_list(tmp_path: Path) -> None:
    given = {"PATH": "/evil", "SLIPWAY_KEYS": "k", "AWS_PROFILE": "p", "TF_VAR_x": "1", "HTTPS_PROXY": "http://p"}
    names = ["AWS_PROFILE", "SLIPWAY_KEYS", "TF_VAR_x"]
    built = environment_build(given, work=tmp_path, rc=tmp_path / "rc", scratch=tmp_path, names=names)
    assert set(given) & set(built) == {"PATH", "AWS_PROFILE", "HTTPS_PROXY"}
    assert "/evil" not in built["PATH"]


def test_what_a_mirror_has_never_asks_the_network(tmp_path: Path) -> None:
    (tmp_path / "m" / "registry.terraform.io" / "hashicorp" / "aws").mkdir(parents=True)
    mirrors = mirrors_found({"SLIPWAY_TF_MIRROR": str(tmp_path / "m")}, tmp_path / "plugins")
    assert mirrors[tmp_path / "m"] == ("registry.terraform.io/hashicorp/aws",)
    text = rc_text(mirrors)
    assert text.count('"registry.terraform.io/hashicorp/aws"') == 2
    assert 'exclude = ["slipway.local/*/*"' in text


def test_only_the_local_provider_leaves_the_lock_file(tmp_path: Path) -> None:
    def block(address: str) -> str:
        return f'provider "{address}" {{\n  version = "1.0.0"\n  hashes = [\n    "h1:x",\n  ]\n}}\n'

    lock = tmp_path / ".terraform.lock.hcl"
    kept = block("registry.terraform.io/hashicorp/aws")
    lock.write_text("# comment\n\n" + block("slipway.local/slipway/slipway") + "\n" + kept)
    lock_prepare(tmp_path)
    assert lock.read_text() == "# comment\n\n" + kept


def test_data_inside_a_shown_directory_can_be_hidden(tmp_path: Path) -> None:
    words = sandbox_prefix(
        "bubblewrap",
        readable=[Path("/usr/data/plugins"), Path("/usr/share")],
        writable=[Path("/usr/data/work")],
        hidden=[Path("/usr")],
    )
    assert words.index("/usr/data/plugins") > words.index("/usr")
    assert words.index("/usr/data/work") > words.index("/usr/data/plugins")


def test_a_link_in_the_place_of_the_state_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text('{"version": 4}')
    (tmp_path / "terraform.tfstate").symlink_to(tmp_path / "elsewhere")
    assert state_read(tmp_path) is None


def test_a_stage_that_never_came_up_is_lost_and_cannot_come_up_later(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("apps.provisioning.stage.CLAIM_S", 0.0)
    assert stage_attach(tmp_path) is None
    (tmp_path / "stage.json").write_text("{}")
    stage = stage_attach(tmp_path)
    assert stage is not None
    assert stage.poll().status == "lost"
    from apps.provisioning.stage_runner import claim

    assert claim(str(tmp_path)) is False
    assert json.loads((tmp_path / "pid").read_text())["pid"] == 0
    assert stat.S_IMODE((tmp_path / "pid").stat().st_mode) == 0o600
