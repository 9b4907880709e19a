"""The files of deploy/ are what systemd and nginx accept, and name only what exists."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands

from portal.env import SETTINGS
from tests.e2e.conftest import ROOT
from tests.keeping.units import DEPLOY, environment_read, tool, unit_read

UNITS = sorted((DEPLOY / "systemd").glob("*.*"))


@pytest.mark.skipif(tool("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_every_unit(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text().replace("/opt/slipway/.venv/bin/python", "/bin/true").replace("/opt/slipway", str(ROOT))
        text = re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text.replace("EnvironmentFile=/etc", "EnvironmentFile=-/etc"))
    done = subprocess.run(
        [str(tool("systemd-analyze")), "verify", *[str(tmp_path / unit.name) for unit in UNITS]],
        capture_output=True,
        text=True,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:/lib/systemd/system", "PATH": "/usr/bin:/bin"},
    )
    ours = [line for line in done.stderr.splitlines() if "slipway" in line]
    assert ours == [], done.stderr


@pytest.mark.skipif(tool("nginx") is None, reason="nginx is not installed")
@pytest.mark.parametrize("second", ["slipway.conf", "slipway-forward-auth.conf"])
def test_nginx_accepts_the_example(tmp_path: Path, second: str) -> None:
    for name in ("portal", "apps"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
            + ["-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.crt")],
            check=True,
            capture_output=True,
        )
    configuration = (DEPLOY / "nginx" / "slipway.conf").read_text()
    if second != "slipway.conf":
        head, _, _ = configuration.partition("# Applications:")
        configuration = head + (DEPLOY / "nginx" / second).read_text()
    proxy = tmp_path / "slipway-proxy.conf"
    proxy.write_text((DEPLOY / "nginx" / "slipway-proxy.conf").read_text())
    configuration = configuration.replace("/etc/nginx/slipway-proxy.conf", str(proxy))
    configuration = configuration.replace("/etc/ssl/slipway", str(tmp_path))
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; {configuration} }}")
    done = subprocess.run([str(tool("nginx")), "-t", "-c", str(whole)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr.replace('the "user" directive makes sense only', ""), done.stderr


def test_the_environment_file_names_variables_that_are_read() -> None:
    known = {*SETTINGS, "DJANGO_SETTINGS_MODULE", "MLFLOW_BACKEND_STORE_URI"}
    for name in ("slipway.env", "mlflow.env"):
        assert set(environment_read(DEPLOY / name)) <= known


def test_units_name_files_environments_and_commands_that_exist() -> None:
    names = {unit.name for unit in UNITS}
    for unit in UNITS:
        settings = unit_read(unit)
        for key in ("Requires", "After", "Wants", "PartOf"):
            others = {word for value in settings[key] for word in value.split() if word.startswith("slipway")}
            assert others <= names, unit.name
        for line in settings["ExecStart"]:
            for command in re.findall(r"manage\.py (\w+)", line):
                assert command in get_commands()
        for path in settings["EnvironmentFile"]:
            assert (DEPLOY / Path(path).name).exists()


def test_ending_the_agent_leaves_terraform_and_notebooks_alone() -> None:
    agent = unit_read(DEPLOY / "systemd" / "slipway-agent.service")
    assert (agent["KillMode"], agent["SendSIGKILL"], agent["Delegate"]) == (["process"], ["no"], ["yes"])
    assert "--end-everything" not in agent["ExecStart"][0]


def test_the_shell_command_has_the_environment_of_the_units(tmp_path: Path) -> None:
    for name in ("slipway.env", "mlflow.env"):
        text = (DEPLOY / name).read_text().replace('SECRET_KEY=""', f'SECRET_KEY="{"x" * 60}"')
        (tmp_path / name).write_text(text)
    script = (DEPLOY / "bin" / "slipway").read_text().replace("/etc/slipway", str(tmp_path))
    script = script.replace("/opt/slipway/.venv/bin/python", sys.executable).replace("/opt/slipway", str(ROOT))
    (tmp_path / "slipway").write_text(script)
    shown = "from django.conf import settings; print(settings.SETTINGS_MODULE, settings.APPS_URL)"
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["sh", str(tmp_path / "slipway"), "shell", "-c", shown], env=environ, capture_output=True, text=True
    )
    assert done.stdout.split()[-2:] == ["portal.settings.prod", "https://apps.slipway-apps.example.net"], done.stderr
