"""Who hides an open weight file, or hides others behind very many descriptors or mappings."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from console.hostside.probe import openers as openers_module
from console.hostside.probe import owners
from console.hostside.probe.denied import Denied
from console.hostside.probe.openers import Openers, Weights
from console.hostside.probe.owners import look
from console.hostside.probe.place import Place
from console.hostside.probe.proctable import ProcessTable
from console.hostside.probe.users import Users

PYTHON = os.path.realpath(sys.executable)
OPEN = "import sys; f = open(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"
# The mapped file lies behind very many mappings of a file with a long name.
FAR = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
file = os.open(sys.argv[1], os.O_RDONLY)
assert libc.mmap(0x7000000000, 8192, 1, 0x12, file, 0) == 0x7000000000
filler = os.memfd_create("n" * 200)
os.ftruncate(filler, 4096)
for number in range(int(sys.argv[2])):
    libc.mmap(0x100000000 + number * 8192, 4096, 1, 0x12, filler, 0)
os.close(file)
os.close(filler)
print("ready", flush=True)
sys.stdin.read()
"""
MANY = """
import os, sys
for _ in range(int(sys.argv[1])):
    os.dup(0)
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def started(*argv: str) -> Iterator[int]:
    """Pid of a program that says when it is ready."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        try:
            if b"ready" not in child.stdout.readline():
                pytest.skip("this machine does not let it")
            yield child.pid
        finally:
            child.kill()


class Watch:
    """Openers of one folder, over the processes of this machine that a test names."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(mono=lambda: 1.0)
        self.reads = Place(mono=lambda: 1.0)  # the time of those who read maps
        self.denied = Denied()
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.table = ProcessTable(self.place, Users(self.place), self.denied, "salt")
        self.table._own = 0  # what this test starts is not what a probe starts
        self.weights = Weights(self.place, [str(folder)])
        self.weights.walk()
        self.openers = Openers(
            self.reads,
            self.weights,
            self.table,
            self.denied,
            lambda *event: self.events.append(event),
        )

    def rows(self, *pids: int) -> list[tuple[Any, ...]]:
        """Pid, path and way of what the processes hold."""
        self.table.look()
        for pid in self.table.by_pid.keys() - set(pids):
            del self.table.by_pid[pid]
        chosen = list(self.table.by_pid.values())
        held = look(self.place, chosen, self.weights.maybe, self.weights.inodes)
        return [(row[1], row[4], row[5]) for row in self.openers.sample(lambda: held).values()]


@pytest.fixture
def weight(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    file = folder / "model.safetensors"
    file.write_bytes(b"w" * 8192)
    return file


def test_a_hard_link_of_another_name_is_the_file(weight: Path) -> None:
    other = weight.parent.parent / "x"
    os.link(weight, other)
    stranger = weight.parent.parent / "y"
    stranger.write_bytes(b"y")
    watch = Watch(weight.parent)
    with (
        started(PYTHON, "-c", OPEN, str(other)) as pid,
        started(PYTHON, "-c", OPEN, str(stranger)) as second,
    ):
        assert watch.rows(pid, second) == [(pid, str(weight), "fd")]
    with started(PYTHON, "-c", FAR, str(other), "1") as pid:
        assert watch.rows(pid) == [(pid, str(weight), "map")]


def test_a_mount_of_another_name_is_the_file(weight: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root and unshare, to mount in a namespace of its own")
    (tmp_path / "y").touch()
    script = 'mount --bind "$1" "$2" && exec "$3" -c "$4" "$2"'
    argv = ["unshare", "-m", "sh", "-c", script, "sh", str(weight), str(tmp_path / "y"), PYTHON]
    with started(*argv, OPEN) as pid:
        assert Watch(weight.parent).rows(pid) == [(pid, str(weight), "fd")]


def test_a_mapping_behind_many_others_is_seen_or_the_cut_is_told(
    weight: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch(weight.parent)
    with started(PYTHON, "-c", FAR, str(weight), "20000") as pid:
        assert watch.rows(pid) == [(pid, str(weight), "map")]
        assert "openers.maps" not in watch.denied.whole()
        monkeypatch.setattr(openers_module, "MAX_MAPS", 1 << 20)
        assert watch.rows(pid) == []
        assert str(pid) in watch.denied.whole()["openers.maps"]


def test_maps_that_take_too_long_are_read_in_turn(weight: Path) -> None:
    watch = Watch(weight.parent)
    with contextlib.ExitStack() as stack:
        argv = (PYTHON, "-c", FAR, str(weight), "1")
        pids = [stack.enter_context(started(*argv)) for _ in range(3)]
        ticks = count()
        step = openers_module.MAPS_S * 0.9  # two of them at a time
        watch.reads.mono = lambda: next(ticks) * step
        assert len(watch.rows(*pids)) == 2
        assert sorted(row[0] for row in watch.rows(*pids)) == sorted(pids)
        assert watch.events == []  # they were there before the first look
        watch.rows(*pids)
        assert "openers.maps" not in watch.denied.whole()


def test_many_descriptors_hide_nothing_of_another_process(weight: Path) -> None:
    watch = Watch(weight.parent)
    with (
        started(PYTHON, "-c", MANY, "900") as one,
        started(PYTHON, "-c", MANY, "900") as two,
        started(PYTHON, "-c", OPEN, str(weight)) as victim,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(owners, "FIRST", 100)
        patch.setattr(owners, "NEXT", 200)
        watch.table.look()
        chosen = [watch.table.by_pid[pid] for pid in (one, two, victim)]
        ticks = count()
        place = Place(mono=lambda: float(next(ticks)))
        held = look(place, chosen, watch.weights.maybe, seconds=4.5)
        assert [file[0] for file in held.files] == [victim]
        assert sorted(held.cut) == [one, two]
        assert held.complete
        assert look(place, chosen, watch.weights.maybe, seconds=99.0).cut == []
        patch.setattr(owners, "MAX_FDS", 500)
        assert sorted(look(place, chosen, None, seconds=99.0).cut) == [one, two]
