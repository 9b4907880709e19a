"""`python -I -S stage_runner.py <stage directory>`: runs one stage's commands, apart from whoever started it.

Started in a session of its own, it outlives the agent. What it does is in `stage.json`; what came of it in files:

    pid           its process id and kernel start time, linked into place before anything else (it also claims the
    stage) log.jsonl     Terraform's JSON lines, and one line of ours before each command
    NN-name.err   standard error of each command; NN-name.exit its exit code
    exit          the outcome, renamed into place as the very last act

Output passes through here, so that none of those files grows beyond its bound; see `stage_guard.py` for the others.

SIGINT or SIGTERM to this process is one SIGINT to Terraform alone, never to its providers or to the whole group, and
never a second one, which Terraform takes for "abandon everything". Standard library only.
"""

import contextlib
import ctypes
import datetime
import hashlib
import json
import os
import resource
import selectors
import shutil
import signal
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

# Alone and isolated, Python looks nowhere but in its own library; ours comes behind that.
sys.path.append(os.path.dirname(os.path.abspath(__file__)))

if TYPE_CHECKING:
    from apps.provisioning.stage_guard import Bytes, Guard, Lines, group_join, take_over, writer
else:
    from stage_guard import Bytes, Guard, Lines, group_join, take_over, writer

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
RETRY_S = 0.05
# Longer than any outcome: a stage has three commands.
RESERVED = 4096
PLAN_LIMIT = 512 * 1024 * 1024
ERR_BYTES = 1024 * 1024
# How long Terraform may take to stop and to write its state, once it has been asked to.
GRACE_S = {"time": 30.0, "disk": 10.0, "memory": 0.0, "processes": 0.0, "plan": 0.0}
# What is still in the pipes when a command has ended is there at once.
DRAIN_S = 2.0


