"""On a machine with a real NVIDIA driver: what we show is what nvidia-smi shows."""

import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from console.hostside.probe.gpu.nvml import loadable
from console.model.gpu import GpuDriver, GpuFast, GpuStatic
from tests.support.nvml import Child, answer

pytestmark = pytest.mark.gpu


def smi(fields: str) -> list[list[str]]:
    done = subprocess.run(
        ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines()]


def test_agrees_with_nvidia_smi() -> None:
    if not loadable():
        pytest.skip("no NVIDIA driver here: libnvidia-ml.so.1 does not load")
    if shutil.which("nvidia-smi") is None:
        pytest.skip("no nvidia-smi here to compare with")
    expected = smi("uuid,name,memory.total,driver_version,vbios_version")
    with Child(None, Path("/proc"), Path("/sys")) as child:
        rows = answer(
            child,
            "fast",
            lambda found: len(found) >= len(expected) and all(r[4] is not None for r in found),
            60,
        )
        static = answer(child, "static", lambda s: s and all("vbios" in g for g in s), 60)
        driver = msgspec.convert(child.ask("driver"), GpuDriver)
        child.ask("counters")
        child.ask("processes")
        assert not [event for event in child.ask("emitted") if event[0] == "probe.error"]
    for cells, row, facts in zip(expected, rows, static, strict=False):
        gpu = msgspec.convert(facts, GpuStatic)
        sample = msgspec.convert(row, GpuFast)
        assert [gpu.uuid, gpu.name] == cells[:2]
        assert sample.mem_total_mib is not None
        assert abs(sample.mem_total_mib - float(cells[2])) < 1
        assert [driver.version, gpu.vbios] == cells[3:]
        assert not sample.lost
