"""Every host once: wait until each has told enough, then stop."""

import asyncio

from console.engine.protocol import Engine
from console.model.host import HostState
from console.model.view import FleetSnapshot, HostView

LOOK_S = 0.05
SETTLE_S = 1.0
FAILED = (HostState.DOWN, HostState.REFUSED, HostState.NEW_KEY)


def told(view: HostView) -> bool:
    """True when a LIVE host has sent everything that a status shows."""
    inventory = view.inventory
    return bool(
        view.state is HostState.LIVE
        and view.fast is not None
        and view.processes
        and view.counts.frames > 1
        and inventory.os is not None
        and inventory.kernel is not None
        and inventory.digests is not None
        and (view.packages or "packages" in view.denied)
    )


def settled(view: HostView) -> bool:
    """True when waiting longer will not tell more about this host soon."""
    if view.workstation:
        return view.fast is not None
    return view.state in FAILED or told(view)


def answered(engine: Engine, view: HostView) -> bool:
    """True when every plugin has spoken of this host once, or was stopped."""
    return all(panel.at or panel.stopped for panel in engine.panels(view.name))


async def collect(engine: Engine, seconds: float) -> FleetSnapshot:
    """Start the engine, wait for every host at most ``seconds``, stop it."""
    await engine.start()
    try:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        done_at: float | None = None
        while loop.time() < end:
            snapshot = engine.snapshot()
            if all(settled(view) and answered(engine, view) for view in snapshot.hosts):
                # A moment more: the last section of an inventory may still be on its way.
                done_at = done_at or loop.time() + SETTLE_S
                if loop.time() >= done_at:
                    break
            else:
                done_at = None
            await asyncio.sleep(LOOK_S)
        return engine.snapshot()
    finally:
        await engine.stop()


def code(snapshot: FleetSnapshot) -> int:
    """0 when every host is LIVE, 1 when some are not. This machine's own row does not count."""
    hosts = [view for view in snapshot.hosts if not view.workstation]
    return 0 if all(view.state is HostState.LIVE for view in hosts) else 1
