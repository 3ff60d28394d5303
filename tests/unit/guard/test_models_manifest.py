"""Manifests: what is named, what is refused, and who has signed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.model import manifest, models
from console.hostside.guard.model.folders import Folder
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import documents
from tests.support import modelkit
from tests.support.guardkit import refused
from tests.support.modelkit import MODEL, Models


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Models]:
    found = Models(tmp_path / "host")
    yield found
    modelkit.end(found)


def quiet(done: int, total: int, words: str) -> None:
    """Progress that nobody looks at."""


def check(host: Models, version: str) -> str:
    """Verify a version as a step does; who signed."""
    with Folder(str(host.folder(version))) as at:
        found = manifest.trusted(at, MODEL, version, manifest.ROLLBACK, host.world)
        manifest.check(at, found.doc, host.world.progress)
        return found.by


def test_a_signed_version_is_verified_and_its_signer_named(host: Models) -> None:
    host.version("1", b"weights" * 1000)
    assert check(host, "1") == "carol"
    assert host.world.told[-1] == (7006, 7006, "bytes checked")


def test_sha256sum_agrees_with_the_manifest(host: Models) -> None:
    host.version("1", os.urandom(3 << 20))
    doc = documents.manifest((host.folder("1") / "MANIFEST.json").read_bytes())
    lines = "".join(f"{digest}  {path}\n" for path, digest in doc["files"].items())
    done = subprocess.run(
        ["sha256sum", "--check", "--strict"], input=lines, text=True, cwd=host.folder("1"),
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(doc["files"]) == ["tokenizer/vocab.txt", "weights.bin"]


def change(path: Path) -> None:
    path.write_bytes(b"W" + path.read_bytes()[1:])


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda at: change(at / "weights.bin"), "weights.bin is not what the manifest says"),
        (lambda at: (at / "weights.bin").unlink(), "weights.bin is in the manifest and not"),
        (lambda at: (at / "more.bin").write_bytes(b""), "more.bin is in the folder and not"),
        (lambda at: (at / "x").symlink_to("weights.bin"), "a version holds no links"),
        (lambda at: (at / "sub").symlink_to("/etc"), "a version holds no links"),
        (lambda at: os.mkfifo(at / "pipe"), "a version holds no links"),
        (lambda at: (at / "a\nb").write_bytes(b""), "cannot be written down"),
    ],
)
def test_what_differs_is_named(host: Models, harm: object, words: str) -> None:
    host.version("1", b"weights")
    assert callable(harm)
    harm(host.folder("1"))
    assert words in refused(check, host, "1").words


def test_a_weight_behind_a_link_is_not_read(host: Models) -> None:
    host.version("1", b"weights")
    path = host.folder("1") / "weights.bin"
    path.rename(host.base / "elsewhere")
    path.symlink_to(host.base / "elsewhere")
    assert "weights.bin is no regular file" in refused(check, host, "1").words


def test_the_manifest_of_another_version_is_refused(host: Models) -> None:
    host.version("1", b"weights")
    host.folder("1").rename(host.folder("2"))
    assert "not of version 2" in refused(check, host, "2").words


def test_a_manifest_without_signature_or_by_a_stranger_is_refused(host: Models) -> None:
    host.version("1", b"weights", by="mallory")
    assert refused(check, host, "1").rule == "unknown-key"
    (host.folder("1") / "MANIFEST.json.sig").unlink()
    assert "MANIFEST.json.sig is not there" in refused(check, host, "1").words


def test_a_signature_for_another_purpose_is_refused(host: Models) -> None:
    host.version("1", b"weights")
    data = (host.folder("1") / "MANIFEST.json").read_bytes()
    host.put("1", "MANIFEST.json", data, "evaluation", "carol")
    assert refused(check, host, "1").rule == "namespace"


def test_a_mount_inside_is_refused(host: Models) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    host.version("1", b"weights")
    inside = host.folder("1") / "tokenizer"
    subprocess.run(["mount", "--bind", str(host.base / "srv"), str(inside)], check=True)
    try:
        assert "tokenizer is a mount point" in refused(check, host, "1").words
    finally:
        subprocess.run(["umount", str(inside)], check=True)


@given(st.binary(max_size=300))
def test_a_manifest_of_any_bytes_is_refused_calmly(data: bytes) -> None:
    with pytest.raises(Refused):
        documents.manifest(data)


@pytest.mark.parametrize(
    ("one", "two"), [("1.9", "1.10"), ("v1", "v2"), ("2025-12-31", "2026-01-01"), ("1", "1.1")]
)
def test_versions_are_counted_as_people_count(one: str, two: str) -> None:
    assert models.earlier(one, two)
    assert not models.earlier(two, one)
    assert not models.earlier(one, one)


@pytest.mark.parametrize("name", ["", ".", "..", "-x", "a/b", "a b", "é", "a" * 65, "a\n"])
def test_a_name_that_is_a_path_or_an_option_is_refused(name: str) -> None:
    assert refused(models.check_name, name, "model").rule == "parameters"


@pytest.mark.parametrize(
    "line",
    [b"", b"IMAGE=vllm:latest", b"IMAGE=vllm@sha256:12", b"X=1\nIMAGE=a@sha256:" + b"0" * 64],
)
def test_an_image_is_named_by_its_digest_alone(line: bytes) -> None:
    assert refused(models.image_of, line).rule == "image"
    good = "registry:5000/team/vllm@sha256:" + "a" * 64
    assert models.image_of(f"IMAGE={good}\n".encode()) == good
