"""Whether the people of ``[operator]`` and ``[operators.NAME]`` are in this console's roster."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.config.loader import Config
    from console.hostside.guard.trust.people import Roster

from console.text import clean


def findings(config: "Config") -> Iterator[str]:
    """What would keep each of them from signing, a text each; nothing where nobody is named."""
    people = [("operator", config.operator.person, config.operator.signing_key)]
    people += [
        (f"operators.{name}", name, each.signing_key) for name, each in config.operators.items()
    ]
    named = [(where, person, key) for where, person, key in people if person or key]
    if not named:
        return
    from console.errors import ConfigError
    from console.trust.chain import Chain

    try:
        roster = Chain.own().rosters()[-1]
    except ConfigError as error:
        yield f"[operator]: nothing can be signed: {clean(str(error), 400)}"
        return
    for where, person, key in named:
        yield from (f"[{where}]: {words}" for words in _lacks(roster, person, key))


def _lacks(roster: "Roster", person: str, key: str) -> Iterator[str]:
    from console.errors import ActionError
    from console.trust.sign import KeyFileSigning, fingerprint

    if person and person not in roster.doc["people"]:
        known = ", ".join(sorted(roster.doc["people"]))
        yield f"{clean(person, 40)} is nobody of this console's roster ({known})"
    if not key:
        return
    try:
        blob = KeyFileSigning(key).blob
    except ActionError as error:
        yield f"signing_key: {clean(str(error), 300)}"
        return
    owner = roster.blobs.get(blob)
    if owner is None:
        yield (
            f"signing_key {fingerprint(blob)} is in nobody's entry of this console's roster; "
            "`watchfloor roster show` lists the keys"
        )
    elif person and owner[0] != person:
        yield f"signing_key is that of {owner[0]}, and not of {clean(person, 40)}"
