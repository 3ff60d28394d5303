"""GPUs of this host: NVIDIA by NVML and /proc, AMD and Intel by DRM fdinfo and sysfs.

Nothing here blocks for longer than a moment: driver calls run in threads of their own, and the
methods of ``Gpus`` answer from the newest sample with its age.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

Facts = Dict[str, Any]


class Gpus:
    """All GPUs of this host.

    ``event(kind, key, facts)`` is called from the methods below, in the caller's thread.
    ``describe(pid)`` gives ``name user container cmdline started tracer`` of a process, or an
    empty mapping. No GPU is a normal state: everything is then empty and nothing is denied.
    """

    def __init__(
        self, event: Callable[[str, str, Facts], None], describe: Callable[[int], Facts]
    ) -> None:
        self._event = event
        self._describe = describe

    def start(self) -> None:
        """Look for devices and start their threads; returns at once, even if a driver hangs."""

    def fast(self) -> list[list[Any]]:
        """The fast lane: one array in the order of ``GpuFast`` for each GPU, by index."""
        return []

    def counters(self) -> list[Facts]:
        """The slow lane: ``GpuCounters`` of the GPUs where one changed since the last call.

        ``force_counters()`` makes the next call return all of them (for a keyframe).
        """
        return []

    def force_counters(self) -> None:
        """Let the next ``counters()`` return every GPU."""

    def processes(self) -> list[list[Any]]:
        """Rows of the table ``gpuprocs``; emits ``gpu.process.new`` for rows not seen before."""
        return []

    def static(self) -> list[Facts]:
        """``GpuStatic`` of each GPU, from memory: cheap, call it at every slow tick.

        It is read again by itself every 300 s and after driver events. Early after the start it
        is empty; compare ``revision()`` to see whether it (or ``driver()``) has changed.
        """
        return []

    def driver(self) -> Facts:
        """``GpuDriver``, from memory like ``static()``."""
        return {}

    def revision(self) -> int:
        """A number that grows when ``static()`` or ``driver()`` changes."""
        return 0

    def denied(self) -> dict[str, str]:
        """What may not be read, to the right that would unlock it; keys begin with ``gpu.``."""
        return {}

    def take_events(self) -> list[tuple[str, str, Facts, float]]:
        """Events of the driver since the last call: (kind, key, facts, seconds since the epoch)."""
        return []

    def fileno(self) -> int:
        """A descriptor that is readable while ``take_events`` has something; -1 without GPUs."""
        return -1

    def stop(self) -> None:
        """End the threads that end in a moment, and close the descriptor."""
