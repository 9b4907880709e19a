"""slipway_volume, slipway_runtime and slipway_service from a person's own `terraform`."""

import json

import pytest

from tests.terraform.conftest import SERVER, Agent, PlainTerraform, readme_block

pytestmark = pytest.mark.slow

MODULE = """
variable "running" { default = true }
variable "note" { default = "a" }
resource "slipway_volume" "home" {
  name  = "home"
  files = { "index.html" = "hello" }
}
resource "slipway_service" "web" {
  name               = "web"
  command            = %s
  volume             = slipway_volume.home.id
  running            = var.running
  environment        = { NOTE = var.note }
  secret_environment = { KEY = "a-secret-in-the-environment" }
  health_path        = "/"
  health_timeout_s   = 20
}
output "address" { value = slipway_service.web.address }
""" % json.dumps(SERVER)  # noqa: UP031 - braces belong to HCL


def test_the_readmes_example_works_as_it_is_written(plain: PlainTerraform, agent: Agent) -> None:
    (plain.directory / "main.tf").write_text(readme_block("slipway_service"))
    plain("init", "-input=false")
    plain.apply()
    assert plain.output("address").startswith("127.0.0.1:")
    assert agent.ask("GET", "/v1/services/web")[1]["status"] == "running"
    plain.apply("-destroy")
    assert agent.ask("GET", "/v1/services/web")[0] == 404


def test_stopping_and_changing_happen_in_place(plain: PlainTerraform, agent: Agent) -> None:
    plain.module(MODULE)
    plain("init", "-input=false")
    shown = plain.apply()
    assert "a-secret-in-the-environment" not in shown
    service = plain.state("slipway_service.web")
    assert ["secret"] in [[step["value"] for step in path] for path in service["sensitive_attributes"]]
    assert "No changes" in plain.plan()

    assert "0 added, 1 changed, 0 destroyed" in plain.apply("-var=note=b")
    changed = plain.state("slipway_service.web")["attributes"]
    assert changed["secret"] == agent.ask("GET", "/v1/services/web")[1]["secret"]
    assert "0 added, 1 changed, 0 destroyed" in plain.apply("-var=note=b", "-var=running=false")
    stopped = plain.state("slipway_service.web")["attributes"]
    assert stopped["status"] == "stopped"
    assert stopped["secret"] == agent.ask("GET", "/v1/services/web")[1]["secret"]
    assert agent.ask("GET", "/v1/volumes/home")[0] == 200
    plain.apply("-var=note=b")
    assert agent.ask("GET", "/v1/services/web")[1]["status"] == "running"
    assert (
        plain.state("slipway_service.web")["attributes"]["secret"] == agent.ask("GET", "/v1/services/web")[1]["secret"]
    )


def test_drift_is_seen_and_put_right(plain: PlainTerraform, agent: Agent) -> None:
    plain.module(MODULE)
    plain("init", "-input=false")
    plain.apply()

    agent.end_process("web")
    assert "running" in plain.plan()
    plain.apply()
    assert agent.ask("GET", "/v1/services/web")[1]["status"] == "running"

    agent.ask("DELETE", "/v1/services/web")
    assert "1 to add, 0 to change, 0 to destroy" in plain.plan()
    plain.apply()
    assert agent.ask("GET", "/v1/services/web")[1]["status"] == "running"


def test_what_exists_is_adopted_by_name_and_can_be_imported(plain: PlainTerraform, agent: Agent) -> None:
    status, volume = agent.ask("PUT", "/v1/volumes/home", {"files": {"mine.txt": "kept"}})
    assert status == 201
    plain.module(MODULE)
    plain("init", "-input=false")
    assert "There is no volume" in plain("import", "-no-color", "slipway_volume.home", "nothing", code=1)
    neighbours = "00000000-0000-0000-0000-000000000000/home"
    assert "another environment" in plain("import", "-no-color", "slipway_volume.home", neighbours, code=1)
    plain("import", "-input=false", "slipway_volume.home", "home")
    assert plain.state("slipway_volume.home")["attributes"]["id"] == volume["id"]
    (plain.directory / "terraform.tfstate").unlink()
    plain.apply()
    assert plain.state("slipway_volume.home")["attributes"]["id"] == volume["id"]


def test_a_service_that_never_gets_ready_says_why_and_is_not_lost(plain: PlainTerraform, agent: Agent) -> None:
    broken = [SERVER[0], "-c", "print('crash: ModuleNotFoundError: nonsense'); raise SystemExit(3)"]
    plain.module(MODULE.replace(json.dumps(SERVER), json.dumps(broken)))
    plain("init", "-input=false")

    shown = plain.apply(code=1)

    assert "Service web" in shown
    assert "ModuleNotFoundError" in shown
    assert plain.state("slipway_service.web")["status"] == "tainted"
    plain.module(MODULE)
    plain.apply()
    assert agent.ask("GET", "/v1/services/web")[1]["status"] == "running"
    plain.apply("-destroy")
    assert agent.ask("GET", "/v1/services/web")[0] == 404
    assert agent.ask("GET", "/v1/volumes/home")[0] == 404


def test_a_changed_runtime_is_built_before_the_old_one_goes(plain: PlainTerraform, agent: Agent) -> None:
    module = 'resource "slipway_runtime" "python" { requirements = "# %s\\n" }'
    plain.module(module % "one")
    plain("init", "-input=false")
    plain.apply()
    first = plain.state("slipway_runtime.python")["attributes"]["id"]
    plain.module(module % "two")
    assert "0 added, 1 changed, 0 destroyed" in plain.apply()
    second = plain.state("slipway_runtime.python")["attributes"]["id"]
    assert agent.ask("GET", f"/v1/runtimes/{second}")[0] == 200
    assert "No changes" in plain.plan()
    assert first != second


def test_a_wrong_token_and_a_silent_socket_are_told_plainly(plain: PlainTerraform, agent: Agent) -> None:
    plain.module(MODULE)
    plain("init", "-input=false")
    good = dict(plain.environment)
    plain.environment["SLIPWAY_AGENT_TOKEN"] = agent.token + "x"
    assert "token" in plain.apply(code=1).lower()
    plain.environment = good | {"SLIPWAY_AGENT_SOCKET": good["SLIPWAY_AGENT_SOCKET"] + ".gone"}
    assert "agent cannot be reached" in plain.apply(code=1)
    del plain.environment["SLIPWAY_AGENT_SOCKET"]
    assert "SLIPWAY_AGENT_SOCKET" in plain.apply(code=1)


@pytest.mark.parametrize("agent", ["stand-in"], indirect=True)
def test_values_that_cannot_work_are_refused_while_planning(plain: PlainTerraform) -> None:
    plain.module('resource "slipway_volume" "bad" { name = "Not A Name" }')
    plain("init", "-input=false")
    assert "not a usable name" in plain("plan", "-input=false", "-no-color", code=1)
