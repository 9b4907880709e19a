"""The journey: everything a person, a module and bad luck can do with a secret, once."""

import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.e2e.conftest import Portal, portal_stop
from tests.secrets.searching import Needles, files_below, rows_of
from tests.secrets.visiting import Answer, Stream, Visitor
from tests.secrets.watching import ProcessWatch, QueueWatch, Seen

SETTLED = ("running", "stopped", "failed", "destroyed")
# What the portal makes for itself, by the file that keeps it.
KEPT = {
    "SECRET_KEY": "keys/secret_key",
    "SLIPWAY_KEYS": "keys/encryption",
    "PostgreSQL's superuser": "keys/postgres-postgres",
    "PostgreSQL's portal role": "keys/postgres-slipway",
    "PostgreSQL's MLflow role": "keys/postgres-mlflow",
    "Valkey": "keys/valkey",
    "MLflow's server": "keys/mlflow",
    "the agent": "agent/secret",
    "the demo people's password": "password",
}
OF_SERVICE = {"the sensitive input", "the environment's MLflow token", "the application's secret", "the private key"}


@dataclass
class Journey:
    """What was seen on the way, and what was found where: tables and queue at its end, files after the portal had
    stopped."""

    needles: Needles
    answers: list[Answer] = field(default_factory=list)
    processes: list[Seen] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    in_queue: dict[str, set[str]] = field(default_factory=dict)
    in_rows: dict[str, set[str]] = field(default_factory=dict)
    in_files: dict[str, set[str]] = field(default_factory=dict)
    open_files: list[str] = field(default_factory=list)
    searched: Counter[str] = field(default_factory=Counter)
    during: dict[str, list[str]] = field(default_factory=dict)

    def note(self, found: dict[str, set[str]], place: str, content: bytes) -> set[str]:
        self.searched[place.partition(".")[0]] += 1
        names = self.needles.in_bytes(content)
        if names:
            found.setdefault(place, set()).update(names)
        return names


@dataclass
class Cast:
    portal: Portal
    seen: list[Answer]
    secrets: dict[str, str]
    dana: Visitor
    api: Visitor
    sets: list[str] = field(default_factory=list)

    def canary(self, name: str) -> str:
        return self.secrets.setdefault(name, f"canary{secrets.token_hex(12)}")

    def stranger(self, who: str) -> Visitor:
        visitor = Visitor(who, self.dana.port, self.seen)
        assert visitor.sign_in(who, self.portal.password).status == 302
        return visitor


def journey_make(portal: Portal, processes: ProcessWatch) -> Journey:
    seen: list[Answer] = []
    port = int(portal.url.rstrip("/").rpartition(":")[2])
    kept = {name: (portal.data / path).read_text().split()[0] for name, path in KEPT.items()}
    cast = Cast(portal, seen, kept, Visitor("dana", port, seen), Visitor("dana's token", port, seen))
    environment = json.loads((portal.data / "run" / "environment.json").read_text())
    queue = QueueWatch(environment["BROKER_URL"]).start()

    _sign_in(cast)
    cast.sets.append(_variable_sets(cast))
    _refusals(cast)
    row = _launch(cast, "careless")
    others = [cast.stranger(who) for who in ("mira", "mallory", "ada", "pete")]
    topics = f"environments,environment:{row['id']}&last=1"
    streams = [Stream(visitor, topics) for visitor in (cast.dana, *others)]
    row = _settled(cast, row, "running")
    _application(cast, row)
    _look_everywhere(cast, row, others)
    _bugs(cast, environment["DATABASE_URL"])
    for action, status in (("stop", "stopped"), ("start", "running"), ("refresh", "running"), ("stop", "stopped")):
        assert cast.api.api("POST", f"environments/{row['id']}/{action}/", {}).status == 200
        _settled(cast, row, status)
    broken = _settled(cast, _launch(cast, "broken", fails=True), "failed")
    _look_everywhere(cast, broken, [other for other in others if other.who in ("mallory", "ada")])
    during = _files_of_ended_changes(portal.data)
    for number, path in enumerate(sorted((portal.data / "agent" / "services").glob("*/*/service.json"))):
        cast.secrets[f"the secret of service {number}"] = json.loads(path.read_text())["secret"]
    for one in (row, broken):
        cast.api.api("POST", f"environments/{one['id']}/destroy/", {"confirm": one["name"]})
        _settled(cast, one, "destroyed")
    for stream in streams:
        stream.end()
    journey = Journey(Needles(cast.secrets), seen, during=during)
    for url in (environment["DATABASE_URL"], _mlflow_url(portal, environment["DATABASE_URL"])):
        for place, content in rows_of(url):
            journey.note(journey.in_rows, place, content)
    for place, content in queue.everything_kept():
        journey.note(journey.in_queue, place, content)
    journey.commands = queue.commands
    portal_stop(portal)
    journey.processes = processes.stop()
    for path in files_below(portal.data.parent):
        name = str(path.relative_to(portal.data.parent)).removeprefix("data/")
        if journey.note(journey.in_files, name, path.read_bytes()) and path.stat().st_mode & 0o077:
            journey.open_files.append(name)
    return journey


