"""Looks at every host's guard: judges what it publishes, and tells what changed."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

import msgspec

from console.actions.around import Trusted
from console.actions.envelope import Envelope
from console.actions.happened import Memory, events
from console.actions.pending import Judged
from console.actions.reasons import Reasons
from console.actions.standing import Eyes, guard_view
from console.clock import Clock
from console.errors import WatchfloorError
from console.fleet.session import Session
from console.model.event import Event
from console.model.guard import GuardDocs, GuardView
from console.model.view import HostView
from console.text import clean

LOOK_S = 0.2
AGAIN_S = 5.0
"""Requests are judged anew after that time: they expire, and keys do."""
TRUST_S = 10.0


class Sight(msgspec.Struct, frozen=True):
    """The fleet as the guards' watcher sees it."""

    sessions: Callable[[], Iterable[Session]]
    emit: Callable[[Event], None]


class _Looked(msgspec.Struct):
    """What the last look at one host rested on."""

    docs: GuardDocs
    rest: tuple[object, ...]
    at: float
    view: GuardView
    judged: tuple[Judged, ...]


class Guards:
    """The guards of a fleet, as this console judges them."""

    def __init__(
        self,
        sight: Sight,
        clock: Clock,
        *,
        person: str,
        builds: Mapping[str, str],
        load_trusted: Callable[[], Trusted],
        refusal: Callable[[str], str],
        sent: Callable[[str], list[tuple[str, bytes]]] = lambda host: [],
    ) -> None:
        """``load_trusted`` reads the console's own roster and policy anew and raises
        WatchfloorError; ``refusal`` says why nothing may be signed, given what is wrong with them;
        ``sent`` gives ids and bytes of the requests that were sent to a host from here.
        """
        self._sight = sight
        self._clock = clock
        self.person = person  # who judges: another may sit down at this console
        self._builds = builds
        self._load = load_trusted
        self._refusal = refusal
        self._looked: dict[str, _Looked] = {}
        self._memory = Memory()
        self._reasons = Reasons(sent)
        self.trusted: Trusted | None = None
        self.trouble = "it has not been read yet"

    async def run(self) -> None:
        """Look until cancelled."""
        until = 0.0
        while True:
            if self._clock.mono() >= until:
                await self.reload()
                until = self._clock.mono() + TRUST_S
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def reload(self) -> None:
        """Read the console's own roster and policy anew: another terminal may install them."""
        try:
            fresh = await asyncio.to_thread(self._load)
        except (WatchfloorError, OSError, ValueError) as error:
            self.trusted, self.trouble = None, clean(str(error), 300)
            return
        old, self.trouble = self.trusted, ""
        same = old is not None and (
            (old.roster_sha256, old.policy_sha256) == (fresh.roster_sha256, fresh.policy_sha256)
        )
        if not same:  # else what was verified with it stays remembered
            self.trusted = fresh

    async def look(self) -> None:
        """Judge every host whose guard shows something new."""
        refusal = self._refusal("" if self.trusted else self.trouble)
        for session in self._sight.sessions():
            docs = session.guard_docs()
            if docs is None:
                continue
            status = session.status
            known = self._looked.get(session.spec.name)
            rest = (status.state, status.link and status.link.host_key, session.spec.guard_id,
                    self.trusted, refusal, self.person)  # fmt: skip
            if known is not None and known.docs is docs and known.rest == rest:
                old = self._clock.mono() - known.at > AGAIN_S
                if not (old and known.judged):
                    continue
            host = session.view()
            try:
                view, judged, now = await self._judge(host, docs, refusal)
            except Exception as defect:  # noqa: BLE001,RUF100  # one host's row, never all
                why = f"this console failed on what its guard shows: {defect!r:.200}"
                view, judged, now = GuardView(trouble=clean(why, 300)), (), self._clock.wall()
            if self._looked.get(session.spec.name) is not known:
                continue  # another look was faster, and has told what is new
            view = self._reasons.told(session.spec.name, view, judged)
            self._looked[session.spec.name] = _Looked(docs, rest, self._clock.mono(), view, judged)
            session.judged(view)
            before = known.view if known else None
            told = events(self._memory, session.spec.name, before, view, judged, self.person, now)
            for event in told:
                self._sight.emit(event)

    async def _judge(
        self, host: HostView, docs: GuardDocs, refusal: str
    ) -> tuple[GuardView, tuple[Judged, ...], float]:
        eyes = Eyes(
            trusted=self.trusted,
            trusted_trouble=self.trouble,
            builds=self._builds,
            person=self.person,
            names=self._name,
        )
        now = self._clock.wall()
        view, judged = await asyncio.to_thread(guard_view, docs, host, now, refusal, eyes)
        return view, judged, now

    def _name(self, host_id: str) -> str:
        for session in self._sight.sessions():
            if session.spec.guard_id == host_id:
                return session.spec.name
        return clean(host_id, 64)

    def envelope(self, rid: str) -> Envelope | None:
        """A request as a host shows it for which it was verified: others show what they like."""
        for looked in self._looked.values():
            for item in looked.judged:
                if item.id == rid and not item.wrong:
                    return item.envelope
        return None

    def caught_up(self) -> bool:
        """Whether all that hosts have named is here and was looked at."""
        for session in self._sight.sessions():
            docs = session.guard_docs()
            looked = self._looked.get(session.spec.name)
            if docs is not None and (docs.missing or looked is None or looked.docs is not docs):
                return False
        return True

    def views(self) -> dict[str, GuardView]:
        """The newest view of each host's guard."""
        return {name: looked.view for name, looked in self._looked.items()}
