"""`python -m bench.seeding <full|quick>`: a company's worth of rows in the portal of SLIPWAY_DATA.

2,000 people in 100 teams, 5,000 environments with their changes, plans and logs, 100,000 audit and as many live
events. Random with a fixed seed. Nothing of it lives on this machine: the agent and the worker find nothing to do.
"""

import io
import os
import random
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

SEED = 20_26
FULL = {"people": 2000, "teams": 100, "environments": 5000, "events": 100_000, "lines": 200_000, "messages": 20_000}
STATUSES = {"running": 24, "stopped": 26, "failed": 8, "destroyed": 42}
NAMES = [
    "churn",
    "fraud",
    "price",
    "demand",
    "vision",
    "basket",
    "credit",
    "route",
    "sensor",
    "forecast",
    "text",
    "image",
    "speech",
    "rank",
    "trial",
]
WORDS = ["explore", "train", "baseline", "features", "sweep", "debug", "report", "demo", "weekly", "review"]


@dataclass
class Made:
    """What later rows refer to."""

    users: list[Any]
    teams: list[Any]
    members: dict[Any, list[Any]]


def main(size: str) -> None:
    from django.db import connection, transaction
    from django.utils import timezone

    share = 1.0 if size == "full" else 0.02
    wanted = {name: max(5, int(count * share)) for name, count in FULL.items()}
    chance = random.Random(SEED)  # noqa: S311 - a repeatable company, no secret
    now = timezone.now()
    with transaction.atomic():
        made = people_make(wanted, chance)
        environments = environments_make(made, wanted["environments"], chance, now)
        changes = changes_make(environments, chance, now)
        tokens_make(environments)
        messages_make(made, wanted["messages"], chance)
        audit_make(made, environments, wanted["events"], chance, now)
        live_make(environments, wanted["events"], chance)
        lines_make(environments, changes, wanted["lines"], chance, now)
    with connection.cursor() as cursor:
        # As tables are that were not filled a minute ago: nothing is left for autovacuum to do meanwhile.
        cursor.execute("VACUUM (ANALYZE)")
    print(environments[0].pk)


