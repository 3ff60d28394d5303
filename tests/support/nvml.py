"""A machine with NVIDIA GPUs that are not there: the stub library, its state and a /proc tree.

``build_stub`` compiles ``tests/nvmlstub/nvml_stub.c``; a process started with ``environment``
loads it as its ``libnvidia-ml.so.1``, so the real pynvml and all code above it run as on a host.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.support.lab import wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = ROOT / "tests/nvmlstub/nvml_stub.c"
GIB = 1 << 30


class NoCompiler(Exception):
    """Why the stub cannot be built on this machine."""


def build_stub(folder: Path, without: Iterable[str] = ()) -> Path:
    """Compile the library into ``folder``; its path.

    ``without`` names what an older driver lacks: ``V3 V2 MEMORY_V2 EVENT_REASONS TEMPERATURE CC
    GSP FIELDS ENCRYPTION EVENTS``. Raises NoCompiler where gcc is missing.
    """
    gcc = shutil.which("gcc")
    if gcc is None:
        raise NoCompiler("gcc is not installed (Debian: apt-get install gcc)")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "libnvidia-ml.so.1"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wl,-soname,libnvidia-ml.so.1"]
    flags += ["-Wno-unused"] if without else []
    defines = [f"-DWITHOUT_{name}" for name in without]
    subprocess.run(
        [gcc, *flags, *defines, "-o", str(library), str(SOURCE), "-lpthread"],
        check=True,
        timeout=60,
    )
    return library


def h100(index: int) -> dict[str, str]:
    """State of one healthy H100 without any process, every field set."""
    state = {
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": f"GPU-00000000-0000-0000-0000-{index:012d}",
        "serial": f"16{index:011d}",
        "pci": f"00000000:{0x10 + index:02X}:00.0",
        "minor": str(index),
        "vbios": "96.00.74.00.01",
        "inforom": "G520.0200.00.05",
        "inforom.checksum": "0xc0ffee",
        "gsp": "570.86.15",
        "gsp.mode": "1 1",
        "util": f"{40 + index} 31",
        "memory": f"{80 * GIB} {GIB} {20 * GIB}",
        "bar1": f"{128 * GIB} {GIB}",
        "temp": str(45 + index),
        "threshold.0": "95",
        "threshold.1": "89",
        "power": "312500",
        "power.limit": "700000",
        "power.range": "200000 700000",
        "clock.1": "1980",
        "clock.2": "2619",
        "reasons": "0x4",
        "encoder": "3 167000",
        "decoder": "5 167000",
        "mig": "0 0",
        "ecc": "1 1",
        "persistence": "1",
        "compute_mode": "0",
        "accounting": "0",
        "restricted.0": "1",
        "restricted.1": "0",
        "encryption": "1 1",
        "display": "0",
        "fabric": "3 0 7",
        "certificate": f"chain-of-{index}",
        "pcie.gen": "5",
        "pcie.gen.max": "5",
        "pcie.width": "16",
        "pcie.width.max": "16",
        "compute": "",
        "graphics": "",
        "mps": "",
        "busy": "",
        "events": "0xff8b",
    }
    state.update({f"nvlink.{link}": "1" for link in range(18)})
    for number, kind, value in FIELD_VALUES:
        state[f"field.{number}"] = f"{kind} {value}"
    return state


# NVML_FI_* id (with scope), nvmlValueType_t, value.
FIELD_VALUES: tuple[tuple[str, int, int], ...] = (
    ("3", 3, 11),
    ("4", 3, 12),
    ("5", 3, 13),
    ("6", 3, 14),
    ("29", 3, 15),
    ("30", 3, 16),
    ("31", 1, 0),
    ("38", 3, 100),
    ("45", 3, 23),
    ("52", 3, 24),
    ("74", 3, 5_000_000_000),
    ("75", 3, 6_000_000_000),
    ("82", 1, 61),
    ("83", 3, 123_456_789_000),
    ("94", 1, 7),
    ("138.4294967295", 3, 8_000_000_000_000),
    ("139.4294967295", 3, 9_000_000_000_000),
    ("142", 1, 2),
    ("143", 1, 1),
    ("144", 1, 0),
    ("145", 1, 0),
    ("197", 3, 1 << 45),
    ("198", 3, 1 << 44),
    ("230", 1, 0),
)


class Stub:
    """One built library with its state; ``put`` and ``drop`` change the world while it runs."""

    def __init__(self, folder: Path, gpus: int = 1, library: Path | None = None) -> None:
        """``library`` is one that ``build_stub`` made before; else one is made in ``folder``."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.library = library or build_stub(folder / "lib")
        self.log = folder / "calls"
        self.path = folder / "state"
        self.proc = folder / "proc"
        self.sys = folder / "sys"
        self.state: dict[str, str] = {
            "driver": "570.86.15",
            "nvml": "12.570.86.15",
            "cuda": "12080",
            "cc": "2 1 0",
            "cc.multi": "1",
            "gpus": str(gpus),
        }
        for index in range(gpus):
            self.state.update({f"{index}.{key}": v for key, v in h100(index).items()})
        self._write()
        self._trees(gpus)

    def put(self, changes: Mapping[str, str]) -> None:
        """Change or add keys."""
        self.state.update(changes)
        self._write()

    def drop(self, *keys: str) -> None:
        """Remove keys; they are then not supported, or no longer fail or hang."""
        for key in keys:
            self.state.pop(key, None)
        self._write()

    def _write(self) -> None:
        # Written beside and renamed: the library must never read half a state.
        draft = self.folder / "state.new"
        draft.write_text("".join(f"{k} {v}\n" for k, v in self.state.items()), encoding="utf-8")
        draft.replace(self.path)

    def _trees(self, gpus: int) -> None:
        driver = self.proc / "driver/nvidia"
        for index in range(gpus):
            folder = driver / "gpus" / f"0000:{0x10 + index:02x}:00.0"
            folder.mkdir(parents=True)
            (folder / "information").write_text(
                "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 120\n"
                f"GPU UUID: \t GPU-00000000-0000-0000-0000-{index:012d}\n"
                "Video BIOS: \t 96.00.74.00.01\nBus Type: \t PCIe\n"
                f"Bus Location: \t 0000:{0x10 + index:02x}:00.0\nDevice Minor: \t {index}\n"
                "GPU Firmware: \t 570.86.15\nGPU Excluded:\t No\n"
            )
        driver.mkdir(parents=True, exist_ok=True)
        (driver / "version").write_text(
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n"
            "GCC version:  gcc version 12.2.0\n"
        )
        (driver / "params").write_text("RmProfilingAdminOnly: 1\nEnableMSI: 1\n")
        (self.sys / "module").mkdir(parents=True)

    def process(self, pid: int, *nodes: str) -> None:
        """Let a process exist in the stub's /proc, with device nodes open."""
        folder = self.proc / str(pid) / "fd"
        folder.mkdir(parents=True, exist_ok=True)
        for number, node in enumerate(nodes, start=3):
            (folder / str(number)).symlink_to(node)

    def environment(self) -> dict[str, str]:
        """The environment of a process that shall see this machine."""
        return {
            **os.environ,
            "LD_LIBRARY_PATH": str(self.library.parent),
            "NVML_STUB": str(self.path),
            "NVML_STUB_LOG": str(self.log),
        }

    def calls(self) -> list[str]:
        """Every call so far, as ``function device``."""
        return self.log.read_text().splitlines() if self.log.exists() else []


