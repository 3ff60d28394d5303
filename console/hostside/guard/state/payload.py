"""What comes beside a request because no request is long enough for it: a roster, a policy or a
guard, known by its digest, which was signed."""

from __future__ import annotations

from ..refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard
    from .spool import Entry

MAX_DATA = 180 << 10
MAX_SIGNATURES = 16
MAX_SIGNATURE = 4096


def path(state: str, rid: str) -> str:
    """Where it is kept until the request of that id has ended: two requests for the same keep two,
    so that the end of one takes nothing from the other."""
    return f"{state}/payload/{rid}"


def take(g: Guard, doc: dict[str, Any], rid: str, given: Any) -> str:
    """Check what was handed in and keep it for the request ``rid``; its digest. Raises Refused."""
    from hashlib import sha256

    if not doc["action"].startswith("install-"):
        raise Refused("payload", f"{doc['action']} takes no payload")
    data, signatures = _read(given)
    digest = sha256(data).hexdigest()
    if digest != doc["params"].get("sha256"):
        raise Refused("payload", "what was sent is not what the request names by its digest")
    _follows(g, doc["action"], data, signatures)
    kept = {"data": given["data"], "signatures": signatures}
    g.files.write_json(path(g.place.state, rid), kept)
    return digest


def _read(given: Any) -> tuple[bytes, list[str]]:
    from base64 import b64decode

    if type(given) is not dict or set(given) != {"data", "signatures"}:
        raise Refused("payload", "a payload has data and signatures")
    data, signatures = given["data"], given["signatures"]
    if type(data) is not str or type(signatures) is not list or len(signatures) > MAX_SIGNATURES:
        raise Refused("payload", "a payload has data in base64 and a list of signatures")
    if not all(type(each) is str and len(each) <= MAX_SIGNATURE for each in signatures):
        raise Refused("payload", "a signature of the payload is no text or too long")
    try:
        raw = b64decode(data.encode("ascii"), validate=True)
    except ValueError:
        raise Refused("payload", "the data of the payload is no base64") from None
    if not 0 < len(raw) <= MAX_DATA:
        raise Refused("payload", f"the payload has at most {MAX_DATA} bytes")
    return raw, signatures


def kept(files: Any, state: str, rid: str, digest: str) -> tuple[bytes, list[str]]:
    """The data and the signatures, checked by digest again. Raises Refused."""
    from hashlib import sha256

    try:
        data, signatures = _read(files.read_json(path(state, rid)))
    except FileNotFoundError:
        raise Refused("payload", "what is to be installed is no longer here", "ask anew") from None
    if sha256(data).hexdigest() != digest:
        raise Refused("spool-corrupted", "what is to be installed was changed on the host")
    return data, signatures


def check(g: Guard, entry: Entry) -> None:
    """Raise Refused unless what an entry brings may still be installed."""
    data, signatures = kept(g.files, g.place.state, entry["id"], entry["payload"])
    _follows(g, entry["action"], data, signatures)


def _follows(g: Guard, name: str, data: bytes, signatures: list[str]) -> None:
    now = g.clock.now()
    if name == "install-roster":
        from ..trust.people import Roster, check_succession

        check_succession(g.roster, Roster(data), signatures, g.world, now)
    elif name == "install-policy":
        from ..actions import NAMES, action
        from ..trust import policy

        new = policy.Policy(data)
        new.check(action(each) for each in NAMES)
        policy.check_succession(g.policy, new, g.roster, signatures, g.world, now)
