"""``MANIFEST.json``: the SHA-256 of every file of one version of a model, signed by a person.

Written and checked by folder handles: no link is followed, no mount is crossed. Files are read in
parts of 1 MiB and stay in the page cache, because the service is about to load the same ones.
"""

from __future__ import annotations

import hashlib
import os
import stat

from ..refused import Refused
from ..trust import canonical, documents
from .folders import FOLDER, entry, mount_id, open_file, read_small

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NamedTuple

    from ..world import World

    Progress = Callable[[int, int, str], None]

    class Trusted(NamedTuple):
        """A document that a person of the roster has signed, and the SHA-256 of its bytes."""

        doc: dict[str, Any]
        digest: str
        by: str
else:
    from collections import namedtuple

    Trusted = namedtuple("Trusted", "doc digest by")

ROLLBACK, PROMOTE = SERVING = ("rollback-model", "promote-model")
NAME, EVALUATION = "MANIFEST.json", "EVALUATION.json"
ASIDE = (NAME, NAME + ".sig", EVALUATION, EVALUATION + ".sig")
MAX_BYTES = documents.limit("manifest")
MAX_FILES = 2048
MAX_DEPTH = 16
CHUNK = 1 << 20
TELL = 64 << 20


def walk(at: int, mount: int | None = None, prefix: str = "") -> Iterator[tuple[str, int, str]]:
    """Every regular file below the folder ``at``, in the order of names: its path, and the handle
    of its folder with its name there, valid until the next one is asked for.

    Raises Refused at a link, a device, a mount, a name that cannot be written down, or too deep.
    """
    mount = mount_id(at) if mount is None else mount
    if prefix.count("/") > MAX_DEPTH:
        raise Refused("manifest", f"{prefix} lies more than {MAX_DEPTH} folders deep")
    for name in sorted(os.listdir(at)):
        path = prefix + name
        if not _writable_name(name):
            raise Refused("manifest", "a file has a name that cannot be written down: rename it")
        found = entry(name, at)
        if found is None:
            raise Refused("manifest", f"{path} vanished while it was looked at")
        if stat.S_ISREG(found.st_mode):
            if prefix or name not in ASIDE:
                yield path, at, name
        elif stat.S_ISDIR(found.st_mode):
            inner = os.open(name, FOLDER, dir_fd=at)
            try:
                if mount_id(inner) != mount:
                    raise Refused("manifest", f"{path} is a mount point")
                yield from walk(inner, mount, path + "/")
            finally:
                os.close(inner)
        else:
            raise Refused("manifest", f"{path} is no regular file: a version holds no links")


def _writable_name(name: str) -> bool:
    return name.isprintable() and "\\" not in name and name.strip() == name and len(name) <= 255


def measure(at: int) -> tuple[int, int]:
    """How many files and bytes a manifest of the folder ``at`` would name. Raises Refused."""
    count = size = 0
    for path, inner, name in walk(at):
        count += 1
        if count > MAX_FILES:
            raise Refused("manifest", f"more than {MAX_FILES} files lie in this version")
        found = entry(name, inner)
        if found is None:
            raise Refused("manifest", f"{path} vanished while it was looked at")
        size += found.st_size
    return count, size


class Hasher:
    """Hashes files one after the other, and tells how far it is of ``total`` bytes."""

    def __init__(self, total: int, progress: Progress, words: str) -> None:
        self._total, self._progress, self._words = total, progress, words
        self.done = 0
        self._told = 0

    def file(self, name: str, at: int, mount: int) -> str:
        """SHA-256 of one file, in hexadecimal. Raises Refused where it is not a plain one."""
        handle = open_file(name, at)
        try:
            if mount_id(handle) != mount:
                raise Refused("manifest", f"{name} is a mount point")
            whole = hashlib.sha256()
            buffer = memoryview(bytearray(CHUNK))
            while True:
                got = os.readv(handle, [buffer])
                if not got:
                    break
                whole.update(buffer[:got])
                self.done += got
                if self.done - self._told >= TELL:
                    self._told = self.done
                    self._progress(self.done, max(self._total, self.done), self._words)
            return whole.hexdigest()
        finally:
            os.close(handle)


