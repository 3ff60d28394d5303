"""The guard of one host during one call: where it is, what time it is, whom it trusts."""

from __future__ import annotations

import os
from hashlib import sha256

from .caller import Caller
from .place import Place
from .refused import Refused
from .state.clock import Clock, Mark
from .state.files import Files, lock
from .state.nonces import Nonces
from .state.spool import FOLDERS, Store
from .world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .audit.log import Log
    from .state.spool import Entry
    from .trust.people import Roster
    from .trust.policy import Policy
    from .trust.signed import Signed

MAX_TRUST = 64 << 10
AUDIT_KEY = "audit_key"


class Guard:
    """All that one call needs; nothing is read twice. The caller holds ``lock``.

    ``digest`` is the sha256 of the guard's file. ``arm`` starts a watcher, by the name of one
    deadline, that calls ``tick`` after that many seconds; ``detach`` runs a long piece of work in
    a process of its own, which calls ``resume`` to have the lock again.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        caller: Caller,
        digest: str,
        effector: str,
        arm: Callable[[int, str], object] | None = None,
        detach: Callable[[Guard, Entry, Callable[[], None]], bool] | None = None,
    ) -> None:
        self.world = world
        self.clock = clock
        self.caller = caller
        self.digest = digest
        self.effector = effector
        self.arm = arm or (lambda seconds, name: None)
        self.detach = detach or (lambda g, entry, work: False)
        self.resume: Callable[[], object] = lambda: None
        self.held = -1  # handle of the lock
        self.at_lock: Callable[[], object] = lambda: None  # called once the lock is ours
        self.place: Place = world.place
        self.files = Files(self.place, world.mark)
        state = self.place.state
        self.store = Store(self.files, state)
        self.nonces = Nonces(f"{state}/secret", f"{state}/nonces", self.files)
        self.mark = Mark(f"{state}/clock", self.files, clock)
        self.changed = False
        self._kept: dict[str, Any] = {}
        self.verified: dict[tuple[str, str, str, bool], Signed] = {}  # during this call

    # ---- what is trusted, read once

    def ready(self) -> None:
        """Make the state folders where they are missing. Raises Refused."""
        state = self.place.state
        self.files.folder(state)
        for name in (*FOLDERS, "nonces", "audit", "payload", "evidence"):
            self.files.folder(f"{state}/{name}")

    def lock(self) -> int:
        """Wait for the guard's lock; the handle to close."""
        self.files.folder(self.place.state)
        return lock(f"{self.place.state}/lock")

    def _text(self, name: str) -> str:
        if name not in self._kept:
            path = f"{self.place.etc}/{name}.json"
            try:
                self._kept[name] = self.files.read(path, MAX_TRUST).decode("utf-8")
            except FileNotFoundError:
                raise Refused(
                    "not-enrolled", f"{path} is not there", "enrol the host: watchfloor enroll"
                ) from None
            except UnicodeDecodeError:
                raise Refused("file-unsafe", f"{path} is no UTF-8 text") from None
        text: str = self._kept[name]
        return text

    @property
    def roster_text(self) -> str:
        """The roster as it is on the disk."""
        return self._text("roster")

    @property
    def policy_text(self) -> str:
        """The policy as it is on the disk."""
        return self._text("policy")

    @property
    def trust(self) -> str:
        """The sha256 of the roster and that of the policy, 128 hex digits."""
        texts = (self.roster_text, self.policy_text)
        return "".join(sha256(text.encode()).hexdigest() for text in texts)

    @property
    def roster(self) -> Roster:
        """Whom this host trusts. Raises Refused where the roster breaks a rule."""
        if "people" not in self._kept:
            from .trust.people import Roster

            self._kept["people"] = Roster(self.roster_text.encode())
        found: Roster = self._kept["people"]
        return found

    @property
    def policy(self) -> Policy:
        """What this host allows. Raises Refused where the policy breaks a rule."""
        if "rules" not in self._kept:
            from .trust.policy import Policy

            self._kept["rules"] = Policy(self.policy_text.encode())
        found: Policy = self._kept["rules"]
        return found

    @property
    def host_id(self) -> str:
        """The random id that enrolment gave this host."""
        if "host_id" not in self._kept:
            import json

            try:
                identity = json.loads(self._text("identity"))
                found = identity["host_id"]
            except (ValueError, KeyError, TypeError, RecursionError):
                found = None
            if type(found) is not str or not 1 <= len(found) <= 64:
                raise Refused("not-enrolled", "identity.json names no host_id", "enrol it anew")
            self._kept["host_id"] = found
        host_id: str = self._kept["host_id"]
        return host_id

    @property
    def host_keys(self) -> list[str]:
        """Fingerprints of this host's SSH keys, as a console sees them."""
        if "host_keys" not in self._kept:
            self._kept["host_keys"] = self._host_keys()
        found: list[str] = self._kept["host_keys"]
        return found

    def _host_keys(self) -> list[str]:
        from .caller import fingerprint

        folder, found = self.world.path("/etc/ssh"), []
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            names = []
        for name in names:
            if not (name.startswith("ssh_host_") and name.endswith("_key.pub")):
                continue
            try:
                words = self.files.read(f"{folder}/{name}", 16 << 10).split()
            except (Refused, OSError):
                continue
            if len(words) > 1:
                found.append(fingerprint(words[1].decode("ascii", "replace")))
        return [each for each in found if each]

    @property
    def log(self) -> Log:
        """The audit log."""
        if "log" not in self._kept:
            from .audit.log import Log

            folder = f"{self.place.state}/audit"
            key = f"{folder}/{AUDIT_KEY}"
            try:
                origin = f"watchfloor/{self.host_id}"
            except Refused:
                origin = "watchfloor/unknown"
            self._kept["log"] = Log(
                folder, key, origin, self.world, self.clock.now, lambda: self.clock.boot_id
            )
        log: Log = self._kept["log"]
        return log

    def forget(self) -> None:
        """Read anew what is trusted: it was replaced."""
        for name in ("roster", "policy", "people", "rules"):
            self._kept.pop(name, None)
        self.verified.clear()

    # ---- what is told

    def record(self, ev: str, rid: str, facts: dict[str, Any]) -> None:
        """Write an audit record. Raises Refused where it cannot be written: then do nothing."""
        self.changed = True
        self.log.append(ev, rid, facts)
        self.world.mark(f"told {ev}")

    def note(self, entry: Entry, ev: str, **facts: Any) -> None:
        """Put a record into the entry, so that it is told even if the guard is killed between.
        ``tell`` writes it once the entry was saved."""
        entry.setdefault("tell", []).append([ev, facts])

    def tell(self, entry: Entry, again: bool = False) -> None:
        """Write the records that an entry holds, in order; ``again`` where a guard of before may
        have written them. Where the log cannot be written they stay in the entry for the next
        call, because an undoing must not wait for a disk."""
        waiting = entry.get("tell", [])
        if not waiting:
            return
        self.changed = True
        try:
            known = self.log.recent(8) if again else []
            while waiting:
                ev, facts = waiting[0]
                written = any(
                    old.get("ev") == ev
                    and old.get("rid") == entry["id"]
                    and all(old.get(key) == value for key, value in facts.items())
                    for old in known
                )
                if not written:
                    self.log.append(ev, entry["id"], facts)
                waiting.pop(0)
                self.world.mark(f"told {ev}")
        except (Refused, ValueError, OSError):
            return
