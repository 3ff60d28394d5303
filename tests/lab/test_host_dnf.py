"""An update by dnf on a real host: another package manager, the same promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.guarded import Guarded
from tests.support.lab import LabHost, LabUnavailable
from tests.support.labroot import PACKAGES

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


def build(host: LabHost, name: str, version: str, requires: str = "") -> None:
    """A package built on the host, put into its own repository."""
    spec = (
        f"Name: {name}\nVersion: {version}\nRelease: 1\nSummary: tried\nLicense: MIT\n"
        f"BuildArch: noarch\n{requires}\n%description\ntried\n"
        f"%install\nmkdir -p %{{buildroot}}/srv/{name}\n"
        f"echo {version} >%{{buildroot}}/srv/{name}/v\n"
        f"%files\n/srv/{name}/v\n"
    )
    (host.root / "srv/tried.spec").write_text(spec, encoding="utf-8")
    host.run("rpmbuild", "-bb", "--define", "_rpmdir /srv/repo", "/srv/tried.spec")
    host.run("createrepo_c", "-q", "/srv/repo")


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """A host with ``tiny`` 1.0, which has dnf and is made to have no apt."""
    try:
        with LabHost(42, PACKAGES + ",dnf,rpm,createrepo-c") as host:
            # Debian keeps this below a user's home, other systems where all find it.
            (host.root / "etc/rpm").mkdir(exist_ok=True)
            (host.root / "etc/rpm/macros").write_text("%_dbpath /var/lib/rpm\n", encoding="utf-8")
            build(host, "tiny", "1.0")
            repo = "[own]\nname=own\nbaseurl=file:///srv/repo\ngpgcheck=0\n"
            (host.root / "etc/yum.repos.d").mkdir(exist_ok=True)
            (host.root / "etc/yum.repos.d/own.repo").write_text(repo, encoding="utf-8")
            host.run("dnf", "-y", "install", "tiny")
            (host.root / "usr/bin/apt-get").unlink()
            made = Guarded(host)
            made.policy["packages"] = ["tiny"]
            yield made
    except LabUnavailable as why:
        pytest.skip(f"no lab host: {why}")


def test_dnf_brings_a_package_to_the_version_that_was_named(guarded: Guarded) -> None:
    host = guarded.host
    build(host, "tiny", "1.1")
    build(host, "tiny", "1.2")
    wanted = [{"name": "tiny", "version": "1.1-1"}]
    found = guarded.ask("apply-update", packages=wanted)
    assert "ok" in found, found
    found = found["ok"]
    assert found["facts"] == {"tool": "dnf"}
    step = found["plan"]["steps"][0]
    before = guarded.look(step)
    assert before == {"versions": [["tiny", "1.0-1"]]}
    assert guarded.do(step, before) == {"versions": [["tiny", "1.1-1"]]}
    assert (host.root / "srv/tiny/v").read_text() == "1.1\n"
    assert guarded.do(step, before) == {"versions": [["tiny", "1.1-1"]]}
    assert guarded.holds(step, before)


def test_dnf_does_nothing_that_was_not_named(guarded: Guarded) -> None:
    host = guarded.host
    build(host, "extra", "1.0")
    build(host, "tiny", "2.0", "Requires: extra")
    host.run("dnf", "-y", "makecache")
    for version, why in (("2.0-1", "extra"), ("9.9-1", "would not"), ("1.0-1", "would")):
        step = guarded.plan("apply-update", packages=[{"name": "tiny", "version": version}])
        failed = guarded.call(op="do", before=guarded.look(step), **step)
        assert why in failed["failed"], failed
        assert (host.root / "srv/tiny/v").read_text() == "1.1\n"
