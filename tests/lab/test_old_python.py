"""The probe under the oldest Python that a Debian root here offers: 3.9 of bullseye."""

from __future__ import annotations

import subprocess

import msgspec
import pytest

from console.model.frame import Frame
from console.model.host import Host
from console.ssh.payload import command, payload
from tests.support.labroot import TIED, LabUnavailable, base_root

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


def test_the_probe_speaks_under_python_3_9() -> None:
    try:
        root = base_root("bullseye", "python3,procps")
    except LabUnavailable as why:
        pytest.skip(f"no bullseye root: {why}")
    packed = payload()
    loader = command(Host(name="old", address="127.0.0.1", tier=0))
    # A chroot has no /proc of its own; the probe's own process is enough to look at.
    script = f"mount -t proc proc /proc && {loader}"
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    probe = subprocess.Popen(
        [*TIED, *argv, "chroot", str(root), "/bin/sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert probe.stdin is not None
    assert probe.stdout is not None
    try:
        probe.stdin.write(b"%d\n" % len(packed.source) + packed.source)
        probe.stdin.flush()
        first = msgspec.json.decode(probe.stdout.readline(), type=Frame)
        second = msgspec.json.decode(probe.stdout.readline(), type=Frame)
    finally:
        _, errors = probe.communicate(timeout=20)
    assert first.hello is not None
    assert first.hello.python.startswith("3.9")
    assert first.hello.sha256 == packed.sha256
    assert (first.seq, second.seq) == (1, 2)
    assert second.f is not None
    assert errors == b""
