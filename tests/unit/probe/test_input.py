"""What comes from outside: verbs, documents of the guard, the declaration of the administrator."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.probe import declared
from console.hostside.probe.denied import Denied
from console.hostside.probe.place import Place
from console.hostside.probe.spool import FOLDER, MAX_DOC, MAX_INDEX, Spool
from console.hostside.probe.verbs import MAX_LINE, VerbReader, parse

GOOD = [
    (b"focus on", ("focus", "on")),
    (b"focus off\r", ("focus", "off")),
    (b"resync", ("resync", "")),
    (b"resync s=0a;i=1f;b=2c;m=1;t=2;x=3", ("resync", "s=0a;i=1f;b=2c;m=1;t=2;x=3")),
    (b"resync f=12;o=99", ("resync", "f=12;o=99")),
    (b"guard-doc " + b"0a" * 32, ("guard-doc", "0a" * 32)),
]


@pytest.mark.parametrize(("line", "want"), GOOD)
def test_the_verbs(line: bytes, want: tuple[str, str]) -> None:
    verb = parse(line)
    assert (verb.name, verb.argument, verb.error) == (*want, "")


@pytest.mark.parametrize(
    "line",
    [
        b"focus",
        b"focus ON",
        b"focus on ",
        b" focus on",
        b"resync ",
        b"resync --output=export",
        b"resync s=1 --merge",
        b"resync s=1\0",
        b"guard-doc " + b"0A" * 32,
        b"guard-doc ../../etc/shadow",
        b"guard-doc " + b"0a" * 31,
        b"exec id",
        b"",
        b"\xff\xfe",
        b"focus on" + b" " * MAX_LINE,
    ],
)
def test_nothing_else_is_a_verb(line: bytes) -> None:
    verb = parse(line)
    assert verb.name == ""
    assert verb.error


@given(st.binary(max_size=2000))
def test_any_line_is_a_verb_or_none(line: bytes) -> None:
    verb = parse(line)
    assert bool(verb.name) != bool(verb.error)


@given(st.lists(st.sampled_from([line for line, _ in GOOD]), max_size=6), st.integers(1, 40))
def test_verbs_come_whole_however_the_stream_is_cut(lines: list[bytes], size: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    reader = VerbReader()
    found = [
        verb for at in range(0, len(stream), size) for verb in reader.feed(stream[at : at + size])
    ]
    assert found == [parse(line) for line in lines]


def test_an_endless_line_is_told_once_and_costs_no_memory() -> None:
    reader = VerbReader()
    found = [verb for _ in range(200) for verb in reader.feed(b"x" * 10_000)]
    assert [verb.error for verb in found] == ["line too long"]
    assert len(reader._part) <= MAX_LINE
    assert [verb.name for verb in reader.feed(b"y\nresync\n")] == ["resync"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / FOLDER[1:]
    (path / "docs").mkdir(parents=True)
    return path


def put(folder: Path, *documents: bytes, names: tuple[str, ...] = ()) -> list[str]:
    """Publish documents as the guard does: each by its digest, then the index as a new file."""
    digests = [hashlib.sha256(data).hexdigest() for data in documents]
    for name, data in zip(digests, documents, strict=True):
        (folder / "docs" / name).write_bytes(data)
    docs = [{"sha256": name, "size": 5, "kind": "tail"} for name in (*digests, *names)]
    new = folder / "new"
    new.write_text(json.dumps({"docs": docs}))
    new.rename(folder / "index.json")
    return digests


def spool_of(tmp_path: Path) -> Spool:
    return Spool(Place(root=str(tmp_path)), Denied())


def test_a_document_of_the_guard(tmp_path: Path, folder: Path) -> None:
    data = b'{"a":1}\n\x1b[31m' + bytes(range(256))
    (name,) = put(folder, data)
    spool = spool_of(tmp_path)
    assert spool.listed() == [{"sha256": name, "size": 5, "kind": "tail"}]
    assert base64.b64decode(spool.document(name)["b64"]) == data
    both = put(folder, b"two", data)
    assert [doc["sha256"] for doc in spool.listed() or []] == both


def test_an_unchanged_index_is_not_read_again(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, b"one")
    spool = spool_of(tmp_path)
    first = spool.listed()
    opened: list[Any] = []
    monkeypatch.setattr(os, "open", lambda *argv, **more: opened.append(argv))
    assert spool.listed() is first
    assert opened == []


def test_what_is_no_document_is_not_given(tmp_path: Path, folder: Path) -> None:
    wrong = "a" * 64
    (folder / "docs" / wrong).write_bytes(b"not that digest")
    linked = hashlib.sha256(b"secret").hexdigest()
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "docs" / linked).symlink_to(tmp_path / "secret")
    (unlisted,) = put(folder, b"there, and not in the index")
    large, fits = put(folder, b"x" * (MAX_DOC + 1), b"x" * MAX_DOC, names=(wrong, linked, "b" * 64))
    spool = spool_of(tmp_path)
    for name in (wrong, linked, large, unlisted, "b" * 64):
        answer = spool.document(name)
        assert answer["error"]
        assert "b64" not in answer
    assert len(spool.document(fits)["b64"]) > MAX_DOC


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", '{"docs": {}}', '{"docs": [1]}', '{"docs": [{"sha256": "a"}]}', "[" * 9999,
        '{"docs": [{"sha256": "../../etc/shadow", "size": 1, "kind": "state"}]}',
        '{"docs": [{"sha256": "%s", "size": true, "kind": "state"}]}' % ("a" * 64),
        '{"docs": [{"sha256": "%s", "size": 1, "kind": "\u001b[31m"}]}' % ("a" * 64),
        '{"docs": []}' + " " * MAX_INDEX,
    ],
)  # fmt: skip
def test_a_broken_index_is_said_once_and_lists_nothing(
    tmp_path: Path, folder: Path, text: str
) -> None:
    (folder / "index.json").write_text(text)
    spool = spool_of(tmp_path)
    with pytest.raises(ValueError, match=r"index|larger"):
        spool.listed()
    assert spool.listed() is None


def test_no_guard_is_nothing_and_no_denial(tmp_path: Path) -> None:
    denied = Denied()
    assert Spool(Place(root=str(tmp_path)), denied).listed() is None
    assert denied.whole() == {}


def declare(tmp_path: Path, value: Any) -> Path:
    file = tmp_path / declared.FILE[1:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    file.chmod(0o644)
    file.parent.chmod(0o755)
    return file


def load(tmp_path: Path) -> declared.Declared:
    return declared.load(Place(root=str(tmp_path)), owner=os.getuid())


def test_a_declaration(tmp_path: Path) -> None:
    source = {"name": "chat", "kind": "vllm", "path": "/srv/a", "url": "http://127.0.0.1:8000"}
    declare(
        tmp_path,
        {"sources": [source], "weights": ["/srv/models"], "identifiers": ["my-gateway"]},
    )
    found = load(tmp_path)
    assert found.error == ""
    assert found.sources == [{**source, "unit": "", "container": "", "series": []}]
    assert found.weights == ("/srv/a", "/srv/models")
    assert found.identifiers == ("my-gateway",)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("not json", 0),
        ("[" * 5000, 0),
        ("[]", 0),
        ({"command": "id"}, 0),
        ({"weights": ["/"], "identifiers": ["ok"]}, 1),
        ({"weights": ["relative", "/a/../b"], "identifiers": ["ok"]}, 1),
        ({"identifiers": ["--output=export", "ok"]}, 1),
        ({"sources": [{"name": "x", "url": "http://169.254.169.254/"}]}, 0),
        ({"sources": [{"name": "x", "url": "http://127.0.0.1@evil.test/"}]}, 0),
        ({"sources": [{"name": "x", "url": "file:///etc/shadow"}]}, 0),
        ({"sources": [{"name": "x", "extra": 1}]}, 0),
        ({"sources": {}}, 0),
    ],
)
def test_a_wrong_declaration_says_so_and_the_rest_counts(
    tmp_path: Path, value: Any, kept: int
) -> None:
    declare(tmp_path, value)
    found = load(tmp_path)
    assert found.error.startswith(declared.FILE)
    assert len(found.identifiers) == kept
    assert not found.sources
    assert not found.weights


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o664, 0o755), (0o644, 0o757)])
def test_a_declaration_that_others_may_write_is_not_used(
    tmp_path: Path, file_mode: int, folder_mode: int
) -> None:
    file = declare(tmp_path, {"weights": ["/srv/models"]})
    file.chmod(file_mode)
    file.parent.chmod(folder_mode)
    found = load(tmp_path)
    assert not found.weights
    assert "others may write" in found.error


def test_a_declaration_of_another_owner_is_not_used(tmp_path: Path) -> None:
    declare(tmp_path, {"weights": ["/srv/models"]})
    found = declared.load(Place(root=str(tmp_path)), owner=os.getuid() + 1)
    assert not found.weights
    assert found.error


def test_no_declaration_is_no_error(tmp_path: Path) -> None:
    assert load(tmp_path).error == ""


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["sources", "weights", "identifiers", "name", "url", "series"]),
                inner,
                max_size=5,
            )
        ),
    )
)
def test_any_declaration_is_read_calmly(value: Any) -> None:
    found = declared.Declared()
    declared._fill(found, value)
    assert all(path.startswith("/") for path in found.weights)
