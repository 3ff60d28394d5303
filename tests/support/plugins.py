"""Plugin folders as an author, or an attacker, would write them, and a real model server's page."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from console.engine.plugins import landlock

HEAD = """\
import os, socket, sys, time
from console.extend import Gauge, Note, Panel, Plot, Row, Sample


class P:
    def __init__(self, setup):
        self.setup = setup

    def collect(self, at, hosts):
        return []

"""


def write(
    place: Path,
    body: str,
    *,
    name: str = "trial",
    connect: tuple[str, ...] = (),
    kinds: tuple[str, ...] = ("collector", "panel"),
    head: str = HEAD,
) -> Path:
    """A plugin of the class ``P`` whose methods are ``body``; its folder."""
    folder = place / name
    folder.mkdir(parents=True, exist_ok=True)
    asks = ", ".join(f'"{text}"' for text in connect)
    named = ", ".join(f'"{kind}"' for kind in kinds)
    (folder / "plugin.toml").write_text(
        f'name = "{name}"\nversion = "0.1"\napi = 1\nkinds = [{named}]\nentry = "main:P"\n'
        f'words = "for a test"\n[asks]\nconnect = [{asks}]\n',
        encoding="utf-8",
    )
    text = head + textwrap.indent(textwrap.dedent(body), "    ")
    (folder / "main.py").write_text(text, encoding="utf-8")
    return folder


def doing(code: str) -> str:
    """The method ``panels`` that does ``code`` and shows what is then in ``x``."""
    lines = textwrap.indent(textwrap.dedent(code).strip("\n"), "    ")
    return (
        f"def panels(self, at, hosts):\n    x = None\n{lines}\n"
        "    return [Panel(host=h.name, title='t', items=(Row(label='x', value=str(x)),))"
        " for h in hosts]\n"
    )


class ModelServer(BaseHTTPRequestHandler):
    """Serves ``text`` at /metrics; ``text`` may be changed while it runs."""

    text = ""

    def do_GET(self) -> None:
        """One page."""
        body = type(self).text.encode()
        self.send_response(200 if self.path == "/metrics" else 404)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def model_server() -> Iterator[tuple[type[ModelServer], int]]:
    """A real HTTP server on loopback and its port."""

    class Own(ModelServer):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Own, server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def vllm(done: int, tokens: float, running: int = 12, cache: float = 0.43) -> str:
    """A page as vLLM 0.8 and later writes it, with ``done`` requests so far: a third under 0.5 s,
    all under 2.5 s."""
    label = 'engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"'
    bounds = {"0.3": 0, "0.5": done // 3, "1.0": done // 2, "2.5": done, "5.0": done, "+Inf": done}
    buckets = "".join(
        f'vllm:e2e_request_latency_seconds_bucket{{{label},le="{bound}"}} {count}.0\n'
        for bound, count in bounds.items()
    )
    return f"""\
# HELP python_gc_objects_collected_total Objects collected during gc
# TYPE python_gc_objects_collected_total counter
python_gc_objects_collected_total{{generation="0"}} 9821.0
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{{label}}} {running}.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{{label}}} 2.0
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{{{label}}} {cache}
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{{{label}}} {tokens * 3}
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{{label}}} {tokens}
# TYPE vllm:request_success_total counter
vllm:request_success_total{{{label},finished_reason="stop"}} {done}.0
vllm:request_success_total{{{label},finished_reason="length"}} 0.0
# TYPE vllm:e2e_request_latency_seconds histogram
vllm:e2e_request_latency_seconds_sum{{{label}}} {done * 0.9}
{buckets}vllm:e2e_request_latency_seconds_count{{{label}}} {done}.0
"""


confinable = pytest.mark.skipif(not landlock.version(), reason="no plugin runs without Landlock")
"""For tests in which a plugin really runs."""
