"""What a package manager says it would do, and what of it is not made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.host import pkgs

# apt-get -s of Debian 12
APT = """\
Reading package lists...
Building dependency tree...
The following packages will be upgraded:
  libssl3 openssl
2 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.
Inst openssl [3.0.14-1~deb12u1] (3.0.15-1~deb12u1 Debian-Security:12/stable [amd64]) []
Inst libssl3 [3.0.14-1~deb12u1] (3.0.15-1~deb12u1 Debian-Security:12/stable [amd64])
Conf libssl3 (3.0.15-1~deb12u1 Debian-Security:12/stable [amd64])
Conf openssl (3.0.15-1~deb12u1 Debian-Security:12/stable [amd64])
"""
OPENSSL = ("openssl", "3.0.15-1~deb12u1")
LIBSSL = ("libssl3", "3.0.15-1~deb12u1")
HAVE = {"openssl": "3.0.14-1~deb12u1", "libssl3": "3.0.14-1~deb12u1"}


def test_what_was_named_and_nothing_else_is_made() -> None:
    found = pkgs.read_apt(0, APT, "")
    assert found.changed == {"openssl": OPENSSL[1], "libssl3": LIBSSL[1]}
    assert pkgs.objection([OPENSSL, LIBSSL], found, HAVE) == ""
    assert "also install libssl3" in pkgs.objection([OPENSSL], found, HAVE)
    assert "not 9" in pkgs.objection([("openssl", "9"), LIBSSL], found, HAVE)
    other = ("zlib1g", "1.3")
    assert "would not install zlib1g" in pkgs.objection([OPENSSL, LIBSSL, other], found, HAVE)


def test_a_removal_is_never_made() -> None:
    found = pkgs.read_apt(0, APT + "Remv nginx [1.22]\n", "")
    assert pkgs.objection([OPENSSL, LIBSSL], found, HAVE) == "it would remove nginx"


def test_what_is_installed_already_is_done() -> None:
    found = pkgs.read_apt(0, "Reading package lists...\n", "")
    assert pkgs.objection([OPENSSL], found, {"openssl": OPENSSL[1]}) == ""


def test_the_package_manager_s_own_objection_is_told() -> None:
    said = "W: a warning\nE: Version '9' for 'openssl' was not found"
    found = pkgs.read_apt(100, "", said)
    assert "Version '9' for 'openssl' was not found" in pkgs.objection([OPENSSL], found, HAVE)


DNF = """\
Dependencies resolved.
================================================================================
 Package          Architecture   Version              Repository           Size
================================================================================
Upgrading:
 openssl          x86_64         1:3.0.7-28.el9       baseos              1.2 M
 openssl-libs     x86_64         1:3.0.7-28.el9       baseos              2.1 M
Installing dependencies:
 extra            noarch         1.0-1                baseos               10 k

Transaction Summary
================================================================================
Upgrade  2 Packages
"""


def test_the_table_of_dnf_is_read() -> None:
    found = pkgs.read_dnf(DNF, "")
    assert found.changed["openssl"] == "1:3.0.7-28.el9"
    assert set(found.changed) == {"openssl", "openssl-libs", "extra"}
    wanted = [("openssl", "1:3.0.7-28.el9"), ("openssl-libs", "1:3.0.7-28.el9")]
    assert "extra" in pkgs.objection(wanted, found, {})
    gone = pkgs.read_dnf(DNF.replace("Installing dependencies:", "Removing:"), "")
    assert pkgs.objection(wanted, gone, {}) == "it would remove extra"


@given(st.text())
def test_whatever_a_package_manager_says_is_read(text: str) -> None:
    for found in (pkgs.read_apt(0, text, ""), pkgs.read_dnf(text, "")):
        assert len(found.lines) <= pkgs.MAX_LINES
        if found.changed or found.removed:
            assert pkgs.objection([("name", "1")], found, {})


@pytest.mark.parametrize("text", ["Inst", "Inst a", "Inst a (", "Remv", " a b c d e"])
def test_a_line_that_is_cut_says_nothing(text: str) -> None:
    assert pkgs.read_apt(0, text, "").changed == {}
