"""Celery: wakes workers; the rows are the truth. Tasks are short, idempotent, and found again by beat when lost."""

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.dev")

app = Celery("slipway")
app.config_from_object("django.conf:settings", namespace="CELERY")

app.conf.beat_scheduler = "portal.steady_beat:SteadyScheduler"
# The longest that beat sleeps, and with it the longest that a clock which was moved goes unnoticed.
app.conf.beat_max_loop_interval = 5
app.conf.beat_schedule = {
    "wake-lost-changes": {"task": "apps.provisioning.tasks.changes_wake", "schedule": 5.0},
    "stop-expired": {"task": "apps.environments.tasks.environments_stop_expired", "schedule": 15.0},
    "look-at-kernels": {"task": "apps.environments.tasks.kernels_look", "schedule": 20.0},
    "look-at-clouds": {"task": "apps.environments.tasks.clouds_look", "schedule": 60.0},
    "wake-rollouts": {"task": "apps.environments.tasks.rollouts_wake", "schedule": 10.0},
    "index-runs": {"task": "apps.experiments.tasks.index_work", "schedule": 5.0},
    "keep-curves": {"task": "apps.experiments.tasks.curves_keep", "schedule": 15.0},
    "count-use-of-runs": {"task": "apps.experiments.tasks.uses_count", "schedule": 60.0},
    "heartbeat": {"task": "apps.core.tasks.worker_heartbeat", "schedule": 10.0},
    "meter": {"task": "apps.metering.tasks.reconcile", "schedule": 60.0},
    "look-at-model-hints": {"task": "apps.registry.tasks.hints_look", "schedule": 3.0},
    "read-registry": {"task": "apps.registry.tasks.registry_index", "schedule": 10.0},
    "prune": {"task": "apps.core.tasks.prune", "schedule": crontab(minute=17)},
}

app.autodiscover_tasks()
