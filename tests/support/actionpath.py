"""Hosts with a guard behind a real sshd on loopback, and consoles of people who sign.

One sshd is one host. The key that logs in decides what runs, as on an enrolled host: the real
probe, which sees the guard's public folder, or the guard itself: the build of the demo, whose steps
are simulated and everything else is real.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from console.actions.gate import Situation
from console.clock import SystemClock
from console.demo.signing import ThrowAwaySigning
from console.engine.actions import Parts
from console.engine.session import LocalEngine
from console.hostside import bundle
from console.hostside.guard.trust import canonical
from console.hostside.guard.trust.people import Roster
from console.hostside.guard.trust.policy import Policy
from console.model.event import Event
from console.model.guard import Prompt
from console.model.host import Host
from console.ssh.guardcall import GuardCaller
from console.ssh.transport import Transports
from console.store.witness import Witness
from console.trust.kept import Kept
from console.trust.sign import Signing
from tests.support.guardkit import key_of, policy_doc, roster_doc
from tests.support.sshd import KeyPair, Sshd, make_key

ROOT = Path(__file__).resolve().parents[2]
ISOLATE = {"confirm_s": 60, "mgmt": ["127.0.0.0/8"]}
DEADLINE_S = 30.0

_PROBE = """
import sys
sys.path.insert(0, {root!r})
from console.hostside.probe.main import end_on_signal, run
from console.hostside.probe.place import Place
end_on_signal()
sys.exit(run(tier=2, place=Place(root={base!r})))
"""


class GuardedHost:
    """One sshd with a guard below ``folder``."""

    def __init__(self, folder: Path, name: str, policy: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.base = Path(os.path.realpath(folder)) / "base"
        self.guard_id = hashlib.sha256(name.encode()).hexdigest()[:32]
        for part in ("etc/watchfloor", "etc/ssh", "var/lib/watchfloor/guard/audit", "run"):
            (self.base / part).mkdir(parents=True)
        (self.base / "var/lib/watchfloor/guard").chmod(0o700)
        self.install("identity", {"kind": "identity", "v": 1, "host_id": self.guard_id})
        self.install("roster", roster_doc())
        self.install("policy", dict(policy or path_policy()))
        self.keys = folder / "keys"
        self.keys.mkdir()
        self.monitor = make_key(self.keys / "monitor")
        self.login = make_key(self.keys / "login")
        audit = make_key(self.base / "var/lib/watchfloor/guard/audit/audit_key")
        assert audit.public
        program = bundle.guard("simulated", str(self.base))
        self.digest = hashlib.sha256(program).hexdigest()
        self.guard = self.base / "guard"
        self.guard.write_bytes(program)
        self.guard.chmod(0o755)
        self.probe = self.base / "probe.py"
        self.probe.write_text(_PROBE.format(root=str(ROOT), base=str(self.base)))
        self.sshd = Sshd(folder / "sshd", authorized=self.lines(), extra=["ExposeAuthInfo yes"])
        public = self.base / "etc/ssh/ssh_host_ed25519_key.pub"
        public.write_text(self.sshd.host_keys[0].public + "\n")

    def __enter__(self) -> GuardedHost:
        self.sshd.__enter__()
        return self

    def __exit__(self, *ended: Any) -> None:
        self.sshd.__exit__(*ended)
        self.end_watchers()

    def end_watchers(self) -> None:
        """End what this host's guard left waiting for a deadline: it outlives every call."""
        mine = str(self.guard).encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mine in (folder / "cmdline").read_bytes().split(b"\0"):
                    os.kill(int(folder.name), signal.SIGKILL)

    def lines(self, guard: str = "") -> list[str]:
        """Who may log in, and what then runs."""
        probe = shlex.join([os.path.realpath(sys.executable), "-I", "-B", str(self.probe)])
        pairs = ((probe, self.monitor), (guard or str(self.guard), self.login))
        return [f'restrict,command="{command}" {key.public}' for command, key in pairs]

    def install(self, name: str, doc: Mapping[str, Any]) -> None:
        """One of the files that are trusted."""
        path = self.base / "etc/watchfloor" / f"{name}.json"
        path.write_bytes(canonical.write(dict(doc)))
        path.chmod(0o644)

    def host(self, **more: Any) -> Host:
        """The host as a console's inventory has it."""
        values = {"tier": 2, "guard_id": self.guard_id, **more}
        return self.sshd.host(self.name, key=str(self.monitor.path), **values)


