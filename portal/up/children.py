"""The portal's own processes and the environment they get."""

import base64
import os
import secrets
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from portal.up.child import Child
from portal.up.options import UpOptions
from portal.up.places import Places, secret_file

ROOT = Path(__file__).resolve().parents[2]
# The agent cancels changes, lets Terraform write its state, tells every service why it stops and waits for it.
AGENT_GRACE = 60.0
WORKER_GRACE = 35.0


def environ_base(options: UpOptions, places: Places, port: int) -> dict[str, str]:
    """What every child gets: this process's own environment, the addresses, and the keys, made once."""
    environ = dict(os.environ)
    url = os.environ["PORTAL_URL"].rstrip("/") if "PORTAL_URL" in options.given else f"http://localhost:{port}"
    environ |= {"SLIPWAY_DATA": str(places.data), "PORTAL_URL": url, "SLIPWAY_PUBLIC_URL": url}
    if "APPS_URL" not in options.given:
        parts = urlsplit(url)
        environ["APPS_URL"] = urlunsplit((parts.scheme, f"apps.{parts.netloc}", "", "", ""))
    if "SECRET_KEY" not in options.given:
        # The newest first; what the others signed stays valid until they are taken out.
        kept = secret_file(places.keys / "secret_key", make=lambda: secrets.token_urlsafe(64)).split()
        environ["SECRET_KEY"], environ["SECRET_KEY_FALLBACKS"] = kept[0], ",".join(kept[1:])
    if not options.given & {"SLIPWAY_KEYS", "SLIPWAY_KEYS_FILE"}:
        # One Fernet key a line, the newest first. As a file, so that a rotation reaches processes that run.
        keys = places.keys / "encryption"
        secret_file(keys, make=lambda: base64.urlsafe_b64encode(os.urandom(32)).decode())
        environ["SLIPWAY_KEYS_FILE"] = str(keys)
    environ["PYTHONUNBUFFERED"] = "1"
    # A virtual environment that is not activated still lends its commands (uv, terraform shims) to its processes.
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", "/usr/bin:/bin")])
    return environ


def manage(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def web(places: Places, environ: dict[str, str], descriptors: list[int]) -> Child:
    command = [sys.executable, "-m", "portal.up.web", *map(str, descriptors)]
    return Child("web", command, places, environ, ROOT, grace=6.0, keep=descriptors)


def worker(places: Places, environ: dict[str, str]) -> Child:
    command = [sys.executable, "-m", "celery", "-A", "portal", "worker", "--loglevel", "INFO", "--concurrency", "2"]
    command += ["--without-gossip", "--without-mingle", "--hostname", "worker@%h"]
    return Child("worker", command, places, environ, ROOT, grace=WORKER_GRACE)


def beat(places: Places, environ: dict[str, str]) -> Child:
    command = [sys.executable, "-m", "celery", "-A", "portal", "beat", "--loglevel", "INFO", "--pidfile="]
    command += ["--schedule", str(places.run / "beat-schedule")]
    return Child("beat", command, places, environ, ROOT)


def agent(places: Places, environ: dict[str, str]) -> Child:
    """SIGTERM tells it that the portal shuts down: it stops the services. So when the supervisor is killed it gets
    SIGKILL: services and Terraform go on, and the next agent adopts them."""
    return Child(
        "agent",
        manage("agent", "--end-everything"),
        places,
        environ,
        ROOT,
        grace=AGENT_GRACE,
        death_signal=signal.SIGKILL,
        whole_session=False,
    )


def mlflow(places: Places, environ: dict[str, str], *, port: int, store: str) -> Child:
    """The MLflow server behind its secret. The store holds a password, so it is no argument: those are
    for everybody to read."""
    command = [sys.executable, "-m", "apps.experiments.mlflow_server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--artifacts-destination", str(places.data / "mlflow" / "artifacts")]
    own = {name: value for name, value in environ.items() if name not in HIDDEN_FROM_MLFLOW}
    own |= {"MLFLOW_BACKEND_STORE_URI": store, "MLFLOW_DISABLE_TELEMETRY": "true"}
    return Child("mlflow", command, places, own, ROOT, grace=12.0)


# MLflow has a database and a secret of its own, and no business with the portal's.
HIDDEN_FROM_MLFLOW = {
    "DATABASE_URL",
    "BROKER_URL",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SLIPWAY_KEYS",
    "SLIPWAY_KEYS_FILE",
    "MLFLOW_TRACKING_URI",
}


def modules(places: Places, environ: dict[str, str]) -> Child:
    return Child("modules", manage("seed_modules"), places, environ, ROOT, grace=3.0)


def seed(places: Places, environ: dict[str, str], *, experiments: bool) -> Child:
    command = manage("seed_demo") if experiments else manage("seed_demo", "--without-experiments")
    return Child("seed", command, places, environ, ROOT, grace=3.0)


def migrate(places: Places, environ: dict[str, str]) -> Child:
    return Child("migrate", manage("migrate", "--noinput", "--verbosity", "1"), places, environ, ROOT, grace=20.0)
