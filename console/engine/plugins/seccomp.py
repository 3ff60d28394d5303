"""A filter of system calls for the process of a plugin: no programs, no signals, no other sockets.

It holds what Landlock does not: starting processes, sending signals to the console (same user!),
UNIX and UDP sockets, changing files and their names, other processes' limits and priorities. The
refusal of ``open`` to make or empty a file is that of the sensor of tier 2.
"""

import ctypes
import os
import platform
import socket
import struct

from console.hostside.sensor.confine import make_nothing

_SET_SECCOMP, _FILTER = 22, 2  # of prctl(2)
_LOAD, _EQUAL, _BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
_AND = 0x54
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_NUMBER, _ARGUMENTS = 0, 16  # in struct seccomp_data
_CLONE_THREAD = 0x10000
_SOCKET_TYPE = 0xF

# Numbers by machine: (x86_64, aarch64); -1 where there is no such call.
_REFUSED: dict[str, tuple[int, int]] = {
    "fork": (57, -1), "vfork": (58, -1), "execve": (59, 221), "execveat": (322, 281),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "setrlimit": (160, 164), "kcmp": (312, 272), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140), "ioprio_set": (251, 30),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122), "prctl": (157, 167),
    "bind": (49, 200), "listen": (50, 201), "socketpair": (53, 199), "sendmsg": (46, 211),
    "rename": (82, -1), "renameat": (264, 38), "renameat2": (316, 276), "mkdir": (83, -1),
    "mkdirat": (258, 34), "rmdir": (84, -1), "unlink": (87, -1), "unlinkat": (263, 35),
    "link": (86, -1), "linkat": (265, 37), "symlink": (88, -1), "symlinkat": (266, 36),
    "mknod": (133, -1), "mknodat": (259, 33), "truncate": (76, 45), "chmod": (90, -1),
    "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, -1),
    "fchown": (93, 55), "lchown": (94, -1), "fchownat": (260, 54), "utime": (132, -1),
    "utimes": (235, -1), "futimesat": (261, -1), "utimensat": (280, 88), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "reboot": (169, 142), "kexec_load": (246, 104), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "swapon": (167, 224),
    "swapoff": (168, 225), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "sethostname": (170, 161), "inotify_init1": (294, 26),
    "fanotify_init": (300, 262), "quotactl": (179, 60), "acct": (163, 89),
}  # fmt: skip
# clone3 hides its flags behind a pointer, io_uring whole calls: for libraries they do not exist.
_UNKNOWN = {"clone3": (435, 435), "io_uring_setup": (425, 425)}
_CLONE, _KILL, _TGKILL = (56, 220), (62, 129), (234, 131)
_PRLIMIT, _SOCKET = (302, 261), (41, 198)
_MACHINES = ("x86_64", "aarch64")


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def _step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _refuse(error: int) -> bytes:
    return _step(_RETURN, _ERRNO | error)


def _argument(number: int) -> bytes:
    return _step(_LOAD, _ARGUMENTS + 8 * number)  # the low half, on machines of this byte order


def _only(call: int, argument: int, value: int) -> list[bytes]:
    """Refuse ``call`` unless its argument is ``value``."""
    return [
        _step(_EQUAL, call, 0, 4), _argument(argument),
        _step(_EQUAL, value, 0, 1), _step(_RETURN, _ALLOW), _refuse(_EPERM),
    ]  # fmt: skip


def _sockets(call: int, network: bool) -> list[bytes]:
    """TCP over IP where there is ``network``; no other socket at all."""
    if not network:
        return [_step(_EQUAL, call, 0, 1), _refuse(_EAFNOSUPPORT)]
    return [
        _step(_EQUAL, call, 0, 8), _argument(0),
        _step(_EQUAL, socket.AF_INET, 1, 0), _step(_EQUAL, socket.AF_INET6, 0, 4),
        _argument(1), _step(_AND, _SOCKET_TYPE),
        _step(_EQUAL, socket.SOCK_STREAM, 0, 1), _step(_RETURN, _ALLOW), _refuse(_EAFNOSUPPORT),
    ]  # fmt: skip


def program(machine: str, pid: int, *, network: bool) -> bytes:
    """The filter for ``machine`` and a process ``pid``; KeyError for an unknown machine.

    The machine's own number and its second table of calls were checked by the first filter.
    """
    if machine not in _MACHINES:
        raise KeyError(machine)
    at = _MACHINES.index(machine)
    steps = [_step(_LOAD, _NUMBER)]
    for numbers, error in ((_REFUSED, _EPERM), (_UNKNOWN, _ENOSYS)):
        for pair in numbers.values():
            if pair[at] >= 0:
                steps += [_step(_EQUAL, pair[at], 0, 1), _refuse(error)]
    steps += [
        _step(_EQUAL, _CLONE[at], 0, 4), _argument(0),
        _step(_BITS, _CLONE_THREAD, 0, 1), _step(_RETURN, _ALLOW), _refuse(_EPERM),
    ]  # fmt: skip
    steps += _only(_KILL[at], 0, pid) + _only(_TGKILL[at], 0, pid)
    steps += _only(_PRLIMIT[at], 2, 0)  # without new limits: it only reads
    steps += _sockets(_SOCKET[at], network)
    return b"".join([*steps, _step(_RETURN, _ALLOW)])


def confine(*, network: bool) -> None:
    """From now on, for this process; OSError with the reason where it cannot be.

    To be called before there are threads.
    """
    make_nothing()
    code = program(platform.machine(), os.getpid(), network=network)
    filled = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    word = ctypes.c_ulong
    if libc.prctl(_SET_SECCOMP, word(_FILTER), ctypes.byref(filled), word(0), word(0)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the kernel takes no filter: {os.strerror(number)}")
