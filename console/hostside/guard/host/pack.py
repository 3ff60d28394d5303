"""Evidence packed: one archive whose bytes follow from its parts alone, and a signed manifest."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile

from ..world import World

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

NAMESPACE = "evidence-v1@watchfloor"
CHUNK = 1 << 16


def digest(path: str) -> tuple[int, str]:
    """Size in bytes and SHA-256 of a file."""
    sha, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            sha.update(data)
            size += len(data)
    return size, sha.hexdigest()


def canonical(document: dict[str, Any]) -> bytes:
    """The bytes that are signed."""
    from ..trust.canonical import write

    return write(document)


def key(world: World) -> str:
    """Where the host's audit key is."""
    from ..guard import AUDIT_KEY

    return f"{world.place.state}/audit/{AUDIT_KEY}"


def sign(path: str, world: World) -> str:
    """Sign a file with the host's audit key, as ``PATH.sig``; why not, empty where it is done."""
    done = world.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", key(world), "--", path]
    )
    return done.why if done.code else ""


def archive(folder: str, members: Sequence[str], prefix: str, target: str) -> None:
    """A ``tar.gz`` of these files of ``folder``, in that order, without times and owners."""
    with open(target, "wb") as file:
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed, tarfile.open(
            mode="w", fileobj=packed, format=tarfile.PAX_FORMAT
        ) as tar:
            for name in members:
                path = f"{folder}/{name}"
                about = tarfile.TarInfo(f"{prefix}/{name}")
                about.size = os.stat(path).st_size
                about.mode = 0o600
                with open(path, "rb") as member:
                    tar.addfile(about, member)
        file.flush()
        os.fsync(file.fileno())


def identity(world: World) -> tuple[str, str]:
    """The id of this host and of this boot, empty where they are not known."""
    host, boot = "", ""
    try:
        with open(world.path("/etc/watchfloor/identity.json"), "rb") as file:
            host = str(json.loads(file.read(CHUNK)).get("host_id", ""))
    except (OSError, ValueError, AttributeError):
        pass
    try:
        with open(world.path("/proc/sys/kernel/random/boot_id"), encoding="ascii") as text:
            boot = text.read(64).strip()
    except OSError:
        pass
    return host, boot
