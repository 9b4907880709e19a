"""Aliases moved with a token through `/mlflow/`: the history names whose it was. A real MLflow and route."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from asgiref.sync import sync_to_async
from django.db import connection
from django.utils import timezone

from apps.accounts.services import token_create
from apps.audit.models import AuditEvent
from apps.core.proxying import upstream_session_close
from apps.environments.models import Environment
from apps.experiments import model_writes
from apps.experiments.doors import mlflow_application
from apps.experiments.mlflow_principal import MlflowPrincipal
from apps.experiments.mlflow_proxy import MlflowProxy
from apps.experiments.model_writes import Outcome, Witness, writes_read
from apps.notifications.models import Notification
from apps.registry import gateway
from apps.registry.exceptions import AliasMoved
from apps.registry.models import AliasMove, RegisteredModel
from apps.registry.services.aliases import alias_set
from apps.registry.services.indexing import registry_drop, registry_round, registry_touch
from tests.cast import Cast, browser
from tests.core.serving import asgi_served
from tests.experiments.conftest import Server
from tests.factories import environment_running
from tests.registry.world import Registry, at_once

# What was written is only forgotten when the round's transaction commits.
pytestmark = pytest.mark.django_db(transaction=True)
WRITE = frozenset({"read", "write"})


class Route:
    """The route in a thread of its own; a token is a person's name, or an environment's that `environments` knows."""

    def __init__(self, server: Server, proxy: MlflowProxy | None = None) -> None:
        self.environments: dict[str, tuple[str, str]] = {}
        self.witness = Witness()
        self.proxy = proxy or MlflowProxy(
            upstream=server.url, secret=server.secret, authenticate=self._who, witness=self.witness.watch
        )
        self.url = ""
        self._ready, self._loop = threading.Event(), asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()], daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def _who(self, token: str) -> MlflowPrincipal | None:
        user, environment = self.environments.get(token, (token, ""))
        return MlflowPrincipal(user, frozenset({"churn"}), WRITE, environment)

    async def _serve(self) -> None:
        async with asgi_served(self.proxy) as address:
            self.url = f"http://{address}/mlflow/api/2.0/mlflow/"
            self._ready.set()
            await self._over.wait()
            await upstream_session_close()
            await self.witness.close()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(15)
        self._loop.close()

    def ask(self, token: str, method: str, path: str, data: Any, **headers: str) -> int:
        headers = {"Authorization": f"Bearer {token}", **headers}
        return requests.request(method, self.url + path, json=data, headers=headers, timeout=20).status_code

    def alias(self, token: str, alias: str, version: int | None, **headers: str) -> int:
        data = {"name": "churn.scores", "alias": alias}
        if version is None:
            return self.ask(token, "DELETE", "registered-models/alias", data, **headers)
        return self.ask(token, "POST", "registered-models/alias", {**data, "version": str(version)}, **headers)


@pytest.fixture
def route(mlflow_server: Server, registry: Registry) -> Iterator[Route]:
    made = Route(mlflow_server)
    yield made
    made.end()


@pytest.fixture
def scores(cast: Cast, registry: Registry, logged_models: dict[str, Any]) -> Iterator[RegisteredModel]:
    registry.model("churn.scores")
    for name in ("first", "second", "tensor"):
        registry.version("churn.scores", logged_models[name], **{"slipway.user": "dana"})
    registry_round()
    yield RegisteredModel.objects.get()
    model_writes.client().delete(model_writes._key("churn.scores"))


def moves() -> list[tuple[str, int | None, int | None, str, str]]:
    rows = AliasMove.objects.order_by("noticed_at", "alias")
    return list(rows.values_list("alias", "from_version", "to_version", "via", "actor_name"))


def told(person: Any) -> list[str]:
    return list(Notification.objects.filter(user=person).values_list("text", flat=True))


def test_a_move_with_a_token_is_its_owners(cast: Cast, route: Route, scores: RegisteredModel) -> None:
    assert route.alias("mira", "champion", 1) == 200
    registry_round()
    assert route.alias("mira", "champion", 2) == 200
    registry_touch("churn.scores")
    assert route.alias("mira", "champion", None) == 200
    registry_round()
    assert moves() == [
        ("champion", None, 1, "mlflow", "mira"), ("champion", 1, 2, "mlflow", "mira"),
        ("champion", 2, None, "mlflow", "mira"),
    ]  # fmt: skip
    assert AliasMove.objects.exclude(actor=cast.mira).count() == 0
    assert AliasMove.objects.filter(moved_at=None).count() == 0
    events = AuditEvent.objects.filter(action__startswith="registry:alias").order_by("at")
    assert [(event.action, event.actor_name, event.via) for event in events] == [
        ("registry:alias:set", "mira", "MLflow"), ("registry:alias:set", "mira", "MLflow"),
        ("registry:alias:deleted", "mira", "MLflow"),
    ]  # fmt: skip
    text = browser(cast.dana).get("/models/churn.scores/").content.decode()
    assert "Mira" in text
    assert "Through MLflow" in text
    assert "Outside Slipway" not in text
    assert "outside Slipway" not in text


def test_the_portals_own_route_says_whose_token_it_was(
    cast: Cast, mlflow_server: Server, scores: RegisteredModel
) -> None:
    def in_database(function: Callable[..., Any]) -> Any:
        def asked(secret: str) -> Any:
            try:
                return function(secret)
            finally:
                connection.close()

        return sync_to_async(asked, thread_sensitive=False)

    expires = timezone.now() + timedelta(days=1)
    _, secret = token_create(user=cast.mira, name="laptop", scopes=["mlflow"], expires_at=expires)
    route = Route(mlflow_server, mlflow_application(in_database))
    try:
        assert route.alias(secret, "champion", 2) == 200
    finally:
        route.end()
    registry_round()
    assert moves() == [("champion", None, 2, "mlflow", "mira")]


def test_the_owner_hears_of_others_moves_and_not_of_their_own(
    cast: Cast, route: Route, scores: RegisteredModel
) -> None:
    assert scores.owner == cast.dana
    route.alias("dana", "champion", 1)
    registry_round()
    assert told(cast.dana) == []
    route.alias("mira", "champion", 2)
    registry_round()
    assert told(cast.dana) == ["champion of churn.scores was moved from version 1 to 2 by Mira through MLflow"]


def test_a_script_that_moves_one_often_is_told_once_a_round(cast: Cast, route: Route, scores: RegisteredModel) -> None:
    for version in (1, 2, 1, 2, 3):
        route.alias("mira", "champion", version)
    registry_round()
    assert AliasMove.objects.count() == 5
    assert AuditEvent.objects.filter(action="registry:alias:set", actor=cast.mira).count() == 5
    assert told(cast.dana) == ["champion of churn.scores was moved from version 2 to 3 by Mira through MLflow"]


def test_an_environments_token_names_the_environment_too(cast: Cast, route: Route, scores: RegisteredModel) -> None:
    environment = environment_running(cast, name="nb-churn")
    Environment.objects.filter(pk=environment.pk).update(team=cast.churn)
    route.environments["nb"] = ("dana", str(environment.pk))
    route.alias("nb", "champion", 1)
    registry_round()
    move = AliasMove.objects.get()
    assert (move.actor, move.environment) == (cast.dana, environment)
    text = browser(cast.dana).get("/models/churn.scores/").content.decode()
    assert text.count("hrough MLflow, from nb-churn") == 2
    assert AuditEvent.objects.get(action="registry:alias:set").after["environment"] == str(environment.pk)
    Environment.objects.filter(pk=environment.pk).update(team=cast.vision)
    assert "nb-churn" not in browser(cast.dana).get("/models/churn.scores/").content.decode()


def test_two_people_within_one_round_are_each_named_for_their_own(
    cast: Cast, route: Route, scores: RegisteredModel
) -> None:
    route.alias("dana", "champion", 1)
    route.alias("mira", "shadow", 3)
    route.alias("mira", "champion", 2)
    registry_round()
    assert moves() == [
        ("champion", None, 1, "mlflow", "dana"), ("shadow", None, 3, "mlflow", "mira"),
        ("champion", 1, 2, "mlflow", "mira"),
    ]  # fmt: skip


def test_a_move_outside_beside_one_with_a_token_is_nobodys(
    cast: Cast, route: Route, registry: Registry, scores: RegisteredModel
) -> None:
    route.alias("mira", "champion", 1)
    registry.alias("churn.scores", "champion", 2)
    registry.alias("churn.scores", "shadow", 3)
    registry_round()
    assert moves() == [("champion", None, 2, "elsewhere", ""), ("shadow", None, 3, "elsewhere", "")]
    # What mira did is over: the same place later is not hers again.
    registry.alias("churn.scores", "champion", 1)
    registry_round()
    assert moves()[-1] == ("champion", 2, 1, "elsewhere", "")


def test_no_header_or_field_of_a_client_names_somebody_else(cast: Cast, route: Route, scores: RegisteredModel) -> None:
    forged = {"X-Slipway-User": "dana", "X-Forwarded-User": "dana", "X-Slipway-Environment": "x"}
    assert route.alias("mira", "champion", 1, **forged) == 200
    data = {"name": "churn.scores", "alias": "shadow", "version": "2", "user": "dana", "slipway.user": "dana"}
    assert route.ask("mira", "POST", "registered-models/alias", data, **forged) == 200
    registry_round()
    assert {(move[3], move[4]) for move in moves()} == {("mlflow", "mira")}


def test_a_refused_call_is_nobodys_deed(cast: Cast, route: Route, registry: Registry, scores: RegisteredModel) -> None:
    assert route.alias("mira", "champion", 99) == 404
    assert [write.outcome for write in writes_read("churn.scores")] == [Outcome.REFUSED]
    registry.alias("churn.scores", "champion", 1)
    registry_round()
    assert moves() == [("champion", None, 1, "elsewhere", "")]


def test_a_call_whose_answer_is_still_to_come_is_waited_for(
    cast: Cast, route: Route, scores: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, held = Witness._add, []

    async def late(self: Witness, name: str, line: dict[str, Any]) -> bool:
        if "outcome" in line:
            held.append((name, line))
            return True
        return await add(self, name, line)

    monkeypatch.setattr(Witness, "_add", late)
    route.alias("mira", "champion", 1)
    registry_round()
    assert moves() == []
    assert RegisteredModel.objects.get().fingerprint == ""
    monkeypatch.undo()

    async def arrive() -> None:
        witness = Witness()
        await add(witness, *held[0])
        await witness.close()

    asyncio.run(arrive())
    registry_round()
    assert moves() == [("champion", None, 1, "mlflow", "mira")]


def test_a_call_without_an_answer_for_long_is_unknown(
    cast: Cast, route: Route, scores: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Witness._add

    async def first_only(self: Witness, name: str, line: dict[str, Any]) -> bool:
        return "outcome" in line or await add(self, name, line)

    monkeypatch.setattr(Witness, "_add", first_only)
    route.alias("mira", "champion", 1)
    monkeypatch.setattr(model_writes, "UNDER_WAY_SECONDS", 0)
    registry_round()
    assert moves() == [("champion", None, 1, "elsewhere", "")]


def test_without_valkey_a_move_is_made_and_nobodys(
    cast: Cast, route: Route, scores: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_writes, "address", lambda: "redis://127.0.0.1:9/0")
    assert route.alias("mira", "champion", 1) == 200
    registry_round()
    assert moves() == [("champion", None, 1, "elsewhere", "")]


def test_a_move_here_after_one_with_a_token_keeps_both_apart(cast: Cast, route: Route, scores: RegisteredModel) -> None:
    route.alias("mira", "champion", 1)
    with pytest.raises(AliasMoved, match="at version 1 now"):
        alias_set(model=scores, actor=cast.dana, alias="champion", version=2, from_version=None)
    alias_set(model=scores, actor=cast.dana, alias="champion", version=2, from_version=1)
    registry_round()
    assert moves() == [("champion", None, 1, "mlflow", "mira"), ("champion", 1, 2, "slipway", "dana")]
    assert writes_read("churn.scores") == []


def test_there_and_back_before_a_move_here_is_not_told_after_it(
    cast: Cast, route: Route, scores: RegisteredModel
) -> None:
    alias_set(model=scores, actor=cast.dana, alias="champion", version=1, from_version=None)
    route.alias("mira", "champion", 2)
    route.alias("mira", "champion", 1)
    alias_set(model=scores, actor=cast.dana, alias="champion", version=3, from_version=1)
    registry_round()
    assert [(move[1], move[2], move[3]) for move in moves()] == [
        (None, 1, "slipway"), (1, 2, "mlflow"), (2, 1, "mlflow"), (1, 3, "slipway"),
    ]  # fmt: skip


def test_a_call_between_reading_the_list_and_noting_it_is_not_lost(
    cast: Cast, route: Route, scores: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    route.alias("dana", "champion", 1)
    model_get = gateway.model_get

    def read_then_moved(name: str) -> Any:
        found = model_get(name)
        monkeypatch.undo()
        route.alias("mira", "champion", 2)
        return found

    monkeypatch.setattr(gateway, "model_get", read_then_moved)
    registry_round()
    registry_round()
    assert moves() == [("champion", None, 1, "mlflow", "dana"), ("champion", 1, 2, "mlflow", "mira")]


def test_who_deletes_a_version_or_the_model_takes_the_aliases_away(
    cast: Cast, route: Route, registry: Registry, scores: RegisteredModel
) -> None:
    route.alias("dana", "champion", 1)
    route.alias("dana", "shadow", 2)
    registry_round()
    data = {"name": "churn.scores", "version": "1"}
    assert route.ask("mira", "DELETE", "model-versions/delete", data) == 200
    registry_round()
    assert moves()[2:] == [("champion", 1, None, "mlflow", "mira")]
    assert route.ask("dana", "DELETE", "registered-models/delete", {"name": "churn.scores"}) == 200
    registry.made.remove("churn.scores")
    registry_round()
    assert moves()[3:] == [("shadow", 2, None, "mlflow", "dana")]


def test_a_model_that_takes_the_name_inherits_no_calls(
    cast: Cast, route: Route, registry: Registry, scores: RegisteredModel, logged_models: dict[str, Any]
) -> None:
    route.alias("dana", "champion", 1)
    assert route.ask("dana", "DELETE", "registered-models/delete", {"name": "churn.scores"}) == 200
    registry.made.remove("churn.scores")
    registry.model("churn.scores")
    registry.version("churn.scores", logged_models["first"])
    registry.alias("churn.scores", "champion", 1)
    registry_round()
    new = RegisteredModel.objects.get()
    assert new.born != scores.born
    assert [(move.via, move.actor_name) for move in AliasMove.objects.filter(born=new.born)] == [("elsewhere", "")]


def test_workers_that_look_at_once_note_a_call_once(cast: Cast, route: Route, scores: RegisteredModel) -> None:
    route.alias("mira", "champion", 2)
    route.alias("mira", "champion", 1)
    at_once(lambda: registry_touch("churn.scores"))
    assert [(move[1], move[2]) for move in moves()] == [(None, 2), (2, 1)]
    assert writes_read("churn.scores") == []


def test_a_dropped_index_does_not_make_them_nobodys(cast: Cast, route: Route, scores: RegisteredModel) -> None:
    route.alias("dana", "champion", 1)
    registry_round()
    registry_drop()
    route.alias("mira", "champion", 2)
    registry_round()
    assert moves() == [("champion", None, 1, "mlflow", "dana"), ("champion", 1, 2, "mlflow", "mira")]
    promoted = RegisteredModel.objects.get().last_promoted_at
    assert promoted is not None
    assert promoted <= timezone.now()
