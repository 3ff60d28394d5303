"""The console's own roster and policy: signed chains in its configuration folder.

``roster-7.json`` and ``policy-3.json`` are the documents as they were signed, the ``.sigs`` beside
them hold the signatures and when they were adopted here. The first of each is what this console was
told to begin with; every later one is signed by people of the one before it.
"""

import json
import os
import re
import stat
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from console.errors import ConfigError
from console.hostside.guard.actions import NAMES, action
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import people, policy
from console.hostside.guard.trust.people import Roster
from console.hostside.guard.trust.policy import Policy
from console.hostside.guard.world import World
from console.text import clean

KINDS = ("roster", "policy")
MAX_FILE = 256 << 10
_WORLD = World(Place())
_NAME = re.compile(r"(roster|policy)-([1-9][0-9]{0,9})\.json")


class Link(msgspec.Struct, frozen=True):
    """One document of a chain, as it was read."""

    data: bytes
    signatures: tuple[str, ...]
    adopted: int  # when this console took it, seconds since the epoch
    path: Path


class Trusted(msgspec.Struct, frozen=True):
    """Roster and policy in force on this console, each signed by people of the one before."""

    roster: Roster
    policy: Policy

    @property
    def roster_sha256(self) -> str:
        """Digest of the roster's bytes."""
        return self.roster.sha256

    @property
    def policy_sha256(self) -> str:
        """Digest of the policy's bytes."""
        return self.policy.sha256


