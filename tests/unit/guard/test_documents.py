"""Every kind of document: exactly these fields, of exactly these types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical, documents
from tests.support.guardkit import NOW, key_of, policy_doc, refused, roster_doc

DIGEST = "ab" * 32
FINGERPRINT = key_of("alice").fingerprint

DOCS: dict[str, dict[str, Any]] = {
    "binding": {
        "boot_id": "3a0a30d2-6e4c-4a1e-9c36-4f2f0c6f0f11",
        "facts": {"interfaces": ["eth0"], "ssh_port": 22},
        "guard": DIGEST,
        "host_id": "h-11",
        "host_key": FINGERPRINT,
        "nonce": "0123456789abcdef0123456789abcdef",
        "plan": DIGEST,
        "policy": DIGEST * 2,
    },
    "request": {
        "action": "disconnect-inbound",
        "context": {"workstation": "ops-3"},
        "expires": NOW + 300,
        "mode": "two_before",
        "not_before": NOW,
        "params": {"confirm_s": 120},
        "reason": "Beaconing from the vLLM worker, INC-4711",
        "requester": "alice",
        "requester_key": FINGERPRINT,
        "targets": [{"bind": DIGEST, "host_id": "h-11"}, {"bind": DIGEST, "host_id": "h-12"}],
    },
    "approval": {
        "by": "bob",
        "comment": "",
        "expires": NOW + 300,
        "request_sha256": DIGEST,
        "verdict": "approve",
    },
    "cancel": {"by": "alice", "comment": "a mistake", "request_sha256": DIGEST},
    "start": {"by": "alice", "expires": NOW, "request_sha256": DIGEST},
    "review": {"by": "bob", "comment": "It was needed.", "request_sha256": DIGEST},
    "fetch": {"by": "bob", "expires": NOW, "request_sha256": DIGEST},
    "roster": roster_doc(),
    "policy": policy_doc(),
    "manifest": {
        "files": {"model-00001-of-00002.safetensors": DIGEST, "tokenizer/vocab.json": DIGEST},
        "model": "llama-3",
        "size": 140 * 10**9,
        "version": "2026-01.rc1",
    },
    "evaluation": {
        "manifest_sha256": DIGEST,
        "metrics": {"accuracy_e4": 9120, "drift_e4": -3},
        "model": "llama-3",
        "version": "2026-01",
    },
}
for _kind, _doc in DOCS.items():
    _doc.update(kind=_kind, v=1)


def read(kind: str) -> Callable[[bytes], dict[str, Any]]:
    found: Callable[[bytes], dict[str, Any]] = getattr(documents, kind)
    return found


def no(which: str, /, **changes: Any) -> Refused:
    return refused(read(which), canonical.write({**DOCS[which], **changes}))


@pytest.mark.parametrize("kind", DOCS)
def test_a_good_document_is_read(kind: str) -> None:
    assert read(kind)(canonical.write(DOCS[kind])) == DOCS[kind]


@pytest.mark.parametrize("kind", DOCS)
def test_no_field_is_missing_unknown_or_of_another_type(kind: str) -> None:
    """Field by field, of every kind. Threats: 41, 42."""
    doc = DOCS[kind]
    for field in doc:
        less = {name: value for name, value in doc.items() if name != field}
        refused(read(kind), canonical.write(less))
        for value in (True, 1.5, None, "", "x" * 600, -1, 2**53 - 1, [], ["x", "x"], {"x": 1}):
            if value is None or type(value) is float or type(value) is type(doc[field]):
                continue
            if field == "facts" or (field == "params" and type(value) is dict):
                continue
            assert field in no(kind, **{field: value}).words or field in ("kind", "v")
    assert "extra" in no(kind, extra=1).words
    if kind in ("roster", "policy", "manifest", "evaluation"):
        # What is foreign is not said again.
        assert "foreign" not in no(kind, **{"A foreign name": 1}).words


@pytest.mark.parametrize("kind", DOCS)
@pytest.mark.parametrize("version", [0, 2, True, "1", -1])
def test_another_version_is_refused(kind: str, version: Any) -> None:
    """Threats: 42."""
    assert no(kind, v=version).rule in ("version", "document")


@pytest.mark.parametrize("kind", DOCS)
def test_a_document_of_one_kind_is_none_of_another(kind: str) -> None:
    """Threats: 42."""
    data = canonical.write(DOCS[kind])
    for other in DOCS:
        if other != kind:
            refused(read(other), data)
    for odd in ("", "Request", "request ", kind + "s"):
        no(kind, kind=odd)


def test_every_kind_that_is_signed_has_a_namespace_of_its_own() -> None:
    """Threats: 5."""
    spaces = documents.NAMESPACES
    assert len(set(spaces.values())) == len(spaces) == 12
    assert all(space == f"{kind}-v1@watchfloor" for kind, space in spaces.items())
    assert set(DOCS) - {"binding"} <= set(spaces)


@pytest.mark.parametrize(
    "name",
    [
        "Alice", "\u0430lice", "alice.\u200b", "ALICE", "ålice", "alice ", " alice", "", "1alice",
        ".alice", "-alice", "a" * 33, "alice\n", "*", "*@ops", "alice@ops", "alice,bob",
        "\uff41lice",
    ],
)  # fmt: skip
def test_names_of_people_are_plain(name: str) -> None:
    """Case, look-alikes, wildcards and invisible letters. Threats: 14."""
    for kind, field in (("request", "requester"), ("approval", "by"), ("cancel", "by")):
        try:
            data = canonical.write({**DOCS[kind], field: name})
        except Refused:
            continue
        assert refused(read(kind), data).rule == "document"
    people = {**roster_doc()["people"], name: roster_doc()["people"]["dave"]}
    del people["dave"]
    try:
        data = canonical.write(roster_doc(people=people))
    except Refused:
        return
    refused(documents.roster, data)


@pytest.mark.parametrize("value", [True, False, "1", "\uff11\uff12", 1.0, -1, 2**50, None, [1]])
def test_times_are_whole_numbers(value: Any) -> None:
    """true is no number, nor are full-width digits. Threats: 41."""
    for kind, field in (("request", "expires"), ("request", "not_before"), ("approval", "expires")):
        try:
            data = canonical.write({**DOCS[kind], field: value})
        except Refused:
            continue
        assert field in refused(read(kind), data).words


@pytest.mark.parametrize(
    "value",
    [
        "",
        "ab",
        "AB" * 32,
        "ab" * 31,
        "ab" * 33,
        "\uff41b" * 32,
        "xy" * 32,
        "ab" * 32 + "\n",
        5,
        True,
    ],
)
def test_digests_are_sixty_four_hex_digits(value: Any) -> None:
    """Threats: 41."""
    for kind, field in (("approval", "request_sha256"), ("binding", "plan"), ("binding", "guard")):
        try:
            data = canonical.write({**DOCS[kind], field: value})
        except Refused:
            continue
        assert field in refused(read(kind), data).words


def test_hosts_of_a_request_are_sorted_and_there_once() -> None:
    one, two = DOCS["request"]["targets"]
    for targets in (
        [],
        [two, one],
        [one, one],
        [one, {**one, "bind": "cd" * 32}],
        [one["host_id"]],
    ):
        assert "targets" in no("request", targets=targets).words
    no("request", targets=[{**one, "host_id": "H-11"}])
    no("request", targets=[{**one, "extra": 1}])
    no("request", targets=[{"host_id": "h-11"}])
    no("request", targets=[{**one, "host_id": f"h-{at:04}"} for at in range(513)])


def test_lengths_of_texts() -> None:
    good = {**DOCS["request"], "reason": "x" * 500}
    assert documents.request(canonical.write(good))["reason"] == "x" * 500
    no("request", reason="x" * 501)
    no("request", reason="")
    no("request", reason=" x")
    no("approval", comment="x" * 501)
    no("review", comment="")
    no("request", context={"workstation": "x" * 129})
    no("request", context={})
    no("request", context={"workstation": "x", "more": 1})


def test_modes_and_verdicts_are_known() -> None:
    for mode in ("", "one", "TWO_BEFORE", "two_after"):
        no("request", mode=mode)
    for verdict in ("", "yes", "Approve", True):
        no("approval", verdict=verdict)


def test_a_request_that_ends_before_it_begins() -> None:
    no("request", expires=NOW, not_before=NOW)
    no("request", expires=NOW - 1, not_before=NOW)


def test_sizes() -> None:
    """8 KiB for one host, more for many and for what installs. Threats: 40."""
    one, _ = DOCS["request"]["targets"]
    params = {f"p{at}": "x" * 400 for at in range(25)}
    assert "8192" in no("request", targets=[one], params=params).words
    install = {**DOCS["request"], "targets": [one], "params": params, "action": "install-roster"}
    assert documents.request(canonical.write(install))
    assert documents.request(canonical.write({**DOCS["request"], "params": params}))
    targets = [{**one, "host_id": f"h-{at:04}"} for at in range(512)]
    assert documents.request(canonical.write({**DOCS["request"], "targets": targets}))
    big = {f"p{at}": "x" * 400 for at in range(400)}
    assert "131072" in no("request", params=big).words
    assert documents.limit("approval") == 8192
    assert documents.limit("roster") == documents.limit("policy") == 65536


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x", "a/../b", "a/..", ".", "./a", "a/./b", "a//b", "a/", "", "/", "//a"],
)
def test_paths_of_a_manifest_stay_below_the_model(path: str) -> None:
    for files in ({path: DIGEST}, {"a": DIGEST, path: DIGEST}):
        if path:
            no("manifest", files=files)
    good = {"..a/b..": DIGEST, ".hidden": DIGEST, "a...b": DIGEST, "日本/x y": DIGEST}
    assert documents.manifest(canonical.write({**DOCS["manifest"], "files": good}))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_refused(data: bytes) -> None:
    for kind in DOCS:
        with pytest.raises(Refused):
            read(kind)(data)


JSON = st.recursive(
    st.booleans() | st.integers(-9, 2**40) | st.sampled_from(["", "alice", DIGEST, "x"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "host_id", "bind", "keys"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.sampled_from(sorted(DOCS)), st.data())
def test_a_field_of_any_value_is_good_or_refused(kind: str, draw: st.DataObject) -> None:
    field = draw.draw(st.sampled_from(sorted(DOCS[kind])))
    value = draw.draw(JSON)
    doc = {**DOCS[kind], field: value}
    try:
        found = read(kind)(canonical.write(doc))
    except Refused:
        return
    assert found == doc
