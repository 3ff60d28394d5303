"""The shipped plugin the whole way: a configuration, an engine, its process, a real HTTP server,
and the panel on the screen and in the JSON document."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from console.config.loader import load
from console.engine.build import local_engine
from console.engine.plugins.manifest import find
from console.tui.app import ConsoleApp
from console.tui.settings import Settings
from console.tui.style.look import Look
from tests.support.plugins import confinable, model_server, vllm

pytestmark = confinable

ROOT = Path(__file__).resolve().parents[2]


def configuration(tmp_path: Path, port: int, pin: str = "") -> Path:
    file = tmp_path / "fleet.toml"
    file.write_text(
        f"""
        history = false
        [plugins.prometheus]
        enabled = true
        sha256 = "{pin or find("prometheus").sha256}"
        hosts = "workstation"
        connect = ["127.0.0.1:{port}"]
        interval_s = 1.0
        """,
        encoding="utf-8",
    )
    file.chmod(0o600)
    return file


def text(app: ConsoleApp) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


async def test_a_model_server_is_seen_on_the_screen(tmp_path: Path) -> None:
    with model_server() as (server, port):
        server.text = vllm(100, 5_000.0)
        config = load(only_file=configuration(tmp_path, port))
        app = ConsoleApp(lambda ask: local_engine(config), Settings(title="test"), look=Look())
        async with app.run_test(size=(120, 30)) as pilot:

            async def until(condition: Callable[[str], bool]) -> str:
                deadline = time.monotonic() + 30
                while not condition(shown := text(app)):
                    assert time.monotonic() < deadline, shown
                    await pilot.pause()
                    await asyncio.sleep(0.02)
                return shown

            await until(lambda shown: "workstation" in shown)
            app.open_host("workstation")
            await pilot.pause()
            await pilot.press("7")
            shown = await until(lambda shown: "requests running" in shown)
            assert f"model server vLLM at http://127.0.0.1:{port}/metrics" in shown
            assert "43% used" in shown
            assert "after the next reading" in shown
            server.text = vllm(130, 9_000.0, running=31, cache=0.99)
            shown = await until(lambda shown: "95% under" in shown)
            assert "requests running        31" in shown
            assert "✖ 99% used" in shown
            await until(lambda shown: "tokens a second" in shown and "measured yet" not in shown)
            server.text = "nothing known 1\n"
            await until(lambda shown: "no series of a model server" in shown)
        server.text = vllm(1, 1.0)
    # the server is gone
    engine = local_engine(load(only_file=configuration(tmp_path, port)))
    await engine.start()
    try:
        deadline = time.monotonic() + 30
        while "nothing listens" not in repr(engine.panels("workstation")):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
    finally:
        await engine.stop()


def test_status_prints_what_the_screen_shows(tmp_path: Path) -> None:
    with model_server() as (server, port):
        server.text = vllm(100, 5_000.0)

        def status(file: Path) -> list[dict[str, object]]:
            done = subprocess.run(
                [sys.executable, "-m", "console", "--config", str(file), "status", "--json"],
                cwd=ROOT,
                check=False,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, done.stderr
            panels: list[dict[str, object]] = json.loads(done.stdout)["hosts"][0]["panels"]
            return panels

        (panel,) = status(configuration(tmp_path, port))
        assert panel["plugin"] == "prometheus"
        assert panel["stopped"] == ""
        assert {"kind": "gauge", "label": "KV cache", "percent": 43.0}.items() <= dict(
            panel["items"][2]  # type: ignore[index]
        ).items()
        (panel,) = status(configuration(tmp_path, port, pin="ab" * 32))
        assert "not those that were pinned" in str(panel["stopped"])
