"""A real agent and Terraform with variable sets: what is given, when it counts, and that nobody gets to read it."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from apps.environments.models import Environment
    from tests.factories import People

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

TELLS = Path(__file__).parent / "modules" / "tells"
KEY, API_KEY, FILED = "canary-environment-93b1c6", "canary-terraform-5d20ff", "canary-file-a8f0/7e+31"


@pytest.fixture
def people(db: None) -> "People":
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def agent(tmp_path: Path, people: "People") -> Iterator[Path]:
    from tests.faults.one_agent import agent_running

    with agent_running(tmp_path / "agent"):
        yield tmp_path / "agent"


def given(people: "People", *, team: Any = None, **values: str) -> Any:
    """A set of everybody's, or of a team's, with environment variables."""
    from apps.variable_sets.services import variable_set_create, variable_set_value

    row = variable_set_create(actor=people.pete, name=f"cloud {team or ''}", team=team)
    for name, value in values.items():
        variable_set_value(variable_set=row, actor=people.pete, name=name, kind="environment", value=value)
    return row


def launch(people: "People", *, owner: Any = None, team: Any = None, name: str = "it", **inputs: Any) -> "Environment":
    from apps.catalog.services import module_register
    from apps.environments.services import environment_launch

    return environment_launch(
        actor=owner or people.dana,
        team=team or people.vision,
        module_version=module_register(path=TELLS, actor=None),
        name=name,
        inputs=inputs,
    )


def log_of(environment: "Environment") -> str:
    from apps.provisioning.models import LogLine

    return "\n".join(LogLine.objects.filter(workspace_id=environment.pk).values_list("text", flat=True))


def everything_kept() -> str:
    """Every value of every table that is not encrypted, as one text."""
    from django.apps import apps

    from apps.core.ciphers import cipher_columns

    ciphers = {(column.model, column.field) for column in cipher_columns()}
    found = []
    for model in apps.get_models():
        label = f"{model._meta.app_label}.{model.__name__}"
        fields = [field.name for field in model._meta.concrete_fields if (label, field.name) not in ciphers]
        for row in model._default_manager.values_list(*fields):
            found += [bytes(value).decode("latin-1") if isinstance(value, memoryview) else str(value) for value in row]
    return "\n".join(found)


def test_terraform_is_given_everything_and_nobody_reads_it(people: "People", agent: Path) -> None:
    from apps.environments.services import environment_update
    from apps.provisioning.models import Change, Workspace
    from apps.provisioning.selectors import workspace_outputs
    from apps.variable_sets.services import variable_set_value
    from tests.faults.one_agent import settled

    row = given(people, CLOUD_KEY=KEY)
    put = {"variable_set": row, "actor": people.pete}
    variable_set_value(**put, name="CLOUD_REGION", kind="environment", value="nowhere-1", sensitive=False)
    variable_set_value(**put, name="account", kind="terraform", value="123456", sensitive=False)
    variable_set_value(**put, name="api_key", kind="terraform", value=API_KEY)
    variable_set_value(
        **put, name="c.ini", kind="file", environment_variable="CLOUD_CREDENTIALS_FILE",
        value=f"[default]\r\nsecret_key = {FILED}\r\n",
    )  # fmt: skip
    environment = launch(people)
    settled(environment, "running")

    log = log_of(environment)
    assert "environment: •••••• region nowhere-1" in log
    assert "mode: 600" in log
    assert "file is read-only" in log
    assert "secret_key = " not in log
    assert "value: ••••••" in log
    outputs = workspace_outputs(Workspace.objects.get(pk=environment.pk))
    assert outputs["account"]["value"] == "123456"
    assert outputs["api_key"]["value"] == f"key={API_KEY}"
    assert API_KEY not in outputs["api_key"]["shown"]
    kept = everything_kept()
    for canary in (KEY, API_KEY, FILED):
        assert canary not in kept
    assert [path for path in agent.rglob("given/*/*") if path.is_file()] == []
    assert environment.inputs == {}
    assert not Change.objects.get(workspace_id=environment.pk).values

    variable_set_value(**put, name="api_key", kind="terraform", value="canary-second-77d1e2")
    environment_update(environment=environment, actor=people.dana, inputs={"round": 2})
    settled(environment)
    change = Change.objects.filter(workspace_id=environment.pk).latest("created_at")
    shown = json.dumps(change.plan, ensure_ascii=False)
    assert "••••••" in shown
    # What it was before the value was replaced stands in the plan as well.
    assert API_KEY not in shown
    assert "canary-second" not in shown


def test_each_team_is_given_its_own(people: "People", agent: Path) -> None:
    from tests.faults.one_agent import settled

    given(people, CLOUD_KEY="canary-of-everybody-1")
    given(people, team=people.vision, CLOUD_KEY="canary-of-vision-22")
    given(people, team=people.pricing, OTHER_KEY="canary-of-pricing-33")
    # Length and checksum tell which one it is, without telling it.
    tell = "printf %s $CLOUD_KEY | sha256sum; env | grep -c OTHER_KEY; true"
    mine = launch(people, command=tell)
    theirs = launch(people, owner=people.mallory, team=people.pricing, command=tell)
    settled(mine, "running")
    settled(theirs, "running")

    assert hashlib.sha256(b"canary-of-vision-22").hexdigest() in log_of(mine)
    assert hashlib.sha256(b"canary-of-everybody-1").hexdigest() in log_of(theirs)
    assert "(local-exec): 0" in log_of(mine)
    assert "(local-exec): 1" in log_of(theirs)
    # Behind other letters in base64, as in a header, it is masked as well.
    assert re.search("base64: dXNlcj.••••••", log_of(mine))


def test_a_module_that_looks_around_finds_nothing_of_the_portal_nor_of_another_team(
    people: "People", agent: Path, settings: Any
) -> None:
    from apps.variable_sets.services import variable_set_value
    from tests.faults.one_agent import reach, settled, until

    row = given(people, team=people.vision, CLOUD_KEY="canary-of-vision-22")
    variable_set_value(
        variable_set=row, actor=people.pete, name="c.ini", kind="file", environment_variable="CLOUD_CREDENTIALS_FILE",
        value=f"secret_key = {FILED}",
    )  # fmt: skip
    variable_set_value(variable_set=row, actor=people.pete, name="api_key", kind="terraform", value=API_KEY)
    mine = launch(people, command="sleep 25")
    reach(mine, "applying")
    until(lambda: list(agent.glob("workspaces/*/changes/*/apply/given/*/c.ini")))

    below = f"{agent}/workspaces/*"
    look = (
        f"(cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline {below}/changes/*/*/given/*/* {below}/changes/*/*/*.json "
        f"{below}/work/*.json {below}/work/*.tfstate {agent}/secret {settings.BASE_DIR}/.slipway/keys/* "
        f"/proc/[0-9]*/root{agent}/secret; find {agent} -type f) 2>/dev/null "
        "| tr '\\0' '\\n' | sed 's/^/found: /' | sort -u | head -n 2000"
    )
    theirs = launch(people, owner=people.mallory, team=people.pricing, command=look)
    settled(theirs, "running")
    seen = log_of(theirs)
    assert "found: TF_IN_AUTOMATION=1" in seen, "it did look"
    secret = (agent / "secret").read_text().strip()
    for canary in ("canary-of-vision-22", API_KEY, FILED, settings.SECRET_KEY, *settings.SLIPWAY_KEYS, secret):
        assert canary not in seen
    assert str(mine.pk) not in seen
    settled(mine, "running")
