"""AMD and Intel GPUs from trees of sysfs and procfs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.probe.gpu import Gpus, amd, drm, files, holders, intel, kernel
from console.hostside.probe.gpu.nvml import Lost, loadable
from console.model.gpu import GpuCounters, GpuDriver, GpuFast, GpuStatic
from console.model.tables import GpuProcess
from tests.support.gputrees import AMD_CLIENT, ARC, I915_CLIENT, MI300X, XE_CLIENT, Tree, write
from tests.support.lab import wait_until
from tests.support.nvml import ROOT

AMD_PCI, INTEL_PCI = "0000:03:00.0", "0000:04:00.0"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


class Host:
    """``Gpus`` over a tree, with what it emitted."""

    def __init__(self, tree: Tree) -> None:
        self.emitted: list[tuple[str, str, dict[str, Any]]] = []
        self.gpus = Gpus(
            lambda *event: self.emitted.append(event),
            lambda pid: {"name": f"n{pid}", "user": "svc", "started": 1.0},
            proc=str(tree.proc),
            sys=str(tree.sys),
        )
        self.gpus.start()

    def fast(self, count: int) -> list[GpuFast]:
        """A sample in which every GPU has been read."""
        rows: list[Any] = []

        def read() -> bool:
            rows[:] = self.gpus.fast()
            return len(rows) == count and all(r[2] is not None or r[4] is not None for r in rows)

        wait_until(read, 20, "all GPUs are read")
        return [msgspec.convert(row, GpuFast) for row in rows]

    def until(self, method: str, count: int) -> list[Any]:
        """The first answer with so many rows."""
        found: list[Any] = []

        def read() -> bool:
            found[:] = getattr(self.gpus, method)()
            return len(found) == count

        wait_until(read, 20, f"{method} has {count} rows")
        return found


@pytest.fixture
def host(tree: Tree) -> Iterator[Host]:
    """Started after the test has grown its tree: by the first use of ``host.gpus``."""
    held: list[Host] = []

    class Late:
        def __getattr__(self, name: str) -> Any:
            if not held:
                held.append(Host(tree))
            return getattr(held[0], name)

    yield Late()  # type: ignore[misc]  # stands for a Host that is made when first used
    for one in held:
        one.gpus.stop()


def test_no_gpu_is_a_normal_state(tree: Tree, host: Host) -> None:
    if loadable():
        pytest.skip("this machine has an NVML library")
    assert host.gpus.fast() == []
    assert host.gpus.counters() == []
    assert host.gpus.processes() == []
    assert host.gpus.static() == []
    assert host.gpus.driver() == {}
    assert host.gpus.denied() == {}
    assert host.gpus.take_events() == []
    assert host.gpus.fileno() == -1
    assert host.emitted == []


def test_amd(tree: Tree, host: Host) -> None:
    tree.card(0, "amdgpu", AMD_PCI, MI300X)
    write(tree.sys / "module/amdgpu", {"version": "6.10.5"})
    assert host.fast(1) == [
        GpuFast(0, 87, 42, 40 * 1024, 192 * 1024, 64, 451, 2100, 1300, None, 0.0, "")
    ]
    (counters,) = host.until("counters", 1)
    assert msgspec.convert(counters, GpuCounters) == GpuCounters(
        index=0,
        ecc_corrected=23,
        ecc_uncorrected=1,
        retired_pages_dbe=1,
        retired_pages_pending=1,
        remap_failure=0,
        pcie_replays=3,
        mem_temp_c=58,
    )
    wait_until(lambda: "uuid" in host.gpus.static()[0], 20, "static facts are read")
    assert msgspec.convert(host.gpus.static()[0], GpuStatic) == GpuStatic(
        index=0,
        vendor="amd",
        name="AMD Instinct MI300X",
        uuid="0a1b2c3d4e5f6071",
        serial="PCB012345",
        pci=AMD_PCI,
        driver="amdgpu",
        vbios="113-M3000100-102",
        mem_total_mib=192 * 1024,
        power_limit_w=750,
        power_max_limit_w=750,
        temp_slowdown_c=100,
        temp_shutdown_c=105,
        pcie_gen=5,
        pcie_gen_max=5,
        pcie_width=8,
        pcie_width_max=16,
        isolation="compute SPX, memory NPS1, isolation 1 0 0 0",
    )
    assert msgspec.convert(host.gpus.driver(), GpuDriver) == GpuDriver(
        vendor="amd", version="6.10.5", kernel_module="amdgpu 6.10.5"
    )
    assert host.gpus.fileno() >= 0


def test_amd_processes_by_fdinfo_and_kfd(tree: Tree, host: Host) -> None:
    tree.card(0, "amdgpu", AMD_PCI, MI300X)
    facts = {"pci": AMD_PCI, "vram": 2 << 20, "gfx": 10, "compute": 99}
    tree.client(100, 5, "renderD128", AMD_CLIENT.format(client=7, **facts))
    # The same client seen through a duplicated descriptor counts once.
    tree.client(100, 6, "renderD128", AMD_CLIENT.format(client=7, **facts))
    tree.client(101, 3, "card0", AMD_CLIENT.format(client=8, **{**facts, "compute": 0}))
    tree.client(102, 3, "kfd")
    tree.client(103, 3, "renderD128", "pos:\t0")
    write(
        tree.sys / "class/kfd/kfd",
        {
            "topology/nodes/0/gpu_id": "0",
            "topology/nodes/0/properties": "cpu_cores_count 64\nlocation_id 0\ndomain 0",
            "topology/nodes/1/gpu_id": "4711",
            "topology/nodes/1/properties": f"simd_count 1216\nlocation_id {3 << 8}\ndomain 0",
            "proc/102/vram_4711": str(5 << 30),
            "proc/102/vram_9999": "1",
        },
    )
    rows = [msgspec.convert(r, GpuProcess) for r in host.until("processes", 4)]
    assert [(r.key, r.mem_mib, r.source, r.reliable) for r in rows] == [
        ("0/100/compute", 2048.0, "fdinfo", True),
        ("0/101/graphics", 2048.0, "fdinfo", True),
        ("0/102/compute", 5120.0, "fdinfo", True),
        ("0/103/holder", None, "fd", True),
    ]
    assert host.emitted == []
    tree.client(104, 3, "renderD128", AMD_CLIENT.format(client=9, **facts))
    host.until("processes", 5)
    assert [event[:2] for event in host.emitted] == [("gpu.process.new", "0/104/compute")]


def test_intel_i915(tree: Tree, host: Host) -> None:
    device = tree.card(1, "i915", INTEL_PCI, ARC)
    tree.connector(1, "DP-1", enabled=False)
    tree.connector(1, "HDMI-A-1", enabled=True)
    text = {"client": 3, "pci": INTEL_PCI, "vram": 3 << 20}
    tree.client(200, 4, "renderD129", I915_CLIENT.format(render=0, **text))
    first = host.fast(1)[0]
    assert (first.util_pct, first.power_w) == (None, None)  # both are differences
    assert (first.mem_total_mib, first.temp_c, first.sm_clock_mhz) == (14 * 1024, 51, 2050)
    assert first.throttle == 0x04
    (row,) = host.until("processes", 1)
    assert (row[0], row[6]) == ("0/200/graphics", 3072.0)
    wait_until(lambda: host.fast(1)[0].util_pct == 0, 20, "an idle client is seen")
    tree.fdinfo(200, 4, I915_CLIENT.format(render=10**15, **text))
    write(device, {"hwmon/hwmon4/energy1_input": str(10**12)})
    busy: list[GpuFast] = []

    def worked() -> bool:
        busy[:] = host.fast(1)
        return busy[0].util_pct == 100

    wait_until(worked, 20, "the client's work is seen")
    assert busy[0].mem_used_mib == 3072
    assert busy[0].power_w is not None
    wait_until(lambda: "isolation" in host.gpus.static()[0], 20, "static facts are read")
    assert msgspec.convert(host.gpus.static()[0], GpuStatic) == GpuStatic(
        index=0,
        vendor="intel",
        name="Intel GPU 0x56c0",
        pci=INTEL_PCI,
        driver="i915",
        mem_total_mib=14 * 1024,
        power_limit_w=120,
        power_max_limit_w=150,
        pcie_gen=4,
        pcie_gen_max=4,
        pcie_width=16,
        pcie_width_max=16,
        display_active=True,
        isolation="SR-IOV 2 of 31",
    )


def test_intel_xe(tree: Tree) -> None:
    tree.card(
        0,
        "xe",
        INTEL_PCI,
        {
            "device": "0xe20b",
            "tile0/physical_vram_size_bytes": str(12 << 30),
            "tile0/gt0/freq0/act_freq": "2850",
            "tile0/gt0/freq0/throttle/status": "1",
            "tile0/gt0/freq0/throttle/reason_thermal": "1",
            "hwmon/hwmon1/temp2_input": "70000",
            "hwmon/hwmon1/temp3_input": "66000",
            "hwmon/hwmon1/energy1_input": "5000000",
        },
    )
    (found,) = drm.cards(str(tree.sys))
    card = intel.IntelCard(found, str(tree.proc))
    text = {"client": 3, "pci": INTEL_PCI, "vram": 1 << 20}
    tree.client(300, 4, "renderD128", XE_CLIENT.format(cycles=0, total=1000, **text))
    card.watch([(300, "4")], blind=False)
    assert card.fast() == [None, None, 1024, 12 * 1024, 70, None, 2850, None, 0x40]
    tree.fdinfo(300, 4, XE_CLIENT.format(cycles=250, total=2000, **text))
    assert card.fast()[0] == 25.0
    assert card.counters() == {"energy_mj": 5000, "mem_temp_c": 66}


def test_what_others_do_is_unknown_to_the_blind(tree: Tree) -> None:
    tree.card(0, "xe", INTEL_PCI, {"device": "0xe20b"})
    (found,) = drm.cards(str(tree.sys))
    card = intel.IntelCard(found, str(tree.proc))
    card.watch([], blind=True)
    card.fast()
    assert card.fast()[0] is None
    assert card.fast()[2] is None


def test_a_sleeping_card_is_not_woken(tree: Tree) -> None:
    device = tree.card(0, "amdgpu", AMD_PCI, MI300X)
    write(device, {"power/runtime_status": "suspended"})
    (found,) = drm.cards(str(tree.sys))
    card = amd.AmdCard(found, str(tree.sys))
    assert card.fast() == [None] * 9
    assert card.counters() == {}
    assert "power_limit_w" not in card.static()


def test_a_card_that_is_gone_is_lost(tree: Tree) -> None:
    device = tree.card(0, "amdgpu", AMD_PCI, MI300X)
    (found,) = drm.cards(str(tree.sys))
    card = amd.AmdCard(found, str(tree.sys))
    shutil.rmtree(device)
    with pytest.raises(Lost, match="gone"):
        card.fast()


def test_cards_are_ordered_and_others_left_out(tree: Tree) -> None:
    tree.card(10, "amdgpu", "0000:0a:00.0", MI300X)
    tree.card(2, "i915", INTEL_PCI, {})
    tree.card(1, "ast", "0000:01:00.0", {})
    assert [(c.driver, c.nodes) for c in drm.cards(str(tree.sys))] == [
        ("i915", ("card2", "renderD130")),
        ("amdgpu", ("card10", "renderD138")),
    ]


def test_nvidia_known_by_pci_alone(tree: Tree) -> None:
    bus = tree.sys / "bus/pci/devices"
    for name, vendor, kind, driver in (
        ("0000:10:00.0", "0x10de", "0x030200", ""),
        ("0000:11:00.0", "0x10de", "0x030200", "vfio-pci"),
        ("0000:12:00.0", "0x10de", "0x040300", ""),
        ("0000:13:00.0", "0x1a03", "0x030000", ""),
    ):
        write(bus / name, {"vendor": vendor, "class": kind})
        if driver:
            (bus / name / "driver").symlink_to(f"../../drivers/{driver}")
    assert kernel.gpus(str(tree.proc), str(tree.sys)) == [{"pci": "0000:10:00.0"}]


def test_a_kernel_module_without_its_library(tree: Tree, host: Host) -> None:
    if loadable():
        pytest.skip("this machine has an NVML library")
    write(
        tree.proc / "driver/nvidia",
        {
            "version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03",
            "params": "RmProfilingAdminOnly: 0",
            "gpus/0000:10:00.0/information": "Model: \t\t A100\nGPU UUID: \t GPU-1\n"
            "Video BIOS: \t ??.??.??.??.??\nDevice Minor: \t 4",
        },
    )
    (tree.proc / "4242/fd").mkdir(parents=True)
    (tree.proc / "4242/fd/9").symlink_to("/dev/nvidia4")
    (row,) = host.gpus.fast()
    assert msgspec.convert(row, GpuFast).lost == "libnvidia-ml.so.1 does not load"
    assert host.gpus.static() == [
        {"index": 0, "vendor": "nvidia", "pci": "0000:10:00.0", "name": "A100", "uuid": "GPU-1"}
    ]
    driver = msgspec.convert(host.gpus.driver(), GpuDriver)
    assert driver.error == "libnvidia-ml.so.1 does not load"
    assert driver.profiling_admin_only is False
    (process,) = host.gpus.processes()
    assert process[0] == "0/4242/holder"


def test_who_may_not_look_into_processes_says_so() -> None:
    code = (
        "import os\n"
        "from console.hostside.probe.gpu import holders\n"
        "if os.geteuid() == 0:\n    os.setgid(65534)\n    os.setuid(65534)\n"
        "print(holders.scan('/proc').blind)"
    )
    if not Path("/proc/1/fd").exists():
        pytest.skip("process 1 is not to be seen here")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize(
    ("target", "node"),
    [
        ("/dev/nvidia0", "nvidia0"),
        ("/dev/nvidia15", "nvidia15"),
        ("/dev/dri/card0", "card0"),
        ("/dev/dri/renderD128", "renderD128"),
        ("/dev/kfd", "kfd"),
        ("/dev/nvidiactl", ""),
        ("/dev/nvidia-uvm", ""),
        ("/dev/nvidia0 (deleted)", ""),
        ("/home/x/dev/nvidia0", ""),
        ("socket:[1]", ""),
    ],
)
def test_device_nodes(target: str, node: str) -> None:
    assert holders.node_of(target) == node


LINES = st.lists(
    st.tuples(
        st.sampled_from(
            ("drm-driver", "drm-pdev", "drm-client-id", "drm-engine-gfx", "drm-memory-vram",
             "drm-resident-vram0", "drm-total-cycles-ccs", "drm-cycles-ccs", "drm-engine-capacity-",
             "drm-", "pos", "drm-engine-")
        ),
        st.one_of(st.text(max_size=30), st.integers().map(str), st.just("12 KiB")),
    ).map(lambda pair: ":\t".join(pair)),
    max_size=40,
)  # fmt: skip


@given(st.one_of(st.text(max_size=400), LINES.map("\n".join)))
def test_fdinfo_of_any_text(text: str) -> None:
    client = drm.parse_fdinfo(text)
    if client is None:
        return
    for amounts in (client.memory, client.engines, client.cycles, client.capacity):
        assert all(isinstance(n, int) and n >= 0 for n in amounts.values())
    assert drm.vram_bytes(client) >= 0
    assert len(client.driver) <= 64


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 1 << 70), st.integers(0, 1 << 70)), max_size=12
    ),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
)
def test_busy_is_a_share(samples: list[tuple[int, int, int]], one: float, two: float) -> None:
    def clients(factor: int) -> list[drm.Client]:
        return [
            drm.Client(
                "xe", "", str(c), {}, {"gfx": spent * factor}, {"ccs": spent}, {"ccs": total}, {}
            )
            for c, spent, total in samples
        ]

    busy = drm.Busy()
    assert busy.update(clients(1), one) is None
    share = busy.update(clients(2), two)
    assert share is not None
    assert 0 <= share <= 100


@given(st.binary(max_size=200))
def test_numbers_of_any_file(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("sysfs") / "value"
    path.write_bytes(raw)
    value = files.number(str(path))
    assert value is None or isinstance(value, int)


@given(st.text(max_size=300))
def test_driver_files_of_any_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("proc")
    write(
        folder / "driver/nvidia",
        {"version": text, "params": text, "gpus/0000:10:00.0/information": text},
    )
    facts = kernel.driver(str(folder), str(folder))
    assert len(facts.get("kernel_module", "")) <= 200
    (gpu,) = kernel.gpus(str(folder), str(folder))
    assert gpu["pci"] == "0000:10:00.0"
