"""What `make up` runs with: the shared settings, readable errors in the log, no TLS of its own."""

from portal.settings.base import *  # noqa: F403
