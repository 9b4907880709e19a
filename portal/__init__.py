"""The Django project. Importing it makes the Celery app the current one, so that services can enqueue by name."""

from portal.celery import app as celery_app

__all__ = ["celery_app"]
