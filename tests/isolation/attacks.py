"""What a curious colleague tries from a terminal of a notebook: run in a service as `attack.py told.json`.

Prints one line, `REPORT <json>`: the name of each attempt and what came of it, which begins with "refused" where all is
well. Runs inside the sandbox, so it knows the standard library only.
"""

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import stat
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
with open(sys.argv[1]) as told:
    GIVEN = json.load(told)
CANARY = GIVEN["canary"]


def words(error):
    return f"refused: {type(error).__name__} {getattr(error, 'strerror', '') or error}"


def attempt(function, *arguments):
    """Its own answer, or the error that stopped it."""
    try:
        return function(*arguments)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return words(error)


def call(number, *arguments):
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "reached"


def read(path):
    """Directories are listed, files read."""
    with contextlib.suppress(NotADirectoryError):
        return f"reached: {os.listdir(path)[:3]}"
    with open(path, "rb") as file:
        return f"reached: {file.read(40)!r}"


def processes_leak():
    """Anything of any other process that holds the canary, by every file of /proc that tells of memory or files."""
    found = []
    for name in {*filter(str.isdigit, os.listdir("/proc")), *map(str, GIVEN["pids"])}:
        if int(name) == os.getpid():
            continue
        for part in ("environ", "cmdline", "auxv", "mem", "maps", "stack", "root/etc/hostname", "cwd/.", "fd/0"):
            with contextlib.suppress(OSError), open(f"/proc/{name}/{part}", "rb") as file:
                if CANARY.encode() in file.read(1 << 16):
                    found.append(f"{name}/{part}")
    return f"reached: {found}" if found else "refused: nothing found"


def foreign(function):
    """What came of it for each process of the portal and of the neighbour."""
    answers = {pid: attempt(function, pid) for pid in GIVEN["pids"]}
    bad = {pid: answer for pid, answer in answers.items() if not str(answer).startswith("refused")}
    return f"reached: {bad}" if bad else next(iter(answers.values()))


def memory_read(pid):
    buffer = ctypes.create_string_buffer(16)

    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    here = Vector(ctypes.cast(buffer, ctypes.c_void_p), 16)
    there = Vector(0x400000, 16)
    return call(
        310, pid, ctypes.byref(here), ctypes.c_ulong(1), ctypes.byref(there), ctypes.c_ulong(1), ctypes.c_ulong(0)
    )


def keyrings():
    """The session's, the user's and a new key."""
    answers = [attempt(call, 250, 0, keyring, 0) for keyring in (-3, -4, -5)]
    answers.append(attempt(call, 248, b"user", b"slipway", b"x", ctypes.c_size_t(1), -4))
    return "reached" if "reached" in answers else answers[0]