def _mlflow_url(portal: Portal, url: str) -> str:
    mine = (portal.data / "keys/postgres-slipway").read_text().strip()
    theirs = (portal.data / "keys/postgres-mlflow").read_text().strip()
    return url.replace("slipway:", "mlflow:", 1).replace(mine, theirs).replace("/slipway?", "/mlflow?")


def _sign_in(cast: Cast) -> None:
    dana, password = cast.dana, cast.portal.password
    mistyped = cast.canary("a mistyped password")
    assert dana.sign_in("dana", mistyped).status == 422
    # The password of a person in the field of the name, and of a stranger.
    assert dana.sign_in(password, "dana").status == 422
    assert dana.sign_in(cast.canary("a password in the field of the name"), "x").status == 422
    assert dana.sign_in("dana", password).status == 302
    cast.secrets["dana's session"] = dana.cookies[f"localhost:{dana.port}"]["slipway_session"]
    made = dana.form("/accounts/tokens/", name="canary", scope="write", days="7")
    assert made.status == 201, made
    cast.api.token = made.body.decode().split("slw_")[1].split('"')[0].split("<")[0].split()[0]
    cast.api.token = f"slw_{cast.api.token}"
    cast.secrets["a personal token"] = cast.api.token
    cast.secrets["a token of the terminal"] = cast.portal.token("mira")


def _refusals(cast: Cast) -> None:
    """Requests that are wrong in every way, with secrets where they belong and where they do not."""
    secret, token = cast.canary("the sensitive input"), cast.api.token
    body = {"name": "x", "team": "churn", "module": "leaky", "inputs": {"password": secret}}
    cast.api.api("POST", "environments/", {**body, "inputs": {"password": [secret]}})
    cast.api.api("POST", "environments/", {**body, "inputs": {"password": f"refused {secret}"}})
    cast.api.api("POST", "environments/", {**body, "inputs": {"password": {secret: secret}, "nothing": secret}})
    cast.api.api("POST", "environments/", {**body, "preset": "none", "team": "pricing"})
    cast.api.api("POST", "environments/", {**body, "name": ""}, **{"Idempotency-Key": "a" * 300})
    headers = {"Content-Type": "application/json"}
    cast.api.ask("POST", "/api/v1/environments/", f'{{"inputs": {{"password": "{secret}"'.encode(), **headers)
    cast.api.ask("POST", "/api/v1/environments/", secret.encode(), **{"Content-Type": "text/plain"})
    nobody = Visitor("nobody", cast.dana.port, cast.seen)
    nobody.get("/api/v1/me/", Authorization=f"Bearer {cast.canary('a token that never was')}")
    nobody.get("/api/v1/me/", Authorization=f"Basic {token}")
    nobody.ask("POST", "/api/v1/environments/", json.dumps(body).encode(), Authorization=f"Bearer {token}x", **headers)
    nobody.get("/mlflow/api/2.0/mlflow/experiments/search", Authorization=f"Bearer {token}x")
    page = cast.dana.get("/environments/launch/leaky/")
    fields = {"name": "", "team": "churn", "ttl": "28800", "token": cast.dana.hidden_field(page, "token")}
    names = {"password": secret, "key": cast.canary("the private key"), "fails": ""}
    answer = cast.dana.form(
        "/environments/launch/leaky/", **fields, **names, **{f"input-{n}": v for n, v in names.items()}
    )
    assert answer.status == 422, answer
    for repository in (
        f"https://someone:{cast.canary('a password in an address')}@localhost:1/x.git",
        f"https://{cast.canary('a token in an address')}@localhost:1/x.git",
    ):
        for module in ("leaky", "local-notebook"):
            inputs = {"repository": repository, **({"password": "not searched"} if module == "leaky" else {})}
            told = {"name": f"git {module}", "team": "churn", "module": module, "inputs": inputs}
            made = cast.api.api("POST", "environments/", told)
            if made.status == 201:
                row = _settled(cast, made.json(), "failed")
                _look_everywhere(cast, row, [])
                cast.api.api("POST", f"environments/{row['id']}/destroy/", {"confirm": row["name"]})
                _settled(cast, row, "destroyed")


