"""The /metrics pages of the demo's model servers: real HTTP on loopback, in the words of vLLM.

What they say follows from the simulated load of the GPUs that the model is on.
"""

import asyncio

from console.demo.fleet import Service
from console.demo.simulate import SimState

MAX_REQUEST = 8192
PATIENCE_S = 2.0
TOKENS_A_GPU = 410.0
"""Generated tokens a second of one GPU under full load; prompts have four times as many."""
TOKENS_A_REQUEST = 230.0
BATCH = 64
"""Requests that run together at full load; those above 85% of it wait."""
BOUNDS_S = (0.5, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 20.0, 40.0)


class ModelPage:
    """What the server of one model counts. ``advance`` moves it to ``t`` seconds, as its host."""

    def __init__(self, state: SimState, service: Service) -> None:
        self._state = state
        self._service = service
        self._model = service.model.source if service.model is not None else service.name
        self._t = 0.0
        self._tokens = 0.0
        self._below = [0.0] * len(BOUNDS_S)

    @property
    def _load(self) -> float:
        """Mean load of its GPUs, 0 to 1; a lost GPU does nothing."""
        found = [self._state.gpus[index].fast().util_pct for index in self._service.gpus]
        return sum(value or 0.0 for value in found) / (100.0 * max(1, len(found)))

    def advance(self, t: float) -> None:
        """Count what was generated since; requests last the longer the busier the GPUs are."""
        step, self._t = max(0.0, t - self._t), t
        load = self._load
        made = load * TOKENS_A_GPU * len(self._service.gpus) * step
        self._tokens += made
        longest = 4.0 + 30.0 * load**3
        for number, bound in enumerate(BOUNDS_S):
            self._below[number] += made / TOKENS_A_REQUEST * min(1.0, bound / longest)

    def text(self) -> str:
        """The page."""
        label = f'engine="0",model_name="{self._model}"'
        done = int(self._tokens / TOKENS_A_REQUEST)
        running = round(BATCH * self._load)
        waiting = max(0, round(BATCH * (self._load - 0.85)))
        latency = "vllm:e2e_request_latency_seconds"
        buckets = "".join(
            f'{latency}_bucket{{{label},le="{bound}"}} {min(done, int(count))}.0\n'
            for bound, count in zip(BOUNDS_S, self._below, strict=True)
        )
        return (
            "# TYPE vllm:num_requests_running gauge\n"
            f"vllm:num_requests_running{{{label}}} {running}.0\n"
            "# TYPE vllm:num_requests_waiting gauge\n"
            f"vllm:num_requests_waiting{{{label}}} {waiting}.0\n"
            "# TYPE vllm:kv_cache_usage_perc gauge\n"
            f"vllm:kv_cache_usage_perc{{{label}}} {min(1.0, 0.08 + 0.9 * self._load):.4f}\n"
            "# TYPE vllm:prompt_tokens_total counter\n"
            f"vllm:prompt_tokens_total{{{label}}} {4 * self._tokens:.1f}\n"
            "# TYPE vllm:generation_tokens_total counter\n"
            f"vllm:generation_tokens_total{{{label}}} {self._tokens:.1f}\n"
            "# TYPE vllm:request_success_total counter\n"
            f'vllm:request_success_total{{{label},finished_reason="stop"}} {done}.0\n'
            f"# TYPE {latency} histogram\n{buckets}"
            f'{latency}_bucket{{{label},le="+Inf"}} {done}.0\n'
            f"{latency}_count{{{label}}} {done}.0\n"
        )


class MetricsPort:
    """Serves one page at http://127.0.0.1:PORT/metrics."""

    def __init__(self, page: ModelPage) -> None:
        self._page = page
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where the page is; only while it is open."""
        port = self._server.sockets[0].getsockname()[1] if self._server is not None else 0
        return f"http://127.0.0.1:{port}/metrics"

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MAX_REQUEST)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                asked = await reader.readuntil(b"\r\n\r\n")
                found = asked.startswith(b"GET /metrics ")
                body = self._page.text().encode() if found else b"only /metrics is here\n"
                head = (
                    f"HTTP/1.1 {'200 OK' if found else '404 Not Found'}\r\n"
                    "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                writer.write(head.encode() + body)
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
