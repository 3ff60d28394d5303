"""What can go wrong in the driver: nothing stops, nothing is made up, the reason is said."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from console.model.gpu import GpuFast
from tests.support.nvml import Child, Stub, answer, of_length, open_gpus

Build = Callable[..., Stub]
Start = Callable[[Stub], Child]

GPU_IS_LOST, UNKNOWN, NO_PERMISSION, MISMATCH = "15", "999", "4", "18"
VERSION_MISMATCH, UNINITIALIZED, DRIVER_NOT_LOADED = "25", "1", "9"


def fast(row: Any) -> GpuFast:
    return msgspec.convert(row, GpuFast)


def lost(text: str, index: int = 0) -> Callable[[Any], bool]:
    return lambda rows: len(rows) > index and text in fast(rows[index]).lost


def healthy(index: int = 0) -> Callable[[Any], bool]:
    return lambda rows: not fast(rows[index]).lost and fast(rows[index]).age_s == 0


def test_a_lost_gpu_keeps_its_last_sample_and_says_why(build: Build, start: Start) -> None:
    stub = build(gpus=2)
    child = start(stub)
    open_gpus(child, 2)
    stub.put({"0.fail": GPU_IS_LOST, "1.util": "77 1"})
    rows = answer(child, "fast", lost("GPU is lost"))
    assert fast(rows[0]).util_pct == 40
    rows = answer(child, "fast", lambda rows: fast(rows[0]).age_s > 1)
    assert (fast(rows[1]).util_pct, fast(rows[1]).lost) == (77, "")
    ((kind, key, facts),) = child.ask("emitted")  # once, not at each tick
    assert (kind, key, facts["error"]) == ("gpu.lost", "0", "GPU is lost")
    stub.drop("0.fail")
    answer(child, "fast", healthy())
    assert [event[:2] for event in child.ask("emitted")] == [["gpu.back", "0"]]


def test_a_gpu_that_answers_only_errors_is_lost(build: Build, start: Start) -> None:
    stub = build()
    child = start(stub)
    open_gpus(child, 1)
    stub.put({"0.fail": UNKNOWN})
    answer(child, "fast", lost("error 999"))
    stub.drop("0.fail")
    answer(child, "fast", healthy())


def test_a_hung_call_stops_neither_the_loop_nor_other_gpus(build: Build, start: Start) -> None:
    stub = build(gpus=2)
    child = start(stub)
    open_gpus(child, 2)
    block = stub.folder / "block"
    block.touch()
    stub.put({"0.hang": str(block), "1.util": "99 2"})
    rows = answer(child, "fast", lost("call hung"))
    assert fast(rows[0]).util_pct == 40
    assert fast(rows[0]).age_s >= 1
    assert (fast(rows[1]).util_pct, fast(rows[1]).age_s, fast(rows[1]).lost) == (99, 0, "")
    # A hung call took none of these calls with it: each answers in its own time.
    assert len(answer(child, "counters", bool)) == 1
    assert min(child.ask("timed fast") for _ in range(5)) < 0.05
    child.ask("static")
    child.ask("processes")
    assert [e[:2] for e in child.ask("emitted")] == [["gpu.slow", "0"]]
    answer(
        child, "emitted", lambda e: child.ask("fast") and ["gpu.lost", "0"] in [x[:2] for x in e]
    )
    block.unlink()
    answer(child, "fast", healthy())
    answer(
        child, "emitted", lambda e: child.ask("fast") and ["gpu.back", "0"] in [x[:2] for x in e]
    )


def test_the_process_ends_although_a_call_hangs(build: Build) -> None:
    stub = build()
    block = stub.folder / "block"
    block.touch()
    with Child(stub, stub.proc, stub.sys) as child:
        open_gpus(child, 1)
        stub.put({"0.hang": str(block)})
        answer(child, "fast", lost("call hung"))
    # Child's exit asserts that the process has ended with 0.


def test_a_driver_that_hangs_when_opened(build: Build, start: Start) -> None:
    stub = build(gpus=2)
    block = stub.folder / "block"
    block.touch()
    stub.put({"hang.nvmlInitWithFlags": str(block)})
    child = start(stub)
    rows = answer(child, "fast", lost("opening the driver hung"))
    assert len(rows) == 2  # known from plain files
    assert fast(rows[1]).util_pct is None
    assert "hangs" in answer(child, "driver", lambda facts: "error" in facts)["error"]
    names = [one["name"] for one in child.ask("static")]
    assert names == ["NVIDIA H100 80GB HBM3"] * 2
    assert ["gpu.slow", "0"] in [event[:2] for event in child.ask("emitted")]
    block.unlink()
    open_gpus(child, 2)
    assert "error" not in answer(child, "driver", lambda facts: "version" in facts)


def test_a_device_that_hangs_when_opened_hides_no_other(build: Build, start: Start) -> None:
    stub = build(gpus=3)
    block = stub.folder / "block"
    block.touch()
    stub.put({"1.hang.nvmlDeviceGetHandleByIndex_v2": str(block)})
    child = start(stub)
    rows = answer(child, "fast", lost("call hung", 1))
    assert [fast(row).util_pct for row in rows] == [40, None, 42]
    assert child.ask("static")[1]["pci"] == "0000:11:00.0"  # known from plain files
    block.unlink()
    open_gpus(child, 3)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (MISMATCH, "differ in version"),
        (DRIVER_NOT_LOADED, "not loaded"),
        (NO_PERMISSION, "no permission"),
        (UNKNOWN, "Unknown Error"),
    ],
)
def test_a_driver_that_does_not_open(build: Build, start: Start, code: str, words: str) -> None:
    stub = build(gpus=1)
    stub.put({"fail.nvmlInitWithFlags": code})
    child = start(stub)
    driver = answer(child, "driver", lambda facts: "error" in facts)
    assert words in driver["error"]
    assert "570.86.15" in driver["kernel_module"]
    assert driver["profiling_admin_only"] is True
    (row,) = child.ask("fast")
    assert words in fast(row).lost
    (static,) = child.ask("static")
    assert (static["pci"], static["vbios"]) == ("0000:10:00.0", "96.00.74.00.01")
    assert child.ask("counters") == []
    assert child.ask("processes") == []


def test_holders_are_seen_without_the_library(build: Build, start: Start) -> None:
    stub = build(gpus=2)
    stub.process(4242, "/dev/nvidia1")
    stub.put({"fail.nvmlInitWithFlags": MISMATCH})
    child = start(stub)
    answer(child, "driver", lambda facts: "error" in facts)
    (row,) = child.ask("processes")
    assert (row[0], row[11]) == ("1/4242/holder", "fd")


def test_no_gpu_at_all_although_the_library_is_there(build: Build, start: Start) -> None:
    stub = build(gpus=0)
    child = start(stub)
    answer(child, "modules", bool)
    answer(child, "driver", lambda facts: "nvmlDeviceGetCount_v2 -1" in stub.calls())
    for method, nothing in (
        ("fast", []),
        ("counters", []),
        ("processes", []),
        ("static", []),
        ("driver", {}),
        ("denied", {}),
        ("take_events", []),
        ("emitted", []),
    ):
        assert child.ask(method) == nothing, method


def test_no_driver_and_no_device_but_a_library(build: Build, start: Start) -> None:
    stub = build(gpus=0)
    (stub.proc / "driver/nvidia/version").unlink()
    stub.put({"fail.nvmlInitWithFlags": DRIVER_NOT_LOADED})
    child = start(stub)
    answer(child, "modules", lambda _: "nvmlInitWithFlags -1" in stub.calls())
    assert child.ask("driver") == {}
    assert child.ask("fast") == []


def test_a_gpu_that_the_library_does_not_list(build: Build, start: Start) -> None:
    stub = build(gpus=3)
    stub.put({"gpus": "2"})
    child = start(stub)
    rows = answer(child, "fast", of_length(3))
    assert fast(rows[2]).lost in ("", "the driver library does not list it")
    answer(child, "fast", lost("does not list it", 2))
    assert child.ask("static")[2]["pci"] == "0000:12:00.0"


def test_a_gpu_whose_handle_is_refused(build: Build, start: Start) -> None:
    stub = build(gpus=2)
    stub.put({"0.fail.nvmlDeviceGetHandleByIndex_v2": GPU_IS_LOST})
    child = start(stub)
    rows = answer(child, "fast", lost("GPU is lost"))
    assert answer(child, "fast", lambda r: r[1][1] is not None)[1][1] == 41
    assert len(rows) == 2


OLD = ("V3", "MEMORY_V2", "EVENT_REASONS", "TEMPERATURE", "CC", "GSP", "FIELDS", "ENCRYPTION")


def test_an_old_driver_without_new_functions(build: Build, start: Start) -> None:
    stub = build(without=(*OLD, "EVENTS"))
    stub.process(4242)
    stub.put({"0.compute": f"4242:{1 << 30}"})
    child = start(stub)
    ((row,)) = open_gpus(child, 1)
    # The first version of the memory call counts what the driver reserves as used.
    assert row == [0, 40.0, 31.0, 21504.0, 81920.0, 45.0, 312.5, 1980, 2619, 4, 0.0, ""]
    (process,) = answer(child, "processes", of_length(1))
    assert (process[0], process[6], process[12]) == ("0/4242/compute", 1024.0, True)
    (static,) = answer(child, "static", lambda found: "ecc_mode" in found[0])
    for key in ("gsp_firmware", "gsp_enabled", "dram_encryption"):
        assert key not in static
    driver = child.ask("driver")
    assert driver["version"] == "570.86.15"
    assert not [key for key in driver if key.startswith("cc_")]
    assert answer(child, "counters", bool)[0] == {
        "index": 0,
        "enc_util_pct": 3.0,
        "dec_util_pct": 5.0,
    }


def test_a_driver_without_any_process_list(build: Build, start: Start) -> None:
    stub = build(without=("V3", "V2"))
    stub.process(4242, "/dev/nvidia0")
    child = start(stub)
    open_gpus(child, 1)
    (row,) = answer(child, "processes", of_length(1))
    assert row[0] == "0/4242/holder"


def test_what_is_not_supported_is_asked_once(build: Build, start: Start) -> None:
    stub = build(gpus=2)
    for key in ("power", "clock.2", "encoder", "reasons", "compute", "graphics", "mps"):
        stub.drop(f"0.{key}", f"1.{key}")
    stub.drop("0.field.94", "1.field.94", "0.field.230")
    stub.put({"fail.nvmlDeviceGetMemoryInfo_v2": VERSION_MISMATCH})
    child = start(stub)
    rows = open_gpus(child, 2)
    assert fast(rows[0]) == GpuFast(0, 40, 31, 21504, 81920, 45, None, 1980, None, None)
    counted: dict[int, Any] = {}
    for _ in range(3):
        child.ask("fast")
        counted.update({one["index"]: one for one in child.ask("counters")})
        child.ask("processes")
    answer(child, "timed fast", lambda _: Counter(stub.calls())["nvmlDeviceGetClockInfo 0"] > 4)
    calls = Counter(stub.calls())
    for function in (
        "nvmlDeviceGetPowerUsage",
        "nvmlDeviceGetEncoderUtilization",
        "nvmlDeviceGetMemoryInfo_v2",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetCurrentClocksThrottleReasons",
        "nvmlDeviceGetComputeRunningProcesses_v3",
        "nvmlDeviceGetComputeRunningProcesses_v2",
        "nvmlDeviceGetMPSComputeRunningProcesses_v3",
    ):
        assert calls[f"{function} 0"] == 1, function
    assert calls["nvmlDeviceGetMemoryInfo 0"] > 1
    while len(counted) < 2:  # bounded by the test's own time limit
        counted.update({one["index"]: one for one in child.ask("counters")})
    first, second = counted[0], counted[1]
    assert "pcie_replays" not in first
    assert "recovery_action" not in first
    assert second["recovery_action"] == 0
    assert child.ask("denied") == {}


def test_what_needs_root_is_denied_not_empty(build: Build, start: Start) -> None:
    stub = build()
    stub.put(
        {
            "fail.nvmlDeviceGetComputeRunningProcesses_v3": NO_PERMISSION,
            "fail.nvmlDeviceGetComputeRunningProcesses_v2": NO_PERMISSION,
            "fail.nvmlDeviceGetBAR1MemoryInfo": NO_PERMISSION,
            "fail.nvmlDeviceRegisterEvents": NO_PERMISSION,
        }
    )
    child = start(stub)
    open_gpus(child, 1)
    child.ask("processes")
    child.ask("static")
    assert answer(child, "denied", of_length(3)) == {
        "gpu.bar1-memory-info": "root",
        "gpu.compute-running-processes": "root",
        "gpu.events": "root",
    }


def test_shuffled_process_lists_of_some_drivers(build: Build, start: Start) -> None:
    stub = build()
    pids = (4242, 4243, 4244)
    for pid in pids:
        stub.process(pid)
    uses = {pid: (index + 1) << 30 for index, pid in enumerate(pids)}
    stub.put({"wide": "1", "0.compute": " ".join(f"{p}:{b}" for p, b in uses.items())})
    child = start(stub)
    open_gpus(child, 1)
    rows = answer(child, "processes", of_length(3))
    assert [(row[2], row[6], row[12]) for row in rows] == [
        (4242, 1024.0, True),
        (4243, 2048.0, True),
        (4244, 3072.0, True),
    ]
    before = Counter(stub.calls())["nvmlDeviceGetComputeRunningProcesses_v3 0"]
    child.ask("processes")
    assert Counter(stub.calls())["nvmlDeviceGetComputeRunningProcesses_v3 0"] == before


def test_shuffled_lists_without_a_second_version_are_not_believed(
    build: Build, start: Start
) -> None:
    stub = build(without=("V2",))
    for pid in (4242, 4243, 4244):
        stub.process(pid)
    stub.put({"wide": "1", "0.compute": "4242:1000 4243:2000 4244:3000"})
    child = start(stub)
    open_gpus(child, 1)
    rows = answer(child, "processes", bool)
    assert not any(row[12] for row in rows)


def test_memory_that_no_gpu_has_is_not_believed(build: Build, start: Start) -> None:
    stub = build()
    stub.process(4242)
    stub.put({"0.compute": f"4242:{1 << 50}"})
    child = start(stub)
    open_gpus(child, 1)
    (row,) = answer(child, "processes", of_length(1))
    assert row[12] is False


def test_a_process_of_another_pid_namespace(build: Build, start: Start) -> None:
    stub = build()
    stub.process(4242)
    stub.put({"0.compute": f"4242:{1 << 30} 999999:{1 << 30}"})
    child = start(stub)
    open_gpus(child, 1)
    rows = answer(child, "processes", of_length(2))
    assert {row[2]: row[12] for row in rows} == {4242: True, 999999: False}


def test_mig(build: Build, start: Start) -> None:
    stub = build()
    stub.drop("0.util")  # as real boards do in this mode
    stub.process(4242)
    stub.put({"0.mig": "1 1", "0.compute": f"4242:{1 << 30} 4242:{2 << 30}"})
    child = start(stub)
    (row,) = answer(child, "fast", lambda rows: rows and rows[0][3] is not None)
    assert fast(row).util_pct is None
    (static,) = answer(child, "static", lambda found: "mig_mode" in found[0])
    assert (static["mig_mode"], static["mig_pending"]) == (True, True)
    (process,) = answer(child, "processes", of_length(1))
    assert (process[2], process[6]) == (4242, 3072.0)  # two instances of one GPU


def test_a_slow_driver_is_asked_less_often(build: Build, start: Start) -> None:
    stub = build()
    child = start(stub)
    open_gpus(child, 1)
    stub.put({"0.delay.nvmlDeviceGetPowerUsage": "400000"})
    (event,) = answer(child, "emitted", lambda e: child.ask("fast") and bool(e))
    assert event[:2] == ["gpu.slow", "0"]
    assert "a sample took 0.4" in event[2]["error"]
    assert event[2]["seconds"] >= 0.4
    stub.drop("0.delay.nvmlDeviceGetPowerUsage")
    answer(
        child, "emitted", lambda e: child.ask("fast") and ["gpu.back", "0"] in [x[:2] for x in e]
    )


def test_a_driver_that_was_unloaded_is_opened_again(build: Build, start: Start) -> None:
    stub = build()
    child = start(stub)
    open_gpus(child, 1)
    stub.put({"0.fail.nvmlDeviceGetUtilizationRates": UNINITIALIZED})
    answer(child, "fast", lost("driver was unloaded"))
    answer(child, "fast", lambda _: Counter(stub.calls())["nvmlInitWithFlags -1"] == 2)
    stub.drop("0.fail.nvmlDeviceGetUtilizationRates")
    stub.put({"0.name": "after"})
    answer(child, "fast", lambda rows: rows and rows[0][1] == 40 and healthy()(rows))
    answer(child, "static", lambda found: found[0].get("name") == "after")
    calls = Counter(stub.calls())
    assert calls["nvmlShutdown -1"] == 1
