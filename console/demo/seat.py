"""A seat at a console of the demo: who sits there, with which throw-away keys, trusting whom."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from console.actions.around import Trusted
from console.actions.gate import Situation
from console.config.document import Operator
from console.demo.drill import FIRST, PEOPLE, person
from console.engine.acting import workstation
from console.engine.actions import Parts
from console.engine.operator import LateWitness, Reread
from console.errors import ConfigError
from console.model.guard import Ask
from console.model.host import Host
from console.trust.chain import Chain
from console.trust.sign import Signing

WAIT_S = 10.0
BUILDS = "builds.json"


class DemoBuilds(Mapping[str, str]):
    """The guards of this demo, as its servers note them; no other guard is known here."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / BUILDS

    def _read(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.DecodeError):
            return {}

    def __getitem__(self, digest: str) -> str:
        return self._read()[digest]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


class Waiting:
    """The demo's roster and policy; its servers write them a moment after they listen."""

    def __init__(self, chain: Chain) -> None:
        self._load = Reread(chain)
        self._until = time.monotonic() + WAIT_S

    def __call__(self) -> Trusted:
        """Waits for them at the start. Raises ConfigError."""
        while True:
            try:
                return self._load()
            except ConfigError:
                if time.monotonic() > self._until:
                    raise
            time.sleep(0.02)  # in a thread of its own


def signing(folder: Path, name: str, touch_s: float | None = None) -> Signing:
    """How that person of the demo in ``folder`` signs."""
    from console.demo.signing import TOUCH_S, DemoSigning

    return DemoSigning(person(folder, name) / "seed", TOUCH_S if touch_s is None else touch_s)


class Late:
    """A ``Signing`` that is looked for when something is signed: what it needs is slow to load."""

    def __init__(self, folder: Path, name: str, touch_s: float | None = None) -> None:
        self._where = (folder, name, touch_s)
        self._found: Signing | None = None

    @property
    def _signing(self) -> Signing:
        if self._found is None:
            self._found = signing(*self._where)
        return self._found

    @property
    def blob(self) -> bytes:
        """The public key. Raises ActionError."""
        return self._signing.blob

    async def sign(self, namespace: str, data: bytes, ask: Ask) -> str:
        """An armored signature. Raises ActionError."""
        return await self._signing.sign(namespace, data, ask)


def operator(folder: Path, name: str) -> Operator:
    """As ``[operator]`` of that person would stand in a configuration."""
    login = str(person(folder, name) / "login")
    return Operator(person=name, signing_key="(a key of the demo)", login_key=login)


def state_dir(folder: Path, name: str) -> Path:
    """Where the consoles of that person keep what they see; made where it is missing."""
    path = folder / ("state" if name == FIRST else f"state-{name}")
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def chain(folder: Path) -> Chain:
    """Roster and policy of the demo."""
    return Chain(folder / "trust")


def parts(
    folder: Path,
    name: str,
    known: Mapping[str, Host],
    *,
    touch_s: float | None = None,
    read_only: bool = False,
) -> Parts:
    """The parts of guarded actions for that person of the demo.

    At the first person's console the others may sit down too (``:operator``): they sign with their
    own keys, and the console logs in with its own, which is how a guard can tell.
    """
    from console.ssh.guardcall import GuardCaller

    here = operator(folder, name)
    others = [other for other in PEOPLE if other != name] if name == FIRST else []
    return Parts(
        person=name,
        signing=Late(folder, name, touch_s),
        others={other: Late(folder, other, touch_s) for other in others},
        caller=GuardCaller(known, user=here.login_user, key=here.login_key),
        builds=DemoBuilds(folder),
        load_trusted=Waiting(chain(folder)),
        situation=Situation(
            read_only=read_only,
            person=name,
            signing_key=here.signing_key,
            login_key=here.login_key,
            allow_ssh=True,
        ),
        environ={},
        workstation=workstation(),
        witness=LateWitness(state_dir(folder, name)),
    )
