"""First program inside a sandbox: gives up every privilege and becomes the service.

Runs by path as `python -I -S entry.py '<json>' <command>...`, in bubblewrap (where nothing else of the project is
visible) or on the host before Landlock is applied; so it imports only the standard library. The JSON has

    uid          number or null: the OS user to become (gid is the same number)
    processes    RLIMIT_NPROC or null; counts every process of the user, so only where the user is the service's own
    landlock     null, or {"read": [paths], "write": [paths], "device": [paths]}: all that stays reachable
    directory    the working directory, entered as that user
    oom_score    added to the kernel's out-of-memory score, so that services go before the portal

Landlock: https://docs.kernel.org/userspace-api/landlock.html (the structures and bits below are its ABI 1 to 7).
"""

import ctypes
import json
import os
import resource
import sys

PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
_CAPABILITY_VERSION_3 = 0x20080522
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL = 1, 2, 4, 8, 1 << 14, 1 << 15
_SCOPE_ABSTRACT_SOCKET, _SCOPE_SIGNAL = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def landlock_abi() -> int:
    """The kernel's Landlock version; 0 where it has none."""
    return max(0, int(_libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


def landlock_apply(*, read: list[str], write: list[str], device: list[str]) -> None:
    """Restrict this process and all it starts to the given paths; absent paths are left out.

    `read` may be read and executed, `write` also changed, `device` opened but not made. Signals and abstract sockets
    of processes outside are cut off from ABI 6 on.
    """
    abi = landlock_abi()
    if not abi:
        raise OSError("the kernel has no Landlock")
    rights = (1 << 13) - 1
    rights |= (1 << 13 if abi >= 2 else 0) | (_TRUNCATE if abi >= 3 else 0) | (_IOCTL if abi >= 5 else 0)
    scoped = _SCOPE_ABSTRACT_SOCKET | _SCOPE_SIGNAL if abi >= 6 else 0
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _Ruleset(rights, 0, scoped)
    handle = _checked(
        _libc.syscall(_LANDLOCK_CREATE, ctypes.byref(ruleset), ctypes.c_size_t(size), ctypes.c_uint32(0)), "landlock"
    )
    reading = _EXECUTE | _READ_FILE | _READ_DIR
    opening = _READ_FILE | _WRITE_FILE | _READ_DIR | _TRUNCATE | _IOCTL
    for paths, allowed in ((read, reading), (write, rights), (device, opening)):
        for path in paths:
            _landlock_allow(handle, path, allowed & rights)
    _checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _checked(_libc.syscall(_LANDLOCK_RESTRICT, ctypes.c_int(handle), ctypes.c_uint32(0)), "landlock")
    os.close(handle)


def _landlock_allow(ruleset: int, path: str, allowed: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        allowed &= _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
    rule = _PathBeneath(allowed, target)
    _checked(
        _libc.syscall(_LANDLOCK_ADD, ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint32(0)),
        f"landlock {path}",
    )
    os.close(target)


def privileges_drop(uid: int | None) -> None:
    """Become `uid` (where given) and keep no capability, not even one to be regained."""
    if os.geteuid() == 0:
        for capability in range(64):
            if _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
                break
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())), "capset")
    _checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def main(arguments: list[str]) -> None:
    options, command = json.loads(arguments[0]), arguments[1:]
    os.umask(0o022)
    try:
        with open("/proc/self/oom_score_adj", "w") as stream:
            stream.write(str(options.get("oom_score", 0)))
    except OSError:
        pass  # A hint only; a sandbox without /proc/self writable still runs.
    if options.get("processes"):
        resource.setrlimit(resource.RLIMIT_NPROC, (options["processes"], options["processes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    privileges_drop(options.get("uid"))
    os.chdir(options["directory"])
    if options.get("landlock"):
        landlock_apply(**options["landlock"])
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
