"""Who finds clusters and gets what connects to them; a small server answers as a cluster does."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.clusters.world import MODULES

if TYPE_CHECKING:
    from apps.environments.models import Environment
    from tests.factories import People

SECRET = "s" * 43
GIVEN = {
    "kind": "dask",
    "address": "tls://127.0.0.1:1",
    "versions": {"python": "3.11.7"},
    "tls": {"ca": "CA"},
    "own": 1,
}


@pytest.fixture
def door() -> Iterator[ThreadingHTTPServer]:
    """Answers at `/slipway/connection` to the key made of SECRET; `asked` are the names it was asked for."""
    key = hmac.new(SECRET.encode(), b"slipway connection", hashlib.sha256).hexdigest()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            good = self.headers["Authorization"] == f"Bearer {key}"
            server.asked.append(self.path)  # type: ignore[attr-defined]
            body = json.dumps(server.given).encode()  # type: ignore[attr-defined]
            self.send_response(200 if good else 401)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.given = [], dict(GIVEN)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def people(db: None) -> "People":
    from tests.factories import notebook_version, people_make

    notebook_version()
    return people_make()


def cluster_make(people: "People", door: ThreadingHTTPServer | None, **options: Any) -> "Environment":
    """Dana's cluster, running where `door` listens."""
    from apps.catalog.services import module_register
    from apps.core.crypto import encrypt_json
    from apps.provisioning.models import Workspace
    from tests.factories import environment_running

    version = module_register(path=MODULES / "local-dask-cluster", actor=None)
    made = environment_running(people, module_version=version, **{"name": "crunch", **options})
    address = f"127.0.0.1:{door.server_address[1]}" if door else ""
    outputs = {"address": {"value": address}, "secret": {"value": SECRET, "sensitive": True}}
    Workspace.objects.filter(pk=made.pk).update(outputs=encrypt_json(outputs))
    return made


def ask(path: str, token: str) -> Any:
    from rest_framework.test import APIClient

    return APIClient().get(f"/api/v1/{path}", headers={"authorization": f"Bearer {token}"})


def token_of(user: Any, scope: str = "write") -> str:
    from datetime import timedelta

    from django.utils import timezone

    from apps.accounts.services import token_create

    return token_create(user=user, name="t", scopes=[scope], expires_at=timezone.now() + timedelta(hours=1))[1]


def notebook_of(people: "People", owner: Any, team: Any, name: str = "nb") -> tuple["Environment", str]:
    """A running notebook and its own token."""
    from apps.accounts.services import token_create_for_environment
    from tests.factories import environment_running

    made = environment_running(people, name=name, owner=owner, team=team)
    return made, token_create_for_environment(user=owner, environment_id=made.pk, name=name)


def test_a_notebook_of_the_team_finds_it_and_connects(people: "People", door: ThreadingHTTPServer) -> None:
    from apps.audit.models import AuditEvent

    cluster = cluster_make(people, door)
    _, token = notebook_of(people, people.dana, people.vision)
    listed = ask("connections/?kind=dask", token)
    assert [(row["id"], row["kind"], row["status"]) for row in listed.json()["results"]] == [
        (str(cluster.pk), "dask", "running")
    ]
    assert "tls" not in listed.content.decode()
    answer = ask(f"environments/{cluster.pk}/connection/", token)
    assert answer.status_code == 200, answer.content
    assert answer.json() == {name: GIVEN[name] for name in ("kind", "address", "versions", "tls")}
    assert answer.headers["Cache-Control"] == "no-store"
    assert door.asked == ["/slipway/connection?for=dana%20in%20nb"]  # type: ignore[attr-defined]
    event = AuditEvent.objects.get(action="environments:environment:connect")
    assert (event.actor, event.target_id, event.after["from"]) == (people.dana, str(cluster.pk), "nb")
    assert "CA" not in json.dumps(event.after)


def test_a_notebook_of_another_team_learns_nothing_of_it(people: "People", door: ThreadingHTTPServer) -> None:
    cluster = cluster_make(people, door)
    _, token = notebook_of(people, people.mallory, people.pricing)
    assert ask("connections/", token).json()["results"] == []
    assert ask(f"environments/{cluster.pk}/connection/", token).status_code == 404
    assert door.asked == []  # type: ignore[attr-defined]


def test_code_in_a_notebook_acts_for_its_team_alone(people: "People", door: ThreadingHTTPServer) -> None:
    """Dana sees the cluster of her one team; a notebook of hers in the other does not."""
    cluster = cluster_make(people, door)
    _, token = notebook_of(people, people.dana, people.churn)
    assert ask("connections/", token).json()["results"] == []
    assert ask(f"environments/{cluster.pk}/connection/", token).status_code == 404
    assert ask(f"environments/{cluster.pk}/connection/", token_of(people.dana)).status_code == 200


