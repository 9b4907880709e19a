"""After a journey with secrets everywhere, none of them stands anywhere but where it is declared to be.

A secret may be kept hashed or encrypted in any place, in the clear only where `ALLOWED_*` says so and why.
"""

import re
from collections import defaultdict
from collections.abc import Iterable

import pytest

from tests.secrets.journey import OF_SERVICE, Journey
from tests.secrets.visiting import Answer
from tests.secrets.watching import Seen

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SERVERS = {"SECRET_KEY", "SLIPWAY_KEYS", "PostgreSQL's portal role", "Valkey", "MLflow's server"}

# Files that hold a secret in the clear, readable by the portal's own user alone, and why.
ALLOWED_FILES = [
    # Where the secrets made by `make up` are kept, and what lets a second terminal find the running portal.
    (r"keys/[a-z_-]+", {"SECRET_KEY", "SLIPWAY_KEYS", "Valkey", "MLflow's server", "PostgreSQL's superuser",
                        "PostgreSQL's portal role", "PostgreSQL's MLflow role"}),
    (r"run/environment\.json", SERVERS),
    (r"password", {"the demo people's password"}),
    # The terminal, where `make up` tells how to sign in to the demo.
    (r"up\.log", {"the demo people's password"}),
    (r"agent/secret", {"the agent"}),
    # The server reads its own password from its configuration.
    (r"valkey/valkey\.conf", {"Valkey"}),
    # Sessions are found by their key, which Django keeps as it is; the folder belongs to PostgreSQL alone.
    (r"postgres/data/.*", {"dana's session"}),
]  # fmt: skip

# Columns of tables that hold a secret in the clear, and why.
ALLOWED_COLUMNS = {
    # The primary key of a session. Whoever reads this table can also write one.
    "django_session.session_key": {"dana's session"},
}


def nothing(found: dict[str, set[str]]) -> None:
    assert not found, "\n" + "\n".join(f"{place}: {', '.join(sorted(names))}" for place, names in found.items())


def found_in(journey: Journey, places: Iterable[tuple[str, bytes]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for place, content in places:
        if names := journey.needles.in_bytes(content):
            found.setdefault(place, set()).update(names)
    return found


def test_journey_has_been_everywhere(journey: Journey) -> None:
    """Otherwise an empty search would prove nothing."""
    assert len(journey.needles.secrets) > 18
    assert len(journey.answers) > 300
    assert {answer.status for answer in journey.answers} >= {200, 201, 302, 400, 401, 403, 404, 422, 500}
    assert len(journey.processes) > 30
    assert any("talker" in seen.words or "BaseHTTPRequestHandler" in seen.words for seen in journey.processes)
    assert any("terraform" in seen.words for seen in journey.processes)
    assert any("change_wake" in command for command in journey.commands)
    for table in ("django_session", "audit_auditevent", "provisioning_logline", "core_liveevent", "axes_accessattempt"):
        assert journey.searched[table], table
    assert journey.searched["runs"], "MLflow's tables"
    assert {"logs/postgres", "logs/web", "logs/agent", "up"} <= journey.searched.keys()
    streams = [answer.body for answer in journey.answers if answer.path == "/events/"]
    assert any(b'"log"' in body for body in streams)


def test_files_hold_no_secret(journey: Journey) -> None:
    found = {}
    for name, names in journey.in_files.items():
        allowed = {one for pattern, those in ALLOWED_FILES if re.fullmatch(pattern, name) for one in those}
        if names - allowed:
            found[name] = names - allowed
    nothing(found)
    assert journey.open_files == [], "only the portal's user may read files with secrets"


def test_tables_hold_no_secret_in_the_clear(journey: Journey) -> None:
    found = {place: names - ALLOWED_COLUMNS.get(place, set()) for place, names in journey.in_rows.items()}
    nothing({place: names for place, names in found.items() if names})


def test_queue_and_cache_hold_no_secret(journey: Journey) -> None:
    nothing(journey.in_queue)
    nothing(found_in(journey, [(command[:60], command.encode()) for command in journey.commands]))


def test_command_lines_hold_no_secret(journey: Journey) -> None:
    """Everybody on the machine can read them."""
    nothing(found_in(journey, [(seen.words[:200], seen.command) for seen in journey.processes]))


def allowed_in_environ(seen: Seen) -> set[str]:
    """Which secrets a process may have in its environment; only the same user can read that."""
    words, variables = seen.words, seen.variables
    if "SLIPWAY_SERVICE_ID" in variables or "/run/slipway-entry.py" in words:
        # The service itself, and what becomes it inside its sandbox: it was given them.
        return OF_SERVICE | {f"the secret of service {number}" for number in range(9)}
    if "TF_IN_AUTOMATION" in variables:
        # Terraform, and what becomes it or is started by it, has what variable sets give.
        return {"the second environment of a variable set"}
    if "apps.experiments.mlflow_server" in words or "mlflow.server" in words:
        return {"PostgreSQL's MLflow role", "MLflow's server"}
    if "apps.experiments.demo.train" in words or (words.startswith("git ") and "MLFLOW_TRACKING_URI" in variables):
        # MLflow's client asks git for the commit of what is trained.
        return {"MLflow's server"}
    commands = "agent|migrate|seed_demo|seed_modules|register_module"
    if re.search(rf"portal\.up\.web|-m celery|manage\.py ({commands})", words):
        return SERVERS
    if words == "uname -p":
        # Python asks it what Celery's worker tells of the machine when it starts.
        return SERVERS
    return set()


def test_environments_of_processes_hold_only_what_they_need(journey: Journey) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for seen in journey.processes:
        if names := journey.needles.in_bytes(seen.environ) - allowed_in_environ(seen):
            found[seen.words[:160]] |= names
    nothing(dict(found))


def test_answers_hold_no_secret(journey: Journey) -> None:
    """Nobody gets to see one, its owner neither: what was typed is never shown again."""
    found: dict[str, set[str]] = {}
    for answer in journey.answers:
        names = journey.needles.in_bytes(answer.whole)
        if names - allowed_in_answer(answer):
            found[str(answer)] = names - allowed_in_answer(answer)
    nothing(found)


def allowed_in_answer(answer: Answer) -> set[str]:
    if answer.who != "dana":
        return set()
    if answer.path.endswith("/tokens/") and answer.status == 201:
        # Shown this once.
        return {"a personal token"}
    if ".apps." in answer.host and answer.status == 200:
        # The module's own page, through the door that lets its owner in.
        return OF_SERVICE | {"the secret of service 0", "the secret of service 1"}
    if answer.path == "/accounts/sign-in/" and answer.status == 422:
        # The name as it was typed, to the one who typed it, so that a slip can be mended.
        return {"a password in the field of the name", "the demo people's password"}
    if "/_slipway/ticket?t=" in answer.header("Location"):
        return {"a one-time ticket"}
    return set()


def test_addresses_hold_no_secret(journey: Journey) -> None:
    """Addresses end up in histories, proxies' logs and referrers. A ticket is one use by one browser, at once."""
    found = found_in(journey, [(f"{a.method} {a.path[:80]}", a.path.encode()) for a in journey.answers])
    nothing({path: names for path, names in found.items() if names - {"a one-time ticket"}})


def test_nothing_is_left_of_an_ended_change(journey: Journey) -> None:
    assert len(journey.during["looked at"]) >= 2
    assert journey.during | {"looked at": []} == {"values": [], "plans": [], "stages": [], "open": [], "looked at": []}
