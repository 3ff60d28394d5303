"""What known model servers call their numbers. The first name that a page has is taken."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Names:
    """Names of series, in order of preference; ``latency`` are histograms in seconds.

    ``tokens`` and ``requests`` are counters. ``cache`` is a share of one.
    """

    server: str
    marks: str  # a page with a name that begins so is of this server
    running: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    cache: tuple[str, ...] = ()
    prompt_tokens: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    latency: tuple[str, ...] = ()
    first_token: tuple[str, ...] = ()


GAUGES = ("running", "waiting", "cache")
COUNTERS = ("prompt_tokens", "tokens", "requests")
HISTOGRAMS = ("latency", "first_token")

SERVERS = (
    Names(
        server="vLLM",
        marks="vllm:",
        running=("vllm:num_requests_running",),
        waiting=("vllm:num_requests_waiting",),
        cache=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
        prompt_tokens=("vllm:prompt_tokens_total", "vllm:prompt_tokens"),
        tokens=("vllm:generation_tokens_total", "vllm:generation_tokens"),
        requests=("vllm:request_success_total", "vllm:request_success"),
        latency=("vllm:e2e_request_latency_seconds",),
        first_token=("vllm:time_to_first_token_seconds",),
    ),
    Names(
        server="SGLang",
        marks="sglang:",
        running=("sglang:num_running_reqs",),
        waiting=("sglang:num_queue_reqs",),
        cache=("sglang:token_usage",),
        prompt_tokens=("sglang:prompt_tokens_total",),
        tokens=("sglang:generation_tokens_total",),
        requests=("sglang:num_requests_total",),
        latency=("sglang:e2e_request_latency_seconds",),
        first_token=("sglang:time_to_first_token_seconds",),
    ),
    Names(
        server="TGI",
        marks="tgi_",
        running=("tgi_batch_current_size",),
        waiting=("tgi_queue_size",),
        tokens=("tgi_request_generated_tokens_sum",),
        prompt_tokens=("tgi_request_input_length_sum",),
        requests=("tgi_request_count", "tgi_request_count_total"),
        latency=("tgi_request_duration",),
    ),
    Names(
        server="Triton",
        marks="nv_",
        waiting=("nv_inference_pending_request_count",),
        requests=("nv_inference_request_success",),
    ),
)


def wanted(extra: tuple[str, ...] = ()) -> frozenset[str]:
    """Every name that may be asked for; of a histogram the names of its parts."""
    out = set(extra)
    for names in SERVERS:
        for item in fields(names):
            value = getattr(names, item.name)
            if item.name in HISTOGRAMS:
                out |= {name + part for name in value for part in ("_bucket", "_sum", "_count")}
            elif isinstance(value, tuple):
                out |= set(value)
    return frozenset(out)
