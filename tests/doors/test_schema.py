"""The API against its own schema, with real objects behind the addresses: nothing breaks, nothing denies the schema."""

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from apps.environments.models import Environment
from tests.doors.scene import Scene
from tests.factories import NOTEBOOK_VERSION, change_of

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


def bounded(examples: int) -> Callable[[Any], Any]:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def ask(case: Any, scene: Scene) -> None:
    """As generated, and three times of four with the addresses of things that are there."""
    draw = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
    if case.path_parameters and draw % 4:
        case.path_parameters = {**case.path_parameters, **real(case.operation.path, case.path_parameters, scene, draw)}
    secret = scene.secrets[ROLES[draw % len(ROLES)]]
    with transaction.atomic():
        response = case.call(headers={"Authorization": f"Bearer {secret}"})
        transaction.set_rollback(True)
    case.validate_response(response, checks=CHECKS)


def real(path: str, names: dict[str, Any], scene: Scene, draw: int) -> dict[str, str]:
    environments: list[Environment] = [scene.running, scene.stopped, scene.failed, scene.waiting]
    environment = environments[draw // 4 % 4]
    ids = {"environments": environment.pk, "changes": change_of(environment).pk, "audit": scene.event.uid}
    resource = path.removeprefix("/api/v1/").partition("/")[0]
    found = {
        "id": ids.get(resource),
        "slug": {"teams": "vision", "modules": "local-notebook"}.get(resource),
        "module_slug": "local-notebook",
        "version": NOTEBOOK_VERSION,
        "username": "theo",
    }
    return {name: str(found[name]) for name in names if found.get(name)}


@schema.exclude(path_regex="^/api/schema/").parametrize()
@bounded(10)
def test_the_api_is_what_its_schema_says(case: Any, scene: Scene) -> None:
    ask(case, scene)


@pytest.mark.matrix
@schema.exclude(path_regex="^/api/schema/").parametrize()
@bounded(400)
def test_the_api_is_what_its_schema_says_at_length(case: Any, scene: Scene) -> None:
    ask(case, scene)
