"""The API against its own schema, with real objects behind the addresses: nothing breaks, nothing denies the schema."""

import re
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.doors import tracking
from tests.doors.routes import Route, routes
from tests.doors.scene import BODIES, QUERIES, Scene, values_for
from tests.factories import change_of

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1800)]
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
)
ROLES = ("owner", "platform engineer")
schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", get_wsgi_application())


@pytest.fixture(autouse=True, scope="module")
def connection_kept() -> Iterator[None]:
    """Between requests Django closes a connection that is in a transaction, as all of these are."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def bounded(examples: int, **changes: Any) -> Callable[[Any], Any]:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        **changes,
    )


class Asker:
    """Asks as generated, and three times of four with the address of something that is there."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        # All at once: what is made for an address in a test is gone with that test.
        self._values = {route: values_for(scene, route) for route in routes() if route.is_api}
        # Most of what is generated for an address without a body differs in ids alone, which are then replaced.
        self._answered: set[str] = set()

    def ask(self, case: Any) -> None:
        draw = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
        route = route_of(case.operation.path)
        if case.path_parameters and draw % 4:
            case.path_parameters = {**case.path_parameters, **self._real(case.operation.path, route, draw)}
        if draw // 16 % 2:
            case.query = dict(parse_qsl(QUERIES.get(route.template, "").lstrip("?"))) | case.query
            if isinstance(case.body, dict) and route.template in BODIES:
                # Right but for one field: all fields generated get no further than the first that is wrong.
                name = sorted(case.body)[draw // 32 % len(case.body)] if case.body else ""
                case.body = BODIES[route.template] | {key: case.body[key] for key in case.body if key == name}
        role = ROLES[draw % len(ROLES)]
        sent = (case.path_parameters, case.query, case.headers, case.cookies, case.body, case.media_type)
        request = repr((role, case.method, case.operation.path, sent))
        if request in self._answered:
            return
        with transaction.atomic():
            response = case.call(headers={"Authorization": f"Bearer {self.scene.secrets[role]}"})
            transaction.set_rollback(True)
        # Where MLflow had to be asked, which is not there, 503 is right; the schema must know it all the same.
        away = tracking.is_away(route.template, str(response.status_code))
        case.validate_response(
            response, checks=[check for check in CHECKS if not (away and check is not_a_server_error)]
        )
        self._answered.add(request)

    def _real(self, path: str, route: Route, draw: int) -> dict[str, str]:
        """What leads to something of dana's or of her team's; the schema has names of its own for what varies."""
        names = re.findall(r"\{(\w+)\}", path)
        values = {name: self._values[route][own] for name, own in zip(names, route.names, strict=True)}
        scene = self.scene
        environment = (scene.running, scene.stopped, scene.failed, scene.waiting)[draw // 4 % 4]
        if path.startswith("/api/v1/environments/{id}"):
            return {**values, "id": str(environment.pk)}
        if path.startswith("/api/v1/changes/{id}"):
            return {**values, "id": str(change_of(environment).pk)}
        return values


@cache
def route_of(path: str) -> Route:
    """The route behind an address of the schema."""
    return next(route for route in routes() if shape(route.template) == shape(path))


def shape(template: str) -> str:
    return re.sub(r"\{\w+\}", "{}", template)


@pytest.fixture(scope="module")
def asker(scene: Scene) -> Asker:
    return Asker(scene)


@schema.exclude(path_regex="^/api/schema/").parametrize()
@bounded(10)
def test_the_api_is_what_its_schema_says(case: Any, asker: Asker) -> None:
    asker.ask(case)


@pytest.mark.matrix
@schema.exclude(path_regex="^/api/schema/").parametrize()
@bounded(100, phases=(Phase.generate, Phase.shrink))
def test_the_api_is_what_its_schema_says_at_length(case: Any, asker: Asker) -> None:
    """Without the examples and the bounds of each parameter, which the shorter one asks."""
    asker.ask(case)
