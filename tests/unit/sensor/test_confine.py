"""The filter that keeps the sensor from making files, in real processes."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from console.hostside import bundle
from console.hostside.sensor import confine

# Run in a folder that has a file "kept" which says "kept".
PROGRAM = """\
import ctypes, os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from confine import make_nothing
make_nothing()
libc = ctypes.CDLL(None, use_errno=True)
def told(name, call):
    ctypes.set_errno(0)
    try:
        made = call()
        print(name, os.strerror(ctypes.get_errno()) if made == -1 else "done")
    except OSError as error:
        print(name, error.strerror)
how = (ctypes.c_uint64 * 3)(os.O_WRONLY | os.O_CREAT, 0o600, 0)
told("create", lambda: os.open("made", os.O_WRONLY | os.O_CREAT, 0o600))
told("unnamed", lambda: os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600))
told("empty", lambda: os.open("kept", os.O_WRONLY | os.O_TRUNC))
told("empty-reading", lambda: os.open("kept", os.O_RDONLY | os.O_TRUNC))
told("creat", lambda: libc.creat(b"made", 0o600))
told("openat2", lambda: libc.syscall(437, -100, b"made", ctypes.byref(how), 24))
told("read", lambda: os.open("kept", os.O_RDONLY))
told("folder", lambda: os.open(".", os.O_RDONLY | os.O_DIRECTORY))
told("device", lambda: os.open("/dev/null", os.O_RDWR))
child = subprocess.run(["sh", "-c", "cat kept; echo x >made"], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True)
print("child", child.stdout.strip(), child.stderr.strip().rpartition(": ")[2])
"""
READ_ONLY = "Read-only file system"

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="no filter is known for this machine"
)


def test_nothing_is_made_or_emptied_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept\n")
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, str(Path(confine.__file__).parent)],
        cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert dict(line.split(" ", 1) for line in done.stdout.splitlines()) == {
        "create": READ_ONLY, "unnamed": READ_ONLY, "empty": READ_ONLY,
        "empty-reading": READ_ONLY, "creat": READ_ONLY, "openat2": "Function not implemented",
        "read": "done", "folder": "done", "device": "done", "child": f"kept {READ_ONLY}",
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_text() == "kept\n"


@pytest.mark.parametrize(
    ("begin", "tier", "more"), [("start", 1, 0), ("start", 2, 1), ("without", 2, 0)]
)
def test_the_sensor_begins_with_it_or_says_so(
    tmp_path: Path, begin: str, tier: int, more: int
) -> None:
    for path, data in bundle.files().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    if begin == "without":  # as on a kernel that has no filters
        (tmp_path / "confine.py").write_text("def make_nothing():\n    raise OSError(22, 'none')\n")
    argv = [sys.executable, "-I", "-S", "-u", str(tmp_path / "start.py"), "--tier", str(tier)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as probe:
        assert probe.stdout is not None
        frame = json.loads(probe.stdout.readline())
        counts = [filters(probe.pid), filters("self")]
        _, errors = probe.communicate(timeout=30)
    assert counts[0] - counts[1] == more
    assert ("sandbox" in frame["denied"]) == (begin == "without")
    assert (b"not kept from making files" in errors) == (begin == "without")


def filters(pid: int | str) -> int:
    """How many filters of system calls the process runs under."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("Seccomp_filters:"):
            return int(line.split()[1])
    pytest.skip("a kernel before 5.9 does not tell how many filters there are")


def test_a_machine_whose_calls_are_not_known_is_told() -> None:
    with pytest.raises(KeyError):
        confine.program("vax")
    assert len(confine.program("x86_64")) % 8 == len(confine.program("aarch64")) % 8 == 0
