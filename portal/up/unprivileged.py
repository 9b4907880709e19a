"""Running PostgreSQL as root: it refuses to, and it must still reach its files below folders that only root may enter.

Two ways, neither of which changes the mode or owner of any folder but PostgreSQL's own:

1. A user namespace in which root appears as an ordinary account. The process gets no privilege, files stay root's.
2. Where namespaces are refused (many containers): an ordinary account that keeps one capability, to pass through
   folders. The data directory then belongs to that account.
"""

import ctypes
import os
import pwd
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

CLONE_NEWUSER = 0x10000000
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@dataclass(frozen=True)
class Unprivileged:
    """How to become unprivileged in a child, and the user to whom the data directory belongs then."""

    way: str
    owner: int
    prepare: Callable[[], None] | None


@cache
def unprivileged() -> Unprivileged:
    """The way for this process: nothing to do for an ordinary user, else the first of the two that works."""
    if os.geteuid() != 0:
        return Unprivileged("user", os.geteuid(), None)
    for way in (by_namespace(), by_capability()):
        if _works(way):
            return way
    raise RuntimeError(
        "PostgreSQL does not run as root, and this machine allows neither user namespaces nor changing the user. "
        "Start as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own."
    )


def by_namespace() -> Unprivileged:
    inside = _account()

    def prepare() -> None:
        _check(_libc.unshare(CLONE_NEWUSER), "unshare")
        for name, line in (
            ("setgroups", "deny"),
            ("uid_map", f"{inside.pw_uid} 0 1"),
            ("gid_map", f"{inside.pw_gid} 0 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(line)

    return Unprivileged("namespace", 0, prepare)


def by_capability() -> Unprivileged:
    account = _account()

    def prepare() -> None:
        _check(_libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl")
        os.setgroups([])
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
        bit = 1 << CAP_DAC_OVERRIDE
        sets = (_Capabilities * 2)(_Capabilities(bit, bit, bit), _Capabilities(0, 0, 0))
        _check(_libc.capset(ctypes.byref(_Header(CAPABILITY_VERSION_3, 0)), ctypes.byref(sets)), "capset")
        _check(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0), "prctl")

    return Unprivileged("capability", account.pw_uid, prepare)


def _account() -> pwd.struct_passwd:
    """An account that exists (initdb looks its name up) and is not the one to which unmapped files seem to belong."""
    accounts = sorted(pwd.getpwall(), key=lambda account: account.pw_name not in ("postgres", "daemon", "bin"))
    for account in accounts:
        if account.pw_uid not in (0, 65534):
            return account
    return pwd.getpwnam("nobody")


def _works(way: Unprivileged) -> bool:
    try:
        subprocess.run(["/bin/sh", "-c", "exit 0"], check=True, capture_output=True, preexec_fn=way.prepare, env={})
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _check(result: int, call: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{call}: {os.strerror(ctypes.get_errno())}")