def test_who_has_left_the_team_is_let_in_no_more(people: "People", door: ThreadingHTTPServer) -> None:
    from apps.accounts.models import Membership

    cluster = cluster_make(people, door, owner=people.mira)
    _, token = notebook_of(people, people.dana, people.vision)
    Membership.objects.filter(user=people.dana, team=people.vision).delete()
    assert ask(f"environments/{cluster.pk}/connection/", token).status_code == 404


@pytest.mark.parametrize("person", ["pete", "ada"])
def test_who_only_looks_after_it_does_not_connect(people: "People", door: ThreadingHTTPServer, person: str) -> None:
    cluster = cluster_make(people, door)
    answer = ask(f"environments/{cluster.pk}/connection/", token_of(getattr(people, person)))
    assert answer.status_code == 403
    assert door.asked == []  # type: ignore[attr-defined]


def test_a_team_mate_connects_with_more_than_a_read_token(people: "People", door: ThreadingHTTPServer) -> None:
    cluster = cluster_make(people, door)
    path = f"environments/{cluster.pk}/connection/"
    assert ask(path, token_of(people.mira)).status_code == 200
    refused = ask(path, token_of(people.mira, "read"))
    assert (refused.status_code, refused.json()["code"]) == (403, "accounts:token-scope")
    assert ask("connections/", token_of(people.mira, "read")).status_code == 200
    assert ask(path, token_of(people.mira, "mlflow")).status_code == 403


def test_an_environments_token_still_opens_nothing_else(people: "People") -> None:
    made, token = notebook_of(people, people.dana, people.vision)
    for path in ("environments/", f"environments/{made.pk}/", "teams/", "modules/"):
        assert ask(path, token).status_code == 403, path


def test_nobody_makes_a_token_of_that_scope_for_themselves(people: "People") -> None:
    from apps.accounts.exceptions import AccountInvalid

    with pytest.raises(AccountInvalid):
        token_of(people.dana, "connect")


def test_a_stopped_cluster_says_so_and_where_it_is_started(people: "People", door: ThreadingHTTPServer) -> None:
    cluster = cluster_make(people, door)
    type(cluster).objects.filter(pk=cluster.pk).update(status="stopped")
    answer = ask(f"environments/{cluster.pk}/connection/", token_of(people.dana))
    assert answer.status_code == 409
    assert "is not running (stopped" in answer.json()["detail"]
    assert f"/environments/{cluster.pk}/" in answer.json()["detail"]


@pytest.mark.parametrize("answer", [[], "text", {}, {"kind": "ray"}, None])
def test_a_cluster_that_answers_nonsense_is_said_to_be_silent(
    people: "People", door: ThreadingHTTPServer, answer: Any
) -> None:
    cluster = cluster_make(people, door)
    door.given = answer  # type: ignore[attr-defined]
    said = ask(f"environments/{cluster.pk}/connection/", token_of(people.dana))
    assert (said.status_code, said.json()["code"]) == (503, "environments:cluster-silent")


def test_one_that_does_not_listen_is_said_to_be_silent(people: "People", door: ThreadingHTTPServer) -> None:
    from apps.core.crypto import encrypt_json
    from apps.provisioning.models import Workspace

    cluster = cluster_make(people, door)
    # Port 1 is nobody's.
    nobody = encrypt_json({"address": {"value": "127.0.0.1:1"}, "secret": {"value": SECRET}})
    Workspace.objects.filter(pk=cluster.pk).update(outputs=nobody)
    said = ask(f"environments/{cluster.pk}/connection/", token_of(people.dana))
    assert (said.status_code, said.json()["code"]) == (503, "environments:cluster-silent")


def test_a_notebook_on_another_machine_is_told_so(people: "People", door: ThreadingHTTPServer) -> None:
    from apps.provisioning.models import Machine, Workspace

    cluster = cluster_make(people, door)
    notebook, token = notebook_of(people, people.dana, people.vision)
    Workspace.objects.filter(pk=notebook.pk).update(machine=Machine.objects.create(name="another"))
    answer = ask(f"environments/{cluster.pk}/connection/", token)
    assert (answer.status_code, answer.json()["code"]) == (409, "environments:cluster-elsewhere")


def test_the_page_shows_the_lines_to_those_who_may_connect(people: "People", door: ThreadingHTTPServer) -> None:
    from django.test import Client

    cluster = cluster_make(people, door, name='my "own" cluster')
    for person, shown in ((people.dana, True), (people.mira, True), (people.ada, False)):
        client = Client()
        client.force_login(person)
        text = client.get(f"/environments/{cluster.pk}/").content.decode()
        assert ("slipway.dask_client(&quot;my \\&quot;own\\&quot; cluster&quot;)" in text) is shown, person
