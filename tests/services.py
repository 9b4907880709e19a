"""The real PostgreSQL and Valkey of a test run: started once, by the process that starts the run, before Django loads.

The workers of pytest-xdist inherit the URLs; each has databases of its own (pytest-django names them by worker) and a
Valkey database of its own number. `SLIPWAY_TEST_DATABASE_URL` and `SLIPWAY_TEST_BROKER_URL` name services to use
instead; `DATABASE_URL` and `BROKER_URL` are never used, because somebody's portal may live there.
"""

import os
import re
import secrets
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from portal.up.places import Places, folder_private
from portal.up.postgres import SUPERUSER, EmbeddedPostgres
from portal.up.valkey import EmbeddedValkey

ROLE = "slipway"


@dataclass
class TestServices:
    """What was started for this run, and its folder, which also is the SLIPWAY_DATA of the tests."""

    __test__ = False

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="slipway-test-")))
    started: list[EmbeddedPostgres | EmbeddedValkey] = field(default_factory=list)

    def start(self) -> None:
        places = Places(folder_private(self.folder / "data"))
        os.environ["SLIPWAY_DATA"] = str(places.data)
        (places.data / "static").mkdir()  # whitenoise warns of a missing STATIC_ROOT
        os.environ["DATABASE_URL"] = os.environ.get("SLIPWAY_TEST_DATABASE_URL") or self._postgres(places)
        os.environ["BROKER_URL"] = os.environ.get("SLIPWAY_TEST_BROKER_URL") or self._valkey(places)
        # Nothing of the developer's own environment reaches the tests.
        for name in ("PORTAL_URL", "APPS_URL", "MLFLOW_TRACKING_URI", "MLFLOW_SERVER_SECRET", "PORT", "DEMO", "DEBUG"):
            os.environ.pop(name, None)

    def stop(self) -> None:
        for service in reversed(self.started):
            service.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _postgres(self, places: Places) -> str:
        passwords = {SUPERUSER: secrets.token_urlsafe(24), ROLE: secrets.token_urlsafe(24)}
        server = EmbeddedPostgres(
            places.data / "postgres", places.sockets, places.log("postgres"), passwords, durable=False
        )
        server.start()
        self.started.append(server)
        server.ensure_role(ROLE, create_databases=True)
        server.ensure_database("slipway", owner=ROLE)
        return server.url(role=ROLE, database="slipway")

    def _valkey(self, places: Places) -> str:
        server = EmbeddedValkey(places.data / "valkey", places.log("valkey"), secrets.token_urlsafe(24))
        server.start()
        self.started.append(server)
        return server.url()


def worker_broker_select(worker: str) -> None:
    """Gives an xdist worker (gw0, gw1, ...) the Valkey database of its number plus one."""
    number = int(re.sub(r"\D", "", worker) or 0) + 1
    os.environ["BROKER_URL"] = re.sub(r"/\d+$", f"/{number}", os.environ["BROKER_URL"])
