"""The process: MLflow behind a secret.

One under uvicorn in place of the two to six of `mlflow server`. Every request but `GET /health` has to carry
`X-Slipway-MLflow-Secret`, because a loopback port is open to every process of the machine, notebooks among them. What
MLflow can do on its own machine (run jobs, an assistant with a shell, calls to model providers, webhooks) stays shut.

Environment: `MLFLOW_BACKEND_STORE_URI` (holds a password, therefore never an argument) and `MLFLOW_SERVER_SECRET`.
"""

import argparse
import hmac
import logging
import os
import uuid
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from apps.core.garbage import garbage_settle
from apps.experiments.mlflow_server.additions import Additions, Application

logger = logging.getLogger("slipway.mlflow")

SECRET_HEADER = b"x-slipway-mlflow-secret"
# Longer than the portal keeps its own side of a connection.
KEEP_ALIVE_SECONDS = 75
# Of a page of a thousand runs SQLAlchemy makes sixteen thousand rows, all of them there until the page is written.
ANSWER_OBJECTS = 50_000
SHUT = ("/ajax-api/3.0/mlflow/assistant", "/ajax-api/3.0/jobs", "/gateway/", "/ajax-api/2.0/mlflow/gateway-proxy")


class SecretRequired:
    """ASGI middleware: 401 without the secret, compared in constant time; `/health` is open."""

    def __init__(self, application: Application, secret: str) -> None:
        self._application = application
        self._secret = secret.encode()

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        if scope["type"] == "lifespan" or scope["path"] == "/health":
            await self._application(scope, receive, send)
            return
        given = next((value for key, value in scope["headers"] if key == SECRET_HEADER), b"")
        if scope["type"] == "websocket" or not hmac.compare_digest(given, self._secret):
            await _refuse(scope, send, 401, b"UNAUTHENTICATED", b"This server answers to the portal only")
        elif scope["path"].startswith(SHUT):
            await _refuse(scope, send, 404, b"ENDPOINT_NOT_FOUND", b"Not offered by this server")
        else:
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != SECRET_HEADER]}
            await self._application(scope, receive, send)


async def _refuse(
    scope: MutableMapping[str, Any], send: Callable[..., Any], status: int, code: bytes, message: bytes
) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = b'{"error_code": "%s", "message": "%s"}' % (code, message)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def environment_prepare(*, backend_store_uri: str, artifacts_destination: str, port: int) -> None:
    """Set what `mlflow server` hands to its workers: its own internal variables, as `mlflow.server._run_server` does.

    Has to happen before anything of `mlflow.server` is imported, because that reads them while it is imported.
    """
    from mlflow.environment_variables import _MLFLOW_IN_JOB_EXECUTOR, _MLFLOW_SERVER_BOOT_ID, _MLFLOW_SGI_NAME
    from mlflow.utils.server_cli_utils import resolve_default_artifact_root

    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": backend_store_uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": backend_store_uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": resolve_default_artifact_root(True, "", backend_store_uri),
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": artifacts_destination,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        _MLFLOW_SERVER_BOOT_ID.name: uuid.uuid4().hex,
        _MLFLOW_IN_JOB_EXECUTOR.name: "false",
        _MLFLOW_SGI_NAME.name: "uvicorn",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"127.0.0.1:{port},localhost:{port},[[]::1]:{port}",
        "MLFLOW_ENABLE_WORKSPACES": "false",
    }
    from mlflow.server import constants

    known = {value for key, value in vars(constants).items() if key.endswith("_ENV_VAR")} | {
        _MLFLOW_SERVER_BOOT_ID.name
    }
    unknown = {name for name in os.environ if name.startswith("_MLFLOW_SERVER_")} - known
    if unknown:  # MLflow would silently ignore them, and start with an SQLite file in the current folder.
        raise SystemExit(f"This version of MLflow does not know {', '.join(sorted(unknown))}")


def application_make(*, backend_store_uri: str, secret: str) -> Application:
    """MLflow's own application with its tables created or upgraded, behind the secret."""
    from mlflow.server.handlers import initialize_backend_stores

    artifact_root = os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"]
    initialize_backend_stores(backend_store_uri, backend_store_uri, artifact_root)
    from mlflow.server.fastapi_app import app

    return SecretRequired(Additions(app), secret)


def schema_upgrade(backend_store_uri: str) -> None:
    """Bring tables of an older MLflow up to this one; MLflow itself refuses to start on them."""
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine_with_retry
    from sqlalchemy import inspect

    engine = create_sqlalchemy_engine_with_retry(backend_store_uri)
    try:
        if inspect(engine).has_table("alembic_version"):
            _upgrade_db(engine)
    finally:
        engine.dispose()


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mlflow_server", description=__doc__, allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--artifacts-destination", type=Path, required=True, help="folder of the artifacts")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    options = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # The secret is taken out of the environment, so that nothing MLflow starts inherits it.
    secret = os.environ.pop("MLFLOW_SERVER_SECRET", "")
    backend_store_uri = os.environ.pop("MLFLOW_BACKEND_STORE_URI", "")
    for name, value in {"MLFLOW_SERVER_SECRET": secret, "MLFLOW_BACKEND_STORE_URI": backend_store_uri}.items():
        if not value:
            raise SystemExit(f"{name} is missing from the environment")
    destination = options.artifacts_destination.resolve()
    destination.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment_prepare(
        backend_store_uri=backend_store_uri, artifacts_destination=destination.as_uri(), port=options.port
    )
    schema_upgrade(backend_store_uri)
    application = application_make(backend_store_uri=backend_store_uri, secret=secret)
    garbage_settle(ANSWER_OBJECTS)
    uvicorn.run(
        application,
        host=options.host,
        port=options.port,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=10,
    )
