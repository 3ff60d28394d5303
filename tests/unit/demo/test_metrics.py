"""The demo's model servers say what their simulated GPUs do, and the real plugin reads it."""

from __future__ import annotations

import asyncio
import time

import pytest

from console.demo.fleet import fleet
from console.demo.metrics import MetricsPort, ModelPage
from console.demo.run import Demo
from console.demo.simulate import SimState
from console.engine.build import local_engine
from console.model.panel import Gauge, Row
from plugins.prometheus.exposition import read
from plugins.prometheus.fetch import FetchError, fetch
from plugins.prometheus.numbers import measure
from plugins.prometheus.servers import wanted


def page() -> tuple[SimState, ModelPage]:
    sim = next(host for host in fleet() if host.name == "h100-fra-1")
    service = next(service for service in sim.services if service.model is not None)
    state = SimState(sim, 1, lambda: 1_700_000_000.0)
    return state, ModelPage(state, service)


def test_its_numbers_follow_the_load_of_its_gpus() -> None:
    state, model = page()
    before = measure(read(model.text(), wanted()), None, 0)
    for t in range(1, 61):
        state.advance(float(t))
        model.advance(float(t))
    busy = measure(read(model.text(), wanted()), before, 60.0)
    assert busy.server == "vLLM"
    assert busy.rates["tokens"] > 500
    assert busy.rates["prompt_tokens"] == pytest.approx(4 * busy.rates["tokens"], rel=0.01)
    low, high = busy.quantiles["latency"]
    assert 100 < low < high
    for gpu in state.gpus:
        gpu.lost = "gone"
    dead = measure(read(model.text(), wanted()), busy, 10.0)
    assert dead.gauges["running"] < busy.gauges["running"]
    assert dead.rates["tokens"] == 0.0


async def test_it_is_served_over_http_and_nothing_else_is() -> None:
    _, model = page()
    port = MetricsPort(model)
    await port.open()
    try:
        assert await asyncio.to_thread(fetch, port.url) == model.text()
        with pytest.raises(FetchError, match="404"):
            await asyncio.to_thread(fetch, port.url.replace("/metrics", "/etc/passwd"))
        reader, writer = await asyncio.open_connection(*port.url[7:-8].split(":"))
        writer.write(b"x" * 100_000)
        await writer.drain()
        assert await reader.read() == b""
        writer.close()
    except ConnectionError:
        pass  # it hung up on the flood
    finally:
        await port.close()


async def test_the_demo_shows_them_in_panels() -> None:
    async with Demo(local=False, incident=False, workstation=False, plugins=True) as demo:
        assert set(demo.metrics) == {"h100-fra-1", "h100-fra-2"}
        engine = local_engine(demo.config())
        await engine.start()
        try:
            deadline = time.monotonic() + 60
            while "95% under" not in repr(engine.panels("h100-fra-2")):
                assert time.monotonic() < deadline, engine.panels("h100-fra-2")
                await asyncio.sleep(0.05)
            (panel,) = engine.panels("h100-fra-2")
            assert any(isinstance(item, Gauge) and item.percent for item in panel.items)
            assert any(isinstance(item, Row) and "a second" in item.value for item in panel.items)
            assert engine.panels("gw-fra-1") == ()
        finally:
            await engine.stop()
