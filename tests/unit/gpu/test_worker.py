"""The thread of a device: asked, late, stuck, broken, ended."""

import threading
from collections.abc import Iterator

import pytest

from console.hostside.probe.gpu.nvml import Lost
from console.hostside.probe.gpu.slot import Slot
from console.hostside.probe.gpu.worker import MAX_STRIDE, SLOW_S, Worker, join, settle
from tests.support.lab import wait_until


class Device:
    """Jobs that a test steers."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.runs = 0

    def job(self) -> int:
        self.gate.wait(30)
        self.runs += 1
        if self.error is not None:
            raise self.error
        return self.runs


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def worker(device: Device) -> Iterator[Worker]:
    made = Worker("test", {"fast": device.job, "other": device.job})
    made.start()
    yield made
    device.gate.set()
    made.end()
    assert join([made], 10)


def test_an_answer_is_there_after_waiting(worker: Worker) -> None:
    assert worker.result("fast") is None
    worker.ask("fast")
    settle([worker], 10)
    assert worker.result("fast") == 1
    assert worker.age("fast") < 10


def test_asking_twice_is_asking_once(worker: Worker, device: Device) -> None:
    device.gate.clear()
    for _ in range(5):
        worker.ask("fast")
        worker.ask("other")
    device.gate.set()
    settle([worker], 10)
    assert device.runs == 2


def test_a_stuck_worker_is_not_waited_for(worker: Worker, device: Device) -> None:
    device.gate.clear()
    worker.ask("fast")
    wait_until(worker.stuck, 10, "the worker is stuck")
    started = worker.age("fast")
    settle([worker], 100)
    assert worker.age("fast") - started < 50
    wait_until(lambda: worker.hung() > 0, 10, "the worker counts as hung")
    assert Slot("nvidia", worker=worker).lost().startswith("call hung 2 s")
    assert not join([worker], 0.01)


def test_a_device_is_lost_until_it_answers(worker: Worker, device: Device) -> None:
    device.error = Lost("GPU is lost")
    worker.ask("fast")
    settle([worker], 10)
    assert worker.lost == "GPU is lost"
    device.error = None
    worker.ask("fast")
    settle([worker], 10)
    assert worker.lost == ""


def test_a_broken_reader_does_not_end_the_thread(worker: Worker, device: Device) -> None:
    device.error = ZeroDivisionError("oops")
    worker.ask("other")
    settle([worker], 10)
    assert worker.failure == "other: ZeroDivisionError: oops"
    device.error = None
    worker.ask("fast")
    settle([worker], 10)
    assert worker.result("fast") == 2


def test_the_pace_follows_the_driver() -> None:
    worker = Worker("never started", {})
    seen = []
    for took in [SLOW_S * 2] * 6 + [0.0] * 6:
        worker._pace(took)
        seen.append(worker.stride)
    assert seen == [2, 4, 8, 16, MAX_STRIDE, MAX_STRIDE, 8, 4, 2, 1, 1, 1]
