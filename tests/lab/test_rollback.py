"""Versions of a model on a real host: systemd, a server that answers for what it has loaded, a
health check that fails; and a deletion on a real file system, looked for afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.guarded import Guarded
from tests.support.lab import LabHost, LabUnavailable
from tests.support.modelkit import MODEL, ROOT, SERVICE, Models, Run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

# As a model server: the weights are loaded once, and what it answers comes from them.
SERVER = """\
import http.server, os, sys
weights = open("/srv/models/llama/current/weights.bin", "rb").read()
if b"CRASH" in weights:
    sys.exit(3)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if b"BROKEN" in weights else 200)
        self.end_headers()
        self.wfile.write(weights[:64] + b" " + os.environ.get("IMAGE", "").encode())
    def log_message(self, *rest): pass
http.server.HTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
"""
UNIT = """\
[Service]
EnvironmentFile=-/srv/models/llama/current/image.env
ExecStart=/usr/bin/python3 -I /opt/server.py
[Install]
WantedBy=multi-user.target
"""
HEALTH = {
    "service": SERVICE, "kind": "link", "url": "http://127.0.0.1:8000/health", "expect": 200,
    "timeout_s": 5,
}  # fmt: skip
IMAGE = "registry:5000/vllm@sha256:" + "a" * 64


class Site:
    """The host, and its models as they were signed elsewhere and copied to it."""

    def __init__(self, host: LabHost, folder: Path) -> None:
        self.host = host
        self.guarded = Guarded(host)
        self.models = Models(folder)
        self.models.write(health={MODEL: HEALTH}, evaluation={"accuracy": {"min": 900_000}})
        self.guarded.policy = self.models.policy
        shutil.copytree(folder / "etc/watchfloor", host.root / "etc/watchfloor")
        (host.root / "opt/server.py").write_text(SERVER)
        (host.root / f"etc/systemd/system/{SERVICE}").write_text(UNIT)
        (host.root / f"srv/models/{MODEL}/versions").mkdir(parents=True)

    def version(self, version: str, weights: bytes, **files: bytes) -> str:
        """A signed version, copied to the host; the manifest's digest."""
        digest = self.models.version(version, weights, "carol", **files)
        self.copy(version)
        return digest

    def copy(self, version: str) -> None:
        """Copy a version to the host as it is now."""
        target = self.host.root / f"srv/models/{MODEL}/versions/{version}"
        shutil.copytree(self.models.folder(version), target, dirs_exist_ok=True)

    def now(self) -> tuple[str, str, str]:
        """Where ``current`` leads, whether the service runs, and what it answers."""
        link = self.host.run("readlink", f"{ROOT}/{MODEL}/current").stdout.strip()
        active = self.host.run("systemctl", "is-active", SERVICE, check=False).stdout.strip()
        code = (
            "import urllib.request as u\n"
            "try: print(u.urlopen('http://127.0.0.1:8000/', timeout=5).read().decode())\n"
            "except OSError as e: print(e)"
        )
        said = self.host.run("python3", "-I", "-c", code).stdout.strip()
        return link, active, said

    def carry_out(self, name: str, **params: Any) -> str:
        """Do the steps of an action; where one fails, undo those before. Why, or empty."""
        found = self.guarded.ask(name, **params)
        assert "ok" in found, found
        begun = []
        for step in found["ok"]["plan"]["steps"]:
            before = self.guarded.look(step)
            begun.append((step, before))
            done = self.guarded.call(op="do", before=before, **step)
            if "failed" in done:
                for each, was in reversed(begun):
                    self.guarded.undo(each, was)
                return str(done["failed"])
        return ""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Version 3 is served; 1 and 2 are there and of no use."""
    try:
        with LabHost(46) as host:
            made = Site(host, tmp_path_factory.mktemp("models") / "host")
            made.version("1", b"one BROKEN")
            made.version("2", b"two CRASH")
            made.version("3", b"three")
            made.version("4", b"four", image_env=f"IMAGE={IMAGE}\n".encode())
            host.run("ln", "-s", "versions/3", f"{ROOT}/{MODEL}/current")
            host.run("systemctl", "daemon-reload")
            host.run("systemctl", "enable", "--now", SERVICE)
            yield made
    except LabUnavailable as why:
        pytest.skip(f"no lab host: {why}")


THREE = ("versions/3", "active", "three")


def test_a_failing_health_check_brings_the_version_before_back(site: Site) -> None:
    why = site.carry_out("rollback-model", model=MODEL, to="1")
    assert "status 500 after 5 s" in why
    assert site.now() == THREE


def test_a_version_that_ends_at_its_start_brings_the_version_before_back(site: Site) -> None:
    why = site.carry_out("rollback-model", model=MODEL, to="2")
    assert SERVICE in why
    assert site.now() == THREE


def test_one_changed_byte_stops_it_before_the_service_notices(site: Site) -> None:
    pid = site.host.run("systemctl", "show", "-p", "MainPID", "--value", SERVICE).stdout
    site.version("0", b"zero")
    (site.host.root / f"srv/models/{MODEL}/versions/0/weights.bin").write_bytes(b"Zero")
    assert "weights.bin is not what" in site.carry_out("rollback-model", model=MODEL, to="0")
    assert site.now() == THREE
    assert site.host.run("systemctl", "show", "-p", "MainPID", "--value", SERVICE).stdout == pid
    site.copy("0")
    assert site.carry_out("rollback-model", model=MODEL, to="0") == ""
    assert site.now() == ("versions/0", "active", "zero")
    assert site.carry_out("rollback-model", model=MODEL, to="3") == ""  # it was served before
    assert site.now() == THREE


def test_the_switch_survives_a_kill_at_every_point(site: Site) -> None:
    if not (site.host.root / f"srv/models/{MODEL}/versions/0").exists():
        site.version("0", b"zero")
    found = site.guarded.ask("rollback-model", model=MODEL, to="0")["ok"]
    (link,) = [step for step in found["plan"]["steps"] if step["kind"] == "link"]
    assert site.guarded.walk(link, site.now) >= 4


def test_a_promotion_needs_its_report_and_switches_the_image_by_the_link(site: Site) -> None:
    digest = site.models.sign("4")
    report = site.models.evaluate("4", digest, accuracy=899_999)
    site.copy("4")
    params = {"model": MODEL, "version": "4", "manifest_sha256": digest}
    found = site.guarded.ask("promote-model", evaluation_sha256=report, **params)
    assert "accuracy is 899999, below the 900000" in found["words"]
    report = site.models.evaluate("4", digest, accuracy=900_000)
    site.copy("4")
    site.guarded.policy["health"][MODEL]["kind"] = "image"
    assert site.carry_out("promote-model", evaluation_sha256=report, **params) == ""
    assert site.now() == ("versions/4", "active", f"four {IMAGE}")
    site.guarded.policy["health"][MODEL]["kind"] = "link"
    assert site.carry_out("rollback-model", model=MODEL, to="3") == ""
    assert site.now() == THREE


def test_a_quarantined_version_is_out_of_reach_until_it_is_released(site: Site) -> None:
    found = site.guarded.ask("quarantine-model", model=MODEL, version="3")["ok"]
    begun = []
    for step in found["plan"]["steps"]:
        begun.append((step, site.guarded.look(step)))
        site.guarded.do(*begun[-1])
    link, active, said = site.now()
    assert (link, active == "active") == ("versions/3", False)
    assert "refused" in said
    assert site.host.run("systemctl", "start", SERVICE, check=False).returncode != 0
    look = ["setpriv", "--reuid=65534", "--clear-groups", "ls", f"{ROOT}/.quarantine"]
    assert site.host.run(*look, check=False).returncode != 0
    for step, before in reversed(begun):
        site.guarded.undo(step, before)
    assert site.now() == THREE


def test_what_was_destroyed_is_not_found_on_the_disk_any_more(tmp_path: Path) -> None:
    """A file system on a loop device, whose every byte can be searched afterwards."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    image, point = tmp_path / "disk.img", tmp_path / "host"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    point.mkdir()
    if subprocess.run(["mount", "-o", "loop", str(image), str(point)], check=False).returncode:
        pytest.skip("no loop devices here")
    try:
        models = Models(point)
        secret = b"the weights that nobody may find again " * 50_000
        models.version("1", secret)
        models.version("2", b"two")
        models.link("2")
        os.sync()
        assert image.read_bytes().count(secret[:39]) > 49_000
        path = f"{ROOT}/{MODEL}/versions/1"
        status = os.lstat(models.world.path(path))
        params = {"path": path, "device": status.st_dev, "inode": status.st_ino, "kind": "tree"}
        run = Run(models.plan("secure-delete", **params), models.world)
        assert run.go() == ""
        assert run.result["discard"] == "free blocks were discarded"
        assert any("journal" in line for line in run.result["remains"])
    finally:
        subprocess.run(["umount", str(point)], check=True)
    assert image.read_bytes().count(secret[:39]) == 0
