"""Every request's life as the log tells it, and whether people's signatures carry each step."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from console.audit.life import (
    AFTER,
    ALLOWED,
    DOCUMENT,
    HOLDS,
    OF_HOST,
    OVER,
    SAID,
    UNDER_WAY,
    Life,
    about,
    by_requester,
    in_time,
    late,
    may_end,
    stands,
    still,
    times,
)
from console.audit.records import MAX_FOUND, OWN, Record
from console.audit.trust import Link, Trust, Unproved
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical, documents

CLOCK_BACK = 120
"""Seconds that a clock may be set back before the guard locks itself, and the slack of a time."""
DAY = 86400
MAX_LIVES = 1_000_000

_encode = msgspec.json.Encoder(order="sorted").encode


class Lives:
    """Takes records in order. ``wrong`` has number and words of what is not carried."""

    def __init__(
        self,
        known: Collection[str] = (),
        chain: Mapping[str, Link] | None = None,
        host_id: str = "",
    ) -> None:  # fmt: skip
        """As ``Trust``. ``host_id`` is whose log it is; empty: the one that its first request is
        bound to."""
        self.trust = Trust(known, chain)
        self.host_id = host_id
        self.lives: dict[str, Life] = {}
        self.documents: dict[str, int] = {}  # sha256 of every document: number of its record
        self.wrong: list[tuple[int, str]] = []
        self.notes: list[tuple[int, str]] = []
        self.signatures = 0
        self.unjudged = 0  # records that need a roster, before there was one
        self._jumped = -1  # number of the last record that says that the clock was set

    def take(self, record: Record) -> None:
        """One more record. Never raises on what a host wrote."""
        try:
            self._take(record)
        except (Unproved, Refused) as why:
            text = why.words if isinstance(why, Refused) else str(why)
            self._wrong(record.seq, f"{record.ev}: {text}")

    def _wrong(self, number: int, words: str) -> None:
        if len(self.wrong) < MAX_FOUND:
            self.wrong.append((number, words))

    def _note(self, number: int, words: str) -> None:
        if len(self.notes) < MAX_FOUND:
            self.notes.append((number, words))

    def _take(self, record: Record) -> None:
        ev = record.ev
        if ev in ALLOWED and record.rid:
            self._of_request(record)
        elif ev not in OF_HOST or record.rid:
            raise Unproved("is no record that a guard writes" + about(record))
        elif ev in ("roster", "policy"):
            self.trust.install(record)
        elif ev in ("root_install_roster", "root_install_policy"):
            self._root_installed(record)
        elif ev == "repaired" and (record.facts.get("lost") or record.facts.get("changed")):
            raise Unproved("the guard itself found its log shorter or other than it was")
        elif ev in ("clock_reset", "clock_jump"):
            self._jumped = record.seq
            who = "root on the host allowed the clock to be set back"
            self._note(record.seq, who if ev == "clock_reset" else "the host's clock was set")

    def _root_installed(self, record: Record) -> None:
        kind = record.ev.rpartition("_")[2]
        digest = record.text("sha256")
        if self.trust.root_installed(kind, digest, record.seq):
            raise Unproved(
                f"root on the host put another {kind} ({digest[:12]}) in place, which nobody signed"
            )
        self._note(record.seq, f"root on the host installed the {kind} {digest[:12]}")

    def _of_request(self, record: Record) -> None:
        life = self.lives.get(record.rid)
        if life is None:
            if len(self.lives) >= MAX_LIVES:
                raise Unproved("the log speaks of more requests than a host can have had")
            life = self.lives[record.rid] = Life(record.rid, record.seq)
        life.records.append(record.seq)
        if self._again(life, record):
            return  # a guard that was ended between two writes says it once more
        if life.state not in ALLOWED[record.ev]:
            raise Unproved(f"cannot be while the request is {life.state}{about(record)}")
        state = AFTER.get(record.ev, life.state)
        if record.ev in SAID:
            state = record.text("state")
            if state not in SAID[record.ev]:
                raise Unproved(f"no such record leads to the state {state!r}{about(record)}")
        try:
            _CHECKS.get(record.ev, Lives._nothing)(self, life, record)
        finally:
            life.state = state
        if record.ev == "exec_end":
            self._ends(life, record)

    def _again(self, life: Life, record: Record) -> bool:
        """Whether the record repeats the same document of this request under the same signature,
        or, where it holds none, the record before, or any before its end: on a full disk a guard
        tells it anew until it can keep that it did. An execution is never a repetition."""
        if record.ev in DOCUMENT:
            text = record.text(DOCUMENT[record.ev])
            digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
            whole = [record.ev, record.text("signature"), record.text("binding")]
            told = hashlib.sha256(_encode(whole)).digest()
            if life.documents.get(digest) == told:
                return True
            life.documents[digest] = told
            self.documents[digest] = record.seq
            life.last = b""
            return False
        facts = {key: value for key, value in record.facts.items() if key not in OWN}
        told = hashlib.sha256(_encode([record.ev, facts])).digest()
        again = told == life.last or (life.state in OVER and told in life.told)
        life.last = told
        life.told.add(told)
        return again and record.ev != "exec_start"

    def _ends(self, life: Life, record: Record) -> None:
        """Requests that stood until this one, which undid them or set their thing another way."""
        ends = record.facts.get("ends")
        for rid in ends if isinstance(ends, list) else ():
            other = self.lives.get(rid) if isinstance(rid, str) else None
            if other is None or other.state not in ("STANDING", "REVERTING"):
                raise Unproved("it ends a request that does not stand")
            if not may_end(life, other):
                raise Unproved(
                    f"{life.action} ends {other.action} ({rid[:12]}), and what people signed does "
                    "not release it"
                )
            other.state = "RELEASED"

    # ---- what each event needs; the names are those of the events

    def _submitted(self, life: Life, record: Record) -> None:
        text = record.text("request")
        if life.submitted:
            raise Unproved("the request was submitted before, with another signature or binding")
        if hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() != life.rid:
            raise Unproved("the request is not the one that its id names")
        life.submitted = True
        doc = documents.request(text.encode())
        life.action, life.mode, life.requester = doc["action"], doc["mode"], doc["requester"]
        self._bound(life, record, doc)
        person = self._signed(life, record, "request", text, life.mode == "break_glass")
        if person != doc["requester"]:
            raise Unproved(f"the request names {doc['requester']}, but {person} signed it")
        ability = "break" if doc["mode"] == "break_glass" else "request"
        if not self.trust.may(person, ability, doc["action"]):
            raise Unproved(f"{person} may not {ability} {doc['action']}")
        if late(life, record):
            self._note(record.seq, "was told late: the host's disk was full when it came")
        else:
            in_time(doc, record)
        life.people[person] = doc["expires"]

    def _bound(self, life: Life, record: Record, doc: dict[str, Any]) -> None:
        """The binding is the one that was signed, and names the roster and policy in force."""
        text = record.text("binding").encode("utf-8", "replace")
        binding = documents.binding(text)
        signed = {target["host_id"]: target["bind"] for target in doc["targets"]}
        if signed.get(binding["host_id"]) != hashlib.sha256(text).hexdigest():
            raise Unproved("the binding to this host is not the one that was signed")
        self.host_id = self.host_id or binding["host_id"]
        if binding["host_id"] != self.host_id:
            raise Unproved("the request is bound to another host than the one that shows it")
        life.bound_to = binding["boot_id"]
        if binding["boot_id"] != record.boot and not late(life, record):
            raise Unproved("the request is bound to another boot of the host")
        life.plan = binding["plan"]
        self.trust.signed_under(binding["policy"], record.seq, record.t)

    def _signed(
        self, life: Life, record: Record, kind: str, text: str, verified: bool = False
    ) -> str:
        # No PIN is asked of somebody who makes nothing happen.
        if kind not in ("cancel", "fetch"):
            verified = verified or self.trust.needs(life.action)[1]
        signature = record.text("signature")
        if self.trust.roster is None:
            self.unjudged += 1
        self.signatures += 1
        return self.trust.signer(kind, text, signature, record.t, verified)

    def _document(self, life: Life, record: Record, kind: str, name: str) -> dict[str, Any]:
        """The document that the record holds, signed by whom it names, about this request."""
        text = record.text(name)
        read = getattr(documents, kind)
        doc: dict[str, Any] = read(text.encode("utf-8", "replace"))
        person = self._signed(life, record, kind, text)
        if doc["request_sha256"] != life.rid:
            raise Unproved(f"the {kind} is about another request")
        if doc["by"] != person:
            raise Unproved(f"the {kind} names {doc['by']}, but {person} signed it")
        return doc

    def _decided(self, life: Life, record: Record) -> None:
        doc = self._document(life, record, "approval", "decision")
        by = doc["by"]
        if not self.trust.may(by, "approve", life.action):
            raise Unproved(f"{by} may not approve {life.action}")
        if by == life.requester:
            raise Unproved(f"{by} asked for it and decides about it: that is one person")
        if doc["verdict"] == "approve":
            in_time(doc, record)
            life.people[by] = doc["expires"]
        else:
            life.denied = by

    def _denied(self, life: Life, record: Record) -> None:
        if not life.denied:
            raise Unproved("nobody denied it")

    def _withdrawn(self, life: Life, record: Record) -> None:
        self._document(life, record, "cancel", "cancel")
        life.withdrawn = True

    def _cancelled(self, life: Life, record: Record) -> None:
        if not life.withdrawn:
            raise Unproved("nobody withdrew it")

    def _begun(self, life: Life, record: Record) -> None:
        doc = self._document(life, record, "start", "start")
        in_time(doc, record)
        if doc["by"] != life.requester:
            raise Unproved("only who asked for it starts it")
        life.asked_to_start = True

    def _reviewed(self, life: Life, record: Record) -> None:
        doc = self._document(life, record, "review", "review")
        if doc["by"] == life.requester:
            raise Unproved("a break-glass is reviewed by somebody else")

    def _fetched(self, life: Life, record: Record) -> None:
        doc = self._document(life, record, "fetch", "fetch")
        in_time(doc, record)
        abilities = ("request", "approve")
        if not any(self.trust.may(doc["by"], each, "collect-evidence") for each in abilities):
            raise Unproved(f"{doc['by']} may not take evidence away")

    def _exec_start(self, life: Life, record: Record) -> None:
        life.started, life.since, life.boot = record.seq, record.t, record.boot
        plan = record.facts.get("plan")
        plan = plan if isinstance(plan, dict) else {}
        times(life, plan, self.trust.rule(life.action))
        need, _ = self.trust.needs(life.action)
        if life.mode in ("one_then_ratify", "break_glass"):
            need = 1
        told_late = late(life, record)
        good = len(life.people) if told_late else still(life, record)
        life.kept = need > 1
        if good < need:
            old = len(life.people) - good
            raise Unproved(
                f"{life.action or 'an action'} was begun on {good} good signature(s), "
                f"and {need} different people are needed" + (f"; {old} had expired" if old else "")
            )
        if life.denied or life.withdrawn:
            raise Unproved(f"{life.action} was begun after it was denied or withdrawn")
        if life.bound_to != record.boot and not told_late:
            raise Unproved(f"{life.action} was begun in another boot than it was signed for")
        if not self.trust.allows(life.action, life.mode):
            raise Unproved(f"the policy does not let {life.action} begin by {life.mode}")
        if life.mode == "two_before" and by_requester(life.action) and not life.asked_to_start:
            raise Unproved(f"{life.action} was begun, and who asked for it did not start it")
        if hashlib.sha256(canonical.write(plan)).hexdigest() != life.plan:
            raise Unproved("what was carried out is not the plan that was signed")
        steps = plan.get("steps")
        life.steps = steps if isinstance(steps, list) else []

    def _exec_end(self, life: Life, record: Record) -> None:
        life.since, life.ended = record.t, True
        self._standing(life, record)

    def _confirmed(self, life: Life, record: Record) -> None:
        life.confirmed = True
        self._standing(life, record)

    def _ratified(self, life: Life, record: Record) -> None:
        if self._overdue(life, record.t):
            raise Unproved("it was ratified after its time for that was over")
        if life.denied:
            raise Unproved(f"it was ratified, and {life.denied} had denied it")
        need, _ = self.trust.needs(life.action)
        # The request began in its time; only the approvals have to be of now.
        good = still(life, record, (life.requester,))
        if good < need:
            raise Unproved(f"it stays on {good} good signature(s), {need} are needed")
        life.kept = True
        self._standing(life, record)

    def _standing(self, life: Life, record: Record) -> None:
        state = record.text("state")
        if state == "APPLIED":
            return
        need, _ = self.trust.needs(life.action)
        if len(life.people) < need:
            raise Unproved(f"it stays on {len(life.people)} good signature(s), {need} are needed")
        life.kept = True
        if state == "DONE" and (life.ttl_s or stands(life.action)):
            raise Unproved(f"{life.action} stands until it is released, and is said to be over")

    def _reverted(self, life: Life, record: Record) -> None:
        if life.state != "STANDING":
            return
        if not life.ttl_s:
            raise Unproved(
                f"{life.action} stood without an end and was undone: a release by two people is "
                "not in the log"
            )
        early = life.since + life.ttl_s - record.t
        if early > CLOCK_BACK and self._jumped < life.started:
            raise Unproved(f"{life.action} was undone {early} s before its time was over")

    def _undone(self, life: Life, record: Record) -> None:
        if (record.text("state") == "FAILED") is life.ended:
            raise Unproved("it says another end than what came before it")

    def _nothing(self, life: Life, record: Record) -> None:
        """Nothing more is needed."""

    def _overdue(self, life: Life, now: int) -> bool:
        """Whether it has held on one signature for longer than it may."""
        slack = CLOCK_BACK if self._jumped < life.started else DAY
        return not life.kept and now > life.since + life.ratify_s + slack

    # ---- at the end

    def end(self, boot: str, now: int = 0) -> None:
        """After the last record; ``boot`` is the boot that it was written in, ``now`` a time at
        which the host still said the same."""
        for life in self.lives.values():
            if not life.submitted:
                self._wrong(life.first, "speaks of a request that was never submitted")
            elif life.state in (*HOLDS, "EXECUTING") and self._overdue(life, now):
                self._wrong(
                    life.started,
                    f"{life.action} holds on one signature, and its time for a second is over: "
                    "it was neither approved nor undone",
                )
            elif life.state in UNDER_WAY and life.boot != boot:
                self._wrong(life.started, "was begun, and neither its end nor its undoing is told")
            elif life.state in UNDER_WAY:
                self._note(life.started, f"{life.action} is under way or was cut short")
            elif life.state in HOLDS and not life.kept:
                self._note(life.started, f"{life.action} holds on one signature for now")

    def holding(self) -> set[str]:
        """Ids of requests that are applied or stand now, by the log."""
        return {life.rid for life in self.lives.values() if life.state in HOLDS}


_CHECKS: dict[str, Callable[[Lives, Life, Record], None]] = {
    "submit": Lives._submitted,
    "decide": Lives._decided,
    "cancel": Lives._withdrawn,
    "cancelled": Lives._cancelled,
    "denied": Lives._denied,
    "start": Lives._begun,
    "review": Lives._reviewed,
    "fetched": Lives._fetched,
    "exec_start": Lives._exec_start,
    "exec_end": Lives._exec_end,
    "confirm": Lives._confirmed,
    "ratified": Lives._ratified,
    "revert": Lives._reverted,
    "undone": Lives._undone,
}
