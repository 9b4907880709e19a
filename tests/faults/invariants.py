"""What must hold after any fault, looked at from the outside: processes, folders, rows, the API and the page.

`check` is for one environment that has settled, `check_portal` for the whole portal. `lead_on` presses the button that
the page offers until the environment runs; `end` destroys it and looks whether anything is left.
"""

import hashlib
import html
import http.client
import itertools
import json
import re
import time
from collections import Counter

from tests.faults import processes
from tests.faults.portal_under_fault import ACTIVE, Environment, PortalUnderFault, csrf, wait

PAGE_SECONDS = 5.0
REQUESTS = {"create", "stop", "start", "update", "destroy", "refresh"}
LABELS = {"running": "Running", "stopped": "Stopped, files kept", "destroyed": "Destroyed"}


def check(portal: PortalUnderFault, environment: Environment) -> None:
    """Every invariant of one environment that stands still."""
    status = portal.settled(environment)
    truth_told(portal, environment, status)
    state_kept(portal, environment)
    secrets_gone(portal, environment)
    nothing_twice(portal, environment)
    audited_once(portal, environment)
    no_orphans(portal, environment)


def truth_told(portal: PortalUnderFault, environment: Environment, status: str) -> None:
    """Within five seconds the page, the API and the machine say the same."""
    deadline = time.monotonic() + PAGE_SECONDS
    while problem := _untrue(portal, environment):
        assert time.monotonic() < deadline, f"{problem}\n{portal.story(environment)}"
        time.sleep(0.2)


def _untrue(portal: PortalUnderFault, environment: Environment) -> str:
    """What does not fit together just now; empty when all does."""
    answer, status = portal.read(environment), portal.status(environment)
    if answer["status"] != status:
        return f"the API says {answer['status']}, the row {status}"
    page = portal.page(f"environments/{environment.id}/", who=environment.owner)
    told, wanted = page_label(page), LABELS.get(status)
    if wanted and told != wanted:
        return f"the page says {told!r} of an environment that is {status}"
    if status == "failed" and told in LABELS.values():
        return f"the page says {told!r} of an environment that failed"
    if status == "failed" and not answer["status_reason"]:
        return "nothing says why it failed"
    serving = portal.services(environment)
    if status == "running" and not (len(serving) == 1 and answers(portal, environment)):
        return f"it is said to run, but {len(serving)} processes serve: {serving}"
    if status in ("stopped", "destroyed") and serving:
        return f"it is said to be {status}, but {serving[0]} serves"
    return ""


def page_label(page: str) -> str:
    """The word beside the heading of an environment's page."""
    head = page[page.index('class="page-head-title"') :]
    found = re.search(r'<span class="state-dot"[^>]*></span>([^<]+)</span>', head)
    assert found, head[:800]
    return html.unescape(found[1]).strip()


