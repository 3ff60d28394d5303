"""Where private keys lie, and what they are called, does not leave in a recording."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from console.engine.keyplaces import KEY, KeyPlaces
from console.engine.recorder import Writer
from console.model.event import Event
from console.model.host import Host, HostState
from console.model.view import FleetSnapshot
from tests.support.recordings import BEGIN
from tests.support.still_engine import view

HOME = Path("/home/me")


def places(*paths: str) -> KeyPlaces:
    out = KeyPlaces(HOME)
    out.learn(Host(name=f"h{n}", address="a", key=path) for n, path in enumerate(paths))
    return out


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("/secret/acme.key: can be read by others. Run: chmod 600 /secret/acme.key",
         f"{KEY}: can be read by others. Run: chmod 600 {KEY}"),
        ("/secret/acme.key.pub: is a public key", f"{KEY}: is a public key"),
        ("/secret/acme.key-cert.pub: is for another key", f"{KEY}: is for another key"),
        ("the agent does not hold acme.key", f"the agent does not hold {KEY}"),
        ("/home/me/.ssh/id_other: cannot be read", f"{KEY}: cannot be read"),
        ("~/.ssh/id_other: cannot be read", f"{KEY}: cannot be read"),
        ("/home/me/.ssh: Permission denied", f"{KEY}: Permission denied"),
        ("/home/me/.config/watchfloor/hosts.toml: no", "~/.config/watchfloor/hosts.toml: no"),
        ("/home/media and /home/me", "/home/media and ~"),
        ("no route to host", "no route to host"),
        ("acme.keys, an acme.key2 and xacme.key", "acme.keys, an acme.key2 and xacme.key"),
    ],
)  # fmt: skip
def test_places_and_names_are_left_out(said: str, kept: str) -> None:
    assert places("/secret/acme.key").without(said) == kept


def test_a_key_below_the_home_folder_is_known_in_each_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(HOME))
    monkeypatch.chdir("/")
    there = places("~/keys/a.pem", "relative/b.pem", "k")
    for said in ("~/keys/a.pem", "/home/me/keys/a.pem", "relative/b.pem", "/relative/b.pem"):
        assert there.without(f"{said}: no") == f"{KEY}: no"
    assert there.without("ok, a task") == "ok, a task"


def test_a_recording_names_no_key(tmp_path: Path) -> None:
    home = os.path.expanduser("~")
    spec = Host(name="gpu01", address="a", key="/x/customer-acme.key", certificate="/x/acme-c.pub")
    reason = "/x/customer-acme.key: the private key can be read by others (mode 0644)"
    seen = view(
        "gpu01", HostState.REFUSED, spec=spec, reason=reason,
        facts={"unencrypted keys": "2: id_acme, id_other", "firewall": "yes: nftables"},
    )  # fmt: skip
    later = msgspec.structs.replace(seen, reason=f"{home}/.ssh/id_acme: is too big to be a key")
    told = Event(
        kind="host.state", host="gpu01", at=BEGIN, facts={"to": "REFUSED", "reason": reason}
    )
    own = Event(kind="auth.sudo", host="gpu01", at=BEGIN, facts={"command": "cat /etc/motd"})
    refused = {"reason": f"{home}/plugins/x is not pinned"}
    plugin = Event(kind="plugin.refused", host="", at=BEGIN, facts=refused)
    writer = Writer(tmp_path / "r")
    writer.begin(BEGIN, ["gpu01"], f"{home}/fleet.toml")
    writer.tick(BEGIN, FleetSnapshot(hosts=(seen,)), [told, own, plugin], 0)
    writer.tick(BEGIN + 1, FleetSnapshot(hosts=(later,)), [], 0)
    writer.end(BEGIN + 1, "done")
    text = (tmp_path / "r").read_text()
    assert "acme" not in text
    assert "id_other" not in text
    assert home not in text
    assert '"unencrypted keys":"2"' in text
    assert text.count("the private key can be read by others") == 2
    assert "cat /etc/motd" in text
