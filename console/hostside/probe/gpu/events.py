"""Events of the drivers: a bounded queue that wakes the probe's loop, and the NVML event set."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections import deque
from typing import Any, Callable, Dict

from .nvml import TIMEOUT, Lost, Nvml

Facts = Dict[str, Any]
QUEUE = 1000
WAIT_MS = 1000

XID = 0x8
# P-state and clock changes (0x4, 0x10) are left out: they come with every change of load, many
# times a second, and the fast lane shows clocks and throttle reasons anyway.
KINDS: tuple[tuple[int, str], ...] = (
    (0x0001, "single-bit-ecc"),
    (0x0002, "double-bit-ecc"),
    (XID, "xid"),
    (0x0080, "power-source"),
    (0x0100, "mig-change"),
    (0x0200, "single-bit-ecc-storm"),
    (0x0400, "dram-retirement"),
    (0x0800, "dram-retirement-failure"),
    (0x1000, "poison"),
    (0x2000, "fatal-poison"),
    (0x4000, "unavailable"),
    (0x8000, "recovery-action"),
)
_MASK = sum(bit for bit, _ in KINDS)

XIDS: dict[int, str] = {
    13: "graphics engine exception",
    31: "GPU memory page fault",
    32: "invalid or corrupted push buffer stream",
    43: "GPU stopped processing",
    45: "preemptive cleanup after earlier errors",
    48: "double bit ECC error",
    63: "page retirement or row remapping recorded",
    64: "page retirement or row remapping failed to be recorded",
    74: "NVLink error",
    79: "GPU has fallen off the bus",
    92: "high rate of single bit ECC errors",
    94: "contained ECC error",
    95: "uncontained ECC error",
    119: "GSP firmware did not answer in time",
    120: "GSP firmware error",
    140: "unrecovered ECC error",
}


class Queue:
    """Events from any thread, in order; full, it drops the newest and counts them.

    ``fileno`` is readable while something waits.
    """

    def __init__(self) -> None:
        self._items: deque[tuple[str, str, Facts, float]] = deque()
        self._lock = threading.Lock()
        self._dropped = 0
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """The readable end; -1 after ``close``."""
        return self._read

    def put(self, kind: str, key: str, facts: Facts) -> None:
        """Add an event that happened now."""
        with self._lock:
            if self._write < 0:
                return
            if len(self._items) >= QUEUE:
                self._dropped += 1
                return
            self._items.append((kind, key, facts, time.time()))
            try:
                os.write(self._write, b"!")
            except BlockingIOError:  # the pipe is full of wake-ups already
                pass

    def take(self) -> list[tuple[str, str, Facts, float]]:
        """Everything that waits; a ``log.gap`` says what was dropped."""
        with self._lock:
            if self._read < 0:
                return []
            try:
                while os.read(self._read, 4096):
                    pass
            except BlockingIOError:
                pass
            items = list(self._items)
            self._items.clear()
            dropped, self._dropped = self._dropped, 0
        if dropped:
            facts: Facts = {"reason": "queue of GPU events full", "dropped": dropped}
            items.append(("log.gap", "gpu", facts, time.time()))
        return items

    def close(self) -> None:
        """Close the pipe; later events are lost."""
        with self._lock:
            if self._read >= 0:
                os.close(self._read)
                os.close(self._write)
            self._read = self._write = -1


def xid_text(xid: int) -> str:
    """``Xid 79: GPU has fallen off the bus``."""
    return f"Xid {xid}: {XIDS[xid]}" if xid in XIDS else f"Xid {xid}"


class Listener:
    """The NVML event set of all devices. ``found(index, event, data)`` is called in its thread."""

    def __init__(self, nvml: Nvml, found: Callable[[int, str, int], None]) -> None:
        self._nvml = nvml
        self._found = found
        self._set: Any = None
        self._added: set[int] = set()
        self._by_address: dict[int, int] = {}

    def open(self) -> None:
        """Make the set; where the driver has no events, the other methods do nothing."""
        self._set = self._nvml.call("nvmlEventSetCreate")

    def add(self, index: int, handle: Any) -> None:
        """Register what a device supports, once."""
        if self._set is None or index in self._added:
            return
        self._added.add(index)
        supported = self._nvml.call("nvmlDeviceGetSupportedEventTypes", handle, index=index)
        mask = _MASK & (supported if supported is not None else XID)
        if not mask:
            return
        _, code = self._nvml.attempt(
            "nvmlDeviceRegisterEvents", handle, mask, self._set, index=index
        )
        if code is None:
            self._by_address[_address(handle)] = index

    def wait(self) -> bool:
        """Wait for one event, at most a second; False when waiting is of no use now."""
        if not self._by_address:
            return False
        data, code = self._nvml.attempt("nvmlEventSetWait_v2", self._set, WAIT_MS)
        if data is None:
            return code == TIMEOUT
        index = self._by_address.get(_address(data.device), -1)
        for bit, name in KINDS:
            if data.eventType & bit:
                self._found(index, name, int(data.eventData))
        return True

    def close(self) -> None:
        """Free the event set."""
        if self._set is not None:
            try:
                self._nvml.call("nvmlEventSetFree", self._set)
            except Lost:
                pass
            self._set = None


def _address(handle: Any) -> int:
    """Handles are opaque pointers: two of the same value name the same device."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