def answers(portal: PortalUnderFault, environment: Environment) -> bool:
    """Whether the service itself answers a request with its secret, on the port of its record."""
    try:
        record = json.loads((portal.agent_root / "services" / environment.id / "app" / "service.json").read_text())
        connection = http.client.HTTPConnection("127.0.0.1", record["port"], timeout=5)
        connection.request("GET", "/", headers={"Authorization": f"token {record['secret']}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def state_kept(portal: PortalUnderFault, environment: Environment) -> None:
    """The newest state is the file's, serials only grow, and what exists on the machine is in it."""
    versions = portal.rows(
        "SELECT id, lineage, serial, digest FROM provisioning_stateversion WHERE workspace_id = %s ORDER BY id",
        environment.id,
    )
    for before, after in itertools.pairwise(versions):
        if before["lineage"] == after["lineage"]:
            assert after["serial"] > before["serial"], (before["serial"], after["serial"])
    file = portal.agent_root / "workspaces" / environment.id / "work" / "terraform.tfstate"
    if portal.status(environment) == "destroyed":
        left = [path for kind in ("workspaces", "volumes", "services", "logs") for path in
                (portal.agent_root / kind).glob(environment.id)]  # fmt: skip
        assert not left, left
        workspace = portal.row("SELECT resources FROM provisioning_workspace WHERE id = %s", environment.id)
        assert workspace
        assert workspace["resources"] == [], f"destroyed, and the state still held {workspace['resources']}"
        return
    if not file.exists():
        assert not versions, "the state file is gone"
        return
    content = file.read_bytes()
    assert versions, "a state was never shipped"
    assert versions[-1]["digest"] == hashlib.sha256(content).hexdigest(), "the newest state was not shipped"
    exist = {
        (f"slipway_{kind}", path.name)
        for kind in ("volume", "service")
        for path in (portal.agent_root / f"{kind}s" / environment.id).glob("*")
        if path.is_dir()
    }
    change = portal.change(environment)
    if change and change["status"] == "applied":
        missing = exist - _resources(content)
        assert not missing, f"on the machine, not in the state: {missing}"
    workspace = portal.row("SELECT resources FROM provisioning_workspace WHERE id = %s", environment.id)
    shown = {(entry["type"], entry["attributes"].get("name", "")) for entry in (workspace or {})["resources"]}
    assert _resources(content) <= shown, f"in the state, not on the page: {_resources(content) - shown}"


def _resources(content: bytes) -> set[tuple[str, str]]:
    """(type, name) of the machine's own resources in a state."""
    return {
        (entry["type"], instance["attributes"]["name"])
        for entry in json.loads(content).get("resources", ())
        for instance in entry["instances"]
        if entry["type"] in ("slipway_volume", "slipway_service")
    }


def _is_said_to_run(portal: PortalUnderFault, environment: Environment) -> bool:
    """A stop that failed before it came to the service: its state still says that it runs, and Try again leads on."""
    workspace = portal.row("SELECT resources FROM provisioning_workspace WHERE id = %s", environment.id)
    return portal.status(environment) == "failed" and any(
        entry["type"] == "slipway_service" and entry["attributes"].get("running") is True
        for entry in (workspace or {"resources": []})["resources"]
    )


def secrets_gone(portal: PortalUnderFault, environment: Environment) -> None:
    """Plans and values of changes that ended are removed from the machine."""
    folder = portal.agent_root / "workspaces" / environment.id

    def left() -> list[str]:
        found = [*folder.glob("changes/*"), *folder.glob("work/terraform.tfvars.json"), *folder.glob("work/*.tfplan")]
        return [str(path.relative_to(folder)) for path in found]

    if portal.status(environment) != "awaiting_approval":
        wait(lambda: not left(), PAGE_SECONDS, f"plans and values of {environment.name} are gone: {left()}", portal)


def nothing_twice(portal: PortalUnderFault, environment: Environment) -> None:
    """One service process at most; every command recorded once; no change applied twice."""
    serving = portal.services(environment)
    assert len(serving) <= 1, serving
    commands = portal.rows(
        "SELECT change_id, name, exit_code, started_at FROM provisioning_commandrecord WHERE change_id IN"
        " (SELECT id FROM provisioning_change WHERE workspace_id = %s)",
        environment.id,
    )
    recorded = Counter((row["change_id"], row["name"], row["started_at"]) for row in commands)
    assert not [key for key, count in recorded.items() if count > 1], f"recorded twice: {recorded}"
    applied = Counter(row["change_id"] for row in commands if row["name"] == "apply" and row["exit_code"] == 0)
    assert not [key for key, count in applied.items() if count > 1], f"applied twice: {applied}"
    numbers = portal.row(
        "SELECT count(*) AS lines, coalesce(max(number), 0) AS last FROM provisioning_logline"
        " WHERE workspace_id = %s AND stream = 'build'",
        environment.id,
    )
    assert numbers
    assert numbers["lines"] == numbers["last"], f"log lines are missing or doubled: {numbers}"


def audited_once(portal: PortalUnderFault, environment: Environment) -> None:
    """One event, by the person, for each thing the person did; and one outcome for each change that ended."""
    events = portal.rows(
        "SELECT action, actor_id FROM audit_auditevent WHERE target_id = %s ORDER BY id", environment.id
    )
    words = [row["action"].rpartition(":")[2] for row in events if row["actor_id"]]
    asked = Counter(word for word in words if word in REQUESTS)
    wanted = Counter(environment.asked)
    retried = wanted.pop("retry", 0)
    assert sum(asked.values()) == sum(wanted.values()) + retried, (asked, environment.asked)
    assert not wanted - asked, (asked, environment.asked)
    outcomes = [row["action"] for row in events if not row["actor_id"]]
    ended = portal.rows(
        "SELECT kind FROM provisioning_change WHERE workspace_id = %s AND kind <> 'refresh' AND NOT (status = ANY(%s))",
        environment.id,
        list(ACTIVE),
    )
    assert len(outcomes) == len(ended), (outcomes, ended)


def no_orphans(portal: PortalUnderFault, environment: Environment) -> None:
    """No Terraform, provider, sandbox or service of this environment that no row accounts for."""

    def left() -> list[processes.Process]:
        runs = portal.status(environment) == "running" or _is_said_to_run(portal, environment)
        expected = portal.services(environment) if runs else []
        chain = {process.pid for process in expected}
        found = []
        for process in portal.everything():
            words = " ".join(process.command)
            named = environment.id in words or processes.environ_of(process.pid).get(
                "SLIPWAY_SERVICE_ID", ""
            ).startswith(environment.id)
            if (named and not chain and process.pid not in chain) or (named and "stage_runner" in words):
                found.append(process)
        return found

    deadline = time.monotonic() + PAGE_SECONDS
    while orphans := left():
        assert time.monotonic() < deadline, "orphans: " + "; ".join(map(str, orphans)) + portal.story(environment)
        time.sleep(0.1)


def check_portal(portal: PortalUnderFault, environments: list[Environment]) -> None:
    """No process of the folder that nothing accounts for; every part runs; nothing waits for ever."""
    for name in ("web", "worker", "beat", "agent", "mlflow"):
        portal.child_wait(name)
    wait(lambda: portal.portal.get("readyz")[0] == 200, 60, "the portal is ready", portal)
    stuck = portal.rows("SELECT id, kind, status FROM provisioning_change WHERE status = ANY(%s)", list(ACTIVE))
    assert not stuck, stuck
    rows = portal.rows("SELECT id, status FROM environments_environment")
    alive = {str(row["id"]) for row in rows if row["status"] != "destroyed"}
    for kind in ("workspaces", "volumes", "services"):
        folders = {path.name for path in (portal.agent_root / kind).glob("*-*-*-*-*")}
        assert folders <= alive, f"{kind} of nobody: {folders - alive}"
    for environment in environments:
        check(portal, environment)


# -- leading on


def button(portal: PortalUnderFault, environment: Environment) -> tuple[str, str] | None:
    """(label, URL) of the primary button of the page, a form that is posted or a link; None where there is none."""
    page = portal.page(f"environments/{environment.id}/", who=environment.owner)
    found = re.search(r'<div class="actions-primary">(.*?)</div>', page, re.DOTALL)
    if not found:
        return None
    address = re.search(r'(?:action|href)="([^"]+)"', found[1])
    label = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found[1])).split())
    return (label, address[1]) if address else None


