"""What a host said of itself when it was enrolled, kept by this console: nothing later is believed
at first sight."""

import re
from pathlib import Path

import msgspec

from console.errors import ProtocolError
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust.sshsig import fingerprint, key_line
from console.store.witness import Witness

MAX_IDENTITY = 4096
_ID = re.compile(r"[0-9a-f]{32}")


class Identity(msgspec.Struct, frozen=True):
    """``identity.json`` of a host: a random id, and the public key that signs its audit log."""

    host_id: str
    audit_key: str


def pin(name: str, said: str, state: Path) -> list[str]:
    """Keep id and audit key of the host called ``name`` in the witness store below ``state``.

    ``said`` is its ``identity.json``, read over the connection of its enrolment. Returns lines for
    a person. Raises ProtocolError where it is none or another key is known here, and StoreError.
    """
    identity, blob = _read(name, said)
    witness = Witness(state)
    try:
        known = witness.pin(name, blob, "enrolled")
        if known != blob:
            raise ProtocolError(
                f"its audit key is {fingerprint(blob)}, and {fingerprint(known)} is known here",
                where=name,
                hint="If it was made anew on purpose, give the host another name here: what the "
                "old key has signed stays evidence.",
            )
        witness.keep(name, "identity", 0, msgspec.json.encode(identity))
    finally:
        witness.close()
    return [f"pinned here: host id {identity.host_id}, audit key {fingerprint(blob)}"]


def _read(name: str, said: str) -> tuple[Identity, bytes]:
    try:
        if len(said) > MAX_IDENTITY:
            raise ValueError
        identity = msgspec.json.decode(said, type=Identity)
        if not _ID.fullmatch(identity.host_id):
            raise ValueError
        return identity, key_line(identity.audit_key)
    except (msgspec.MsgspecError, ValueError, Refused):
        raise ProtocolError(
            "its identity.json does not say its id and audit key",
            where=name,
            hint="It is enrolled, and its audit key is not pinned here: enrol it again.",
        ) from None