def user_namespace():
    answers = [attempt(call, 272, flags) for flags in (0x10000000, 0x10000000 | 0x20000)]
    answers.append(attempt(call, 165, b"none", b"/tmp", b"tmpfs", 0, 0))
    pid = libc.syscall(ctypes.c_long(56), ctypes.c_long(0x10000000 | signal.SIGCHLD), 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    return f"reached: {answers} {pid}" if "reached" in answers or pid > 0 else answers[0]


def system_writes():
    """Settings of the kernel, opened for writing only: nothing is changed where that should work."""
    paths = [
        "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/dev/mem", "/dev/kmsg",
        "/sys/kernel/uevent_helper", "/sys/fs/cgroup/memory/release_agent", "/proc/1/oom_score_adj", "/dev/sda",
    ]  # fmt: skip
    done = [path for path in paths if os.path.exists(path) and "reached" in attempt(_opened, path)]
    # Its own first process is its own affair.
    done = [path for path in done if path != "/proc/1/oom_score_adj" or GIVEN["level"] == "landlock"]
    return f"reached: {done}" if done else "refused"


def _opened(path):
    os.close(os.open(path, os.O_WRONLY))
    return "reached"


def outside_writes():
    done = []
    for folder in ("/", "/dev", "/etc", "/run", "/usr", "/run/slipway", "/var/tmp", "/proc", "/opt", GIVEN["runtime"]):
        with contextlib.suppress(OSError):
            os.close(os.open(f"{folder}/slipway-attack", os.O_WRONLY | os.O_CREAT, 0o600))
            done.append(folder)
    return f"reached: {done}" if done else "refused"


def devices():
    for kind, number in ((stat.S_IFBLK, os.makedev(8, 0)), (stat.S_IFCHR, os.makedev(1, 1))):
        os.mknod("device", 0o666 | kind, number)
    return "reached"


def set_user():
    """A program that would run as its owner: of no use, since nobody but this user meets it without `nosuid`."""
    os.chmod("attack.py", 0o6755)
    flags = os.statvfs(".").f_flag
    return "refused: nosuid" if flags & os.ST_NOSUID else f"left {os.stat('attack.py').st_uid}"


def links_outward():
    os.link(GIVEN["neighbour_file"], "hard")
    return "reached"


def renamed_outward():
    os.rename(GIVEN["neighbour_file"], "mine")
    return "reached"


def agent(token):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(GIVEN["agent_socket"])
        authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        connection.sendall(f"GET /v1/services/app HTTP/1.1\r\nHost: x\r\n{authorization}\r\n".encode())
        answer = connection.recv(300).decode()
    if not answer:
        return "refused: closed"
    return f"refused: {answer[:12]}" if answer.startswith("HTTP/1.1 401") else f"reached: {answer[:120]}"


def supervisor(path):
    """Its XML-RPC, which could start any program: wants a password."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(path)
        body = "<methodCall><methodName>supervisor.getState</methodName></methodCall>"
        head = f"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall((head + body).encode())
        answer = connection.recv(300).decode()
    return f"refused: {answer[:12]}" if " 401 " in answer[:14] else f"reached: {answer[:60]}"


def unix(path):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(path)
    return "reached"


def postgres():
    """Whether the server lets a user in who shows no password: message "R" with 0 would be that."""
    body = struct.pack(">i", 196608) + b"user\0slipway\0database\0slipway\0\0"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(GIVEN["postgres"])
        connection.sendall(struct.pack(">i", len(body) + 4) + body)
        answer = connection.recv(64)
    wants = struct.unpack(">i", answer[5:9])[0] if answer[:1] == b"R" else -1
    return f"refused: asks for a password ({wants})" if wants != 0 else "reached"


def valkey(*commands):
    with socket.create_connection(("127.0.0.1", GIVEN["valkey"]), 5) as connection:
        connection.sendall("".join(f"{command}\r\n" for command in commands).encode())
        answer = connection.recv(400).decode()
    good = [line for line in answer.splitlines() if not line.startswith(("-NOAUTH", "-WRONGPASS", "-ERR"))]
    return f"reached: {good}" if good else f"refused: {answer[:40]}"


def forged_task():
    """What Celery would take for a task, in the worker's queue."""
    body = json.dumps({"body": "W10=", "headers": {"task": "provisioning.wake"}, "properties": {}})
    return valkey("AUTH slipway", "AUTH default slipway", f"LPUSH celery {json.dumps(body)}", "LLEN celery", "KEYS *")


def neighbour_port(secret):
    connection = http.client.HTTPConnection("127.0.0.1", GIVEN["neighbour_port"], timeout=5)
    connection.request("GET", "/", headers={"Authorization": f"token {secret}"} if secret else {})
    status = connection.getresponse().status
    return f"refused: {status}" if status in (401, 403) else f"reached: {status}"


def place_of_another():
    """Listen where a stopped service of somebody else will listen again."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", GIVEN["stopped_port"]))
        server.listen()
    return "reached"


def own_ports():
    """Not an attack: what people do start from a notebook."""
    for port in (0, 8501, 45123):
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", port))
    return "works"


def raw_sockets():
    answers = [
        attempt(socket.socket, *kind) for kind in ((2, 3, 1), (17, 3, 0), (socket.AF_INET, socket.SOCK_RAW, 255))
    ]
    return "reached" if any(isinstance(answer, socket.socket) for answer in answers) else answers[0]


def shared_memory_size():
    """Whether /dev/shm is bounded by the service's own memory, and nobody else's things lie there."""
    found = os.statvfs("/dev/shm")
    size, others = found.f_blocks * found.f_frsize, os.listdir("/dev/shm")
    bounded = size <= GIVEN["memory_bytes"] and not others
    return f"refused: {size} bytes" if bounded else f"reached: {size} bytes, {others[:3]}"


def limits_of_others(pid):
    class Limit(ctypes.Structure):
        _fields_ = [("soft", ctypes.c_uint64), ("hard", ctypes.c_uint64)]

    old = Limit()
    return call(302, pid, 7, 0, ctypes.byref(old))


def ptraced(pid):
    result = call(101, ctypes.c_long(16), ctypes.c_long(pid), 0, 0)
    call(101, ctypes.c_long(17), ctypes.c_long(pid), 0, 0)
    return result


def traps_leave():
    """For the agent to fall into later: links outward, a tree deeper than any path, directories that are shut."""
    for name, target in GIVEN["links"].items():
        os.symlink(target, name)
    here = os.open(".", os.O_RDONLY)
    for _level in range(GIVEN["depth"]):
        os.mkdir("d" * 20)
        os.chdir("d" * 20)
    os.symlink(GIVEN["neighbour_folder"], "out")
    os.fchdir(here)
    os.makedirs("shut/inner")
    os.symlink("/etc/passwd", "shut/inner/link")
    os.chmod("shut/inner", 0)
    os.chmod("shut", 0)
    return "left"


ATTACKS = {
    **{f"file {path}": (read, path) for path in GIVEN["files"]},
    "processes' memory and files": (processes_leak,),
    "ptrace": (foreign, ptraced),
    "process_vm_readv": (foreign, memory_read),
    "kill": (foreign, lambda pid: os.kill(pid, 0) or "reached"),
    "priority": (foreign, lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19) or "reached"),
    "limits of others": (foreign, limits_of_others),
    "keyrings": (keyrings,),
    "user namespaces": (user_namespace,),
    "kernel settings": (system_writes,),
    "writes outside": (outside_writes,),
    "device nodes": (devices,),
    "set-user-id": (set_user,),
    "hard link outward": (links_outward,),
    "rename outward": (renamed_outward,),
    "agent without a token": (agent, ""),
    "agent with a forged token": (agent, f"{GIVEN['neighbour']}.{'0' * 64}"),
    "supervisor": (supervisor, GIVEN["supervisor_socket"]),
    "abstract socket": (unix, "\0" + GIVEN["abstract"]),
    "PostgreSQL": (postgres,),
    "Valkey": (valkey, "PING", "CONFIG GET requirepass", "INFO"),
    "forged task": (forged_task,),
    "neighbour's port": (neighbour_port, ""),
    "neighbour's port with a guess": (neighbour_port, "guess"),
    "place of another": (place_of_another,),
    "raw sockets": (raw_sockets,),
    "/dev/shm": (shared_memory_size,),
    "System V memory": (call, 29, ctypes.c_long(0x736C6970), ctypes.c_size_t(4096), 0o1666),
    "own ports": (own_ports,),
    "traps": (traps_leave,),
}

print("REPORT", json.dumps({name: str(attempt(*what)) for name, what in ATTACKS.items()}), flush=True)