def _variable_sets(cast: Cast) -> str:
    """A set with a secret of each kind, each refused once and replaced once; its address."""
    pete = cast.stranger("pete")
    made = pete.form("/variable-sets/new/", name="Cloud", team="", target="", module="")
    assert made.status == 302, made
    page = made.header("Location")
    kinds = {
        "CLOUD_KEY": ("environment", ""),
        "cloud.ini": ("file", "CLOUD_CREDENTIALS_FILE"),
        "account_key": ("terraform", ""),
    }
    for name, (kind, pointer) in kinds.items():
        for turn in ("first", "second"):
            secret = cast.canary(f"the {turn} {kind} of a variable set")
            value = f"[default]\nsecret_key = {secret}\n" if kind == "file" else secret
            fields = {"kind": kind, "value": value, "environment_variable": pointer, "sensitive": "on"}
            assert pete.form(f"{page}variables/new/", **fields, name="LD_PRELOAD/").status == 422
            assert pete.form(f"{page}variables/new/", **fields, name=name).status == 302
    return page


def _launch(cast: Cast, name: str, **inputs: Any) -> dict[str, Any]:
    wanted = {"password": cast.canary("the sensitive input"), "key": _key(cast), **inputs}
    body = {"name": name, "team": "churn", "module": "leaky", "inputs": wanted}
    made = cast.api.api("POST", "environments/", body, **{"Idempotency-Key": f"launch-{name}"})
    assert made.status == 201, made.body
    return dict(made.json())


def _key(cast: Cast) -> str:
    """Several lines, of which each is a secret: a log holds them one by one."""
    return f"-----BEGIN KEY-----\n{cast.canary('the private key')}\n-----END KEY-----\n"


def _settled(cast: Cast, row: dict[str, Any], status: str) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while True:
        row = cast.api.api("GET", f"environments/{row['id']}/").json()
        if not row["active_change"] and row["status"] in SETTLED:
            break
        assert time.monotonic() < deadline, row
        time.sleep(0.3)
    if row["status"] != status:
        change = cast.api.api("GET", f"changes/?environment={row['id']}").json()["results"][0]["id"]
        told = cast.api.api("GET", f"changes/{change}/").body, cast.api.api("GET", f"changes/{change}/log/").body
        raise AssertionError((row["status"], status, row["status_reason"], told))
    return dict(row)


def _application(cast: Cast, row: dict[str, Any]) -> None:
    """Its own page tells its owner what it knows: from here on these values are looked for as well."""
    answer, tickets = cast.dana.open_application(row["slug"], "/")
    assert answer.status == 200, answer
    told = answer.json()
    assert told["PASSWORD"] == cast.secrets["the sensitive input"]
    cast.secrets["the environment's MLflow token"] = told["TRACKING"]
    cast.secrets["the application's secret"] = told["TOKEN"]
    host = f"{row['slug']}.apps.localhost:{cast.dana.port}"
    for name, value in cast.dana.cookies[host].items():
        if len(value) >= 20:
            cast.secrets[f"the application host's cookie {name[:24]}"] = value
    cast.secrets["a one-time ticket"] = tickets[0]
    notebook = Visitor("the notebook", cast.dana.port, cast.seen, token=told["TRACKING"])
    for path, body in (("experiments/create", {"name": "churn/canary"}), ("runs/create", {"experiment_id": "0"})):
        content = json.dumps(body).encode()
        notebook.ask("POST", f"/mlflow/api/2.0/mlflow/{path}", content, **{"Content-Type": "application/json"})
    # Beyond its scope.
    notebook.api("GET", "environments/")


