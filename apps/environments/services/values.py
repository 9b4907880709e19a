"""The Terraform variables of an environment: what its owner chose, and what the portal fills in."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from apps.core.crypto import decrypt_json, encrypt_json
from apps.environments.models import Environment

MASK = "••••••"
RESERVED = frozenset({"slipway", "slipway_secrets", "slipway_runtime"})


def app_url(slug: str, path: str = "/") -> str:
    """The address of an environment's application host."""
    parts = urlsplit(settings.APPS_URL)
    return f"{parts.scheme}://{slug}.{parts.netloc}{path}"


def experiment_name(team_slug: str) -> str:
    """The MLflow experiment in which a team's runs start."""
    return f"{team_slug}/default"


def inputs_plain(environment: Environment) -> dict[str, Any]:
    """The owner's inputs with the sensitive ones readable; never for a page, a log or the audit."""
    return decrypt_json(bytes(environment.inputs_cipher)) if environment.inputs_cipher else {}


def inputs_masked(declared: list[Any], values: dict[str, Any]) -> dict[str, Any]:
    """`values` fit to be shown: what a sensitive variable holds is replaced whole."""
    secret = {variable.name for variable in declared if variable.sensitive}
    return {name: MASK if name in secret and value else value for name, value in values.items()}


def inputs_fields(declared: list[Any], values: dict[str, Any]) -> dict[str, Any]:
    """The two columns that hold inputs: to show, and encrypted to use."""
    return {"inputs": inputs_masked(declared, values), "inputs_cipher": encrypt_json(values)}


def terraform_values(environment: Environment, running: bool) -> dict[str, Any]:
    """All variable values of the root module; what the portal fills in only where the module declares it."""
    interface = environment.module_version.interface
    declared = {variable["name"] for variable in interface.get("variables", [])}
    # A new module version may drop an input that an old environment still has: it is left out, not an error.
    values = {name: value for name, value in inputs_plain(environment).items() if name in declared - RESERVED}
    if "slipway" in declared:
        values["slipway"] = {
            "environment_id": str(environment.pk),
            "name": environment.name,
            "slug": environment.slug,
            "team": environment.team.slug,
            "owner": environment.owner.username,
            "running": running,
            "app_url": app_url(environment.slug),
            "portal_url": settings.PORTAL_URL,
            "mlflow_tracking_uri": f"{settings.PORTAL_URL}/mlflow",
            "mlflow_experiment": experiment_name(environment.team.slug),
        }
    if "slipway_secrets" in declared:
        secrets = decrypt_json(bytes(environment.secrets_cipher)) if environment.secrets_cipher else {}
        values["slipway_secrets"] = {"mlflow_tracking_token": secrets.get("mlflow_tracking_token", "")}
    if "slipway_runtime" in declared:
        values["slipway_runtime"] = _runtime(environment)
    return values


def _runtime(environment: Environment) -> dict[str, Any] | None:
    """The Python environment that was chosen; null lets the module take its own lock."""
    version = environment.runtime_version
    if version is None:
        return None
    return {
        "name": version.runtime.slug,
        "version": version.number,
        "digest": version.digest,
        "python": version.runtime.python,
        "requirements": version.lock,
    }
