"""First program inside a sandbox: gives up every privilege and becomes the command.

Runs by path as `python -I -S entry.py '<json>' <command>...`, in bubblewrap (where nothing else of the project is
visible) or on the host before Landlock is applied; so it imports only the standard library. The JSON has

    uid          number or null: the OS user to become (gid is the same number)
    processes    RLIMIT_NPROC or null; counts every process of the user, so only where the user is the service's own
    landlock     null, or {"read": [paths], "write": [paths], "device": [paths]}: all that stays reachable
    port         number or null: of the ports the machine gives to services, the only one it may listen on
    alone        whether processes of the same user outside must be kept from it by other means than namespaces
    directory    the working directory, entered as that user
    umask        of what it writes, 0o022 unless given
    oom_score    added to the kernel's out-of-memory score, so that services go before the portal

Landlock: https://docs.kernel.org/userspace-api/landlock.html (the structures and bits below are its ABI 1 to 7).
seccomp: https://docs.kernel.org/userspace-api/seccomp_filter.html; numbers of calls from asm/unistd_64.h.
"""

import ctypes
import json
import os
import platform
import resource
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_SET_SECCOMP = 38, 24, 22
_CAPABILITY_VERSION_3 = 0x20080522
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL = 1, 2, 4, 8, 1 << 14, 1 << 15
_BIND_TCP = 1
_SCOPE_ABSTRACT_SOCKET, _SCOPE_SIGNAL = 1, 2

# Ports of the machine's services (`ports`), and those that programs listen on all the same.
SERVICE_PORTS = range(20_000, 32_001)
_FREE_PORTS = (range(1), range(1024, SERVICE_PORTS.start), range(SERVICE_PORTS.stop, 65_536))

# fmt: off
# Refused to everything: kernel keyrings (the machine's lie open to whoever inherits or shares a user), and what widens
# the kernel's surface for somebody without privileges.
REFUSED = {
    "add_key": 248, "request_key": 249, "keyctl": 250, "mount": 165, "umount2": 166, "pivot_root": 155, "setns": 308,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "mount_setattr": 442, "perf_event_open": 298, "bpf": 321, "userfaultfd": 323, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "kexec_load": 246, "init_module": 175, "finit_module": 313,
}
# Taken for absent, on which programs use something else.
ABSENT = {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "clone3": 435}
# Where other processes of the same user share its view of System V memory, whose limits and priority it could change.
REFUSED_ALONE = {
    "shmget": 29, "shmat": 30, "shmctl": 31, "semget": 64, "semop": 65, "semctl": 66, "msgget": 68, "msgsnd": 69,
    "msgrcv": 70, "msgctl": 71,
}
_ARGUMENT_MUST_BE_ZERO = {"prlimit64": (302, 0), "setpriority": (141, 1)}
_CLONE, _UNSHARE, _CLONE_NEWUSER = 56, 272, 0x10000000
# fmt: on
_EPERM, _ENOSYS = 1, 38
_ARCHITECTURE_X86_64 = 0xC000003E
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


class _NetPort(ctypes.Structure):
    _fields_ = [("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def landlock_abi() -> int:
    """The kernel's Landlock version; 0 where it has none."""
    return max(0, int(_libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


def landlock_apply(*, paths: dict[str, list[str]] | None, port: int | None) -> None:
    """Restrict this process and all it starts, as far as the kernel's version goes.

    `paths` (none: all stays as it is) has `read`, which may be read and executed, `write`, also changed, and `device`,
    opened but not made; absent ones are left out. Signals and abstract sockets of processes outside are cut off from
    ABI 6 on. With `port`, ports of other services cannot be listened on, from ABI 4 on: whoever took the place of a
    service that has just ended would be handed its secret and its people.
    """
    abi = landlock_abi()
    if not abi:
        if paths is None:
            return
        raise OSError("the kernel has no Landlock")
    rights = ((1 << 13) - 1) if paths else 0
    for since, bit in ((2, 1 << 13), (3, _TRUNCATE), (5, _IOCTL)):
        rights |= bit if paths and abi >= since else 0
    net = _BIND_TCP if port is not None and abi >= 4 else 0
    scoped = _SCOPE_ABSTRACT_SOCKET | _SCOPE_SIGNAL if abi >= 6 else 0
    if not rights and not net and not scoped:
        return
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _Ruleset(rights, net, scoped)
    handle = _checked(
        _libc.syscall(_LANDLOCK_CREATE, ctypes.byref(ruleset), ctypes.c_size_t(size), ctypes.c_uint32(0)), "landlock"
    )
    reading = _EXECUTE | _READ_FILE | _READ_DIR
    opening = _READ_FILE | _WRITE_FILE | _READ_DIR | _TRUNCATE | _IOCTL
    for kind, allowed in (("read", reading), ("write", rights), ("device", opening)):
        for path in (paths or {}).get(kind, ()):
            _landlock_allow(handle, path, allowed & rights)
    if net and port is not None:
        _landlock_ports(handle, port)
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


def _landlock_ports(ruleset: int, own: int) -> None:
    """A rule names one port, so there are 53,000; everything but the call itself is taken out of the loop (0.1 s)."""
    rule = _NetPort(_BIND_TCP, 0)
    call, number, handle = _libc.syscall, ctypes.c_long(_LANDLOCK_ADD), ctypes.c_int(ruleset)
    kind, place, flags = ctypes.c_int(2), ctypes.byref(rule), ctypes.c_uint32(0)
    for ports in (*_FREE_PORTS, (own,)):
        for port in ports:
            rule.port = port
            if call(number, handle, kind, place, flags):
                raise OSError(ctypes.get_errno(), f"landlock port {port}")


def seccomp_program(*, alone: bool) -> bytes:
    """The filter as the kernel wants it: instructions of 8 bytes (code, jump if true, jump if false, operand)."""
    refused = sorted({*REFUSED.values(), *(REFUSED_ALONE.values() if alone else ())})
    steps: list[tuple[int, int, int, int]] = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _ARCHITECTURE_X86_64)]
    steps += [(_RETURN, 0, 0, _ERRNO | _EPERM), (_LOAD, 0, 0, 0)]
    # Calls of the x32 kind have this bit, and other numbers.
    steps += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for number in refused:
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    for number in ABSENT.values():
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for number in (_CLONE, _UNSHARE):
        steps += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, 16), (_ANY_BIT, 0, 1, _CLONE_NEWUSER)]
        steps += [(_RETURN, 0, 0, _ERRNO | _EPERM), (_RETURN, 0, 0, _ALLOW)]
    for number, argument in _ARGUMENT_MUST_BE_ZERO.values() if alone else ():
        steps += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, 16 + 8 * argument), (_EQUAL, 1, 0, 0)]
        steps += [(_RETURN, 0, 0, _ERRNO | _EPERM), (_RETURN, 0, 0, _ALLOW)]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def seccomp_apply(*, alone: bool) -> bool:
    """Refuse the calls above; False where that is not possible (another processor, a kernel without seccomp)."""
    if platform.machine() != "x86_64" or sys.maxsize < 2**32:
        return False
    code = seccomp_program(alone=alone)
    program = _Program(len(code) // 8, code)
    _checked(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    return bool(_libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(program), 0, 0) == 0)


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
    os.umask(options.get("umask", 0o022))
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
    landlock_apply(paths=options.get("landlock"), port=options.get("port"))
    seccomp_apply(alone=bool(options.get("alone")))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
