"""Whatever bytes a host sends become a clean frame or a ProtocolError, nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.errors import ProtocolError
from console.fleet.decode import decode, plain
from console.text import clean
from tests.support.scripted import HOST_ID, frame

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [s for pair in value.items() for item in pair for s in strings(item)]
    if isinstance(value, list | tuple):
        return [s for item in value for s in strings(item)]
    return []


@given(st.binary(max_size=400))
def test_any_bytes(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(line)


@given(
    st.dictionaries(
        st.sampled_from(["f", "g", "ps", "t", "i", "e", "denied", "hello"]), json_values
    )
)
def test_any_parts(parts: dict[str, Any]) -> None:
    whole = json.loads(frame(1)) | parts
    try:
        decoded = decode(json.dumps(whole).encode())
    except ProtocolError:
        return
    assert decoded.frame.host == HOST_ID


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers(), max_size=5))
def test_text_of_events_is_clean(kind: str, facts: dict[str, Any]) -> None:
    line = json.dumps(json.loads(frame(1, e=[{"kind": kind, "at": 1.0, "facts": facts}]))).encode()
    decoded = decode(line.rstrip())
    for event in decoded.frame.e:
        for text in strings([event.kind, event.key, event.facts]):
            assert text == clean(text)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"", "outside the frame protocol"),
        (b"null", "outside the frame protocol"),
        (b"[" * 100_000, "JSON|nested|outside"),
        (b'{"v":2,"seq":1,"anything":"else"}', "version 2, this console speaks version 1"),
        (b'{"v":0}', "version 0"),
        (frame(1, host="x"), "host id"),
        (frame(1, boot="a b"), "boot id"),
        (frame(0), "cannot be"),
        (frame(1, mono=-1), "cannot be"),
        (b'{"v":1,"zz":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "nested|outside"),
        (b'{"v":1,"a":[' + b"0," * 300_000 + b"0]}", "more than 200000 values"),
    ],
)
def test_what_is_told_of_bad_lines(line: bytes, told: str) -> None:
    with pytest.raises(ProtocolError, match=told):
        decode(line.rstrip(b"\n"))


def test_a_future_version_says_which_side_is_older() -> None:
    with pytest.raises(ProtocolError) as newer:
        decode(b'{"v":7}')
    assert newer.value.hint == "update this console"


def test_invalid_utf8_and_escapes_are_replaced() -> None:
    line = frame(1, e=[{"kind": "log.line", "at": 1.0, "facts": {"message": "MARK"}}])
    decoded = decode(line.rstrip().replace(b"MARK", b"\xff\xfe ok"))
    assert decoded.broken_text
    assert decoded.frame.e[0].facts["message"].endswith(" ok")
    decoded = decode(line.rstrip().replace(b"MARK", b"\\u001b]52;c;aGk=\\u0007"))
    assert "\x1b" not in decoded.frame.e[0].facts["message"]
    assert not decoded.broken_text


def test_impossible_numbers_are_none_and_not_zero() -> None:
    parts = {"cpu_pct": -5.0, "mem_total_kib": 1, "gpu": [[0, 1e300, 1.0, 2.0]]}
    fast = decode(frame(1, f=parts).rstrip()).frame.f
    assert fast is not None
    assert fast.cpu_pct is None
    assert fast.mem_total_kib == 1
    assert fast.gpu[0].util_pct is None
    assert fast.gpu[0].mem_used_mib == 2.0


@given(
    st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'))
)
def test_plain_lines_need_no_cleaning(text: str) -> None:
    line = json.dumps({"a": text}).encode()
    assert plain(line) == (len(text) <= 512)
    assert clean(text) == text or len(text) > 512


def test_too_many_events_are_cut_and_counted() -> None:
    events = [{"kind": "x", "at": 1.0}] * 2_100
    decoded = decode(frame(1, e=events).rstrip())
    assert len(decoded.frame.e) == 2_000
    assert decoded.dropped_events == 100


@pytest.mark.parametrize(
    "kind", ["host.key-changed", "console.defect", "store.moved", "demo.stage", "plugin.given-up"]
)
def test_what_only_the_console_knows_no_host_can_say(kind: str) -> None:
    forged = {"kind": kind, "at": 5.0, "key": "x", "facts": {"with": "gpu02"}, "cursor": "s=1"}
    (event,) = decode(frame(1, e=[forged]).rstrip()).frame.e
    assert (event.kind, event.at, event.cursor) == ("probe.error", 5.0, "s=1")
    assert event.facts == {"error": f"sent an event that only the console makes: {kind}"}
