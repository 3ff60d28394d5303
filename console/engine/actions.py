"""``Guarding``: guarded actions of one operator over a fleet, from a form to a confirmed host."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from console.actions import decide, evidence, gate, request
from console.actions.around import Around, Caller, Trusted, Witness
from console.actions.offer import offer
from console.actions.send import AT_ONCE, Parcel, send_all
from console.clock import Clock
from console.engine.confirming import Confirming
from console.engine.guards import Guards, Sight
from console.errors import ActionError
from console.hostside.guard.actions import NAMES
from console.model.guard import (
    TWO_BEFORE,
    ActionAbout,
    Ask,
    Custody,
    Draft,
    Outcome,
    Preview,
    RequestView,
)
from console.model.view import HostView
from console.trust.sign import Signing


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What guarded actions of one operator are made of."""

    person: str
    signing: Signing
    caller: Caller
    builds: Mapping[str, str]  # sha256 of a guard's file -> its effector
    load_trusted: Callable[[], Trusted]  # raises WatchfloorError
    situation: gate.Situation
    environ: Mapping[str, str]
    workstation: str
    witness: Witness | None = None
    others: Mapping[str, Signing] = {}  # who else may sit down at this console, by person


def _plans(targets: Sequence[decide.Target]) -> tuple[str, dict[str, int]]:
    """The action of these targets, and how long each plan waits for a confirmation."""
    return targets[0].view.action, {each.spec.name: each.view.confirm_s for each in targets}


