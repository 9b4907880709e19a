"""`python -I -S landlock_exec.py --ro PATH --rw PATH ... -- command`: run a command that sees only these paths.

The kernel's Landlock, through ctypes: constants and structures from linux/landlock.h. It hides files only; processes,
sockets and the network are out of its reach, which is why bubblewrap is preferred. Standard library only: it starts
before every command.
"""

import ctypes
import os
import stat
import sys

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
PATH_BENEATH = 1
VERSION_FLAG = 1
PR_SET_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
# What may be granted on something that is not a directory.
FILE_ONLY = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
# Signals and abstract sockets to the outside (ABI 6).
SCOPES = 3


class RulesetAttr(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class PathBeneathAttr(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


libc = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: object) -> int:
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def abi() -> int:
    return syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION_FLAG))


def handled_rights(version: int) -> int:
    """All file-system rights this kernel can deny: 13 at first, then one more with ABI 2, 3 and 5."""
    rights = (1 << 13) - 1
    for since, bit in ((2, 13), (3, 14), (5, 15)):
        if version >= since:
            rights |= 1 << bit
    return rights


def restrict(readable: list[str], writable: list[str]) -> None:
    version = abi()
    handled = handled_rights(version)
    attr = RulesetAttr(fs=handled, net=0, scoped=SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = syscall(CREATE_RULESET, ctypes.byref(attr), ctypes.c_size_t(size), ctypes.c_uint32(0))
    for path in readable:
        allow(ruleset, path, READ & handled)
    for path in writable:
        allow(ruleset, path, handled)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    syscall(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)


def allow(ruleset: int, path: str, rights: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            rights &= FILE_ONLY
        rule = PathBeneathAttr(allowed=rights, parent=beneath)
        syscall(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(beneath)


def main(words: list[str]) -> None:
    readable: list[str] = []
    writable: list[str] = []
    while words and words[0] != "--":
        option, path, *words = words
        (readable if option == "--ro" else writable).append(path)
    command = words[1:]
    restrict(readable, writable)
    os.execvp(command[0], command)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.stderr.write(f"landlock: {error}\n")
        sys.exit(126)
