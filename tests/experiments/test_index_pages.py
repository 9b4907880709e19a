"""The page of the index, its rebuild, the webhook, the doctor's probe and the command."""

import base64
import hashlib
import hmac
import io
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.doctor import Patient
from apps.experiments import hints
from apps.experiments.mlflow_rules import Kind, Reference
from apps.experiments.models import Experiment, Run, TrackerIndex
from apps.experiments.probes import index_probe
from apps.experiments.selectors.index import index_age, index_size
from tests.experiments.factories import experiment_make, run_make
from tests.experiments.tracker import Tracker
from tests.factories import People, people_make

pytestmark = pytest.mark.django_db
SECRET = "whsec-of-tests"
HOOK = "/experiments/hooks/mlflow/"


@pytest.fixture(autouse=True)
def _no_hints() -> None:
    for kind in Kind:
        hints.take(kind, 10_000)


@pytest.fixture
def people() -> People:
    return people_make()


def browser(person: Any) -> Client:
    client = Client()
    client.force_login(person)
    return client


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_those_who_see_everything_see_the_index(people: People) -> None:
    run_make(experiment_make(people.vision))
    TrackerIndex.objects.create(imported_at=timezone.now(), read_at=timezone.now())
    codes = {name: browser(getattr(people, name)).get("/experiments/index/") for name in ("dana", "ada", "pete")}
    assert {name: answer.status_code for name, answer in codes.items()} == {"dana": 403, "ada": 200, "pete": 200}
    assert "Drop and rebuild index" in text(codes["pete"])
    assert "Drop and rebuild index" not in text(codes["ada"])
    assert Client().get("/experiments/index/").status_code == 302
    assert "/experiments/index/" in text(browser(people.ada).get("/experiments/"))
    assert "/experiments/index/" not in text(browser(people.dana).get("/experiments/"))


def test_the_page_says_since_when_mlflow_is_away(people: People) -> None:
    now = timezone.now()
    TrackerIndex.objects.create(imported_at=now, read_at=now, away_since=now, away_reason="ConnectTimeout")
    page = text(browser(people.pete).get("/experiments/index/"))
    assert "MLflow has not answered since" in page
    assert "ConnectTimeout" in page


def test_the_bar_of_the_first_import_tells_how_far_it_is(people: People) -> None:
    row = TrackerIndex.objects.create(import_started_at=timezone.now(), runs_expected=1000, runs_read=412)
    dana = browser(people.dana)
    page = text(dana.get("/experiments/index/progress/"))
    assert 'value="41"' in page
    assert "hx-get" in page
    row.away_since = timezone.now()
    row.save()
    assert "goes on by itself" in text(dana.get("/experiments/index/progress/"))
    row.imported_at, row.away_since = timezone.now(), None
    row.save()
    assert "hx-get" not in text(dana.get("/experiments/index/progress/"))


def test_a_platform_engineer_rebuilds_and_it_is_audited(people: People) -> None:
    experiment = experiment_make(people.vision, main_metric="f1", main_metric_chosen=True)
    run_make(experiment, metrics={"f1": 1.0})
    TrackerIndex.objects.create(imported_at=timezone.now(), working_until=timezone.now() + timedelta(minutes=1))
    for person in (people.dana, people.ada):
        assert browser(person).post("/experiments/index/rebuild/").status_code == 403
    assert Run.objects.count() == 1

    pete = browser(people.pete)
    opened = pete.get("/experiments/index/rebuild/")
    assert (opened.status_code, opened["Allow"]) == (405, "POST")
    assert "Only a form leads here" in opened.content.decode()
    assert opened["Content-Length"] == str(len(opened.content))
    assert pete.post("/experiments/index/rebuild/").status_code == 302

    row = TrackerIndex.objects.get()
    assert (Run.objects.count(), row.imported_at, row.working_until) == (0, None, None)
    assert Experiment.objects.get().main_metric_chosen
    event = AuditEvent.objects.get(action="experiments:index:rebuild")
    assert (event.actor, event.before) == (people.pete, {"runs": 1})


def test_what_was_dropped_is_filled_again(tracker: Tracker, people: People) -> None:
    run_id = tracker.run(tracker.experiment(), metrics={"auc": 0.5})
    call_command("index_experiments", stdout=io.StringIO())
    before = Run.objects.get(run_id=run_id)
    said = io.StringIO()
    call_command("index_experiments", "--rebuild", stdout=said)
    after = Run.objects.get(run_id=run_id)
    assert after.pk != before.pk
    assert after.fingerprint == before.fingerprint
    assert "The index is dropped." in said.getvalue()


