"""A filter of system calls for the process of a plugin: what Python needs, and nothing else.

It holds what Landlock does not: starting processes, signals to the console (same user!), memory
shared with other programs, sockets that Landlock does not look at, opening a file to write, other
processes' limits and priorities, another user. Only what is named here is allowed, so a call that
a new kernel brings is refused too. The refusal of ``open`` to make or empty a file, the machine's
own number and its second table of calls are those of the sensor of tier 2, as are the ways to
write a filter down and to load it.
"""

import os
import platform
import socket
from collections.abc import Iterable, Sequence

from console.hostside.sensor.confine import load, make_nothing, refuse, step

_LOAD, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_AND = 0x54
_ALLOW = 0x7FFF0000
_EPERM, _EACCES, _ENOSYS, _EAFNOSUPPORT = 1, 13, 38, 97
_NUMBER, _ARGUMENTS = 0, 16  # in struct seccomp_data
_MACHINES = ("x86_64", "aarch64")

# Numbers by machine: (x86_64, aarch64); -1 where there is no such call.
_ALLOWED: dict[str, tuple[int, int]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "preadv": (295, 69), "lseek": (8, 62), "close": (3, 57), "close_range": (436, 436),
    "dup": (32, 23), "dup2": (33, -1), "dup3": (292, 24), "pipe2": (293, 59), "fstat": (5, 80),
    "stat": (4, -1), "lstat": (6, -1), "newfstatat": (262, 79), "statx": (332, 291),
    "statfs": (137, 43), "fstatfs": (138, 44), "access": (21, -1), "faccessat": (269, 48),
    "faccessat2": (439, 439), "readlink": (89, -1), "readlinkat": (267, 78),
    "getdents64": (217, 61), "getcwd": (79, 17), "fadvise64": (221, 223), "umask": (95, 166),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216),
    "madvise": (28, 233), "brk": (12, 214), "membarrier": (324, 283), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137), "sigaltstack": (131, 132), "restart_syscall": (219, 128),
    "pause": (34, -1), "alarm": (37, -1), "setitimer": (38, 103), "getitimer": (36, 102),
    "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293), "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123), "sched_getparam": (143, 121), "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126),
    "getpriority": (140, 141), "arch_prctl": (158, -1), "exit": (60, 93), "exit_group": (231, 94),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101), "gettimeofday": (96, 169), "time": (201, -1), "times": (100, 153),
    "getrusage": (98, 165), "getrlimit": (97, 163), "sysinfo": (99, 179), "uname": (63, 160),
    "getcpu": (309, 168), "getrandom": (318, 278), "getpid": (39, 172), "getppid": (110, 173),
    "gettid": (186, 178), "getpgid": (121, 155), "getpgrp": (111, -1), "getsid": (124, 156),
    "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "getresuid": (118, 148), "getresgid": (120, 150), "getgroups": (115, 158), "poll": (7, -1),
    "ppoll": (271, 73), "select": (23, -1), "pselect6": (270, 72), "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21), "epoll_wait": (232, -1), "epoll_pwait": (281, 22),
    "eventfd2": (290, 19), "connect": (42, 203), "recvfrom": (45, 207), "recvmsg": (47, 212),
    "getsockopt": (55, 209), "getsockname": (51, 204), "getpeername": (52, 205),
    "shutdown": (48, 210),
}  # fmt: skip
_NEWER = 424
"""Numbers from here on are the same everywhere and newer than any C library needs. For libraries
they do not exist, so these use older calls. Among them are clone3, whose flags lie behind a
pointer, and io_uring, which hides whole calls."""

# Calls that are allowed with some arguments only.
_CLONE, _KILL, _TGKILL, _PRLIMIT = (56, 220), (62, 129), (234, 131), (302, 261)
_OPEN, _OPENAT, _FCNTL, _IOCTL = (2, -1), (257, 56), (72, 25), (16, 29)
_SOCKET, _SENDTO, _SETSOCKOPT = (41, 198), (44, 206), (54, 208)
_CLONE_THREAD, _CLONE_NAMESPACES = 0x10000, 0x7E020000
_TO_WRITE = os.O_WRONLY | os.O_RDWR
# Of fcntl: copies and flags of a descriptor. Not: whom it signals, locks, leases.
_FCNTLS = (0, 1, 2, 3, 4, 1030)
# Of ioctl: is it a terminal (two ways), its size, blocking, close-on-exec, how much is there.
_IOCTLS = (0x5401, 0x802C542A, 0x5413, 0x5421, 0x5450, 0x5451, 0x541B)
_SOCKET_TYPE = 0xF
_PROTOCOLS = (0, socket.IPPROTO_TCP)  # not MPTCP, SMC: Landlock knows the ports of TCP alone
_FAST_OPEN = 0x20000000  # of send(2): connects without connect(2), past Landlock
_TCP_ULP = 31  # of setsockopt(2): puts another protocol into a socket of TCP