class Child:
    """A process with a ``Gpus`` in it, that sees the stub's machine; a context manager."""

    def __init__(self, stub: Stub | None, proc: Path, sys_root: Path) -> None:
        environment = stub.environment() if stub else dict(os.environ)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.nvml_child", str(proc), str(sys_root)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, method: str) -> Any:
        """The answer of ``Gpus.method()``, or of the child's own verbs."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(method + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the child has ended"
        return json.loads(line)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            code = self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
        assert code == 0, f"the child ended with {code}"


def answer(child: Child, method: str, wanted: Callable[[Any], bool], seconds: float = 20) -> Any:
    """The first answer of ``method`` that is as ``wanted``: drivers answer in threads."""
    held: list[Any] = []

    def ask() -> bool:
        held[:] = [child.ask(method)]
        return wanted(held[0])

    try:
        wait_until(ask, seconds, f"{method} is as wanted")
    except AssertionError as error:
        raise AssertionError(f"{error}; last: {held}") from None
    return held[0]


def of_length(number: int) -> Callable[[Any], bool]:
    """A condition for ``answer``: so many rows."""
    return lambda rows: len(rows) == number


def open_gpus(child: Child, count: int) -> list[Any]:
    """The first fast sample in which all GPUs have been read."""
    rows = answer(child, "fast", lambda r: len(r) == count and all(x[1] is not None for x in r))
    assert isinstance(rows, list)
    return rows
