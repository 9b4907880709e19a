"""How an environment follows its changes and services. Registered in `ready()`; all runs in their transactions."""

from apps.catalog.registry import on_version_state
from apps.catalog.registry import version_usage as catalog_version_usage
from apps.environments.observers.changes import change_observed
from apps.environments.observers.context import log_observed, request_told, run_context
from apps.environments.observers.machine_services import service_observed
from apps.environments.observers.rollouts import rollout_observed
from apps.environments.observers.runtimes import runtime_counts, runtime_deprecated, runtime_uses
from apps.environments.observers.versions import version_moved, version_usage
from apps.provisioning import registry
from apps.runtimes.registry import register_users


def register() -> None:
    registry.on_change(change_observed)
    registry.on_change(rollout_observed)
    registry.on_service(service_observed)
    registry.on_log(log_observed)
    registry.context_for(run_context)
    register_users(uses=runtime_uses, count=runtime_counts, on_deprecated=runtime_deprecated)
    registry.request_for(request_told)
    on_version_state(version_moved)
    catalog_version_usage(version_usage)
