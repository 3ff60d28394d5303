"""Private keys in ~/.ssh that lie there without a passphrase. Only headers are looked at."""

import base64
import binascii
import re
import stat
from pathlib import Path

from console.fleet.workstation.system import unknown
from console.text import clean

MAX_FILES = 500
MAX_BYTES = 65_536

_MAGIC = b"openssh-key-v1\0"


def unencrypted_keys(folder: Path) -> str:
    """``none``, or the number and names of unencrypted private keys in ``folder``.

    Hardware keys (sk-) do not count: their files hold no secret.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.endswith(".pub"))
    except FileNotFoundError:
        return "none"
    except OSError as exc:
        return unknown(f"{folder}: {exc.strerror}")
    bare = []
    closed = 0
    for path in paths[:MAX_FILES]:
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                continue
            with path.open("rb") as file:
                data = file.read(MAX_BYTES)
        except OSError:
            closed += 1
            continue
        if is_unencrypted(data):
            bare.append(clean(path.name, 40))
    if bare:
        more = ", ..." if len(bare) > 3 else ""
        return f"{len(bare)}: {', '.join(bare[:3])}{more}"
    if closed or len(paths) > MAX_FILES:
        return unknown(f"{closed or len(paths) - MAX_FILES} files in {folder} were not read")
    return "none"


def is_unencrypted(data: bytes) -> bool:
    """True when ``data`` is a private key file whose secret lies open."""
    if b"-----BEGIN OPENSSH PRIVATE KEY-----" in data:
        return _open_openssh(data)
    if data.startswith(b"PuTTY-User-Key-File-"):
        return b"\nEncryption: none" in data.replace(b"\r", b"")
    # PKCS #8 says it in the label, the older forms in a header.
    found = re.search(rb"-----BEGIN (?:(?:RSA|DSA|EC) )?PRIVATE KEY-----\r?\n([^\r\n]*)", data)
    return bool(found) and not (
        found is not None and found[1].startswith(b"Proc-Type: 4,ENCRYPTED")
    )


def _open_openssh(data: bytes) -> bool:
    """By the cipher name in the header (openssh PROTOCOL.key)."""
    body = data.partition(b"-----BEGIN OPENSSH PRIVATE KEY-----")[2].partition(b"-----END")[0]
    try:
        blob = base64.b64decode(body)
    except (binascii.Error, ValueError):
        return False
    if not blob.startswith(_MAGIC):
        return False
    cipher, rest = _string(blob[len(_MAGIC) :])
    _, rest = _string(rest)  # name of the key derivation
    _, rest = _string(rest)  # its options
    public, _ = _string(rest[4:])  # after the number of keys
    kind, _ = _string(public)
    return cipher == b"none" and not kind.startswith(b"sk-")


def _string(blob: bytes) -> tuple[bytes, bytes]:
    """One length-prefixed string, and what follows it."""
    size = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + size], blob[4 + size :]
