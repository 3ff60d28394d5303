"""Every field that NVML gives arrives with the value that the library said."""

import hashlib
from collections.abc import Callable

import msgspec
import pynvml
import pytest

from console.hostside.probe.gpu.fields_counters import FIELDS
from console.hostside.probe.gpu.slot import VALUES
from console.model.gpu import GpuCounters, GpuDriver, GpuFast, GpuStatic
from console.model.tables import GpuProcess
from tests.support.nvml import Child, Stub, answer, of_length, open_gpus

Build = Callable[..., Stub]
Start = Callable[[Stub], Child]


def test_fast(build: Build, start: Start) -> None:
    child = start(build(gpus=2))
    rows = open_gpus(child, 2)
    assert rows == [
        [0, 40.0, 31.0, 20480.0, 81920.0, 45.0, 312.5, 1980, 2619, 4, 0.0, ""],
        [1, 41.0, 31.0, 20480.0, 81920.0, 46.0, 312.5, 1980, 2619, 4, 0.0, ""],
    ]
    first = msgspec.convert(rows[0], GpuFast)
    assert first.throttle == 4
    assert len(rows[0]) == len(GpuFast.__struct_fields__) == VALUES + 3


def test_fast_is_seven_calls_a_gpu(build: Build, start: Start) -> None:
    stub = build(gpus=8)
    child = start(stub)
    open_gpus(child, 8)
    child.ask("fast")
    before = len(stub.calls())
    for _ in range(10):
        child.ask("fast")
    samples = [call for call in stub.calls()[before:] if "EventSetWait" not in call]
    assert len(samples) == 10 * 8 * 7


def test_counters(build: Build, start: Start) -> None:
    stub = build()
    child = start(stub)
    open_gpus(child, 1)
    expected = GpuCounters(
        index=0,
        ecc_corrected=13,
        ecc_uncorrected=14,
        ecc_corrected_volatile=11,
        ecc_uncorrected_volatile=12,
        retired_pages_sbe=15,
        retired_pages_dbe=16,
        retired_pages_pending=0,
        remapped_corrected=2,
        remapped_uncorrected=1,
        remap_pending=0,
        remap_failure=0,
        pcie_replays=7,
        pcie_tx_bytes=1 << 45,
        pcie_rx_bytes=1 << 44,
        nvlink_crc_errors=123,
        nvlink_replay_errors=24,
        nvlink_tx_kib=8_000_000_000_000,
        nvlink_rx_kib=9_000_000_000_000,
        mem_temp_c=61.0,
        energy_mj=123_456_789_000,
        power_violation_ns=5_000_000_000,
        thermal_violation_ns=6_000_000_000,
        recovery_action=0,
        enc_util_pct=3.0,
        dec_util_pct=5.0,
    )
    (found,) = answer(child, "counters", bool)
    assert msgspec.convert(found, GpuCounters) == expected
    assert None not in found.values()
    unset = {f for f in GpuCounters.__struct_fields__ if getattr(expected, f) is None}
    assert unset == {"last_xid", "last_xid_at"}  # these come from events


def test_counters_are_sent_when_they_change(build: Build, start: Start) -> None:
    stub = build(gpus=2)
    child = start(stub)
    open_gpus(child, 2)
    counted: set[int] = set()
    while counted != {0, 1}:  # bounded by the test's own time limit
        counted |= {one["index"] for one in child.ask("counters")}
    assert child.ask("counters") == []
    stub.put({"1.field.143": "1 9"})
    (changed,) = answer(child, "counters", bool)
    assert (changed["index"], changed["remapped_uncorrected"]) == (1, 9)


