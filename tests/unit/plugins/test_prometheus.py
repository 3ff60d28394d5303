"""The plugin of model servers' metrics: its parser, its numbers, and pages that are not kind."""

from __future__ import annotations

import math
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.extend import Gauge, Note, Row, Setup
from plugins.prometheus.exposition import MAX_KEPT, Point, number, parse, quantile, read
from plugins.prometheus.fetch import FetchError, fetch, split
from plugins.prometheus.main import Metrics
from plugins.prometheus.numbers import measure
from plugins.prometheus.servers import SERVERS, Names, wanted
from plugins.prometheus.show import items, samples
from tests.support.plugins import model_server, vllm

NAMES = wanted()
LABEL = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20)


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("a 1", Point("a", 1.0)),
        ("a{} 1", Point("a", 1.0)),
        ("a:b_c 1e3 1700000000000", Point("a:b_c", 1000.0)),
        ('a{x="1"} 2', Point("a", 2.0, {"x": "1"})),
        ('a { x = "1" , y="2", } 2', Point("a", 2.0, {"x": "1", "y": "2"})),
        ('a{x="}{,= \\"q\\" \\\\ \\n"} -0.5', Point("a", -0.5, {"x": '}{,= "q" \\ \n'})),
        ("a +Inf", Point("a", math.inf)),
        ("a .5", Point("a", 0.5)),
        *((line, None) for line in (
            "", "a", "a b", "1 1", "{} 1", "a{ 1", 'a{x="1 2', 'a{x="1"', "a{x=1} 2", "a 1 2 3",
            "a 0x10", "a 1_000", "a\uff11 1", "a \u0661", 'a{x="1" y="2"} 1', "ab{}", "a- 1",
        )),
    ],
)  # fmt: skip
def test_one_line(line: str, want: Point | None) -> None:
    assert parse(line) == want


@given(
    st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,20}", fullmatch=True),
    st.dictionaries(st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True), LABEL, max_size=4),
    st.floats(allow_nan=False),
)
def test_what_is_written_is_read_again(name: str, labels: dict[str, str], value: float) -> None:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    inside = ",".join(f'{key}="{escaped(text)}"' for key, text in labels.items())
    line = f"{name}{{{inside}}} {value!r}" if inside else f"{name} {value!r}"
    assert parse(line) == Point(name, value, labels)


@given(st.text(max_size=400))
def test_no_page_is_too_strange(text: str) -> None:
    page = read(text + "\nvllm:num_requests_running " + text, NAMES)
    told = measure(page, measure(page, None, 0), 1.0)
    assert list(items(told, page, ("a",)))
    for sample in samples("h", told):
        assert math.isfinite(sample.value)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e9)), max_size=12), st.floats(0.01, 1))
def test_a_quantile_lies_within_the_buckets(pairs: list[tuple[float, float]], q: float) -> None:
    total, buckets = 0.0, []
    for bound, count in sorted(dict(pairs).items()):
        total += count
        buckets.append((bound, total))
    found = quantile([*buckets, (math.inf, total)], q)
    if found is not None:
        assert 0 <= found <= buckets[-1][0] * (1 + 1e-9)


def test_a_quantile_is_in_proportion_within_its_bucket() -> None:
    buckets = [(1.0, 10.0), (2.0, 20.0), (math.inf, 20.0)]
    assert quantile(buckets, 0.5) == 1.0
    assert quantile(buckets, 0.75) == 1.5
    assert quantile([(1.0, 0.0), (math.inf, 4.0)], 0.5) == 1.0, "above the last bound: that bound"
    assert quantile([], 0.5) is None
    assert quantile([(1.0, 0.0), (math.inf, 0.0)], 0.5) is None


@pytest.mark.parametrize("text", ["nan", "1e999", "-1e999"])
def test_strange_numbers_do_no_harm(text: str) -> None:
    assert number(text) is not None
    assert read(f"vllm:num_requests_running {text}", NAMES).total("vllm:num_requests_running") is (
        None
    )


