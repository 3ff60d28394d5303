"""Every request's life as the log tells it, and whether people's signatures carry each step."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from console.audit.records import MAX_FOUND, Record
from console.audit.trust import Link, Trust, Unproved
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical, documents

HOLDS = frozenset(("APPLIED", "STANDING"))
UNDER_WAY = frozenset(("EXECUTING", "REVERTING"))
_STATES = {
    "submit": "PENDING", "denied": "CLOSED", "cancelled": "CLOSED", "expired": "CLOSED",
    "void": "CLOSED", "exec_start": "EXECUTING", "error": "REVERTING", "revert": "REVERTING",
    "crashed": "REVERTING",
}  # fmt: skip
"""The state after an event whose record does not say it itself."""
_KNOWN = frozenset(
    ("APPLIED", "STANDING", "DONE", "FAILED", "REVERTED", "RELEASED", "REVERTING", "CLOSED")
)
_ANY = (
    "request",
    "decision",
    "cancel",
    "start",
    "review",
    "fetch",
)  # names under which records hold documents


class Life(msgspec.Struct):
    """One request on this host. ``people`` are those whose signatures were found good."""

    rid: str
    first: int
    submitted: bool = False
    state: str = "PENDING"
    action: str = ""
    mode: str = "two_before"
    requester: str = ""
    people: set[str] = set()
    plan: str = ""  # sha256 that was signed
    ttl_s: int = 0  # 0: it stands until somebody releases it
    started: int = -1  # number of its exec_start
    boot: str = ""
    confirmed: bool = False  # over a new connection
    kept: bool = False  # on two people's signatures, where it began on one
    records: list[int] = []
    documents: set[str] = set()  # sha256 of each signed document that was judged


class Lives:
    """Takes records in order. ``wrong`` has number and words of what is not carried."""

    def __init__(
        self, known: Collection[str] = (), chain: Mapping[str, Link] | None = None
    ) -> None:  # fmt: skip
        """As ``Trust``."""
        self.trust = Trust(known, chain)
        self.lives: dict[str, Life] = {}
        self.documents: dict[str, int] = {}  # sha256 of every document: number of its record
        self.wrong: list[tuple[int, str]] = []
        self.notes: list[tuple[int, str]] = []
        self.signatures = 0
        self.unjudged = 0  # records that need a roster, before there was one

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

    def _take(self, record: Record) -> None:
        if record.ev in ("roster", "policy"):
            self.trust.install(record)
        elif record.ev in ("root_install_roster", "root_install_policy"):
            kind = record.ev.rpartition("_")[2]
            self.trust.root_installed(kind, record.text("sha256"), record.seq)
        elif record.rid:
            self._of_request(record)
        elif record.ev == "repaired" and (record.facts.get("lost") or record.facts.get("changed")):
            raise Unproved("the guard itself found its log shorter or other than it was")
        elif record.ev == "clock_reset":
            self.notes.append((record.seq, "root on the host allowed the clock to be set back"))

    def _of_request(self, record: Record) -> None:
        life = self.lives.get(record.rid)
        if life is None:
            life = self.lives[record.rid] = Life(record.rid, record.seq)
        life.records.append(record.seq)
        digest = self._holds(record)
        check = _CHECKS.get(record.ev)
        if digest:
            if digest in life.documents:
                return  # a guard that was ended between two writes says it once more
            life.documents.add(digest)
            self.documents[digest] = record.seq
        try:
            if check is not None:
                check(self, life, record)
        finally:
            self._state(life, record)

    def _holds(self, record: Record) -> str:
        """The sha256 of the signed document that a record holds; empty for none."""
        text = next((record.text(name) for name in _ANY if record.text(name)), "")
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() if text else ""

    def _state(self, life: Life, record: Record) -> None:
        said = record.text("state")
        life.state = said if said in _KNOWN else _STATES.get(record.ev, life.state)
        ends = record.facts.get("ends")
        for rid in ends if isinstance(ends, list) else ():
            other = self.lives.get(rid) if isinstance(rid, str) else None
            if other is not None and other.state in HOLDS:
                other.state = "RELEASED"

    # ---- what each event needs; the names are those of the events

    def _submitted(self, life: Life, record: Record) -> None:
        text = record.text("request")
        if hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() != life.rid:
            raise Unproved("the request is not the one that its id names")
        life.submitted = True
        doc = documents.request(text.encode())
        life.action, life.mode, life.requester = doc["action"], doc["mode"], doc["requester"]
        self._bound(life, record, doc)
        person = self._signed(life, record, "request", text)
        if person != doc["requester"]:
            raise Unproved(f"the request names {doc['requester']}, but {person} signed it")
        ability = "break" if doc["mode"] == "break_glass" else "request"
        if not self.trust.may(person, ability, doc["action"]):
            raise Unproved(f"{person} may not {ability} {doc['action']}")
        if record.facts.get("late") is True and life.mode == "one_then_ratify":
            self.notes.append((record.seq, "was told late: the host's disk was full when it came"))
        else:
            _in_time(doc, record)
        life.people.add(person)

    def _bound(self, life: Life, record: Record, doc: dict[str, Any]) -> None:
        """The binding is the one that was signed, and names the roster and policy in force."""
        text = record.text("binding").encode("utf-8", "replace")
        binding = documents.binding(text)
        signed = {target["host_id"]: target["bind"] for target in doc["targets"]}
        if signed.get(binding["host_id"]) != hashlib.sha256(text).hexdigest():
            raise Unproved("the binding to this host is not the one that was signed")
        life.plan = binding["plan"]
        self.trust.signed_under(binding["policy"], record.seq, record.t)

    def _signed(self, life: Life, record: Record, kind: str, text: str) -> str:
        # No PIN is asked of somebody who makes nothing happen.
        verified = kind not in ("cancel", "fetch") and self.trust.needs(life.action)[1]
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
            _in_time(doc, record)
            life.people.add(by)

    def _cancelled(self, life: Life, record: Record) -> None:
        self._document(life, record, "cancel", "cancel")

    def _begun(self, life: Life, record: Record) -> None:
        doc = self._document(life, record, "start", "start")
        _in_time(doc, record)
        if doc["by"] != life.requester:
            raise Unproved("only who asked for it starts it")

    def _reviewed(self, life: Life, record: Record) -> None:
        doc = self._document(life, record, "review", "review")
        if doc["by"] == life.requester:
            raise Unproved("a break-glass is reviewed by somebody else")

    def _fetched(self, life: Life, record: Record) -> None:
        doc = self._document(life, record, "fetch", "fetch")
        _in_time(doc, record)
        abilities = ("request", "approve")
        if not any(self.trust.may(doc["by"], each, "collect-evidence") for each in abilities):
            raise Unproved(f"{doc['by']} may not take evidence away")

    def _exec_start(self, life: Life, record: Record) -> None:
        if life.started >= 0 and life.state in UNDER_WAY:
            raise Unproved(f"it was begun at record {life.started} already")
        life.started, life.boot = record.seq, record.boot
        need, _ = self.trust.needs(life.action)
        if life.mode in ("one_then_ratify", "break_glass"):
            need = 1
        if len(life.people) < need:
            raise Unproved(
                f"{life.action or 'an action'} was begun on {len(life.people)} good signature(s), "
                f"and {need} different people are needed"
            )
        life.kept = need > 1
        if not self.trust.allows(life.action, life.mode):
            raise Unproved(f"the policy does not let {life.action} begin by {life.mode}")
        plan = record.facts.get("plan")
        plan = plan if isinstance(plan, dict) else {}
        ttl = plan.get("ttl_s")
        life.ttl_s = ttl if isinstance(ttl, int) else 0
        if hashlib.sha256(canonical.write(plan)).hexdigest() != life.plan:
            raise Unproved("what was carried out is not the plan that was signed")

    def _exec_end(self, life: Life, record: Record) -> None:
        if life.started < 0:
            raise Unproved("it ended without having begun")
        self._standing(life, record)

    def _confirmed(self, life: Life, record: Record) -> None:
        life.confirmed = True
        self._standing(life, record)

    def _standing(self, life: Life, record: Record) -> None:
        if record.text("state") not in ("STANDING", "DONE"):
            return
        need, _ = self.trust.needs(life.action)
        if len(life.people) < need:
            raise Unproved(f"it stays on {len(life.people)} good signature(s), {need} are needed")
        life.kept = True

    def _reverted(self, life: Life, record: Record) -> None:
        if life.state == "STANDING" and not life.ttl_s:
            raise Unproved(
                f"{life.action} stood without an end and was undone: a release by two people is "
                "not in the log"
            )

    # ---- at the end

    def end(self, boot: str) -> None:
        """After the last record; ``boot`` is the boot that it was written in."""
        for life in self.lives.values():
            if not life.submitted:
                self._wrong(life.first, "speaks of a request that was never submitted")
            elif life.state in UNDER_WAY and life.boot != boot:
                self._wrong(life.started, "was begun, and neither its end nor its undoing is told")
            elif life.state in UNDER_WAY:
                self.notes.append((life.started, f"{life.action} is under way or was cut short"))
            elif life.state in HOLDS and not life.kept:
                self.notes.append((life.started, f"{life.action} holds on one signature for now"))

    def holding(self) -> set[str]:
        """Ids of requests that are applied or stand now, by the log."""
        return {life.rid for life in self.lives.values() if life.state in HOLDS}


def _in_time(doc: dict[str, Any], record: Record) -> None:
    if record.t > doc["expires"]:
        raise Unproved(f"it came {record.t - doc['expires']} s after it had expired")


_CHECKS: dict[str, Callable[[Lives, Life, Record], None]] = {
    "submit": Lives._submitted,
    "decide": Lives._decided,
    "cancel": Lives._cancelled,
    "start": Lives._begun,
    "review": Lives._reviewed,
    "fetched": Lives._fetched,
    "exec_start": Lives._exec_start,
    "exec_end": Lives._exec_end,
    "confirm": Lives._confirmed,
    "ratified": Lives._standing,
    "revert": Lives._reverted,
}