def make(at: int, model: str, version: str, progress: Progress) -> bytes:
    """The text of a manifest of the folder ``at``. Raises Refused."""
    count, size = measure(at)
    if not count:
        raise Refused("manifest", "no file lies in this version")
    mount = mount_id(at)
    hasher = Hasher(size, progress, "bytes hashed")
    files = {path: hasher.file(name, inner, mount) for path, inner, name in walk(at)}
    doc = {
        "files": files, "kind": "manifest", "model": model, "size": hasher.done, "v": 1,
        "version": version,
    }  # fmt: skip
    data = canonical.write(doc)
    documents.manifest(data)
    return data


def read(at: int, name: str = NAME) -> tuple[bytes, bytes]:
    """A document in the folder ``at`` and its signature; empty where one is not there."""
    data = read_small(name, at, MAX_BYTES)
    return data or b"", read_small(name + ".sig", at, 4096) or b""


def trusted(at: int, model: str, version: str, purpose: str, world: World) -> Trusted:
    """The manifest in the folder ``at``, signed by a person who may approve one of ``SERVING``, as
    the action ``purpose`` asks for it here. No file is looked at yet. Raises Refused."""
    data, by = _signed("manifest", NAME, at, purpose, world)
    doc = documents.manifest(data)
    if (doc["model"], doc["version"]) != (model, version):
        raise Refused("manifest", f"the manifest is not of version {version} of {model}")
    return Trusted(doc, canonical.sha256(data), by)


def trusted_evaluation(at: int, manifest: Trusted, world: World) -> Trusted:
    """The evaluation report in the folder ``at``, of that manifest and signed. Raises Refused."""
    data, by = _signed("evaluation", EVALUATION, at, PROMOTE, world)
    doc = documents.evaluation(data)
    if any(doc[key] != manifest.doc[key] for key in ("model", "version")):
        raise Refused("evaluation", "the evaluation is of another model or version")
    if doc["manifest_sha256"] != manifest.digest:
        raise Refused("evaluation", "the evaluation was made of other files than the manifest's")
    return Trusted(doc, canonical.sha256(data), by)


def _signed(kind: str, name: str, at: int, purpose: str, world: World) -> tuple[bytes, str]:
    import time

    from ..actions import action
    from ..state.files import Files
    from ..trust import signed
    from ..trust.people import Roster
    from ..trust.policy import Policy

    data, signature = read(at, name)
    if not data or not signature:
        missing = name + (".sig" if data else "")
        raise Refused(kind, f"{missing} is not there", "docs/models.md shows how to make and sign")
    files = Files(world.place, world.mark)
    roster = Roster(files.read(world.place.etc + "/roster.json"))
    policy = Policy(files.read(world.place.etc + "/policy.json"))
    by = signed.check(
        data, signature.decode("ascii", "replace"), kind, roster,
        policy.rule(action(purpose)).require_uv, int(time.time()), world, policy.key_types,
    )  # fmt: skip
    if not any(roster.may(by.person, "approve", each) for each in SERVING):
        raise Refused(
            "role",
            f"{by.person}, who signed {name}, may approve neither {' nor '.join(SERVING)}",
            "have somebody sign it who may",
        )
    return data, by.person


def check(at: int, manifest: dict[str, Any], progress: Progress) -> None:
    """Compare every file below ``at`` with the manifest. Raises Refused naming the first that
    differs, is missing, or is one too many."""
    mount = mount_id(at)
    left = dict(manifest["files"])
    hasher = Hasher(manifest["size"], progress, "bytes checked")
    for path, inner, name in walk(at):
        if path not in left:
            raise Refused("manifest", f"{path} is in the folder and not in the manifest")
        if hasher.file(name, inner, mount) != left.pop(path):
            raise Refused("manifest", f"{path} is not what the manifest says")
    if left:
        raise Refused("manifest", f"{min(left)} is in the manifest and not in the folder")
    if hasher.done != manifest["size"]:
        raise Refused("manifest", "the files are of another size than the manifest says")
    progress(hasher.done, max(hasher.done, 1), "bytes checked")
