"""What the parts of one run share: a portal with one notebook already built, tokens, folders, and how to tell."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from functools import cached_property
from pathlib import Path

import psycopg

from bench.portal import Portal, portal_ready, portal_running
from bench.processes import port_free, wait_until

FIRST_LAUNCH_S = 600


class Session:
    """One run of the bench. Leaving it ends the portal and removes everything."""

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self.folder = Path(tempfile.mkdtemp(prefix="slipway-bench-"))
        self.data = self.folder / "data"
        self.log = self.folder / "up.log"
        self._stack = contextlib.ExitStack()
        self._tokens: dict[str, str] = {}
        self._folders = 0

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.portal_end()
        shutil.rmtree(self.folder, ignore_errors=True)

    @cached_property
    def portal(self) -> Portal:
        """The portal that most parts measure: everything answers, and the notebook's packages are installed."""
        portal = self._stack.enter_context(portal_running(self.data, port_free(), self.log))
        wait_until(lambda: portal_ready(portal.port), 120, "a portal whose parts all answer", 0.2)
        wait_until((self.data / "password").exists, 120, "the demo people", 0.2)
        token = self.token_of(portal, "dana")
        wait_until(lambda: portal.call("GET", "/api/v1/modules/local-notebook/", token)[0] == 200, 120, "the module")
        key = portal.launch(token, "first")
        portal.wait([key], "running", FIRST_LAUNCH_S)
        portal.destroy(token, key, "first")
        portal.wait([key], "destroyed")
        return portal

    def portal_end(self) -> None:
        self._stack.close()
        self._tokens.clear()
        self.__dict__.pop("portal", None)

    def token(self, username: str) -> str:
        return self.token_of(self.portal, username)

    def token_of(self, portal: Portal, username: str) -> str:
        if username not in self._tokens:
            self._tokens[username] = portal.token(username)
        return self._tokens[username]

    def session_of(self, username: str) -> str:
        """The Cookie header of somebody's browser."""
        return self.portal.session(username)

    def folder_new(self) -> Path:
        self._folders += 1
        folder = self.folder / str(self._folders)
        folder.mkdir(mode=0o700)
        return folder

    def say(self, text: str) -> None:
        print(f"  {text}", flush=True)

    def steps_tell(self, environment_id: str) -> None:
        """Where the time of the newest change went, for whoever reads the run."""
        query = """
            SELECT extract(epoch FROM planning_at - created_at), extract(epoch FROM planned_at - planning_at),
                   extract(epoch FROM applying_at - planned_at), extract(epoch FROM finished_at - applying_at),
                   (SELECT string_agg(name || ' ' || round(extract(epoch FROM r.finished_at - r.started_at), 2), ', '
                    ORDER BY r.started_at) FROM provisioning_commandrecord r WHERE r.change_id = c.id)
            FROM provisioning_change c WHERE workspace_id = %s ORDER BY created_at DESC LIMIT 1
        """
        with psycopg.connect(self.portal.database_url) as connection:
            row = connection.execute(query, (environment_id,)).fetchone()
        if row and all(value is not None for value in row[:4]):
            begun, plan, between, apply, commands = row
            self.say(f"  begun {begun:.2f}, plan {plan:.2f}, between {between:.2f}, apply {apply:.2f} ({commands})")