class Runner:
    """One stage. Signal handlers only set flags, look at /proc and send a signal."""

    def __init__(self, directory: str):
        self.directory = directory
        with open(self.path("stage.json")) as file:
            self.stage = json.load(file)
        # It holds the environment's token, which nobody needs a second time.
        with open(self.path("environment.json")) as file:
            self.environment = json.load(file)
        os.unlink(self.path("environment.json"))
        self.cancelled = False
        self.interrupt_sent = False
        self.process: subprocess.Popen[bytes] | None = None
        self.sandbox_pid = 0
        self.outcomes: list[dict[str, Any]] = []
        self.limits: dict[str, Any] = self.stage.get("limits") or {}
        self.guard = Guard(self.limits, self.stage["work"])
        # The bound that was passed, and when what passed it is killed.
        self.passed = ""
        self.kill_at = 0.0

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    # -- interrupts --------------------------------------------------------------------------------------------------

    def cancel(self, signum: int, frame: object) -> None:
        if not self.cancelled:
            self.cancelled = True
            self.interrupt(signum, frame)

    def interrupt(self, signum: int, frame: object) -> None:
        """Pass the interrupt on, once; tried again while the sandbox has not started Terraform yet."""
        if self.interrupt_sent or self.process is None or self.process.returncode is not None:
            return
        target = self.terraform_pid()
        if target:
            with contextlib.suppress(ProcessLookupError):
                os.kill(target, signal.SIGINT)
            self.interrupt_sent = True
        else:
            signal.setitimer(signal.ITIMER_REAL, RETRY_S)

    def terraform_pid(self) -> int:
        """Terraform itself, as this namespace sees it: our child, or the first child of the sandbox's first process."""
        if self.process is None:
            return 0
        if not self.stage["in_namespace"]:
            return self.process.pid
        children = children_of(self.sandbox_pid) if self.sandbox_pid else []
        return children[0] if children else 0

    # -- commands ----------------------------------------------------------------------------------------------------

    def run(self) -> int:
        code = 0
        for number, command in enumerate(self.stage["commands"]):
            if self.cancelled:
                break
            code = self.command(number, command)
            if code == 0:
                code = self.collect(command)
            if code != 0:
                break
        self.remember_init(code)
        return code

    def command(self, number: int, command: dict[str, Any]) -> int:
        label = f"{number:02d}-{command['name']}"
        started = time.time()
        self.note(command["name"])
        with contextlib.ExitStack() as files:
            out = files.enter_context(open(self.path(command["stdout"]), "ab", buffering=0))
            err = files.enter_context(open(self.path(f"{label}.err"), "ab", buffering=0))
            shape = Lines if command["stdout"] == "log.jsonl" else Bytes
            limit = self.limits.get("output_bytes" if shape is Lines else "plan_bytes") or sys.maxsize
            sinks = [shape(writer(out), limit), Bytes(writer(err), ERR_BYTES)]
            code = self.start_and_wait(command["argv"], sinks)
        with contextlib.suppress(OSError), open(self.path(f"{label}.exit"), "w") as file:
            file.write(f"{code}\n")
        self.outcomes.append(
            {"name": command["name"], "exit_code": code, "started_at": started, "finished_at": time.time()}
        )
        return code

    def start_and_wait(self, argv: list[str], sinks: list[Any]) -> int:
        self.sandbox_pid = 0
        reading, writing = os.pipe()
        passed = [writing] if self.stage["in_namespace"] else []
        if passed:
            argv = [argv[0], "--info-fd", str(writing), *argv[1:]]
        try:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.stage["work"],
                pass_fds=passed, env=self.environment, preexec_fn=self.before_exec,  # noqa: PLW1509 - no threads here
            )  # fmt: skip
        except OSError as error:
            sinks[1].feed(f"Error: {argv[0]} does not start: {error}\n".encode())
            os.close(reading)
            return 127
        finally:
            os.close(writing)
        if self.stage["in_namespace"]:
            self.sandbox_pid = read_sandbox_pid(reading)
        os.close(reading)
        if self.cancelled:
            # The signal came before there was a process to pass it on to.
            self.interrupt(signal.SIGINT, None)
        code = self.follow(self.process, sinks)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return code if code >= 0 else 128 - code

    def before_exec(self) -> None:
        """In the child, between fork and exec."""
        die_with_parent()
        group_join(self.limits.get("groups") or [])
        # What runs out of memory first is Terraform, not the one who tells of it.
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("600")
        if largest := self.limits.get("disk_bytes"):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    def follow(self, process: "subprocess.Popen[bytes]", sinks: list[Any]) -> int:
        """Take over what it writes until it has ended, and end it where it passes a bound."""
        with process, selectors.DefaultSelector() as waiting:
            for pipe, sink in zip((process.stdout, process.stderr), sinks, strict=True):
                assert pipe is not None
                os.set_blocking(pipe.fileno(), False)
                waiting.register(pipe, selectors.EVENT_READ, sink)
            while process.poll() is None:
                if waiting.get_map():
                    take_over(waiting, 0.2)
                else:
                    # It has closed both; its end is not far.
                    time.sleep(0.005)
                self.watch(process, sinks)
            leftovers_end()
            deadline = time.monotonic() + DRAIN_S
            while waiting.get_map() and time.monotonic() < deadline and take_over(waiting, 0.1):
                pass
        for sink in sinks:
            sink.close()
        return process.returncode

    def watch(self, process: "subprocess.Popen[bytes]", sinks: list[Any]) -> None:
        if not self.passed:
            too_large = isinstance(sinks[0], Bytes) and sinks[0].exceeded
            self.passed = "plan" if too_large else self.guard.look(process.pid)
            if not self.passed:
                return
            grace = GRACE_S[self.passed]
            self.kill_at = time.monotonic() + grace
            if grace:
                self.interrupt(signal.SIGINT, None)
        if time.monotonic() >= self.kill_at:
            process.kill()

    def collect(self, command: dict[str, Any]) -> int:
        """Take what Terraform wrote in its work directory into the stage, where no module can change it any more."""
        take = command.get("take")
        if not take:
            return 0
        source, target = take
        try:
            fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(fd, "rb") as file:
                status = os.fstat(fd)
                if not stat.S_ISREG(status.st_mode) or status.st_size > PLAN_LIMIT:
                    raise OSError("it is not a plan file")
                with open(self.path(f"{target}.new"), "wb") as copy:
                    shutil.copyfileobj(file, copy)
                    copy.flush()
                    os.fsync(copy.fileno())
            os.chmod(self.path(f"{target}.new"), 0o400)
            os.rename(self.path(f"{target}.new"), self.path(target))
            os.unlink(source)
        except OSError as error:
            self.complain(f"the plan cannot be kept: {error}")
            return 1
        return 0

    def remember_init(self, code: int) -> None:
        """A plan that worked proves the initialisation: init is left out until the module or the engine changes."""
        marker = self.stage.get("init_marker")
        if not marker:
            return
        with contextlib.suppress(OSError):
            if code != 0:
                os.unlink(marker["path"])
            else:
                with open(os.path.join(self.stage["work"], ".terraform.lock.hcl"), "rb") as file:
                    lock = hashlib.sha256(file.read()).hexdigest()
                write_atomically(marker["path"], json.dumps({"key": marker["key"], "lock": lock}))

    def note(self, name: str) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
        line = {
            "@level": "info",
            "@message": name,
            "@module": "slipway",
            "@timestamp": now,
            "type": "slipway_step",
            "step": name,
        }
        with contextlib.suppress(OSError), open(self.path("log.jsonl"), "a") as file:
            file.write(json.dumps(line) + "\n")

    def finish(self, code: int) -> None:
        outcome = {
            "exit_code": code, "cancelled": self.cancelled, "passed": self.passed, "commands": self.outcomes, "planned":
            len(self.stage["commands"]), "finished_at": time.time(),
        }  # fmt: skip
        text = json.dumps(outcome)
        try:
            with open(self.path("exit.new"), "r+") as file:
                # Into the room that was reserved; blanks may follow JSON.
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.rename(self.path("exit.new"), self.path("exit"))
        except OSError:
            write_atomically(self.path("exit"), text)

    def reserve(self) -> None:
        """Room for the outcome, so that a disk that Terraform found full can still be told how it ended."""
        with contextlib.suppress(OSError), open(self.path("exit.new"), "w") as file:
            file.write(" " * RESERVED)
            file.flush()
            os.fsync(file.fileno())

    def complain(self, problem: str) -> None:
        with contextlib.suppress(OSError), open(self.path("runner.err"), "a") as file:
            file.write(f"Error: {problem}\n")


