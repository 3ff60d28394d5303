"""The guard against a tiny reference model, in any order that people and time may come up with.

The model knows a handful of words: who asked, who approved, when it ends. It must always agree with
what is published and with what is done on the (simulated) host.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.guardhost import Host, Killed
from tests.support.guardkit import policy_doc

PEOPLE = st.sampled_from(("alice", "bob", "carol"))
RULE = {"mode": "one_then_ratify", "people": 2, "require_uv": True, "ttl_s": 0, "ratify_s": 300}
CONFIRM_S, RATIFY_S, REQUEST_S, DAY_S = 60, 300, 900, 86400


class Entry:
    """What the model knows of one request."""

    def __init__(self, by: str, state: str, now: int, alone: bool = False) -> None:
        self.by = by
        self.state = state
        self.expires = now + REQUEST_S
        self.needs = {"ratify": now + RATIFY_S} if alone else {}
        if alone:
            self.needs["confirm"] = now + CONFIRM_S
        self.answer: dict[str, Any] = {}
        self.releases = ""

    def pass_time(self, now: int) -> None:
        """What the deadlines do."""
        if self.state == "PENDING" and now >= self.expires:
            self.state = "CLOSED"
        if self.state == "APPLIED" and any(now >= end for end in self.needs.values()):
            self.state = "REVERTED"

    def met(self, need: str) -> None:
        """One of the things that were waited for has come."""
        self.needs.pop(need, None)
        if not self.needs:
            self.state = "STANDING"


class Machine(RuleBasedStateMachine):
    """People, time, kills and reboots, in any order."""

    @initialize()
    def begin(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="wf-model-"))
        self.base.chmod(0o755)
        policy = policy_doc(actions={"isolate": RULE}, pending_person=10)
        self.host = Host(self.base, policy=policy)
        self.known: dict[str, Entry] = {}
        self.alone: dict[str, tuple[str, int]] = {}  # by request: who, and when
        self.said_no: dict[str, tuple[str, int]] = {}
        self.reviewed: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "base"):
            shutil.rmtree(self.base)

    @property
    def now(self) -> int:
        return self.host.clock.time

    def in_state(self, *states: str) -> list[str]:
        return [rid for rid, entry in self.known.items() if entry.state in states]

    @rule(by=PEOPLE)
    def ask(self, by: str) -> None:
        if len(self.in_state("PENDING")) >= 10:
            return
        answer = self.host.submit(by)
        if self.in_state("APPLIED", "STANDING"):
            assert answer["rule"] == "stands-already", answer
            return
        assert answer["ok"], answer
        self.known[answer["id"]] = Entry(by, "PENDING", self.now)

    @rule(by=PEOPLE)
    def begin_alone(self, by: str) -> None:
        if len(self.in_state("PENDING")) >= 10:
            return
        answer = self.host.submit(by, mode="one_then_ratify")
        if self.in_state("APPLIED", "STANDING"):
            assert answer["rule"] == "stands-already", answer
            return
        if self.of_today(self.alone, by) or self.of_today(self.said_no, by):
            assert answer["rule"] in ("solo-again", "solo-denied"), answer
            assert self.of_today(self.said_no, by) or answer["rule"] == "solo-again"
            return
        assert answer["state"] == "APPLIED", answer
        entry = Entry(by, "APPLIED", self.now, alone=True)
        entry.answer = answer
        self.known[answer["id"]] = entry
        self.alone[answer["id"]] = (by, self.now)

    def of_today(self, what: dict[str, tuple[str, int]], by: str) -> bool:
        return any(
            who == by and self.now < at + DAY_S
            for rid, (who, at) in what.items()
            if what is self.said_no or rid not in self.reviewed
        )

    @rule(by=PEOPLE, data=st.data())
    def look_at_it(self, by: str, data: st.DataObject) -> None:
        if not self.alone:
            return
        rid = data.draw(st.sampled_from(list(self.alone)))
        who, at = self.alone[rid]
        doc = {"by": by, "comment": "seen", "request_sha256": rid}
        text, signature = self.host.signed("review", by, doc)
        answer = self.host.call("review", review=text, signature=signature)
        kept = self.now < at + DAY_S or self.now < self.said_no.get(rid, ("", 0))[1] + DAY_S
        assert answer["ok"] == (by != who and kept), answer
        if answer["ok"]:
            self.reviewed.add(rid)  # it may be looked at again, and no longer counts

    @rule(by=PEOPLE, data=st.data())
    def ask_for_release(self, by: str, data: st.DataObject) -> None:
        stand = self.in_state("STANDING")
        if not stand or len(self.in_state("PENDING")) >= 10:
            return
        rid = data.draw(st.sampled_from(stand))
        answer = self.host.submit(by, action="release", params={"id": rid})
        entry = Entry(by, "PENDING", self.now)
        entry.releases = rid
        self.known[answer["id"]] = entry

    @rule(by=PEOPLE, verdict=st.sampled_from(("approve", "approve", "deny")), data=st.data())
    def decide(self, by: str, verdict: str, data: st.DataObject) -> None:
        if not self.known:
            return
        rid = data.draw(st.sampled_from(list(self.known)))
        entry = self.known[rid]
        answer = self.host.decide(rid, by, verdict=verdict)
        ratifies = entry.state == "APPLIED" and "ratify" in entry.needs
        may = by != entry.by and (entry.state == "PENDING" or ratifies)
        approves = may and verdict == "approve" and not ratifies
        if approves and entry.releases and self.known[entry.releases].state != "STANDING":
            assert not answer["ok"], answer
            if answer["rule"] == "failed":
                entry.state = "FAILED"
            return
        if approves and not entry.releases and self.in_state("APPLIED", "STANDING"):
            assert answer["rule"] == "stands-already", answer
            return
        assert answer["ok"] == may, (answer, vars(entry))
        if not may:
            return
        if verdict == "deny":
            entry.state = "CLOSED" if entry.state == "PENDING" else "REVERTED"
            if not entry.releases:
                self.said_no[rid] = (entry.by, self.now)
            if rid in self.alone:
                self.alone[rid] = (entry.by, self.now)
        elif ratifies:
            entry.met("ratify")
            self.alone.pop(rid)
        elif entry.releases:
            entry.state = "DONE"
            self.known[entry.releases].state = "RELEASED"
        else:
            entry.state, entry.needs = "APPLIED", {"confirm": self.now + CONFIRM_S}
            entry.answer = answer
        assert answer["state"] == entry.state

    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        able = [rid for rid, entry in self.known.items() if entry.answer]
        if not able:
            return
        entry = self.known[data.draw(st.sampled_from(able))]
        answer = self.host.confirm(entry.answer)
        lives = entry.state in ("APPLIED", "STANDING")
        assert answer["ok"] == lives, answer
        if lives:
            if "confirm" in entry.needs:
                entry.met("confirm")
            assert answer["state"] == entry.state
        elif entry.state == "REVERTED":
            assert answer["rule"] in ("already-reverted", "no-request")

    @rule(seconds=st.sampled_from((1, 59, 60, 61, 299, 301, 900, 86_400)))
    def wait(self, seconds: int) -> None:
        self.host.clock.go(seconds)
        for entry in self.known.values():
            entry.pass_time(self.now)
        self.host.tick()

    @rule()
    def reboot(self) -> None:
        boots = ("11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555")
        self.host.clock.boot_id = boots[self.host.clock.boot_id == boots[0]]
        for entry in self.known.values():
            if entry.state == "PENDING":
                entry.state = "CLOSED"
            elif entry.state == "APPLIED":
                entry.state = "REVERTED"
        self.host.simulate(done={})
        self.host.tick()

    @rule(at=st.integers(1, 30))
    def kill_a_tick(self, at: int) -> None:
        left = [at]

        def mark(point: str) -> None:
            left[0] -= 1
            if not left[0]:
                raise Killed(point)

        self.host.mark = mark
        try:
            self.host.tick()
        except Killed:
            pass
        self.host.mark = lambda point: None
        self.host.tick()

    @precondition(lambda self: bool(self.known))
    @invariant()
    def agrees(self) -> None:
        state = self.host.state
        told = {each["id"]: each["state"] for each in state["active"]}
        stands = {
            rid: entry.state
            for rid, entry in self.known.items()
            if entry.state in ("APPLIED", "STANDING")
        }
        assert told == stands
        closed = {each["id"]: each["state"] for each in state["closed"]}
        for rid, ended in closed.items():
            assert self.known[rid].state == ended
        waiting = {each["state"] for each in self.host.published("request")} - {"APPLIED"}
        assert bool(waiting) == bool(self.in_state("PENDING"))
        assert self.host.done() == ["nft" for _ in stands]


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of the simulated build."""
    monkeypatch.setattr("console.hostside.guard.steps.EFFECTOR", "simulated")


@pytest.mark.usefixtures("simulated")
def test_the_guard_is_its_model() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=18,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