def test_vllm_in_numbers() -> None:
    first = measure(read(vllm(100, 5_000.0), NAMES), None, 0)
    assert first.gauges == {"running": 12.0, "waiting": 2.0, "cache": 43.0}
    assert (first.rates, first.quantiles) == ({}, {})
    page = read(vllm(130, 9_000.0), NAMES)
    second = measure(page, first, 10.0)
    assert second.rates == {"requests": 3.0, "tokens": 400.0, "prompt_tokens": 1200.0}
    low, high = second.quantiles["latency"]
    assert low == 1000.0, "half of the thirty new ones are under 1 s"
    assert 2000 < high < 2500
    shown = [*items(second, page, ())]
    assert Gauge(label="KV cache", percent=43.0, text="used") in shown
    assert Row(label="requests waiting", value="2", severity="warn") in shown
    assert Row(label="generated tokens", value="400 a second") in shown
    assert not [item for item in shown if isinstance(item, Note)]


def test_a_server_that_was_started_anew_has_no_negative_rates() -> None:
    before = measure(read(vllm(100, 5_000.0), NAMES), None, 0)
    after = measure(read(vllm(4, 200.0), NAMES), before, 10.0)
    assert after.rates["tokens"] == 20.0
    assert "latency" not in after.quantiles
    back = measure(read(vllm(4, 200.0), NAMES), before, -5.0)
    assert back.rates == {}, "a clock that was set back compares nothing"


@pytest.mark.parametrize("names", SERVERS, ids=lambda names: names.server)
def test_every_known_server_is_known_by_its_names(names: Names) -> None:
    lines = [f"{series} 7" for group in (names.running, names.waiting, names.requests)
             for series in group]  # fmt: skip
    page = read("\n".join(lines), NAMES)
    found = measure(page, None, 0)
    assert found.server == names.server
    notes = [item.text for item in items(found, page, ()) if isinstance(item, Note)]
    assert any(text.startswith(f"{names.server} does not say here: ") for text in notes)


def test_an_unknown_page_says_so_and_named_series_are_shown() -> None:
    page = read("something 5\nother 1", {*NAMES, "something"})
    (note,) = items(measure(page, None, 0), page, ())
    assert "no series of a model server" in note.text  # type: ignore[union-attr]
    shown = [*items(measure(page, None, 0), page, ("something", "gone"))]
    assert shown == [Row(label="something", value="5"), Row(label="gone", value="not on the page")]


def test_a_page_is_bounded() -> None:
    page = read("\n".join(f'vllm:num_requests_running{{x="{n}"}} 1' for n in range(9000)), NAMES)
    assert page.total("vllm:num_requests_running") == MAX_KEPT
    assert page.cut


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:1/", "ftp://x/", "127.0.0.1:80", "http://a:b@x/", "http://x:99999/"]
)
def test_another_kind_of_address_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(FetchError):
        split(url)
    with pytest.raises(ValueError, match=r"settings\.targets\.a"):
        Metrics(Setup(settings={"targets": {"a": url}}))


@pytest.mark.parametrize(
    "settings", [{"targets": []}, {"targets": {"a": 1}}, {"series": "x"}, {"series": ["x"] * 17}]
)
def test_wrong_settings_are_named(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="settings"):
        Metrics(Setup(settings=settings))


