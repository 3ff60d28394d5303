"""Evidence leaves a host for a person who has signed for it, and the log says who."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from console.hostside.guard.ops import fetch
from tests.support.guardhost import Host
from tests.support.guardkit import NOW, roster_doc

PARTS = {"include": ["processes", "sockets"], "since_s": 60}


@pytest.fixture
def rid(host: Host) -> str:
    """Of a request whose evidence was collected."""
    host.simulate(pace_s=0)
    answer = host.decide(host.submit(action="collect-evidence", params=PARTS)["id"])
    assert answer["state"] == "DONE", answer
    return str(answer["id"])


def ask(host: Host, rid: str, by: str = "bob", offset: int = 0, **changes: Any) -> dict[str, Any]:
    doc = {"by": by, "expires": host.clock.time + 600, "request_sha256": rid, **changes}
    text, signature = host.signed("fetch", by, doc, flags=1)
    return host.call("fetch", fetch=text, signature=signature, offset=offset)


def test_a_person_who_may_ask_for_evidence_gets_it_in_parts_and_is_recorded_once(
    host: Host, rid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "PART", 100)
    whole, told = b"", ask(host, rid)
    while True:
        part = base64.b64decode(told["data"])
        whole += part
        if len(whole) == told["size"]:
            break
        assert len(part) == 100
        told = ask(host, rid, offset=len(whole))
    assert told["sha256"] == hashlib.sha256(whole).hexdigest()
    assert told["name"] == f"{rid}.tar.gz"
    (record,) = [each for each in host.audit() if each["ev"] == "fetched"]
    assert (record["by"], record["rid"], record["sha256"]) == ("bob", rid, told["sha256"])
    host.clock.go(1)
    ask(host, rid)  # another document
    assert host.events(rid).count("fetched") == 2
    state = next(each for each in host.state["closed"] if each["id"] == rid)
    assert state["result"]["sha256"] == told["sha256"]


def test_the_login_alone_or_somebody_else_gets_nothing(host: Host, rid: str) -> None:
    assert host.call("fetch", id=rid, offset=0)["rule"] == "envelope"
    assert ask(host, rid, by="dave")["rule"] == "role"  # may ask for isolate alone
    doc = {"by": "bob", "expires": NOW + 600, "request_sha256": rid}
    text, signature = host.signed("fetch", "dave", doc)
    assert host.call("fetch", fetch=text, signature=signature)["rule"] == "other-person"
    text, signature = host.signed("start", "bob", doc)
    assert host.call("fetch", fetch=text, signature=signature)["rule"] == "document"
    text, _ = host.signed("fetch", "bob", doc)
    assert host.call("fetch", fetch=text, signature=signature)["rule"] == "namespace"
    assert ask(host, rid, expires=NOW - 1)["rule"] == "expired"
    assert ask(host, rid, expires=NOW + 4000)["rule"] == "ttl"
    assert ask(host, "00" * 32)["rule"] == "no-evidence"
    assert ask(host, rid, offset=-1)["rule"] == "envelope"
    roster = roster_doc()
    roster["people"]["bob"]["keys"][0]["revoked"] = NOW - 1
    host.install("roster", roster)
    assert ask(host, rid)["rule"] == "key-revoked"
    assert "fetched" not in host.events()


def test_nothing_leaves_that_cannot_be_recorded(host: Host, rid: str) -> None:
    log = Path(host.place.state, "audit/log.jsonl")
    log.write_bytes(log.read_bytes()[:-5])
    assert ask(host, rid)["rule"] == "audit-short"