def test_the_command_walks_over_everything_once(tracker: Tracker, people: People) -> None:
    run_id = tracker.run(tracker.experiment(), end=1_762_000_000_001)
    call_command("index_experiments", stdout=io.StringIO())
    tracker.ask("runs/set-tag", run_id=run_id, key="kind", value="late")
    call_command("index_experiments", "--reconcile", stdout=io.StringIO())
    assert Run.objects.get(run_id=run_id).tags.get().value == "late"


def test_the_command_says_when_mlflow_is_away(settings: Any) -> None:
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    with pytest.raises(CommandError, match="does not answer"):
        call_command("index_experiments", stdout=io.StringIO())


def delivered(secret: str = SECRET, age: int = 0, body: bytes | None = None, **changed: str) -> Any:
    said = {"entity": "model_version", "action": "created", "data": {"name": "churn.model", "run_id": "a" * 32}}
    body = json.dumps(said).encode() if body is None else body
    stamp = str(int(time.time()) - age)
    digest = hmac.new(secret.encode(), b"d-1." + stamp.encode() + b"." + body, hashlib.sha256).digest()
    headers = {
        "X-MLflow-Delivery-Id": "d-1",
        "X-MLflow-Timestamp": stamp,
        "X-MLflow-Signature": "v1," + base64.b64encode(digest).decode(),
    } | {key.replace("_", "-"): value for key, value in changed.items()}
    return Client(enforce_csrf_checks=True).post(HOOK, body, content_type="application/json", headers=headers)


def test_a_signed_webhook_leaves_hints(settings: Any) -> None:
    settings.MLFLOW_WEBHOOK_SECRET = SECRET
    assert delivered().status_code == 204
    assert hints.take(Kind.REGISTERED_MODEL) == ["churn.model"]
    assert hints.take(Kind.RUN) == ["a" * 32]


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"secret": "another"}, 401),
        ({"age": 3600}, 401),
        ({"age": -3600}, 401),
        ({"X_MLflow_Timestamp": "9" * 40}, 401),
        ({"X_MLflow_Signature": "v1,é"}, 401),
        ({"body": b"not json"}, 400),
        ({"body": b"[1]"}, 400),
        ({"body": b'{"data": {"name": ["x"], "run_id": ""}}'}, 204),
        ({"body": b'{"data": {"name": "\\ud800"}}'}, 204),
        ({"body": b"x" * 300_000}, 413),
    ],
)
def test_any_other_webhook_is_refused_or_harmless(settings: Any, how: dict[str, Any], status: int) -> None:
    settings.MLFLOW_WEBHOOK_SECRET = SECRET
    assert delivered(**how).status_code == status
    if status != 204:
        assert hints.waiting(Kind.REGISTERED_MODEL) == 0


def test_without_a_secret_there_is_no_webhook(settings: Any) -> None:
    settings.MLFLOW_WEBHOOK_SECRET = ""
    assert delivered().status_code == 404
    assert Client().get(HOOK).status_code == 405


async def test_hints_of_the_route_are_sent_on_without_waiting() -> None:
    import asyncio

    left = hints.Hints()
    began = time.perf_counter()
    for number in range(1000):
        left.touched(frozenset({Reference(Kind.RUN, f"r{number}"), Reference(Kind.LOGGED_MODEL, "m-1")}))
    assert time.perf_counter() - began < 0.1
    await asyncio.sleep(hints.FLUSH_SECONDS + 0.3)
    assert hints.waiting(Kind.RUN) == 1000
    await left.close()


async def test_hints_are_dropped_where_valkey_is_away(settings: Any) -> None:
    import asyncio

    settings.CACHES = {
        **settings.CACHES,
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:9/0"},
    }
    left = hints.Hints()
    left.touched({Reference(Kind.RUN, "r")})
    await asyncio.sleep(hints.FLUSH_SECONDS + 0.3)
    left.touched({Reference(Kind.RUN, "r")})
    await asyncio.sleep(hints.FLUSH_SECONDS + 0.3)
    await left.close()


def test_the_doctor_names_what_is_wrong_with_the_index(people: People) -> None:
    patient = Patient(Path("/nowhere"), None, True, True, True)
    assert list(index_probe(patient)) == []
    old = timezone.now() - timedelta(days=2)
    row = TrackerIndex.objects.create(imported_at=old, read_at=old, reconciled_at=old)
    experiment_make(None, run_count=1)
    assert {each.code for each in index_probe(patient)} == {"index:behind", "index:reconcile-slow", "index:no-team"}
    row.away_since = old
    row.save()
    assert "index:away" in {each.code for each in index_probe(patient)}


def test_prometheus_is_told_how_old_the_index_is(people: People) -> None:
    assert list(index_age()) == []
    TrackerIndex.objects.create(read_at=timezone.now() - timedelta(seconds=30), runs_read=7)
    ((_, age),) = index_age()
    assert 29 < age < 60
    assert list(index_size()) == [((), 7.0)]
