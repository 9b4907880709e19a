"""What the installed MLflow server answers to, as JSON: its routes and the fields of their requests.

A process of its own, because importing MLflow's server takes seconds and reads the environment.
"""

import json
from collections.abc import Iterator
from typing import Any


def routes() -> dict[str, set[str]]:
    """Methods by path, with parameters as `{name}`."""
    from mlflow.server import app as flask_application
    from mlflow.server.fastapi_app import app

    found: dict[str, set[str]] = {}
    for path, methods in fastapi_routes(app.routes, ""):
        found.setdefault(path.replace(":path}", "}"), set()).update(methods)
    for rule in flask_application.url_map.iter_rules():
        path = rule.rule
        for argument in rule.arguments:
            path = path.replace(f"<path:{argument}>", f"{{{argument}}}").replace(f"<{argument}>", f"{{{argument}}}")
        found.setdefault(path, set()).update((rule.methods or set()) - {"OPTIONS", "HEAD"})
    return found


def fastapi_routes(some: Any, prefix: str) -> Iterator[tuple[str, set[str]]]:
    for route in some:
        inner = getattr(route, "original_router", None)
        if inner is not None:  # an included router
            yield from fastapi_routes(inner.routes, prefix + route.include_context.prefix)
        elif getattr(route, "methods", None):
            yield prefix + route.path, set(route.methods) - {"OPTIONS", "HEAD"}
        elif getattr(route, "path", None) and type(route).__name__ != "Mount":
            yield prefix + route.path, {"ANY"}


def fields() -> dict[str, list[str]]:
    """Names of the fields of every request, those within others included, by path."""
    from mlflow.protos import databricks_pb2
    from mlflow.protos.mlflow_artifacts_pb2 import MlflowArtifactsService
    from mlflow.protos.model_registry_pb2 import ModelRegistryService
    from mlflow.protos.service_pb2 import MlflowService

    found: dict[str, set[str]] = {}
    for service in (MlflowService, ModelRegistryService, MlflowArtifactsService):
        for method in service.DESCRIPTOR.methods:
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                path = f"/api/{endpoint.since.major}.0{endpoint.path}"
                names = found.setdefault(path, set())
                names.update(fields_of(service().GetRequestClass(method).DESCRIPTOR, ()))
    return {path: sorted(names) for path, names in found.items()}


def fields_of(message: Any, above: tuple[str, ...]) -> Iterator[str]:
    for field in message.fields:
        nested = field.message_type
        if nested is None or nested.full_name.startswith("google.protobuf.") or nested.GetOptions().map_entry:
            yield field.name
        elif nested.full_name not in above:
            yield from fields_of(nested, (*above, nested.full_name))


if __name__ == "__main__":
    print(json.dumps({"routes": {path: sorted(methods) for path, methods in routes().items()}, "fields": fields()}))
