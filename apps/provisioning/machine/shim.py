"""The small process that stands over one run of a service: `shim.main(<service directory>)`.

supervisord starts it, and starts it again when it exits with anything but `FINAL`. It

1. ends what an earlier run left behind, so that nothing ever runs twice;
2. waits a growing while after crashes, and gives up after `CRASHES_MAX` in `CRASH_WINDOW_S`;
3. makes the control group, starts the sandbox in it, and writes what it started to state.json;
4. notes processes ended for want of memory, and ends the largest one itself where there is no control group; where
   nothing else counts its processes, ends a service that makes too many;
5. on SIGTERM ends the service politely, then for good; on the service's end notes how it ended.

It dies with supervisord and the sandbox dies with it: an unsupervised service would write its log into a closed pipe.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .cgroups import Group
from .files import directory_private, json_read, json_write
from .processes import (
    boot_id,
    descendants,
    memory_proportional,
    process_is,
    process_start,
    processes_kill,
    processes_marked,
    tree_end,
)
from .trees import tree_remove

FINAL = 91  # Exit status that tells supervisord not to start the service again.
CRASHES_MAX = 5
CRASH_WINDOW_S = 600
_BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0)
_TICK_S = 0.5
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}

MARKER = "SLIPWAY_SERVICE_ID"


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def service_end_leftovers(directory: Path, marker: str) -> list[int]:
    """End everything that an earlier run of the service in `directory` left; returns the pids killed.

    Looks at the recorded processes (same pid, same kernel start time, same boot), the recorded control group, and
    processes that carry the service's marker in their environment.
    """
    state: dict[str, Any] = json_read(directory / "state.json") or {}
    killed: list[int] = []
    if state.get("boot") == boot_id():
        recorded = [tuple(state[key]) for key in ("shim", "main", "service") if state.get(key)]
        killed += processes_kill([(pid, started) for pid, started in recorded if pid != os.getpid()])
    if state.get("group"):
        group = Group(state["group"]["version"], state["group"]["paths"])
        killed += group.kill()
        group.remove()
    killed += processes_kill(
        [(pid, started) for pid, started in processes_marked(f"{MARKER}={marker}") if pid != os.getpid()]
    )
    return killed


class Shim:
    """One run of one service. `launch` is launch.json (written by the agent), `state` what becomes state.json."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.launch: dict[str, Any] = json_read(directory / "launch.json") or {}
        earlier: dict[str, Any] = json_read(directory / "state.json") or {}
        same = earlier.get("generation") == self.launch["generation"]
        self.state: dict[str, Any] = {
            "generation": self.launch["generation"],
            "exits": earlier.get("exits", []) if same else [],
            "restarts": earlier.get("restarts", 0) if same else 0,
            "oom_kills": earlier.get("oom_kills", 0) if same else 0,
            "oom_at": earlier.get("oom_at") if same else None,
            "boot": boot_id(),
            "shim": [os.getpid(), process_start(os.getpid())],
        }
        unfinished = same and earlier.get("phase") == "running"
        if unfinished:  # The shim itself was killed: that run ended too, and counts.
            self._exit_note(code=None, number=signal.SIGKILL, oom=False)
        self.group: Group | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.oom_before = self.state["oom_kills"]

    def run(self) -> int:
        service_end_leftovers(self.directory, self.launch["marker"])
        recent = [entry for entry in self.state["exits"] if time.time() - entry["at"] < CRASH_WINDOW_S]
        if len(recent) >= CRASHES_MAX:
            self._save(phase="gave_up")
            return FINAL
        pause = _BACKOFF_S[min(len(recent), len(_BACKOFF_S) - 1)]
        if pause:
            self._save(phase="waiting")
            if signal.sigtimedwait(_SIGNALS - {signal.SIGCHLD}, pause):
                self._save(phase="ended")
                return FINAL
        self._start()
        stopped = self._watch()
        return self._finish(stopped=stopped)

    def _start(self) -> None:
        scratch = Path(self.launch["scratch"])
        tree_remove(scratch)
        directory_private(scratch)
        if self.launch["uid"] is not None:
            os.chown(scratch, self.launch["uid"], self.launch["uid"])
        if self.launch["group"]:
            self.group = Group(self.launch["group"]["version"], self.launch["group"]["paths"])
            self.state["group"] = self.launch["group"]
            self.group.create()
            self.group.limit(memory_bytes=self.launch["memory_bytes"], cpu=self.launch["cpu"], pids=self.launch["pids"])
        self._save(phase="running")
        self.process = subprocess.Popen(
            self.launch["argv"],
            env=self.launch["environment"],
            stdin=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            preexec_fn=self._child_prepare,  # noqa: PLW1509 - the shim has no other thread
        )
        self.state["main"] = [self.process.pid, process_start(self.process.pid)]
        self.state["started_at"] = time.time()
        self._save(phase="running")

    def _child_prepare(self) -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if self.group:
            self.group.join(os.getpid())
        else:
            os.nice(5)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _service_process(self) -> tuple[int, int] | None:
        """The service itself: below bubblewrap's two processes, or the child where there is no bubblewrap."""
        assert self.process
        tree = descendants(self.process.pid)
        if not tree:
            return None
        if not self.launch["namespaces"]:
            return tree[0].pid, tree[0].started
        reaper = next((stat for stat in tree if stat.parent == self.process.pid), None)
        found = next((stat for stat in tree if reaper and stat.parent == reaper.pid), None)
        return (found.pid, found.started) if found else None

    def _watch(self) -> bool:
        """Until the service ends (False) or the shim is told to stop it (True)."""
        assert self.process
        while True:
            caught = signal.sigtimedwait(_SIGNALS, _TICK_S if self.state.get("service") else 0.1)
            if caught and caught.si_signo != signal.SIGCHLD:
                self._stop()
                return True
            self._orphans_reap()
            if self.process.poll() is not None:
                return False
            if not self.state.get("service") and (found := self._service_process()):
                self.state["service"] = list(found)
                self._save(phase="running")
            self._memory_check()
            self._forks_check()

    def _orphans_reap(self) -> None:
        """Collect daemons that came to us as subreaper; the service itself is left to `Popen`."""
        assert self.process
        with contextlib.suppress(OSError):
            for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                if int(pid) != self.process.pid:
                    os.waitpid(int(pid), os.WNOHANG)

    def _forks_check(self) -> None:
        """Where the kernel counts a user's processes and not a service's, a bomb would take those of its neighbours."""
        if self.group or self.launch["namespaces"]:
            return
        if len(descendants(os.getpid())) > self.launch["pids"] // 2:
            tree_end(os.getpid())

    def _memory_check(self) -> None:
        if self.group:
            kills = self.oom_before + self.group.oom_kills()
        else:
            kills = self.state["oom_kills"] + self._largest_end()
        if kills > self.state["oom_kills"]:
            self.state["oom_kills"], self.state["oom_at"] = kills, time.time()
            self._save(phase="running")

    def _largest_end(self) -> int:
        """Where no control group holds the limit: SIGKILL the largest process of a tree that is over it."""
        assert self.process
        limit = self.launch["memory_bytes"]
        tree = descendants(self.process.pid) if limit else []
        if not tree or sum(stat.rss_bytes for stat in tree) <= limit:
            return 0
        sizes = [(memory_proportional(stat), stat) for stat in tree]
        if sum(size for size, _stat in sizes) <= limit:
            return 0
        largest = max(sizes, key=lambda pair: pair[0])[1]
        processes_kill([(largest.pid, largest.started)], wait=0)
        return 1

    def _stop(self) -> None:
        """SIGTERM to the service itself, time to end, then SIGKILL to all of it."""
        assert self.process
        target = self.state.get("service") or self._service_process()
        if target and process_is(target[0], target[1]):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(target[0], signal.SIGTERM)
            deadline = time.monotonic() + self.launch["stop_seconds"]
            while self.process.poll() is None and time.monotonic() < deadline:
                signal.sigtimedwait({signal.SIGCHLD}, 0.2)
        if self.process.poll() is None:
            self.process.kill()

    def _finish(self, *, stopped: bool) -> int:
        assert self.process
        code = self.process.wait()
        # bubblewrap answers 128 + n where the service died of signal n.
        number = -code if code < 0 else code - 128 if 128 < code < 192 else None
        tree_end(os.getpid())
        self._memory_check_last()
        if self.group:
            self.group.kill()
            self.group.remove()
        oom = number == signal.SIGKILL and not stopped and self.state["oom_kills"] > self.oom_before
        for key in ("main", "service"):
            self.state.pop(key, None)
        if stopped:
            self._save(phase="ended")
            return FINAL
        self._exit_note(code=None if number else code, number=number, oom=oom)
        self._save(phase="out_of_memory" if oom else "crashed")
        return FINAL if oom else 1

    def _memory_check_last(self) -> None:
        if self.group:
            self._memory_check()

    def _exit_note(self, *, code: int | None, number: int | None, oom: bool) -> None:
        entry = {"at": time.time(), "code": code, "signal": number, "oom": oom}
        self.state["exits"] = [*self.state["exits"], entry][-20:]
        self.state["restarts"] += 1

    def _save(self, *, phase: str) -> None:
        self.state["phase"] = phase
        json_write(self.directory / "state.json", self.state)


def main(directory: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    parent = os.getppid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        sys.exit(FINAL)
    if not os.path.exists(os.path.join(directory, "launch.json")):
        sys.exit(FINAL)  # The agent ended this service while supervisord was about to start it again.
    try:
        sys.exit(Shim(Path(directory)).run())
    except (OSError, KeyError) as error:
        print(f"The service could not be started: {error}", file=sys.stderr, flush=True)
        sys.exit(FINAL)
