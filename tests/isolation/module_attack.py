"""What a module runs against the portal: `attack.py` in Terraform's work directory, beside `told.json`.

Writes report.json, and an empty JSON object to standard output, as an `external` data source must. Standard library
only.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
with open("told.json") as file:
    GIVEN = json.load(file)


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except (OSError, ValueError) as error:
        return f"refused: {type(error).__name__}"


def read(path):
    if os.path.isdir(path):
        return (
            f"reached: {os.listdir(path)[:3]}" if set(os.listdir(path)) - {"workspace", "plan.bin"} else "refused: ours"
        )
    with open(path, "rb") as opened:
        return f"reached: {opened.read(30)!r}"


def write(path):
    os.close(os.open(path, os.O_WRONLY | (0 if path.startswith("/proc") else os.O_CREAT)))
    return "reached"


def environments():
    """Every process that can be seen, the runner and the portal among them."""
    found = []
    for name in {*filter(str.isdigit, os.listdir("/proc")), str(GIVEN["pid"])}:
        for part in ("environ", "cmdline", "mem"):
            try:
                with open(f"/proc/{name}/{part}", "rb") as opened:
                    if GIVEN["canary"].encode() in opened.read(1 << 16):
                        found.append(f"{name}/{part}")
            except OSError:
                continue
    return f"reached: {found}" if found else "refused: nothing found"


def call(number, *arguments):
    ctypes.set_errno(0)
    if libc.syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "reached"


def postgres():
    body = struct.pack(">i", 196608) + b"user\0slipway\0database\0slipway\0\0"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(GIVEN["postgres"])
        connection.sendall(struct.pack(">i", len(body) + 4) + body)
        answer = connection.recv(64)
    return "reached" if answer[:9] == b"R\0\0\0\x08\0\0\0\0" else "refused: asks for a password"


def valkey():
    with socket.create_connection(("127.0.0.1", GIVEN["valkey"]), 5) as connection:
        connection.sendall(b"PING\r\nLPUSH celery x\r\n")
        answer = connection.recv(400)
    return "reached" if b"+" in answer or b":" in answer else f"refused: {answer[:20]!r}"


def daemon():
    """A process of a session of its own, nobody's child, deaf to signals, without an environment."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            null = os.open("/dev/null", os.O_RDWR)
            for handle in (0, 1, 2):
                os.dup2(null, handle)
            os.closerange(3, 256)
            code = "import time; time.sleep(300)"
            os.execve("/proc/self/exe", ["python", "-I", "-S", "-c", code, GIVEN["marker"]], {})
        os._exit(0)
    os.wait()
    time.sleep(0.2)
    return "left"


ATTACKS = {
    **{f"file {path}": (read, path) for path in GIVEN["files"]},
    **{f"write {path}": (write, path) for path in GIVEN["writes"]},
    "its own environment": (lambda: "reached" if GIVEN["canary"] in str(dict(os.environ)) else "refused",),
    "environments": (environments,),
    "ptrace": (call, 101, ctypes.c_long(16), ctypes.c_long(GIVEN["pid"]), 0, 0),
    "kill": (lambda: os.kill(GIVEN["pid"], 0) or "reached",),
    "keyrings": (call, 250, 0, -3, 0),
    "user namespaces": (call, 272, 0x10000000),
    "PostgreSQL": (postgres,),
    "Valkey": (valkey,),
    "daemon": (daemon,),
}

with open("report.json", "w") as file:
    json.dump({name: str(attempt(*what)) for name, what in ATTACKS.items()}, file)
print("{}")
