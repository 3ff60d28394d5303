"""``fetch``: a part of an evidence pack."""

from __future__ import annotations

import os

from ..refused import Refused
from ..state import checks
from ..state.spool import is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..guard import Guard

PART = 256 << 10


def run(g: Guard, envelope: dict[str, Any]) -> dict[str, Any]:
    """``data`` from ``offset`` on in base64, and the ``size`` of the whole."""
    from base64 import b64encode

    rid, offset = checks.text(envelope, "id", 64), envelope.get("offset", 0)
    if not is_id(rid) or type(offset) is not int or not 0 <= offset < 2**53:
        raise Refused("envelope", "fetch takes the id of a request and an offset")
    name = f"{rid}.tar.gz"
    try:
        handle = g.files.handle(f"{g.place.state}/evidence/{name}")
    except FileNotFoundError:
        raise Refused("no-evidence", "no evidence of this request is kept here") from None
    try:
        data, size = os.pread(handle, PART, offset), os.fstat(handle).st_size
    finally:
        os.close(handle)
    return {"data": b64encode(data).decode(), "offset": offset, "size": size, "name": name}
