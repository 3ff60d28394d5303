"""Manifests and evaluation reports of model versions: made, written, and verified by the very code
that the hosts use."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from console.errors import ActionError, UsageError
from console.hostside.guard.model import manifest
from console.hostside.guard.model.folders import Folder, write_new
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical, documents, signed, sshsig
from console.hostside.guard.trust.people import Roster
from console.hostside.guard.world import World
from console.text import clean

Told = Callable[[int, int, str], None]
_WORLD = World(Place())


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of a version. ``signer`` is empty where no roster names the key."""

    model: str
    version: str
    files: int
    size: int
    sha256: str
    key: str
    signer: str
    evaluation: str = ""  # sha256 of the report, "" for none
    evaluation_key: str = ""
    evaluation_signer: str = ""
    metrics: dict[str, int] = {}


class _Said:
    """Turns a refusal or an error of the system into one for a person."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        where = clean(str(self._folder), 300)
        if isinstance(error, Refused):
            raise ActionError(
                clean(error.words, 400), where=where, hint=error.hint, rule=error.rule
            ) from None
        if isinstance(error, OSError):
            why = error.strerror or "cannot be read"
            raise UsageError(why, where=where, hint="Name the folder of one version.") from None


def names(folder: Path, model: str, version: str) -> tuple[str, str]:
    """Model and version: as given, else as ``MODEL/versions/VERSION`` says. Raises UsageError."""
    place = Path(os.path.realpath(folder))
    if place.parent.name == "versions":
        model, version = model or place.parent.parent.name, version or place.name
    if not model or not version:
        raise UsageError(
            "the folder is not MODEL/versions/VERSION, so its names are not known",
            where=clean(str(folder), 300),
            hint="Name them: --model NAME --version VERSION.",
        )
    return model, version


def make(folder: Path, model: str, version: str, told: Told) -> str:
    """Hash every file of a version and write its manifest; the manifest's SHA-256.

    A signature that is there is of an older one and is removed. Raises ActionError, UsageError.
    """
    with _Said(folder), Folder(os.path.realpath(folder)) as at:
        data = manifest.make(at, model, version, told)
        _put(manifest.NAME, data, at)
    return canonical.sha256(data)


def evaluate(folder: Path, metrics: Mapping[str, int]) -> str:
    """Write an evaluation report of the version as its manifest has it; the report's SHA-256."""
    with _Said(folder), Folder(os.path.realpath(folder)) as at:
        data, _ = manifest.read(at)
        if not data:
            raise Refused("manifest", "there is no MANIFEST.json yet", "watchfloor manifest make")
        about = documents.manifest(data)
        doc = {
            "kind": "evaluation", "v": 1, "manifest_sha256": canonical.sha256(data),
            "metrics": dict(metrics), "model": about["model"], "version": about["version"],
        }  # fmt: skip
        text = canonical.write(doc)
        documents.evaluation(text)
        _put(manifest.EVALUATION, text, at)
    return canonical.sha256(text)


def _put(name: str, data: bytes, at: int) -> None:
    try:
        os.unlink(name + ".sig", dir_fd=at)
    except FileNotFoundError:
        pass
    write_new(name, data, at)


def document(folder: Path, kind: str) -> bytes:
    """The bytes that are to be signed."""
    name = manifest.NAME if kind == "manifest" else manifest.EVALUATION
    with _Said(folder), Folder(os.path.realpath(folder)) as at:
        return manifest.read(at, name)[0]


def put_signature(folder: Path, kind: str, text: str) -> Path:
    """Write a signature beside its document; where."""
    name = (manifest.NAME if kind == "manifest" else manifest.EVALUATION) + ".sig"
    with _Said(folder), Folder(os.path.realpath(folder)) as at:
        write_new(name, text.encode("ascii"), at)
    return folder / name


def verify(folder: Path, roster: Roster | None, now: int, told: Told) -> Verdict:
    """Read every file of a version and compare it with its manifest; who has signed that.

    Without a roster only the keys are known. Raises ActionError, UsageError.
    """
    with _Said(folder), Folder(os.path.realpath(folder)) as at:
        doc, digest, key, signer = _read(at, "manifest", manifest.NAME, roster, now)
        manifest.check(at, doc, told)
        found = Verdict(
            model=doc["model"], version=doc["version"], files=len(doc["files"]), size=doc["size"],
            sha256=digest, key=key, signer=signer,
        )  # fmt: skip
        if not manifest.read(at, manifest.EVALUATION)[0]:
            return found
        report, of, key, signer = _read(at, "evaluation", manifest.EVALUATION, roster, now)
        if report["manifest_sha256"] != digest:
            raise Refused("evaluation", "the evaluation was made of other files")
        return msgspec.structs.replace(
            found, evaluation=of, evaluation_key=key, evaluation_signer=signer,
            metrics=report["metrics"],
        )  # fmt: skip


def _read(
    at: int, kind: str, name: str, roster: Roster | None, now: int
) -> tuple[dict[str, Any], str, str, str]:
    data, signature = manifest.read(at, name)
    if not data or not signature:
        raise Refused(kind, f"{name}{'.sig' if data else ''} is not there")
    doc: dict[str, Any] = getattr(documents, kind)(data)
    text = signature.decode("ascii", "replace")
    parsed = sshsig.parse(text)
    key = sshsig.fingerprint(parsed.blob)
    if roster is None:
        signed.by_key(data, text, kind, parsed.blob, _WORLD)
        return doc, canonical.sha256(data), key, ""
    by = signed.check(data, text, kind, roster, False, now, _WORLD, sshsig.KINDS)
    return doc, canonical.sha256(data), key, by.person


def scaled(text: str) -> tuple[str, int]:
    """``NAME=WHOLE NUMBER`` as a metric. Raises UsageError."""
    name, _, number = text.partition("=")
    if not re.fullmatch(r"-?[0-9]{1,15}", number):
        raise UsageError(
            f"{clean(text, 80)!r} is not NAME=WHOLE NUMBER",
            hint="Documents have no floats: accuracy_e4=9120 is an accuracy of 0.912.",
        )
    return name, int(number)


def shown(name: str, value: int) -> str:
    """A metric for a person: where its name ends in ``_eN``, also the number it stands for."""
    scale = re.search(r"_e([1-9])$", name)
    stands = f" ({value / 10 ** int(scale[1]):.9g})" if scale else ""
    return f"{name} {value}{stands}"
