"""Tests: real PostgreSQL and Valkey (their URLs come from the test session), fast password hashing."""

import os

os.environ.setdefault("SECRET_KEY", "tests-only-secret-key-of-more-than-fifty-characters-0123456789")
os.environ.setdefault("SLIPWAY_KEYS", "aGtHZ0xVcWJ4b0VhV1h2Q2x5d0dxc2FyZ3h5ZnBhc3M=")

from portal.settings.base import *  # noqa: F403
from portal.settings.base import CACHES, DATABASES, REST_FRAMEWORK

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Without a pool, whose connections would outlive a test's database; a thread keeps its own, else the agent's loop
# makes one twenty times a second.
DATABASES["default"]["OPTIONS"].pop("pool")
DATABASES["default"]["CONN_MAX_AGE"] = 60
# A test is one long transaction.
DATABASES["default"]["OPTIONS"].pop("options")
CACHES["default"]["KEY_PREFIX"] = f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
CELERY_TASK_ALWAYS_EAGER = False
AXES_ENABLED = False
PREBUILD = False
# Else every test client looks at each static file before its first answer, for 15 ms.
WHITENOISE_AUTOREFRESH = True
_rates: dict[str, str] = REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]  # type: ignore[assignment]
REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] = dict.fromkeys(_rates)