class Actions:
    """The operator's side of guarded actions."""

    def __init__(self, parts: Parts, sight: Sight, clock: Clock) -> None:
        self._parts = parts
        self._sight = sight
        self._clock = clock
        self._confirming = Confirming(
            sight.emit, clock, lambda name: self._host(name).clock_skew_s or 0.0
        )
        self.guards = Guards(
            sight,
            clock,
            person=parts.person,
            builds=parts.builds,
            load_trusted=parts.load_trusted,
            refusal=lambda trouble: self._refusal(trouble),
            sent=self._sent,
        )

    def _sent(self, host: str) -> list[tuple[str, bytes]]:
        """Requests that were sent to a host from here, as they were signed. Raises StoreError."""
        witness = self._parts.witness
        every = witness.all_sent(host) if witness is not None else []
        return [(each.rid, each.data) for each in every if each.kind == "submit"]

    # -- who sits here

    def person(self) -> str:
        """Who signs now; empty where nobody does."""
        return self._parts.person

    def people(self) -> tuple[str, ...]:
        """Who may sit at this console; the first does now."""
        own = self._parts.person
        return (own, *self._parts.others) if own else ()

    def act_as(self, name: str) -> str:
        """Let that person sign from now on; why not, or empty.

        The console goes on to log in with its own key, whoever sits at it: that is how a guard
        sees, and records, that two signatures came from one console.
        """
        now = self._parts
        if name == now.person:
            return ""
        signing = now.others.get(name)
        if signing is None:
            return f"nobody called {name!r} has a key at this console"
        others = {now.person: now.signing, **now.others}
        del others[name]
        situation = msgspec.structs.replace(now.situation, person=name)
        self._parts = msgspec.structs.replace(
            now, person=name, signing=signing, others=others, situation=situation
        )
        self.guards.person = name
        return ""

    # -- whether

    def _refused(self, chain_trouble: str) -> ActionError | None:
        now = msgspec.structs.replace(self._parts.situation, chain_trouble=chain_trouble)
        return gate.refusal(now, self._parts.environ)

    def _refusal(self, chain_trouble: str) -> str:
        error = self._refused(chain_trouble)
        return str(error) if error else ""

    def may_act(self) -> str:
        """Empty, or why nothing can be signed here."""
        return self._refusal("" if self.guards.trusted else self.guards.trouble)

    async def _around(self, *, signs: bool = True) -> Around:
        """All that signing needs, or sending alone. Raises ActionError where this console must
        not. What somebody has signed elsewhere may be sent from any console that acts."""
        await self.guards.reload()
        trusted = self.guards.trusted
        refused = self._refused("" if trusted else self.guards.trouble)
        if refused is not None and not signs and refused.rule in ("ssh", "agent") and trusted:
            refused = None
        if refused is not None:
            raise refused
        if trusted is None:
            raise ActionError(self.guards.trouble, rule="chain")
        return Around(
            caller=self._parts.caller,
            trusted=trusted,
            builds=self._parts.builds,
            clock=self._clock,
            person=self._parts.person,
            signing=self._parts.signing,
            workstation=self._parts.workstation,
            witness=self._parts.witness,
        )

    # -- what there is

    def actions(self, host: str) -> tuple[ActionAbout, ...]:
        """Every action there is, with the fields of a form."""
        why, person = self.may_act(), self._parts.person
        return tuple(offer(name, self.guards.trusted, person, why) for name in NAMES)

    def requests(self) -> tuple[RequestView, ...]:
        """All that waits on all hosts, the soonest to expire first."""
        views = self.guards.views()
        settled: dict[str, list[str]] = {}
        for name, view in views.items():
            for done in (*view.active, *view.closed):
                settled.setdefault(done.id, []).append(name)
        found = [
            msgspec.structs.replace(each, settled=tuple(settled.get(each.id, ())))
            for view in views.values()
            for each in view.requests
        ]
        return tuple(sorted(found, key=lambda each: (each.expires_at, each.id, each.host)))

    def _host(self, name: str) -> HostView:
        for session in self._sight.sessions():
            if session.spec.name == name:
                return session.view()
        raise ActionError(f"no host is called {name!r}", rule="targets")

    # -- asking

    def prepare(self, hosts: Sequence[str]) -> list[asyncio.Future[Any]]:
        """Log in to these hosts while a person reads, so that what they sign leaves at once.

        Returns at once what ends when it is done. What is not used is closed by itself; what fails
        is found out when it is needed.
        """
        if self.may_act():
            return []
        known = {session.spec.name: session.spec for session in self._sight.sessions()}
        begun = [self._parts.caller.prepare(known[n]) for n in hosts[:AT_ONCE] if n in known]
        return [each for each in begun if each is not None]

    async def preview(
        self, hosts: Sequence[str], action: str, params: Mapping[str, Any]
    ) -> Preview:
        """Challenge each host and work out the effect; changes nothing."""
        around = await self._around()
        views = [self._host(name) for name in hosts]
        made = await request.preview(around, views, action, params)
        return msgspec.structs.replace(made, risks=gate.risks(self._parts.environ))

    def _drafting(self) -> Around:
        trusted = self.guards.trusted
        if trusted is None:
            raise ActionError(self.guards.trouble, rule="chain")
        return Around(
            caller=self._parts.caller, trusted=trusted, builds=self._parts.builds,
            clock=self._clock, person=self._parts.person, signing=self._parts.signing,
            workstation=self._parts.workstation,
        )  # fmt: skip

    def draft(self, preview: Preview, reason: str, mode: str) -> Draft:
        """The bytes that ``submit`` will have signed with the same arguments."""
        return request.draft(self._drafting(), preview, reason, mode)

    async def submit(
        self, preview: Preview, reason: str, mode: str, ask: Ask, payload: object = None
    ) -> list[Outcome]:
        """Sign once and send to every usable target. ``payload`` goes with ``install-`` actions."""
        made, signature = await self.sign(preview, reason, mode, ask)
        return await self.send_request(preview, made, signature, payload)

    async def sign(self, preview: Preview, reason: str, mode: str, ask: Ask) -> tuple[Draft, str]:
        """The request and its signature, which is checked; nothing is sent."""
        around = await self._around()
        made = request.draft(around, preview, reason, mode)
        uv = request.may_request(around, preview.action, mode, preview.not_before)
        signature = await decide.sign_bytes(
            around, made.data, "request", uv=uv, now=preview.not_before, ask=ask
        )
        return made, signature

    async def send_request(
        self, preview: Preview, made: Draft, signature: str, payload: object = None
    ) -> list[Outcome]:
        """Send a request that is signed already; hosts that could not be targets say why."""
        around = await self._around()
        more = {} if payload is None else {"payload": payload}
        parcels = [
            Parcel(
                host=self._host(target.host).spec,
                op="submit",
                id=made.id,
                document=made.data,
                signature=signature,
                fields={
                    "request": made.data.decode(),
                    "signature": signature,
                    "binding": target.binding,
                    **more,
                },
            )
            for target in preview.usable
        ]
        plans = {target.host: target.confirm_s for target in preview.usable}
        outcomes = await send_all(
            around, parcels, self._confirming.of(around, preview.action, plans)
        )
        left = [
            Outcome(
                host=target.host, ok=False, id=made.id, rule="target", words=target.trouble,
                hint=target.hint,
            )
            for target in preview.targets
            if target.trouble
        ]  # fmt: skip
        return outcomes + left

    async def release(
        self, hosts: Sequence[str], request: str, reason: str, ask: Ask
    ) -> list[Outcome]:
        """Ask for the end of what stands."""
        made = await self.preview(hosts, "release", {"id": request})
        return await self.submit(made, reason, TWO_BEFORE, ask)

    # -- deciding

    def _targets(self, hosts: Sequence[str], rid: str) -> list[decide.Target]:
        """The request on each of these hosts as it is seen there now; all hosts where none."""
        found = [each for each in self.requests() if each.id == rid]
        if hosts:
            found = [each for each in found if each.host in hosts]
            missing = sorted(set(hosts) - {each.host for each in found})
            if missing:
                raise ActionError(
                    f"no such request waits on {', '.join(missing)}",
                    hint="It may have been decided, withdrawn or expired meanwhile.",
                    rule="no-request",
                )
        if not found:
            raise ActionError("no such request waits anywhere", rule="no-request")
        return [
            decide.Target(
                spec=self._host(each.host).spec,
                view=each,
                now=int(self._clock.wall() + each.skew_s),
            )
            for each in found
        ]

    async def _send_document(
        self,
        around: Around,
        targets: Sequence[decide.Target],
        document: Mapping[str, Any],
        ask: Ask,
    ) -> list[Outcome]:
        view = targets[0].view
        kind = str(document["kind"])
        uv = decide.user_verification(around, view.action, kind)
        now = min(target.now for target in targets)
        data, signature = await decide.signed(around, document, uv=uv, now=now, ask=ask)
        specs = [target.spec for target in targets]
        parcels = decide.parcels(data, signature, kind, view.id, specs)
        return await send_all(around, parcels, self._confirming.of(around, *_plans(targets)))

    async def decide(
        self, hosts: Sequence[str], request: str, approve: bool, comment: str, ask: Ask,
        unseen: Sequence[str] = (),
    ) -> list[Outcome]:  # fmt: skip
        """Approve or deny by one signature. ``unseen``: accepted by name though not seen here."""
        around = await self._around()
        await self.guards.look()
        targets = self._targets(hosts, request)
        rest = decide.unseen([each for each in self.requests() if each.id == request])
        rest = tuple(name for name in rest if name not in unseen)
        document = decide.approval(around, targets, approve, comment, rest)
        return await self._send_document(around, targets, document, ask)

    async def cancel(
        self, hosts: Sequence[str], request: str, comment: str, ask: Ask
    ) -> list[Outcome]:
        """Withdraw a request of one's own."""
        around = await self._around()
        targets = self._targets(hosts, request)
        document = decide.cancel(around, request, comment)
        return await self._send_document(around, targets, document, ask)

    async def begin(self, hosts: Sequence[str], request: str, ask: Ask) -> list[Outcome]:
        """Start an approved request of one's own."""
        around = await self._around()
        await self.guards.look()
        targets = self._targets(hosts, request)
        return await self._send_document(around, targets, decide.start(around, targets), ask)

    async def review(
        self, hosts: Sequence[str], request: str, comment: str, ask: Ask
    ) -> list[Outcome]:
        """Sign that one has looked at somebody else's break-glass."""
        around = await self._around()
        document = decide.review(around, request, comment)
        specs = [self._host(name).spec for name in hosts]
        now = int(self._clock.wall())
        data, signature = await decide.signed(around, document, uv=True, now=now, ask=ask)
        parcels = decide.parcels(data, signature, "review", request, specs)
        return await send_all(around, parcels, lambda host, token: None)

    def approval_until(self, views: Sequence[RequestView]) -> int:
        """Until when an approval made now may hold on all these hosts, by their clocks."""
        return decide.until(self._drafting(), views)

    async def fetch(self, host: str, request: str, folder: Path, ask: Ask) -> Custody:
        """Take evidence into a folder by one signature."""
        around, view = await self._around(), self._host(host)
        skew = view.clock_skew_s or 0.0
        return await evidence.fetch(around, view.spec, skew, request, folder, ask)

    def envelope(self, rid: str) -> dict[str, str]:
        """The texts of a request as a host shows them. Raises ActionError."""
        found = self.guards.envelope(rid)
        if found is None:
            raise ActionError("no such request waits, verified, anywhere", rule="no-request")
        return {name: getattr(found, name) for name in ("request", "signature", "binding")}

    async def send_decision(
        self, hosts: Sequence[str], kind: str, data: bytes, signature: str
    ) -> list[Outcome]:
        """Send a decision that was signed elsewhere, by whomever. It is verified first."""
        around = await self._around(signs=False)
        await self.guards.look()
        document = decide.signed_elsewhere(around, data, signature, kind)
        rid = str(document["request_sha256"])
        targets = self._targets(hosts, rid)
        parcels = decide.parcels(data, signature, kind, rid, [item.spec for item in targets])
        return await send_all(around, parcels, self._confirming.of(around, *_plans(targets)))

    # -- afterwards

    async def confirmed(self) -> None:
        """Wait until every reachability is confirmed or given up: before a verb ends."""
        await self._confirming.done()

    async def run(self) -> None:
        """Watch the guards until cancelled."""
        await self.guards.run()

    async def stop(self) -> None:
        """End what is under way; whoever leaves right after an approval still confirms it."""
        await self._confirming.stop()
        await self._parts.caller.close()
