"""Landlock: which files a plugin's process may read, and which TCP ports it may connect to.

Numbers are those of linux/landlock.h. What a kernel does not know is left out and told.
"""

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every machine
_VERSION = 1  # flag of the first call
_PATH_BENEATH, _NET_PORT = 1, 2
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILES = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # rights by the version they came
_BIND, _CONNECT = 1 << 0, 1 << 1
_SCOPES = 0b11  # abstract UNIX sockets and signals, from version 6 on
PORTS_FROM = 4
NONE = "this kernel has no Landlock, which holds what a plugin may read"


class _Rules(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Path(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("handle", ctypes.c_int32))


class _Port(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


def version() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    return max(0, int(found))


def restrict(readable: Iterable[Path], ports: Iterable[int]) -> int:
    """Leave this process the reading of these files and folders and connecting to these ports.

    Returns the version in force, 0 where the kernel has none and nothing was done. Below
    ``PORTS_FROM`` ports are not held. OSError where the kernel refuses. NO_NEW_PRIVS must be set.
    """
    have = version()
    if not have:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    rules = _Rules(sum(bits for since, bits in _FILES.items() if since <= have), 0, 0)
    size = 8
    if have >= PORTS_FROM:
        rules.net, size = _BIND | _CONNECT, 16
    if have >= 6:
        rules.scoped, size = _SCOPES, 24
    handle = _checked(libc.syscall(_CREATE, ctypes.byref(rules), ctypes.c_size_t(size), 0))
    try:
        for path in readable:
            _allow(libc, handle, path)
        for port in sorted(set(ports)) if have >= PORTS_FROM else ():
            rule = _Port(_CONNECT, port)
            _checked(libc.syscall(_ADD, handle, _NET_PORT, ctypes.byref(rule), 0))
        _checked(libc.syscall(_RESTRICT, handle, 0))
    finally:
        os.close(handle)
    return have


def _allow(libc: ctypes.CDLL, handle: int, path: Path) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this machine
    try:
        folder = stat.S_ISDIR(os.fstat(opened).st_mode)
        rule = _Path(_READ_FILE | (_READ_DIR if folder else 0), opened)
        _checked(libc.syscall(_ADD, handle, _PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(opened)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result