def people_make(wanted: dict[str, int], chance: random.Random) -> Made:
    """Teams and people; the demo's people are in the largest team."""
    from apps.accounts.models import Membership, Team, User

    users = User.objects.bulk_create(
        User(
            username=f"p{number}", first_name=chance.choice(NAMES).title(), last_name=f"Person {number}",
            email=f"p{number}@example.com", password="!",  # noqa: S106 - none
        )
        for number in range(wanted["people"])
    )  # fmt: skip
    teams = Team.objects.bulk_create(
        Team(slug=f"{chance.choice(NAMES)}-{number}", name=f"{chance.choice(NAMES).title()} {number}")
        for number in range(wanted["teams"])
    )
    vision = Team.objects.get(slug="vision")
    pairs = {(user, team) for user in users for team in chance.sample(teams, chance.choice((1, 1, 1, 2, 3)))}
    pairs |= {(user, vision) for user in chance.sample(users, len(users) // 20)}
    rows = [
        Membership(user=user, team=team, role="manager" if chance.random() < 0.05 else "member")
        for user, team in sorted(pairs, key=lambda pair: (pair[0].pk, str(pair[1].pk)))
    ]
    Membership.objects.bulk_create(rows)
    members: dict[Any, list[Any]] = {}
    for row in rows:
        members.setdefault(row.team, []).append(row.user)
    members[vision] += list(User.objects.filter(username__in=("dana", "mira"))) * 8
    return Made(users, [*teams, vision], members)


def environments_make(made: Made, count: int, chance: random.Random, now: datetime) -> list[Any]:
    from apps.catalog.models import ModuleVersion
    from apps.core.crypto import encrypt_json
    from apps.environments.models import Environment
    from apps.provisioning.models import Machine, ServiceStatus, Workspace

    version = ModuleVersion.objects.select_related("module").get(module__slug="local-notebook")
    elsewhere, _ = Machine.objects.get_or_create(name="bench-elsewhere")
    inputs = {"cpu": 1, "memory_gb": 2, "repository": "https://example.com/team/models.git"}
    cipher, outputs = encrypt_json(inputs), encrypt_json(outputs_shape())
    teams = [team for team in made.teams if made.members.get(team)]
    weights = [8 if team.slug == "vision" else 1 for team in teams]
    workspaces, rows = [], []
    for number in range(count):
        team = chance.choices(teams, weights)[0]
        owner = chance.choice(made.members[team])
        status = chance.choices(list(STATUSES), list(STATUSES.values()))[0]
        began = now - timedelta(minutes=chance.randint(30, 60 * 24 * 90))
        key = UUID(int=chance.getrandbits(128), version=4)
        name = f"{chance.choice(NAMES)}-{chance.choice(WORDS)}-{number}"
        workspaces.append(
            Workspace(
                id=key, name=name, team=team, owner=owner, module_version=version, target="local", machine=elsewhere,
                engine="terraform", state_serial=7, resources=resources_shape(), outputs=outputs,
                destroyed_at=now if status == "destroyed" else None,
            )
        )  # fmt: skip
        rows.append(
            Environment(
                id=key, name=name, slug=f"{name}-{number:05d}", team=team, owner=owner, workspace_id=key,
                module=version.module, module_version=version, preset="small", inputs=inputs, inputs_cipher=cipher,
                secrets_cipher=cipher, status=status, failure="start" if status == "failed" else "",
                status_reason="JupyterLab did not answer" if status == "failed" else "", status_since=began,
                desired_running=status == "running", ttl_seconds=28_800, last_used_at=began, last_activity_at=began,
                expires_at=now + timedelta(hours=chance.randint(5, 90)) if status == "running" else None,
                destroyed_at=now if status == "destroyed" else None,
            )
        )  # fmt: skip
    Workspace.objects.bulk_create(workspaces, batch_size=1000)
    Environment.objects.bulk_create(rows, batch_size=1000)
    for row in rows:
        row.created_at = row.status_since
    Environment.objects.bulk_update(rows, ["created_at"], batch_size=1000)
    ServiceStatus.objects.bulk_create(
        ServiceStatus(
            workspace_id=row.pk, name="jupyterlab", status="running", isolation="bubblewrap+uid", observed_at=now,
            memory_bytes=300 * 2**20, memory_limit_bytes=2 * 2**30, cpu_seconds=20.0, started_at=row.status_since,
        )
        for row in rows if row.status == "running"
    )  # fmt: skip
    return rows


def resources_shape() -> list[dict[str, str]]:
    names = ("slipway_volume.home", "slipway_runtime.python", "slipway_service.jupyterlab")
    return [{"address": name, "type": name.split(".")[0], "name": name.split(".")[1]} for name in names]


def outputs_shape() -> dict[str, dict[str, Any]]:
    secret = {"value": "s" * 43, "sensitive": True, "type": "string"}
    # Port 9 is nobody's: whoever asks this notebook for its kernels is told so at once.
    return {"address": {"value": "127.0.0.1:9", "sensitive": False, "type": "string"}, "secret": secret}


def plan_shape() -> dict[str, Any]:
    attributes = [{"name": f"attribute_{number}", "before": None, "after": "x" * 60} for number in range(12)]
    resources = [{**resource, "action": "create", "attributes": attributes} for resource in resources_shape()]
    return {"resources": resources, "destructive": False, "empty": False, "drift": []}


def changes_make(environments: list[Any], chance: random.Random, now: datetime) -> list[Any]:
    """The launch of each, and what was done since; a few of dana's colleagues' plans wait for a click."""
    from apps.provisioning.models import Change, CommandRecord

    plan, rows = plan_shape(), []
    for row in environments:
        for index in range(chance.randint(1, 7)):
            kind = "create" if index == 0 else chance.choice(("stop", "start", "refresh", "update"))
            failed = row.status == "failed" and index == 0
            at = row.created_at + timedelta(minutes=17 * index)
            rows.append(
                Change(
                    workspace_id=row.pk, kind=kind, status="failed" if failed else "applied", requested_by=row.owner,
                    module_version=row.module_version, values=b"", machine_id=None, engine="terraform", plan=plan,
                    plan_hash=f"{chance.getrandbits(256):064x}", steps_done=3, steps_total=3, planning_at=at,
                    planned_at=at, applying_at=at, finished_at=at + timedelta(seconds=chance.randint(2, 90)),
                    failure_code="provisioning:health-timeout" if failed else "",
                    failure_summary="JupyterLab did not answer within 60 seconds." if failed else "",
                )
            )  # fmt: skip
    Change.objects.bulk_create(rows, batch_size=500)
    for change in rows:
        change.created_at = change.planning_at
    Change.objects.bulk_update(rows, ["created_at"], batch_size=1000)
    CommandRecord.objects.bulk_create(
        (
            CommandRecord(change=change, name=name, started_at=now, finished_at=now, exit_code=0)
            for change in rows[:: max(1, len(rows) // 5000)]
            for name in ("init", "plan", "show", "apply")
        ),
        batch_size=2000,
    )
    return rows


def tokens_make(environments: list[Any]) -> None:
    from apps.accounts.models import ApiToken

    ApiToken.objects.bulk_create(
        (
            ApiToken(
                user=row.owner, name=row.name, prefix="slw", digest=f"{row.pk.int:064x}", scopes=["mlflow"],
                environment_id=row.pk,
            )
            for row in environments
        ),
        batch_size=1000,
    )  # fmt: skip


def messages_make(made: Made, count: int, chance: random.Random) -> None:
    from apps.accounts.models import User
    from apps.notifications.models import Notification

    cast = list(User.objects.filter(username__in=("dana", "mira", "pete")))
    Notification.objects.bulk_create(
        (
            Notification(
                user=chance.choice(cast) if chance.random() < 0.1 else chance.choice(made.users), text="nb stops soon",
                level="info", url="/", read_at=None,
            )
            for _ in range(count)
        ),
        batch_size=2000,
    )  # fmt: skip


def audit_make(made: Made, environments: list[Any], count: int, chance: random.Random, now: datetime) -> None:
    from apps.audit.models import AuditEvent

    verbs = ("create", "stop", "start", "extend", "update", "create-done", "stop-done")
    AuditEvent.objects.bulk_create(
        (
            AuditEvent(
                action=f"environments:environment:{chance.choice(verbs)}", actor=row.owner,
                actor_name=row.owner.username, target_type="environment", target_id=str(row.pk), target_name=row.name,
                team_id=row.team_id, after={"reason": "", "ttl": 28_800}, via="page",
            )
            for row in (chance.choice(environments) for _ in range(count))
        ),
        batch_size=2000,
    )  # fmt: skip


def live_make(environments: list[Any], count: int, chance: random.Random) -> None:
    from apps.core.models import LiveEvent

    LiveEvent.objects.bulk_create(
        (
            LiveEvent(
                audience=f"team:{row.team_id}", topic=f"environment:{row.pk}", kind="status",
                data={"status": row.status, "step": "JupyterLab", "done": 2, "total": 3},
            )
            for row in (chance.choice(environments) for _ in range(count))
        ),
        batch_size=5000,
    )  # fmt: skip


def lines_make(environments: list[Any], changes: list[Any], count: int, chance: random.Random, now: datetime) -> None:
    """Build logs of forty lines, and the application logs of a few talkative notebooks."""
    from django.db import connection

    text = io.StringIO()
    numbers: dict[Any, int] = {}
    stamp = now.isoformat()
    for change in chance.sample(changes, min(len(changes), count // 80)):
        for line in range(40):
            numbers[change.workspace_id] = number = numbers.get(change.workspace_id, 0) + 1
            text.write(f"{change.workspace_id}\t{change.pk}\tbuild\t{number}\t{stamp}\tinfo\tCreation: step {line}\n")
    talkative = environments[:20]
    for row in talkative:
        for number in range(1, count // 2 // len(talkative)):
            text.write(f"{row.pk}\t\\N\tapplication\t{number}\t{stamp}\tinfo\tGET /api/kernels/{number} 200 1.2ms\n")
    columns = "workspace_id, change_id, stream, number, at, level, text"
    connection.ensure_connection()
    with (
        connection.connection.cursor() as cursor,
        cursor.copy(f"COPY provisioning_logline ({columns}) FROM STDIN") as copy,
    ):
        copy.write(text.getvalue())


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.dev")
    from portal.up.running import running_portal_join

    running_portal_join()
    import django

    django.setup()
    main(sys.argv[1])
