"""Keeps the sensor of tier 2, and whatever it starts, from making or emptying a file anywhere.

Its unit mounts every file system read-only. But who may look into other processes
(CAP_SYS_PTRACE) also gets to their file systems, by ``/proc/PID/root``, where nothing is mounted
read-only. The unit refuses the system calls that only make or remove; this refuses ``open`` where
it would make or empty a file, which systemd cannot tell from other opening.

Landlock would be simpler and is no way: the kernel then refuses to look into other processes.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

MAKES = os.O_CREAT | os.O_TRUNC | 0o20000000  # the last is the part of O_TMPFILE that is its own
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2  # of prctl(2)
_LOAD, _EQUAL, _BITS, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _EROFS, _ENOSYS = 1, 30, 38
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # in struct seccomp_data
# Audit's name of the machine; numbers of open, creat, openat and openat2, -1 where there is none.
_MACHINES = {
    "x86_64": (0xC000003E, (2, 85, 257, 437)),
    "aarch64": (0xC00000B7, (-1, -1, 56, 437)),
}


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """A struct sock_filter; ``yes`` and ``no`` are how many of the next ones a test skips."""
    return struct.pack("=HBBI", code, yes, no, value)


def refuse(error: int) -> bytes:
    """Let the call fail with this error number."""
    return step(_RETURN, _ERRNO | error)


def _flags(number: int, argument: int) -> list[bytes]:
    """Refuse call ``number`` where its argument has one of the flags that make; else allow it."""
    return [
        step(_EQUAL, number, 0, 4),
        step(_LOAD, _ARGUMENTS + 8 * argument),  # its low half, on machines of this byte order
        step(_BITS, MAKES, 0, 1),
        refuse(_EROFS),
        step(_RETURN, _ALLOW),
    ]


def program(machine: str) -> bytes:
    """The filter for ``machine`` as ``platform.machine()`` names it; KeyError for an unknown one.

    The error is that of a read-only file system, which every program knows. The structure behind
    openat2 cannot be looked at, so it does not exist, and libraries use openat.
    """
    arch, (plain, creat, openat, openat2) = _MACHINES[machine]
    steps = [step(_LOAD, _ARCH), step(_EQUAL, arch, 1, 0), refuse(_EPERM)]
    steps += [step(_LOAD, _NUMBER)]
    if machine == "x86_64":  # the second table of calls, with 32-bit addresses
        steps += [step(_AT_LEAST, 0x40000000, 0, 1), refuse(_EPERM)]
    steps += [step(_EQUAL, openat2, 0, 1), refuse(_ENOSYS)]
    if creat >= 0:
        steps += [step(_EQUAL, creat, 0, 1), refuse(_EROFS)]
    if plain >= 0:
        steps += _flags(plain, 1)
    steps += _flags(openat, 2)
    return b"".join([*steps, step(_RETURN, _ALLOW)])


def make_nothing() -> None:
    """From now on, for this process and its children; OSError with the reason where it cannot be.

    To be called before there are threads.
    """
    machine = platform.machine()
    if machine not in _MACHINES or sys.byteorder != "little":
        raise OSError(_ENOSYS, f"the calls of {machine} are not known")
    load(program(machine))


def load(code: bytes) -> None:
    """Add this filter to what holds already; OSError with the reason where that cannot be.

    For this process and its children, and for good.
    """
    filled = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    word = ctypes.c_ulong
    for step in (
        (_NO_NEW_PRIVILEGES, word(1), word(0), word(0), word(0)),
        (_SET_SECCOMP, word(_FILTER), ctypes.byref(filled), word(0), word(0)),
    ):
        if libc.prctl(*step) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"the kernel takes no filter: {os.strerror(number)}")
