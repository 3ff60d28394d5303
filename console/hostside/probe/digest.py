"""SHA-256 without OpenSSL: loading that costs 4 MB and 10 ms on every host."""

from __future__ import annotations

try:
    from _sha256 import sha256
except ImportError:
    try:
        from _sha2 import sha256  # type: ignore[import-not-found,no-redef]  # Python 3.12 and later
    except ImportError:
        from hashlib import sha256  # type: ignore[assignment]  # a build without both


def sha256_hex(data: bytes) -> str:
    """64 hexadecimal digits."""
    return str(sha256(data).hexdigest())
