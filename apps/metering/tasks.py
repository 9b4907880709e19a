"""Repairs intervals from rows after any crash, and moves on how far running services have been seen."""

from celery import shared_task

from apps.metering.reconciling import meters_reconcile


@shared_task(name="apps.metering.tasks.reconcile", expires=60)
def reconcile() -> None:
    meters_reconcile()