def test_field_numbers_are_those_of_the_binding() -> None:
    names = {
        "ecc_corrected_volatile": "ECC_SBE_VOL_TOTAL",
        "ecc_uncorrected_volatile": "ECC_DBE_VOL_TOTAL",
        "ecc_corrected": "ECC_SBE_AGG_TOTAL",
        "ecc_uncorrected": "ECC_DBE_AGG_TOTAL",
        "retired_pages_sbe": "RETIRED_SBE",
        "retired_pages_dbe": "RETIRED_DBE",
        "retired_pages_pending": "RETIRED_PENDING",
        "nvlink_replay_errors": "NVLINK_REPLAY_ERROR_COUNT_TOTAL",
        "power_violation_ns": "PERF_POLICY_POWER",
        "thermal_violation_ns": "PERF_POLICY_THERMAL",
        "mem_temp_c": "MEMORY_TEMP",
        "energy_mj": "TOTAL_ENERGY_CONSUMPTION",
        "pcie_replays": "PCIE_REPLAY_COUNTER",
        "nvlink_tx_kib": "NVLINK_THROUGHPUT_DATA_TX",
        "nvlink_rx_kib": "NVLINK_THROUGHPUT_DATA_RX",
        "remapped_corrected": "REMAPPED_COR",
        "remapped_uncorrected": "REMAPPED_UNC",
        "remap_pending": "REMAPPED_PENDING",
        "remap_failure": "REMAPPED_FAILURE",
        "pcie_tx_bytes": "PCIE_COUNT_TX_BYTES",
        "pcie_rx_bytes": "PCIE_COUNT_RX_BYTES",
        "recovery_action": "GET_GPU_RECOVERY_ACTION",
    }
    ours = {name: number for name, number, _ in FIELDS if name != "nvlink_crc_errors"}
    theirs = {ours_: getattr(pynvml, f"NVML_FI_DEV_{name}") for ours_, name in names.items()}
    assert ours == theirs
    crc = {number for name, number, _ in FIELDS if name == "nvlink_crc_errors"}
    assert crc == {
        pynvml.NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL,
        pynvml.NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL,
    }


def test_static(build: Build, start: Start) -> None:
    child = start(build())
    open_gpus(child, 1)
    expected = GpuStatic(
        index=0,
        vendor="nvidia",
        name="NVIDIA H100 80GB HBM3",
        uuid="GPU-00000000-0000-0000-0000-000000000000",
        serial="1600000000000",
        pci="0000:10:00.0",
        driver="570.86.15",
        vbios="96.00.74.00.01",
        inforom_image="G520.0200.00.05",
        inforom_checksum="0x00c0ffee",
        gsp_firmware="570.86.15",
        gsp_enabled=True,
        mem_total_mib=81920.0,
        power_limit_w=700.0,
        power_max_limit_w=700.0,
        temp_slowdown_c=89.0,
        temp_shutdown_c=95.0,
        mig_mode=False,
        mig_pending=False,
        ecc_mode=True,
        ecc_pending=True,
        persistence=True,
        compute_mode=0,
        accounting=False,
        api_application_clocks_restricted=True,
        api_auto_boost_restricted=False,
        pcie_gen=5,
        pcie_gen_max=5,
        pcie_width=16,
        pcie_width_max=16,
        nvlinks_active=18,
        fabric="ready",
        fabric_clique=7,
        cc_certificate=hashlib.sha256(b"chain-of-0").hexdigest(),
        display_active=False,
        bar1_total_mib=131072.0,
        bar1_used_mib=1024.0,
        dram_encryption=True,
    )
    (found,) = answer(child, "static", lambda static: "ecc_mode" in static[0])
    assert msgspec.convert(found, GpuStatic) == expected
    unset = {f for f in GpuStatic.__struct_fields__ if getattr(expected, f) is None}
    assert not unset


@pytest.mark.parametrize(
    ("said", "state"),
    [("1 0 0", "not-started"), ("2 0 0", "in-progress"), ("3 999 0", "failed: error 999")],
)
def test_a_fabric_that_is_not_ready(build: Build, start: Start, said: str, state: str) -> None:
    stub = build()
    stub.put({"0.fabric": said})
    child = start(stub)
    open_gpus(child, 1)
    (found,) = answer(child, "static", lambda static: "fabric" in static[0])
    assert found["fabric"] == state
    assert "fabric_clique" not in found


def test_no_fabric_and_no_certificate_is_nothing_said(build: Build, start: Start) -> None:
    stub = build()
    stub.put({"0.fabric": "0 0 0"})
    stub.drop("0.certificate")
    child = start(stub)
    open_gpus(child, 1)
    (found,) = answer(child, "static", lambda static: "ecc_mode" in static[0])
    assert not {"fabric", "fabric_clique", "cc_certificate"} & set(found)


@pytest.mark.parametrize(
    ("cc", "multi", "expected"),
    [
        ("2 1 0", "1", ("production", True, False, "protected-pcie")),
        ("2 1 1", "0", ("production", True, True, "none")),
        ("0 0 0", "0", ("none", False, False, "none")),
        ("1 1 0", "2", ("simulation", True, False, "nvlink-encryption")),
    ],
)
def test_driver(
    build: Build, start: Start, cc: str, multi: str, expected: tuple[str, bool, bool, str]
) -> None:
    stub = build()
    stub.put({"cc": cc, "cc.multi": multi})
    child = start(stub)
    open_gpus(child, 1)
    environment, feature, dev_tools, multi_gpu = expected
    assert msgspec.convert(child.ask("driver"), GpuDriver) == GpuDriver(
        vendor="nvidia",
        version="570.86.15",
        kernel_module="NVRM version: NVIDIA UNIX Open Kernel Module for x86_64 570.86.15 "
        "Release Build",
        nvml="12.570.86.15",
        cuda="12.8",
        cc_environment=environment,
        cc_feature=feature,
        cc_dev_tools=dev_tools,
        cc_multi_gpu=multi_gpu,
        profiling_admin_only=True,
        peermem=False,
    )


