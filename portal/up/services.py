"""The three services that are embedded unless their URL is given: PostgreSQL, Valkey, MLflow."""

import os
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from portal.up import children
from portal.up.child import Child, ending
from portal.up.options import UpOptions
from portal.up.output import say
from portal.up.places import Places, folder_private
from portal.up.postgres import SUPERUSER, EmbeddedPostgres, ServiceFailed
from portal.up.valkey import EmbeddedValkey, free_port

PORTAL_ROLE, MLFLOW_ROLE = "slipway", "mlflow"


class Services:
    """Starts what is not given and writes the addresses into the environment of the children."""

    def __init__(self, options: UpOptions, places: Places, environ: dict[str, str]) -> None:
        self.options = options
        self.places = places
        self.environ = environ
        self.postgres: EmbeddedPostgres | None = None
        self.valkey: EmbeddedValkey | None = None

    def start(self) -> None:
        """Raises ServiceFailed."""
        if "DATABASE_URL" not in self.options.given:
            for name in [name for name in os.environ if name.startswith("PG")]:
                # libpq would mix what is meant for another server into our addresses.
                del os.environ[name]
                self.environ.pop(name, None)
            self._postgres_start()
        if "BROKER_URL" not in self.options.given:
            self.valkey = EmbeddedValkey(
                self.places.data / "valkey", self.places.log("valkey"), self.places.secret("valkey")
            )
            self.valkey.start()
            self.environ["BROKER_URL"] = self.valkey.url()
            say("Valkey is ready")
        if "MLFLOW_TRACKING_URI" not in self.options.given:
            self.mlflow_port = free_port()
            self.environ["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{self.mlflow_port}"
            self.environ["MLFLOW_SERVER_SECRET"] = self.places.secret("mlflow")

    def watch(self) -> None:
        """Starts a database again that ended by itself."""
        for service in (self.postgres, self.valkey):
            if service and service.process and not service.running():
                say(f"{service.name} {ending(service.process.returncode)}; starting it again ({service.log})")
                service.start()

    def stop(self) -> None:
        """After everything that uses them has ended."""
        if self.valkey:
            self.valkey.stop()
        if self.postgres:
            self.postgres.stop()

    def mlflow(self) -> Child | None:
        """The embedded MLflow server, on a database of its own; None where MLFLOW_TRACKING_URI is given."""
        if "MLFLOW_TRACKING_URI" in self.options.given:
            return None
        store = self._mlflow_store()
        folder_private(self.places.data / "mlflow")
        return children.mlflow(self.places, self.environ, port=self.mlflow_port, store=store)

    def _postgres_start(self) -> None:
        roles = (SUPERUSER, PORTAL_ROLE, MLFLOW_ROLE)
        postgres = EmbeddedPostgres(
            self.places.data / "postgres",
            self.places.sockets,
            self.places.log("postgres"),
            {role: self.places.secret(f"postgres-{role}") for role in roles},
        )
        self.postgres = postgres
        postgres.start()
        for role in (PORTAL_ROLE, MLFLOW_ROLE):
            postgres.ensure_role(role)
            postgres.ensure_database(role, owner=role)
        self.environ["DATABASE_URL"] = postgres.url(role=PORTAL_ROLE, database=PORTAL_ROLE)
        say("PostgreSQL is ready")

    def _mlflow_store(self) -> str:
        if self.postgres:
            return _sqlalchemy(self.postgres.url(role=MLFLOW_ROLE, database=MLFLOW_ROLE))
        return _sqlalchemy(external_database_ensure(os.environ["DATABASE_URL"].strip()))


def external_database_ensure(url: str) -> str:
    """The URL of the database `<name>_mlflow` beside the portal's on somebody's own server; made if missing.

    Raises ServiceFailed where it is missing and the role may not make it.
    """
    parts = urlsplit(url)
    name = f"{parts.path.lstrip('/')}_mlflow"
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.errors.InsufficientPrivilege:
        raise ServiceFailed(
            f"DATABASE_URL: its role may not make the database {name} for MLflow. Make it "
            f"(`CREATE DATABASE {name} OWNER <role>`), or set MLFLOW_TRACKING_URI to an MLflow server of your own."
        ) from None
    except psycopg.OperationalError as error:
        raise ServiceFailed(f"DATABASE_URL: the server does not answer: {error}") from None
    return urlunsplit(parts._replace(path=f"/{name}"))


def _sqlalchemy(url: str) -> str:
    return "postgresql+psycopg" + url[url.index("://") :]
