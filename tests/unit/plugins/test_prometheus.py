"""The plugin of model servers' metrics: its parser, its numbers, and pages that are not kind."""

from __future__ import annotations

import math
import re
import socket
import threading
import time

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
    assert Gauge(label="KV cache", percent=43.0, text="43.0% used") in shown
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


def test_the_page_of_the_plugins_names_every_known_server() -> None:
    from console.resources import shipped

    text = (shipped("plugins") / "README.md").read_text(encoding="utf-8")
    for names in SERVERS:
        assert re.search(rf"\b{names.server}\b", text)