def test_driver_parameters_from_plain_files(build: Build, start: Start) -> None:
    stub = build()
    (stub.proc / "driver/nvidia/params").write_text("RmProfilingAdminOnly: 0\n")
    (stub.sys / "module/nvidia_peermem").mkdir()
    child = start(stub)
    open_gpus(child, 1)
    facts = child.ask("driver")
    assert facts["profiling_admin_only"] is False
    assert facts["peermem"] is True


def test_processes(build: Build, start: Start) -> None:
    stub = build(gpus=2)
    for pid in (4242, 4243, 7777):
        stub.process(pid)
    stub.process(5000, "/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm")
    stub.process(4244, "/dev/nvidiactl", "/dev/null")
    stub.put(
        {
            "0.compute": f"4242:{4 << 30} 7777:{1 << 30}",
            "0.graphics": "4243:-",
            "1.mps": f"4242:{1 << 20}",
        }
    )
    child = start(stub)
    open_gpus(child, 2)
    rows = [msgspec.convert(row, GpuProcess) for row in answer(child, "processes", of_length(5))]
    assert [(r.key, r.mem_mib, r.source, r.tracer) for r in rows] == [
        ("0/4242/compute", 4096.0, "nvml", 0),
        ("0/4243/graphics", None, "nvml", 0),
        ("0/7777/compute", 1024.0, "nvml", 99),
        ("1/4242/mps", 1.0, "nvml", 0),
        ("1/5000/holder", None, "fd", 0),
    ]
    assert all(r.reliable for r in rows)
    first = rows[0]
    assert (first.gpu, first.pid, first.kind, first.name, first.user) == (
        0,
        4242,
        "compute",
        "name-4242",
        "svc",
    )
    assert (first.container, first.cmdline, first.started) == (
        "abcdef012345",
        "serve --pid 4242",
        1_700_000_000.5,
    )
    assert child.ask("emitted") == []  # what runs already is not new


def test_use_of_multiprocessors_is_the_newest_sample(build: Build, start: Start) -> None:
    stub = build()
    for pid in (4242, 4243):
        stub.process(pid)
    stub.put({"0.compute": f"4242:{1 << 30} 4243:{1 << 30}"})
    child = start(stub)
    open_gpus(child, 1)

    def shares() -> dict[int, float | None]:
        rows = answer(child, "processes", of_length(2))
        return {row[2]: msgspec.convert(row, GpuProcess).sm_pct for row in rows}

    assert shares() == {4242: None, 4243: None}
    # Zero is an idle process; a share over 100 is what drivers answer for one that has ended.
    stub.put({"0.busy": "4242:900:10 4242:1000:37 4243:950:0 4244:990:4000000000"})
    answer(child, "processes", lambda rows: any(row[13] for row in rows))
    stub.put({"0.busy": "4242:1000:37 4243:1001:5"})
    answer(child, "processes", lambda rows: [row[13] for row in rows] == [None, 5.0])


def test_a_new_process_is_an_event(build: Build, start: Start) -> None:
    stub = build()
    for pid in (4242, 4243, 4244):
        stub.process(pid)
    stub.put({"0.compute": f"4242:{1 << 30}"})
    child = start(stub)
    open_gpus(child, 1)
    answer(child, "processes", of_length(1))
    stub.put({"0.compute": f"4242:{1 << 30} 4243:{2 << 30}"})
    stub.process(4244, "/dev/nvidia0")
    answer(child, "processes", of_length(3))
    assert sorted(child.ask("emitted")) == [
        [
            "gpu.process.new",
            "0/4243/compute",
            {"gpu": 0, "pid": 4243, "name": "name-4243", "user": "svc", "mem_mib": 2048.0},
        ],
        [
            "gpu.process.new",
            "0/4244/holder",
            {"gpu": 0, "pid": 4244, "name": "name-4244", "user": "svc", "mem_mib": None},
        ],
    ]
    child.ask("processes")
    assert child.ask("emitted") == []