def test_a_page_comes_over_http_and_what_fails_is_in_words() -> None:
    with model_server() as (server, port):
        server.text = "a 1\n"
        assert fetch(f"http://127.0.0.1:{port}/metrics") == "a 1\n"
        with pytest.raises(FetchError, match="answers 404"):
            fetch(f"http://127.0.0.1:{port}/else")
        server.text = "x" * (5 << 20)
        with pytest.raises(FetchError, match="larger than 4 MiB"):
            fetch(f"http://127.0.0.1:{port}/metrics")
    with pytest.raises(FetchError, match="nothing listens"):
        fetch(f"http://127.0.0.1:{port}/metrics")


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
)  # fmt: skip
def test_a_server_that_drips_is_left_in_time(start: bytes) -> None:
    """It sends a byte now and then, so that no single wait is long."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            taken, _ = listener.accept()
            with taken:
                try:
                    taken.sendall(start)
                    while not over.wait(0.05):
                        taken.sendall(b"1" if b"\n\r\n" in start else b"X: y\r\n")
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        began = time.monotonic()
        try:
            with pytest.raises(FetchError):
                fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/metrics", 0.5)
        finally:
            over.set()
            thread.join()
        assert time.monotonic() - began < 3


@contextmanager
def answering(*pieces: bytes) -> Iterator[tuple[int, list[int]]]:
    """A server that sends these pieces, and then the last one until it is left; what it sent."""
    sent = [0]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            taken, _ = listener.accept()
            with taken:
                try:
                    taken.recv(9999)
                    for piece in pieces:
                        taken.sendall(piece)
                    while len(pieces[-1]) > 1000:
                        taken.sendall(pieces[-1])
                        sent[0] += len(pieces[-1])
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], sent
        thread.join()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ((b"-1\r\n", b"a" * (1 << 20)), "no size"),
        ((b"0x10\r\n", b"a" * 16), "no size"),
        ((b"1_0\r\n", b"a" * 16), "no size"),
        ((b"\r\n",), "no size"),
        ((b"1000000000\r\n",), "no size"),
        ((b"5;" + b"x" * 300 + b"\r\n",), "no size"),
        ((b"FFFFFFFF\r\n", b"a" * (1 << 20)), "larger than 4 MiB"),
        ((b"5\r\nab",), "cut off"),
    ],
)
def test_a_piece_of_a_strange_size_is_not_read(body: tuple[bytes, ...], reason: str) -> None:
    """http.client reads a piece of size -1 to its end, which never comes."""
    with answering(CHUNKED, *body) as (port, sent), pytest.raises(FetchError, match=reason):
        fetch(f"http://127.0.0.1:{port}/metrics", 20.0)
    assert sent[0] < 16 << 20, "what the kernel holds, and no more"


def test_a_page_in_pieces_is_read_whole() -> None:
    pieces = b"4\r\na 1\n\r\n6;x=y\r\nbb 22\n\r\n0\r\n\r\n"
    with answering(CHUNKED, pieces) as (port, _):
        assert fetch(f"http://127.0.0.1:{port}/metrics") == "a 1\nbb 22\n"


@pytest.mark.parametrize(
    "value", ["1e300", "-1e300", "nan", "+Inf", "1e15\nvllm:num_requests_running 1e15"]
)
def test_numbers_beyond_all_measure_are_left_out(value: str) -> None:
    text = f"vllm:num_requests_running {value}\nvllm:num_requests_waiting 2\n"
    text += f"vllm:kv_cache_usage_perc {value}\n" * 2
    numbers = measure(read(text, NAMES), None, 0)
    assert [(s.name, s.value) for s in samples("h", numbers)] in (
        [("waiting", 2.0)],
        [("running", 1e15), ("waiting", 2.0)],
    )


def test_one_page_that_takes_all_memory_costs_no_other() -> None:
    """In a process with a limit of memory, as plugins have one: four million empty lines."""
    code = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from console.extend import PluginHost, Setup
from plugins.prometheus.main import Metrics
targets = {name: f"http://127.0.0.1:{port}/" for name, port in zip(("bad", "good"), sys.argv[2:])}
plugin = Metrics(Setup(settings={"targets": targets}))
hosts = [PluginHost(name=name, address="x", state="LIVE") for name in targets]
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20),) * 2)
print([(sample.host, sample.value) for sample in plugin.collect(1.0, hosts)])
print(next(plugin.panels(1.0, hosts)).items)
"""
    size = 4 << 20
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    good = b"HTTP/1.1 200 OK\r\n\r\nvllm:num_requests_running 3\n"
    root = str(Path(__file__).resolve().parents[3])
    with answering(head, b"\n" * size) as (bad_port, _), answering(good) as (good_port, _):
        done = subprocess.run(
            [sys.executable, "-c", code, root, str(bad_port), str(good_port)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.stdout.startswith("[('good', 3.0)]"), done
    assert "cannot be read: MemoryError" in done.stdout


def test_the_page_of_the_plugins_names_every_known_server() -> None:
    from console.resources import shipped

    text = (shipped("plugins") / "README.md").read_text(encoding="utf-8")
    for names in SERVERS:
        assert re.search(rf"\b{names.server}\b", text)
