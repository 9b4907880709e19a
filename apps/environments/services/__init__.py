"""Writes to environments, by noun. Each is one transaction with its audit event; Terraform runs afterwards.

Locks: a service takes the environment's row first and then looks for an active change before it inserts one, so that
it never waits for a change. The agent holds a change's row while it asks for the environment's, and is the only one to
wait.
"""

from apps.environments.services.activity import activity_record, environment_opened, kernels_record
from apps.environments.services.destroying import environment_destroy
from apps.environments.services.inputs import environment_update
from apps.environments.services.launching import environment_launch, name_suggest
from apps.environments.services.lifetime import environment_extend, environment_warn, environments_due
from apps.environments.services.running import (
    environment_reconcile,
    environment_refresh,
    environment_retry,
    environment_start,
    environment_stop,
)
from apps.environments.services.taking_over import environment_take_over
from apps.environments.services.upgrading import environment_upgrade
from apps.environments.services.values import terraform_values

__all__ = [
    "activity_record",
    "environment_destroy",
    "environment_extend",
    "environment_launch",
    "environment_opened",
    "environment_reconcile",
    "environment_refresh",
    "environment_retry",
    "environment_start",
    "environment_stop",
    "environment_take_over",
    "environment_update",
    "environment_upgrade",
    "environment_warn",
    "environments_due",
    "kernels_record",
    "name_suggest",
    "terraform_values",
]
