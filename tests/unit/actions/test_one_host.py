"""Answers and documents of one hostile host: its own row has the trouble, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from console.actions import confirm as module
from console.actions import decide, pending
from console.actions.challenge import challenge
from console.actions.confirm import confirm
from console.actions.pending import judge, request_view
from console.actions.send import Parcel, Token, send
from console.actions.standing import guard_view
from console.engine.guards import Guards, Sight, _Looked
from console.errors import ActionError
from console.headless import actions as lines
from console.hostside.guard.trust import canonical
from console.model.guard import GuardDocs, GuardView, RequestView
from console.model.host import Host
from console.ssh.guardcall import Answer
from console.trust import verify
from console.tui.meaning.guarded import active_page, request_page
from console.tui.style.look import Look
from tests.support.actionhosts import ISOLATE, Fleet, changed
from tests.support.guardkit import key_of

MANY = "9" * 400
TOO_MANY = "9" * 5000


class Says:
    """A caller to whom a host answers whatever it likes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.calls = 0

    async def call(self, host: Host, envelope: bytes) -> Answer:
        self.calls += 1
        return Answer(self.text.encode(), "k")

    send = call

    def prepare(self, host: Host) -> None:
        """Nothing has to be opened."""

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    "tamper",
    [
        {"facts": {}}, {"facts": {"families": 4}}, {"facts": {"families": [[]], "x": {}}},
        {"now": int(MANY)}, {"now": -5}, {"host_keys": {}}, {"guard": ["x"]}, {"policy": {}},
        {"preview": {"effect": [int(MANY)]}, "facts": {}},
    ],
)  # fmt: skip
async def test_a_challenge_is_answered_oddly(fleet: Fleet, tamper: dict[str, Any]) -> None:
    fleet.tamper = tamper
    made = await challenge(fleet.around(), fleet.view("gpu01"), "isolate", ISOLATE)
    assert made.trouble


def test_numbers_of_a_state_document_are_bounded_where_it_is_read(fleet: Fleet) -> None:
    """No page and no line fails on what a host calls a time or a count."""
    entry = {"id": "b" * 64, "action": "isolate", "params": {}, "state": "APPLIED", "since": 1}
    odd = {
        "deadline": ("1e308", "-1e308", MANY, "1e11"), "since": ("1e300", TOO_MANY),
        "ttl_until": ("1e300", "1e999"), "lost": (MANY,), "result": ('{"a":@}'.replace("@", MANY),),
        "progress": (
            '{"done":@,"total":1}'.replace("@", MANY),
            '{"done":1,"total":@}'.replace("@", TOO_MANY),
        ),
        "params": ('{"mgmt":@}'.replace("@", MANY), '{"mgmt":{"a":1},"confirm_s":[1]}'),
    }  # fmt: skip
    for key, values in odd.items():
        for value in values:
            text = json.dumps({"host_id": "a" * 32, "active": [{**entry, key: "@@"}]})
            docs = GuardDocs(docs=(("state", "0" * 64, text.replace('"@@"', value).encode()),))
            view, _ = guard_view(docs, fleet.view("gpu01"), 1e9, "", fleet.eyes())
            assert view.trouble or view.active
            for active in view.active:
                list(active_page(active, Look(), 1e9))
                assert len(lines.active_line(active, 1e9)) < 2000
    assert lines.when(1e308, 1e18, 0.0)


def test_an_old_request_is_not_new_because_a_host_sets_its_clock_back(fleet: Fleet) -> None:
    """Threats: 53."""
    fleet.hosts["gpu01"].submit("alice")
    seen = fleet.seen("gpu01", skew_s=-90 * 86400.0)
    view = request_view(judge(fleet.envelope("gpu01"), seen, fleet.kept), seen, fleet.kept)
    assert not view.may_approve
    assert "90d behind this machine's" in view.why_not
    now = seen.now + 90 * 86400.0
    pages = (
        "\n".join("".join(part for part, _ in line) for line in request_page(view, Look(), now)),
        "\n".join(lines.request_lines(view, now)),
    )
    for page in pages:
        assert "90d ago" in page
        assert "7776000 s" in page
    near = fleet.seen("gpu01", skew_s=-119.0)
    assert request_view(
        judge(fleet.envelope("gpu01"), near, fleet.kept), near, fleet.kept
    ).may_approve