class Chain:
    """The chains in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def own(cls) -> "Chain":
        """Those of this user."""
        from console.config.loader import user_file

        return cls(user_file().parent / "trust")

    # ---- reading

    def current(self, kind: str) -> Path:
        """The file of the newest document. Raises ConfigError where there is none."""
        serials = self._serials(kind)
        if not serials:
            how = "--person NAME=FILE.pub" if kind == "roster" else "--mgmt NETWORK"
            raise ConfigError(
                f"this console has no {kind} of its own",
                where=str(self.folder),
                hint=f"Begin with `watchfloor {kind} init {how}`, or with a colleague's by "
                f"`watchfloor {kind} init FILE`.",
            )
        return self.folder / f"{kind}-{serials[-1]}.json"

    def load(self) -> Trusted:
        """What is in force, after every link of both chains was verified. Raises ConfigError."""
        rosters = self.rosters()
        return Trusted(rosters[-1], self.policies(rosters)[-1])

    def rosters(self) -> list[Roster]:
        """Every roster, the oldest first, each verified against the one before."""
        found: list[Roster] = []
        for link in self.links("roster"):
            with _Reading(link.path):
                roster = Roster(link.data)
                if found:
                    people.check_succession(
                        found[-1], roster, list(link.signatures), _WORLD, link.adopted
                    )
                found.append(roster)
        return found

    def policies(self, rosters: Sequence[Roster]) -> list[Policy]:
        """Every policy, the oldest first, each verified by the roster that was in force then."""
        times = [link.adopted for link in self.links("roster")]
        found: list[Policy] = []
        for link in self.links("policy"):
            with _Reading(link.path):
                rules = Policy(link.data)
                rules.check([action(name) for name in NAMES])
                if found:
                    then = [roster for roster, at in zip(rosters, times, strict=True)
                            if at <= link.adopted]  # fmt: skip
                    policy.check_succession(
                        found[-1], rules, (then or list(rosters))[-1], list(link.signatures),
                        _WORLD, link.adopted,
                    )  # fmt: skip
                found.append(rules)
        return found

    def links(self, kind: str) -> list[Link]:
        """The documents of a chain, the oldest first, without gaps. Raises ConfigError."""
        self.current(kind)
        serials = self._serials(kind)
        if serials != list(range(serials[0], serials[-1] + 1)):
            raise ConfigError(f"a {kind} is missing between others", where=str(self.folder))
        return [self._link(self.folder / f"{kind}-{serial}.json") for serial in serials]

    def _serials(self, kind: str) -> list[int]:
        try:
            names = os.listdir(self.folder)
        except OSError:
            return []
        found = [match for name in names if (match := _NAME.fullmatch(name))]
        return sorted(int(match[2]) for match in found if match[1] == kind)

    def _link(self, path: Path) -> Link:
        data = read(path)
        try:
            about: dict[str, Any] = json.loads(read(path.with_suffix(".sigs")))
            signatures, adopted = about["signatures"], about["adopted"]
            if type(signatures) is not list or type(adopted) is not int:
                raise TypeError
            if not all(type(text) is str for text in signatures):
                raise TypeError
        except (ValueError, TypeError, KeyError):
            raise ConfigError(
                "is damaged: it holds no signatures", where=str(path.with_suffix(".sigs"))
            ) from None
        return Link(data, tuple(signatures), adopted, path)

    # ---- adopting

    def begin(self, kind: str, data: bytes, signatures: Sequence[str] = ()) -> Path:
        """Take a document as the first of its chain here: nothing vouches for it but this person.

        Raises ConfigError where a chain is there already, or the document breaks a rule.
        """
        if self._serials(kind):
            raise ConfigError(
                f"this console has a {kind} already", where=str(self.current(kind)),
                hint=f"A new one follows it by signatures: watchfloor {kind} propose.",
            )  # fmt: skip
        with _Reading(self.folder / kind):
            serial = _checked(kind, data)
        return self._write(kind, serial, data, signatures)

    def adopt(self, kind: str, data: bytes, signatures: Sequence[str]) -> list[str]:
        """Take the next document of a chain; the people of the one before that have signed it.

        The same document again is nothing new. Raises ConfigError where it may not follow.
        """
        now = int(time.time())
        rosters = self.rosters()
        with _Reading(self.folder / f"{kind} to adopt"):
            if kind == "roster":
                roster = Roster(data)
                if roster.sha256 == rosters[-1].sha256:
                    return []
                by = people.check_succession(rosters[-1], roster, list(signatures), _WORLD, now)
                serial = roster.serial
            else:
                rules = Policy(data)
                old = self.policies(rosters)[-1]
                if rules.sha256 == old.sha256:
                    return []
                rules.check([action(name) for name in NAMES])
                by = policy.check_succession(old, rules, rosters[-1], list(signatures), _WORLD, now)
                serial = rules.serial
        self._write(kind, serial, data, signatures, now)
        return by

    def _write(
        self, kind: str, serial: int, data: bytes, signatures: Sequence[str], now: int | None = None
    ) -> Path:
        path = self.folder / f"{kind}-{serial}.json"
        about = {"adopted": int(time.time()) if now is None else now,
                 "signatures": list(signatures)}  # fmt: skip
        write(path.with_suffix(".sigs"), json.dumps(about).encode())
        write(path, data)  # last: a document counts from when it is there
        return path


def _checked(kind: str, data: bytes) -> int:
    if kind == "roster":
        return Roster(data).serial
    rules = Policy(data)
    rules.check([action(name) for name in NAMES])
    return rules.serial


class _Reading:
    """Turns a refusal into an error that names the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Refused):
            raise ConfigError(error.words, where=str(self._path), hint=error.hint) from None


def read(path: Path) -> bytes:
    """A small file that only this user or root may write. Raises ConfigError."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(path, flags), "rb") as file:
            info = os.fstat(file.fileno())
            safe = info.st_uid in (os.geteuid(), 0) and not info.st_mode & 0o022
            if not stat.S_ISREG(info.st_mode) or not safe:
                raise ConfigError(
                    "is not trusted: it is no regular file, or others than you may write it",
                    where=str(path),
                )
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        said = clean(error.strerror or "cannot be read")
        raise ConfigError(said, where=str(path)) from None
    if len(data) > MAX_FILE:
        raise ConfigError(f"is larger than {MAX_FILE >> 10} KiB", where=str(path))
    return data


def write(path: Path, data: bytes) -> None:
    """Write a file as a whole, readable and writable by this user only. Raises ConfigError."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = ""
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        said = clean(error.strerror or "cannot be written")
        raise ConfigError(said, where=str(path)) from None
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
