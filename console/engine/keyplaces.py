"""Leaves out of a recording where this person's private keys lie, and what they are called.

The console says such places itself: in the reason why a host is not connected, in events about
that, and in what it knows of this workstation. What hosts say is not touched.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import UNSET

from console.fleet.decode import OWN_KINDS
from console.model.event import Event
from console.model.host import Host
from console.text import clean

KEY = "(a key file)"
LEAST = 4
"""Letters of a name from which on it is taken for the key's wherever it stands by itself."""


class KeyPlaces:
    """What the entries of hosts say of keys, and the home folder. Remembers what it has seen."""

    def __init__(self, home: Path | None = None) -> None:
        """``home`` is this person's own folder where none is given."""
        self._home = os.path.normpath(home or os.path.expanduser("~"))
        self._seen: set[tuple[str, str]] = set()
        self._found: re.Pattern[str] | None = None
        below = r"(?:/[^\s,;:'\"]+)?"
        homes = [re.escape(self._home)] if len(self._home) > 1 else []
        self._below = re.compile(f"(?:{'|'.join([*homes, '~'])})/\\.ssh{below}").sub
        self._at_home = re.compile(f"{homes[0]}(?![\\w.-])").sub if homes else None

    def learn(self, hosts: Iterable[Host]) -> None:
        """Know the keys of these hosts too."""
        new = {(host.key, host.certificate) for host in hosts} - self._seen
        if not new:
            return
        self._seen |= new
        words: set[str] = set()
        for path in {path for pair in self._seen for path in pair if path}:
            words |= _names(path)
        if words:
            longest_first = sorted(words, key=lambda word: (-len(word), word))
            either = "|".join(re.escape(word) for word in longest_first)
            self._found = re.compile(rf"(?<![\w/.~-])(?:{either})(?:-cert)?(?:\.pub)?(?![\w-])")

    def without(self, text: str) -> str:
        """``text`` without places and names of keys; what else is below the home is below ~."""
        if self._found is not None:
            text = self._found.sub(KEY, text)
        text = self._below(KEY, text)
        return self._at_home("~", text) if self._at_home is not None else text

    def of_change(self, change: msgspec.Struct) -> None:
        """The same for what changed of a host, a ``Change``, in place."""
        reason, facts = getattr(change, "reason", UNSET), getattr(change, "facts", UNSET)
        if reason is not UNSET and reason:
            msgspec.structs.force_setattr(change, "reason", self.without(reason))
        if facts is not UNSET and facts:
            told = {name: self.without(text) for name, text in facts.items()}
            bare = told.get("unencrypted keys", "")
            if bare[:1].isdigit():
                told["unencrypted keys"] = bare.partition(":")[0]
            msgspec.structs.force_setattr(change, "facts", told)

    def of_event(self, event: Event) -> Event:
        """The same for an event that the console made itself; that of a host stays as it is."""
        if not event.facts or (event.host and not event.kind.startswith(OWN_KINDS)):
            return event
        told = {
            name: self.without(value) if isinstance(value, str) else value
            for name, value in event.facts.items()
        }
        return msgspec.structs.replace(event, facts=told)


def _names(path: str) -> set[str]:
    """The forms in which the console may say ``path``, and its last part where that is telling."""
    whole = os.path.expanduser(path)
    forms = {path, whole, os.path.abspath(whole)}
    forms |= {form.removesuffix(".pub") for form in forms}
    name = os.path.basename(path.removesuffix(".pub"))
    if len(name) >= LEAST:
        forms.add(name)
    return {clean(form, 300) for form in forms}