def lead_on(portal: PortalUnderFault, environment: Environment, presses: int = 3) -> None:
    """Press what the page offers as first thing until it runs, or is destroyed as was wanted: nobody is stuck."""
    for _ in range(presses):
        status = portal.settled(environment)
        if status in ("running", "destroyed"):
            return
        offered = button(portal, environment)
        assert offered, f"no button leads on from {status}\n{portal.story(environment)}"
        label, url = offered
        before = portal.last_change(environment)
        press(portal, environment, url)
        assert portal.last_change(environment) != before, f"“{label}” did nothing\n{portal.story(environment)}"
        environment.asked.append("start" if label.startswith("Start") else "retry")
    assert portal.settled(environment) in ("running", "destroyed"), portal.story(environment)


def press(portal: PortalUnderFault, environment: Environment, url: str) -> str:
    """Post the form of a button, as a browser without JavaScript does."""
    page = portal.page(f"environments/{environment.id}/", who=environment.owner)
    return portal.page(url, who=environment.owner, data={"csrfmiddlewaretoken": csrf(page)})


def end(portal: PortalUnderFault, environment: Environment) -> None:
    """Destroy it, again if need be, and look for what is left of it."""
    for _ in range(3):
        if portal.settled(environment) == "destroyed":
            break
        portal.act(environment, "destroy")
    assert portal.settled(environment) == "destroyed", portal.story(environment)
    check(portal, environment)