def _look_everywhere(cast: Cast, row: dict[str, Any], others: list[Visitor]) -> None:
    """Every page and every part of the API about an environment, by everybody."""
    page = f"/environments/{row['id']}/"
    changes = [one["id"] for one in cast.api.api("GET", f"changes/?environment={row['id']}").json()["results"]]
    for visitor in [cast.dana, *others]:
        for part in ("", "logs/", "resources/", "settings/", "update/", "destroy/"):
            visitor.get(page + part)
        for stream in ("build", "application"):
            visitor.get(f"{page}log/?stream={stream}&after=0")
            visitor.get(f"{page}log/download/?stream={stream}")
        for change in changes:
            visitor.get(f"{page}changes/{change}/")
        for path in cast.sets:
            for part in ("", "edit/", "variables/new/"):
                visitor.get(path + part)
            visitor.get(f"/api/v1{path}variables/", Accept="application/json")
            visitor.get("/variable-sets/counting/?team=churn&target=local")
        for path in ("/", "/environments/?view=team", "/inbox/", "/notifications/", "/audit/", "/accounts/"):
            visitor.get(path)
        listed = ["environments/", f"environments/{row['id']}/", f"changes/?environment={row['id']}", "audit/"]
        parts = [f"changes/{change}/{part}" for change in changes for part in ("", "plan/", "log/")]
        for path in [*listed, *parts]:
            visitor.get(f"/api/v1/{path}", Accept="application/json")
    cast.dana.get("/api/schema/")
    for path in ("/healthz", "/readyz", "/metrics", "/no/such/page"):
        Visitor("nobody", cast.dana.port, cast.seen).get(path)


def _bugs(cast: Cast, url: str) -> None:
    """Errors nobody foresaw, in the middle of requests that carry secrets: a table is gone for a moment."""
    launch = {
        "name": "bug",
        "team": "churn",
        "module": "leaky",
        "inputs": {"password": cast.secrets["the sensitive input"]},
    }
    for table, provoke in (
        ("provisioning_change", lambda: cast.api.api("POST", "environments/", launch)),
        ("audit_auditevent", lambda: cast.dana.form("/accounts/tokens/", name="bug", scope="read", days="1")),
        ("accounts_membership", lambda: cast.api.api("POST", "environments/", launch)),
        ("accounts_apitoken", lambda: cast.api.api("GET", "me/")),
        ("audit_auditevent", lambda: Visitor("x", cast.dana.port, cast.seen).sign_in("dana", cast.portal.password)),
    ):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"ALTER TABLE {table} RENAME TO gone_for_a_moment")
            try:
                answer = provoke()
                assert answer.status == 500, (table, answer)
            finally:
                connection.execute(f"ALTER TABLE gone_for_a_moment RENAME TO {table}")


def _files_of_ended_changes(data: Path) -> dict[str, list[str]]:
    """What is left of changes that have ended while their environments live on."""
    work = sorted((data / "agent" / "workspaces").glob("*/work"))
    return {
        "values": [str(path) for folder in work for path in folder.rglob("*.tfvars.json")],
        "plans": [str(path) for folder in work for path in folder.parent.rglob("*plan*")],
        "stages": [str(path) for folder in work for path in (folder.parent / "changes").glob("*/*")],
        "open": [
            str(path)
            for folder in work
            for path in folder.rglob("*.tfstate*")
            if path.is_file() and path.stat().st_mode & 0o077
        ],
        "looked at": [str(path) for path in work],
    }