def _argument(number: int, *, high: bool = False) -> bytes:
    """Load one half of an argument, the low one unless ``high``; this byte order is checked."""
    return step(_LOAD, _ARGUMENTS + 8 * number + 4 * high)


def _case(call: int, checks: Iterable[Sequence[bytes]]) -> list[bytes]:
    """Allow ``call`` where it passes all checks, each of which refuses by itself."""
    steps = [one for check in checks for one in check] + [step(_RETURN, _ALLOW)]
    return [step(_EQUAL, call, 0, len(steps)), *steps] if call >= 0 else []


def _among(argument: int, values: Sequence[int], error: int = _EPERM) -> list[bytes]:
    """Refuse unless the argument, a number of 32 bits for the kernel too, is one of these."""
    left = range(len(values), 0, -1)
    tests = [step(_EQUAL, value, over, 0) for value, over in zip(values, left, strict=True)]
    return [_argument(argument), *tests, refuse(error)]


def _without(argument: int, bits: int, error: int = _EPERM) -> list[bytes]:
    """Refuse where the argument has any of these bits."""
    return [_argument(argument), step(_BITS, bits, 0, 1), refuse(error)]


def _null(argument: int) -> list[bytes]:
    """Refuse unless the argument is a null pointer: both halves, for one may be zero by choice."""
    zero = [step(_EQUAL, 0, 1, 0), refuse(_EPERM)]
    return [_argument(argument), *zero, _argument(argument, high=True), *zero]


def _sockets(*, network: bool) -> list[list[bytes]]:
    """TCP over IP where there is ``network``; no other socket at all."""
    if not network:
        return [[refuse(_EAFNOSUPPORT)]]
    stream = [_argument(1), step(_AND, _SOCKET_TYPE), step(_EQUAL, socket.SOCK_STREAM, 1, 0)]
    return [
        _among(0, (socket.AF_INET, socket.AF_INET6), _EAFNOSUPPORT),
        [*stream, refuse(_EAFNOSUPPORT)],
        _among(2, _PROTOCOLS, _EAFNOSUPPORT),
    ]


def program(machine: str, pid: int, *, network: bool) -> bytes:
    """The filter for ``machine`` and a process ``pid``; KeyError for an unknown machine.

    The machine's own number and its second table of calls were checked by the first filter.
    """
    if machine not in _MACHINES:
        raise KeyError(machine)
    at = _MACHINES.index(machine)
    thread = [_argument(0), step(_BITS, _CLONE_THREAD, 1, 0), refuse(_EPERM)]
    no_ulp = [
        _argument(1), step(_EQUAL, socket.IPPROTO_TCP, 0, 3),
        _argument(2), step(_EQUAL, _TCP_ULP, 0, 1), refuse(_EPERM),
    ]  # fmt: skip
    cases: tuple[tuple[tuple[int, int], Sequence[Sequence[bytes]]], ...] = (
        *((pair, ()) for pair in _ALLOWED.values()),
        (_OPEN, [_without(1, _TO_WRITE, _EACCES)]),
        (_OPENAT, [_without(2, _TO_WRITE, _EACCES)]),
        (_FCNTL, [_among(1, _FCNTLS)]),
        (_IOCTL, [_among(1, _IOCTLS)]),
        (_CLONE, [thread, _without(0, _CLONE_NAMESPACES)]),
        (_KILL, [_among(0, (pid,))]),
        (_TGKILL, [_among(0, (pid,))]),
        (_PRLIMIT, [_among(0, (0, pid)), _null(2)]),  # without new limits: it only reads
        (_SOCKET, _sockets(network=network)),
        (_SENDTO, [_without(3, _FAST_OPEN)]),
        (_SETSOCKOPT, [no_ulp]),
    )
    steps = [step(_LOAD, _NUMBER)]
    for pair, checks in cases:
        steps += _case(pair[at], checks)
    unknown = [step(_AT_LEAST, _NEWER, 0, 1), refuse(_ENOSYS), refuse(_EPERM)]
    return b"".join([*steps, *unknown])


def confine(*, network: bool) -> None:
    """From now on, for this process; OSError with the reason where it cannot be.

    To be called before there are threads.
    """
    make_nothing()
    load(program(platform.machine(), os.getpid(), network=network))
