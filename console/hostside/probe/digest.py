"""SHA-256 without OpenSSL: loading that costs 4 MB and 10 ms on every host."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha256 import sha256
    except ImportError:
        try:
            from _sha2 import sha256  # Python 3.12 and later
        except ImportError:
            from hashlib import sha256  # a build without both


def sha256_hex(data: bytes) -> str:
    """64 hexadecimal digits."""
    return sha256(data).hexdigest()