def test_a_key_must_hold_by_this_machine_s_clock_too(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.hosts["gpu01"].submit("alice")
    times: list[int] = []
    real = verify.verify

    def counted(*args: Any, now: int, **more: Any) -> Any:
        times.append(now)
        return real(*args, now=now, **more)

    monkeypatch.setattr(pending, "verify", counted)
    seen = fleet.seen("gpu01", skew_s=-86400.0)
    judge(fleet.envelope("gpu01"), seen, fleet.kept)
    assert {seen.now // 60 * 60, (seen.now + 86400) // 60 * 60} <= set(times)


def test_false_signatures_are_remembered_and_few_at_a_look(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.hosts["gpu01"].submit("alice")
    data = fleet.envelope("gpu01")
    rid = judge(data, fleet.seen("gpu01"), fleet.kept).id
    other = {
        "kind": "approval", "v": 1, "by": "bob", "expires": 2_000_000_000,
        "request_sha256": rid, "verdict": "approve",
    }  # fmt: skip
    false = key_of("bob").sign(b"something else", "approval-v1@watchfloor")
    docs = []
    for number in range(6):
        decisions = [
            {
                "decision": canonical.write({**other, "comment": f"{number} {n}"}).decode(),
                "signature": false,
            }
            for n in range(16)
        ]
        docs.append(("request", str(number), changed(data, decisions=decisions)))
    count = 0
    real = verify.verify

    def counted(*args: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        return real(*args, **more)

    monkeypatch.setattr(pending, "verify", counted)
    shown = GuardDocs(boot_id=fleet.hosts["gpu01"].clock.boot_id, docs=tuple(docs))
    counts = []
    for _ in range(14):
        count = 0
        now = fleet.clock.wall()
        view, _ = guard_view(shown, fleet.view("gpu01"), now, "", fleet.eyes())
        counts.append(count)
    assert max(counts) <= pending.MAX_FALSE + 2
    assert counts[-1] == 0, "what was refused once is remembered"
    assert view.requests[0].verified


async def test_a_far_deadline_of_a_host_ends_with_the_plan(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threats: 68."""
    monkeypatch.setattr(module, "PAUSE_S", 0.0)

    class Busy(Says):
        async def call(self, host: Host, envelope: bytes) -> Answer:
            fleet.hosts["gpu01"].clock.go(5)
            return await super().call(host, envelope)

    busy = Busy('{"ok":false,"rule":"busy","words":"wait"}')
    told: list[tuple[bool, str]] = []
    token = Token(id="x", token="t", until=90_000_000_000)
    spec = fleet.view("gpu01").spec
    around = fleet.around("bob", caller=busy)
    await confirm(around, spec, token, 0.0, lambda *said: told.append(said), 60)
    ((well, said),) = told
    assert not well
    assert "the plan gives it 60 s" in said
    assert busy.calls <= 18


@pytest.mark.parametrize(
    "answer",
    [
        '{"ok":true,"state":@,"id":@,"confirm":{"token":"t","until":@}}'.replace("@", MANY),
        '{"ok":true,"state":"@","id":{},"confirm":{"token":"t","until":0}}'.replace("@", "A" * 999),
        '{"ok":false,"rule":{},"words":[@]}'.replace("@", MANY),
    ],
)  # fmt: skip
async def test_what_is_kept_of_an_answer_is_bounded(fleet: Fleet, answer: str) -> None:
    kept: list[bytes] = []

    class Witness:
        def sent(self, *what: Any) -> int:
            return 1

        def answered(self, number: int, data: bytes) -> None:
            kept.append(data)

    tokens: list[Token] = []
    parcel = Parcel(
        host=fleet.view("gpu01").spec, op="decide", id="x", document=b"{}", signature="s", fields={}
    )
    around = fleet.around(caller=Says(answer), witness=Witness())
    outcome = await send(around, parcel, lambda host, token: tokens.append(token))
    assert not tokens, "a deadline after all time is none"
    assert all(len(data) < 1000 for data in kept)
    assert len(outcome.state) <= 20
    assert not outcome.ok or "not readable" in outcome.words


def test_what_is_handed_out_is_the_copy_that_was_verified(fleet: Fleet) -> None:
    """Another host shows the same request with a signature and a binding of its own."""
    fleet.hosts["gpu01"].submit("alice")
    good = fleet.envelope("gpu01")
    evil = changed(good, signature="EVIL")
    guards = Guards(
        Sight(tuple, lambda event: None), fleet.clock, person="bob", builds={},
        load_trusted=lambda: fleet.kept, refusal=lambda text: "",
    )  # fmt: skip
    for name, data in (("gpu02", evil), ("gpu01", good)):
        judged = judge(data, fleet.seen(name), fleet.kept)
        guards._looked[name] = _Looked(GuardDocs(), (), 0.0, GuardView(), (judged,))
    found = guards.envelope(judged.id)
    assert found is not None
    assert found.signature == json.loads(good)["signature"]
    guards._looked.pop("gpu01")
    assert guards.envelope(judged.id) is None


def views(fleet: Fleet) -> list[RequestView]:
    seen = fleet.seen("gpu01")
    view = request_view(judge(fleet.envelope("gpu01"), seen, fleet.kept), seen, fleet.kept)
    return [msgspec.structs.replace(view, hosts=("gpu01", "gpu02", "e" * 32))]


def test_an_approval_names_the_targets_that_are_not_seen(fleet: Fleet) -> None:
    """A request has three targets and one host shows it: the signature would count on all.

    Threats: 50.
    """
    fleet.hosts["gpu01"].submit("alice")
    (one,) = views(fleet)
    assert decide.unseen([one]) == ("gpu02", "e" * 32)
    lying = msgspec.structs.replace(one, host="gpu02", verified=False)
    assert decide.unseen([one, lying]) == ("gpu02", "e" * 32)
    other = msgspec.structs.replace(one, host="gpu02")
    assert decide.unseen([one, other]) == ("e" * 32,)
    ended = msgspec.structs.replace(one, settled=("gpu02",))  # carried out there already
    assert decide.unseen([ended]) == ("e" * 32,)
    target = decide.Target(spec=fleet.view("gpu01").spec, view=one, now=int(fleet.clock.wall()))
    around = fleet.around("bob")
    with pytest.raises(ActionError, match="would also count on gpu02"):
        decide.approval(around, [target], True, "", ["gpu02"])
    assert decide.approval(around, [target], False, "", ["gpu02"])["verdict"] == "deny"
