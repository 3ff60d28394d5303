"""``ADDRESS:PORT`` of a TCP server as a person writes it."""

import ipaddress

from console.errors import UsageError
from console.text import clean


def parts(text: str) -> tuple[str, int]:
    """Address and port of ``127.0.0.1:8000``, ``[::1]:8000`` or ``localhost:8000``.

    Only addresses and ``localhost``: what a name means may change after it was granted. Raises
    UsageError.
    """
    address, _, port = text.rpartition(":")
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        if bare != "localhost" and (ipaddress.ip_address(bare).version == 6) != (bare != address):
            raise ValueError("brackets are for IPv6 addresses, which need them")
        number = int(port) if port.isascii() and port.isdigit() else 0
        if not 1 <= number <= 65_535:
            raise ValueError("no port")
    except ValueError as exc:
        raise UsageError(
            f"{clean(text, 80)!r} is not ADDRESS:PORT",
            hint="Write 127.0.0.1:8000, [::1]:8000 or localhost:8000; names are not granted.",
        ) from exc
    return bare, number