def die_with_parent() -> None:
    """Terraform must not go on where nobody records what it does. Runs between fork and exec."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def read_sandbox_pid(fd: int) -> int:
    """`child-pid` from bubblewrap's --info-fd; 0 where it ended before it could tell."""
    text = b""
    while not text.rstrip().endswith(b"}"):
        block = os.read(fd, 4096)
        if not block:
            break
        text += block
    try:
        return int(json.loads(text)["child-pid"])
    except (ValueError, KeyError):
        return 0


def leftovers_end() -> None:
    """End what a command left running: without a process namespace it would outlive its stage, as nobody's child."""
    for _round in range(200):
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    break
            except ChildProcessError:
                return
        for pid in children_of(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def children_of(parent: int) -> list[int]:
    """Process ids of the children of `parent`, oldest first."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_of(entry)
            if fields and int(fields[1]) == parent:
                found.append((int(fields[19]), int(entry)))
    return [pid for _, pid in sorted(found)]


def stat_of(pid: int | str) -> list[str]:
    """Fields of /proc/<pid>/stat from the third on (state, parent, ...), whatever the command's name holds."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def write_atomically(path: str, text: str) -> None:
    with open(f"{path}.new", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(f"{path}.new", path)


def claim(directory: str) -> bool:
    """Put the pid file in place, which only one process ever can: a stage never runs twice."""
    fields = stat_of(os.getpid())
    temporary = os.path.join(directory, f"pid.{os.getpid()}")
    with open(temporary, "w") as file:
        file.write(json.dumps({"pid": os.getpid(), "start_time": int(fields[19]) if fields else 0}))
    try:
        os.link(temporary, os.path.join(directory, "pid"))
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    return True


def main(directory: str) -> int:
    os.umask(0o077)
    if not claim(directory):
        return 3
    runner = Runner(directory)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    runner.reserve()
    signal.signal(signal.SIGINT, runner.cancel)
    signal.signal(signal.SIGTERM, runner.cancel)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, runner.interrupt)
    try:
        code = runner.run()
    except Exception as error:
        code = 70
        runner.complain(f"{type(error).__name__}: {error}")
    finally:
        for path in filter(None, (runner.stage.get("scratch"), runner.stage.get("given"))):
            shutil.rmtree(path, ignore_errors=True)
    runner.finish(code)
    return 0


libc = ctypes.CDLL(None)

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
