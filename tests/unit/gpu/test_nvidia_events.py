"""Events of the driver arrive in order, wake the loop, and are kept in the counters."""

import os
import select
import time
from collections.abc import Callable

from console.hostside.probe.gpu.events import QUEUE, Queue, xid_text
from tests.support.nvml import Child, Stub, answer, open_gpus

Build = Callable[..., Stub]
Start = Callable[[Stub], Child]


def registered(stub: Stub, gpus: int) -> Callable[[object], bool]:
    return lambda _: sum("RegisterEvents" in call for call in stub.calls()) == gpus


def test_an_xid_wakes_the_loop(build: Build, start: Start) -> None:
    stub = build(gpus=2)
    child = start(stub)
    open_gpus(child, 2)
    answer(child, "readable", registered(stub, 2))
    assert child.ask("readable") is False
    before = time.time()
    stub.put({"event.1": "1 8 79"})
    assert answer(child, "readable", bool) is True
    ((kind, key, facts, at),) = child.ask("take_events")
    assert (kind, key) == ("kernel.xid", "0000:11:00/79")
    assert facts == {
        "xid": 79,
        "pci": "0000:11:00.0",
        "pid": None,
        "message": "Xid 79: GPU has fallen off the bus",
    }
    assert before - 1 <= at <= time.time() + 1
    assert child.ask("readable") is False
    found = answer(child, "counters", lambda rows: any("last_xid" in row for row in rows))
    (row,) = [row for row in found if "last_xid" in row]
    assert (row["index"], row["last_xid"]) == (1, 79)
    assert abs(row["last_xid_at"] - at) < 1


def test_other_events_have_names(build: Build, start: Start) -> None:
    stub = build()
    child = start(stub)
    open_gpus(child, 1)
    stub.put({f"event.{n}": f"0 {bit} {n}" for n, bit in enumerate((2, 0x2000, 0x4000), 1)})
    found: list[list[object]] = []

    def three(events: list[list[object]]) -> bool:
        found.extend(events)
        return len(found) >= 3

    answer(child, "take_events", three)
    assert [(event[0], event[1], event[2]) for event in found] == [
        ("gpu.event", "0/double-bit-ecc", {"event": "double-bit-ecc", "data": 1}),
        ("gpu.event", "0/fatal-poison", {"event": "fatal-poison", "data": 2}),
        (
            "gpu.lost",
            "0",
            {"error": "the driver reports the GPU as unavailable", "seconds": 0.0},
        ),
    ]


def test_a_driver_event_has_the_static_facts_read_again(build: Build, start: Start) -> None:
    stub = build()
    child = start(stub)
    open_gpus(child, 1)
    answer(child, "static", lambda found: found[0].get("mig_mode") is False)
    revision = child.ask("revision")
    answer(child, "readable", registered(stub, 1))
    stub.put({"0.mig": "1 1", "event.1": "0 0x100 0"})
    answer(child, "static", lambda found: found[0].get("mig_mode") is True)
    assert child.ask("revision") > revision


def test_a_driver_without_events_gives_everything_else(build: Build, start: Start) -> None:
    stub = build(without=("EVENTS",))
    child = start(stub)
    open_gpus(child, 1)
    assert child.ask("take_events") == []
    assert child.ask("denied") == {}


def test_a_lost_gpu_does_not_make_the_event_thread_spin(build: Build, start: Start) -> None:
    stub = build()
    stub.put({"fail.nvmlEventSetWait_v2": "15"})
    child = start(stub)
    open_gpus(child, 1)
    waits = "nvmlEventSetWait_v2 -1"
    answer(child, "readable", lambda _: waits in stub.calls())
    start_at = time.monotonic()
    answer(child, "fast", lambda _: stub.calls().count(waits) >= 3)
    assert time.monotonic() - start_at > 1.5


def test_a_full_queue_counts_what_it_drops() -> None:
    queue = Queue()
    try:
        for number in range(QUEUE + 7):
            queue.put("gpu.event", str(number), {})
        taken = queue.take()
        assert [event[1] for event in taken[:-1]] == [str(n) for n in range(QUEUE)]
        kind, key, facts, _ = taken[-1]
        assert (kind, key, facts["dropped"]) == ("log.gap", "gpu", 7)
        assert select.select([queue.fileno()], [], [], 0)[0] == []
        assert queue.take() == []
    finally:
        queue.close()
    queue.put("gpu.event", "late", {})
    assert queue.take() == []
    assert queue.fileno() == -1


def test_a_closed_queue_gives_its_descriptors_back() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        Queue().close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_unknown_xids_have_no_invented_text() -> None:
    assert xid_text(12345) == "Xid 12345"
