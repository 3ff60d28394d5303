"""Guards in this process, called as over SSH, and what a console knows of them.

Documents, signatures and the guard are the real ones; only bytes do not travel. Time goes
when told.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from console.actions.around import Around
from console.actions.pending import Seen
from console.actions.standing import Eyes
from console.demo.signing import ThrowAwaySigning
from console.hostside.guard.state import publish
from console.hostside.guard.trust import canonical
from console.model.guard import GuardDocs, Prompt
from console.model.host import Host, HostState
from console.model.link import LinkFacts
from console.model.view import HostView
from console.ssh.guardcall import Answer
from console.trust.kept import Kept
from tests.support import guardhost
from tests.support.guardkit import key_of, policy, roster

ISOLATE = guardhost.ISOLATE
BUILDS = {guardhost.DIGEST: "simulated"}


class StillClock:
    """This machine's clock: that of the host, and ``ahead`` seconds."""

    def __init__(self, host: guardhost.Host) -> None:
        self.host = host
        self.ahead = 0.0

    def wall(self) -> float:
        """Seconds since the epoch."""
        return float(self.host.clock.now()) + self.ahead

    def mono(self) -> float:
        """Seconds since some moment."""
        return float(self.host.clock.since_boot())


class Fleet:
    """Hosts by name, and one console's view of them. It is a ``Caller`` too."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.hosts = {
            name: guardhost.Host(folder / name, hashlib.sha256(name.encode()).hexdigest()[:32])
            for name in names
        }
        first = next(iter(self.hosts.values()))
        self.clock = StillClock(first)
        self.kept = self.trusted(first)
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.tamper: dict[str, Any] = {}  # changes of every answer, by field

    def trusted(self, host: guardhost.Host) -> Kept:
        """Roster and policy as they are on that host."""
        guard = host.guard()
        return Kept(guard.roster, guard.policy)

    def around(self, person: str = "alice", **changes: Any) -> Around:
        """That person's console."""
        found = Around(
            caller=self,
            trusted=self.kept,
            builds=BUILDS,
            clock=self.clock,
            person=person,
            signing=ThrowAwaySigning(key_of(person)),
            workstation="desk",
        )
        return msgspec.structs.replace(found, **changes)

    async def call(self, host: Host, envelope: bytes) -> Answer:
        """One call of the guard of that host."""
        told = json.loads(envelope)
        self.sent.append((host.name, dict(told)))
        at = self.hosts[host.name]
        found = at.call(told.pop("op"), **told)
        if found["ok"]:
            found.update(self.tamper)
        return Answer(json.dumps(found).encode() + b"\n", at.host_key)

    send = call

    def prepare(self, host: Host) -> None:
        """Nothing has to be opened here."""

    async def close(self) -> None:
        """Nor closed."""

    def view(self, name: str, **changes: Any) -> HostView:
        """That host as its session shows it."""
        at = self.hosts[name]
        link = LinkFacts(transport="asyncssh", host_key=at.host_key)
        given: dict[str, Any] = {
            "spec": Host(name=name, address="x", guard_id=at.host_id),
            "state": HostState.LIVE,
            "link": link,
            "clock_skew_s": 0.0,
        }
        return HostView(**{**given, **changes})

    def docs(self, name: str) -> GuardDocs:
        """What that host's guard has published."""
        at = self.hosts[name]
        publish.write(at.guard())
        folder = Path(at.place.public)
        index = json.loads((folder / "index.json").read_text())["docs"]
        docs = [
            (each["kind"], each["sha256"], (folder / "docs" / each["sha256"]).read_bytes())
            for each in index
        ]
        return GuardDocs(boot_id=at.clock.boot_id, docs=tuple(docs))

    def envelope(self, name: str) -> bytes:
        """The one request that waits there."""
        (data,) = [data for kind, _, data in self.docs(name).docs if kind == "request"]
        return data

    def seen(self, name: str, person: str = "bob", **changes: Any) -> Seen:
        """What a console knows of that host."""
        at = self.hosts[name]
        found = Seen(
            host=name,
            guard_id=at.host_id,
            host_key=at.host_key,
            boot_id=at.clock.boot_id,
            now=at.clock.now(),
            skew_s=0.0,
            live=True,
            person=person,
            refusal="",
            builds=BUILDS,
            names=self.name,
        )
        return msgspec.structs.replace(found, **changes)

    def eyes(self, person: str = "bob") -> Eyes:
        """With what that person's console looks."""
        return Eyes(
            trusted=self.kept, trusted_trouble="", builds=BUILDS, person=person, names=self.name
        )

    def name(self, host_id: str) -> str:
        """The inventory's name of a host."""
        known = {at.host_id: name for name, at in self.hosts.items()}
        return known.get(host_id, host_id)


async def no_answer(prompt: Prompt) -> str | None:
    """A face that has nothing to type."""
    return None


def other_trusted(**changes: Any) -> Kept:
    """Another roster and policy than the hosts have."""
    return Kept(roster(**changes), policy())


def changed(data: bytes, **changes: Any) -> bytes:
    """A JSON document with other members."""
    return json.dumps({**json.loads(data), **changes}).encode()


def recanonical(text: str, **changes: Any) -> str:
    """A canonical document with other fields."""
    return canonical.write({**json.loads(text), **changes}).decode()
