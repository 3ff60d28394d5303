"""A second console on a demo that runs already: another person, another terminal."""

import sys
from pathlib import Path

import msgspec

from console.actions.around import Trusted
from console.config.loader import Config
from console.demo import running, seat
from console.demo.drill import PEOPLE
from console.demo.run import DemoConfig, inventory_toml
from console.engine.actions import Parts
from console.engine.build import local_engine
from console.engine.protocol import Engine
from console.errors import UsageError
from console.model.host import Host
from console.model.link import AskPassphrase
from console.trust.chain import Chain


class Seat:
    """One person's place at a running demo; what verbs take instead of a configuration."""

    def __init__(self, note: running.Note, person: str, *, read_only: bool = False) -> None:
        """``read_only``: nothing is signed from here. Raises UsageError."""
        if person not in PEOPLE:
            raise UsageError(
                f"nobody in the demo is called {person!r}", hint=f"There are {', '.join(PEOPLE)}."
            )
        self.person = person
        self.read_only = read_only
        self.folder = Path(note.folder)
        self.hosts = running.hosts(note)

    @property
    def known(self) -> dict[str, Host]:
        """The hosts by name."""
        return {host.name: host for host in self.hosts}

    @property
    def chain(self) -> Chain:
        """Roster and policy of the demo."""
        return seat.chain(self.folder)

    def trusted(self) -> Trusted:
        """The same, read; waits for them where the demo has only just begun."""
        return seat.Waiting(self.chain)()

    def parts(self) -> Parts:
        """How this person signs."""
        return seat.parts(self.folder, self.person, self.known, read_only=self.read_only)

    def config(self) -> Config:
        """As if it had been read from a file."""
        return Config(
            hosts=self.hosts,
            known=self.known,
            workstation=False,
            read_only=self.read_only,
            state_dir=seat.state_dir(self.folder, self.person),
            operator=seat.operator(self.folder, self.person),
        )

    def engine(self, ask: AskPassphrase | None = None) -> Engine:
        """The engine of a console at which this person sits."""
        config = DemoConfig(
            hosts=self.hosts,
            workstation=False,
            state_dir=seat.state_dir(self.folder, self.person),
            history=False,
        )
        return local_engine(config, ask_passphrase=ask, acting=self.parts())

    def toml(self) -> str:
        """A configuration for verbs that only look, valid while the demo runs.

        It names no signing key: the keys of the demo are made in software and sign only there.
        """
        text = msgspec.json.encode
        here = self.config()
        lines = [
            "# To sign as well: watchfloor demo --join NAME -- actions ...",
            f"state_dir = {text(str(here.state_dir)).decode()}",
            "workstation = false",
            "",
            "[operator]",
            f"person = {text(self.person).decode()}",
            f"login_key = {text(here.operator.login_key).decode()}",
            "",
        ]
        return "\n".join(lines) + inventory_toml(self.hosts)


def screens(here: Seat) -> int:
    """Open the screens as that person; returns the exit status."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "the screens need a terminal",
            hint="Give a verb: watchfloor demo --join NAME -- actions list",
        )
    from console.config.loader import default_state_dir, user_file
    from console.tui.app import run_app
    from console.tui.control.actions import Mode
    from console.tui.settings import Settings

    return run_app(
        here.engine,
        Settings(
            title=f"demo, {here.person}",
            state=default_state_dir() / "demo",
            mode=Mode.READ_ONLY if here.read_only else Mode.FULL,
            own_themes=user_file().parent / "themes",
        ),
    )