def path_policy(**changes: Any) -> dict[str, Any]:
    """A policy under which loopback is the management network."""
    return policy_doc(mgmt_networks=["127.0.0.0/8"], **changes)


def trusted(policy: Mapping[str, Any] | None = None) -> Kept:
    """What every console here trusts."""
    rules = Policy(canonical.write(dict(policy or path_policy())))
    return Kept(Roster(canonical.write(roster_doc())), rules)


class Console:
    """One person's console."""

    def __init__(
        self,
        person: str,
        hosts: list[GuardedHost],
        folder: Path,
        *,
        signing: Signing | None = None,
        login: KeyPair | None = None,
        user: str = "",
        chain: Kept | None = None,
        builds: Mapping[str, str] | None = None,
        specs: list[Host] | None = None,
        environ: Mapping[str, str] | None = None,
        situation: Mapping[str, Any] | None = None,
        call: Callable[[Host], Host] = lambda host: host,
    ) -> None:
        self.person = person
        self.prompts: list[Prompt] = []
        self.specs = specs or [host.host() for host in hosts]
        known = {spec.name: spec for spec in self.specs}
        self.witness = Witness(folder)
        self.trusted = chain or trusted()
        ready = Situation(person=person, signing_key="k", login_key="l")
        self.caller = GuardCaller(
            known,
            user=user or hosts[0].sshd.user,
            key=str((login or hosts[0].login).path),
        )
        parts = Parts(
            person=person,
            signing=signing or ThrowAwaySigning(key_of(person)),
            caller=self.caller,
            builds={host.digest: "simulated" for host in hosts} if builds is None else builds,
            load_trusted=lambda: self.trusted,
            situation=msgspec.structs.replace(ready, **dict(situation or {})),
            environ=environ or {},
            workstation=f"desk-of-{person}",
            witness=self.witness,
        )
        self.engine = LocalEngine(
            self.specs, Transports(known), clock=SystemClock(), acting=parts, evidence=folder
        )

    async def ask(self, prompt: Prompt) -> str | None:
        """What a face would ask; this one only notes it."""
        self.prompts.append(prompt)
        return None

    async def __aenter__(self) -> Console:
        await self.engine.start()
        return self

    async def __aexit__(self, *ended: object) -> None:
        await self.engine.stop()
        self.witness.close()

    async def until(self, what: str, true: Callable[[], object]) -> Any:
        """Wait for something to show in the picture."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not (found := true()):  # noqa: ASYNC110  # faces pull
                    await asyncio.sleep(0.02)
        except TimeoutError:
            told = [(view.name, view.state, view.reason, view.guard)
                    for view in self.engine.snapshot().hosts]  # fmt: skip
            raise AssertionError(f"{what} did not come: {told} {self.events()}") from None
        return found

    async def live(self, *hosts: str) -> None:
        """Until these hosts are LIVE."""
        for host in hosts:
            await self.until(
                f"{host} LIVE",
                lambda name=host: self.engine.snapshot().host(name).state == "LIVE",  # type: ignore[misc,union-attr]
            )

    def guard(self, host: str) -> Any:
        """The judged guard of a host."""
        view = self.engine.snapshot().host(host)
        return view.guard if view else None

    async def request(self, rid: str) -> Any:
        """The request as it is seen here, once it has come."""
        return await self.until(
            f"request {rid[:12]}",
            lambda: [each for each in self.engine.requests() if each.id == rid],
        )

    def events(self, kind: str = "guard.") -> list[Event]:
        """Events of that beginning."""
        return [event for event in self.engine.events() if event.kind.startswith(kind)]
