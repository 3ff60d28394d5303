"""``hosts import``: what it prints is a configuration, what it leaves out is said."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from console.cli.importing import guess
from console.config.loader import load
from tests.support.sshd import make_key, need_openssh
from tests.support.watchfloor import watchfloor

INI = """\
[gpu]
gpu[01:03] ansible_user=ops ansible_ssh_common_args='-J bastion'
bad_name! x=1
[gpu:vars]
ansible_port=2200
"""


def test_an_ansible_inventory_becomes_a_valid_configuration(tmp_path: Path) -> None:
    source, target = tmp_path / "inventory", tmp_path / "fleet.toml"
    source.write_text(INI, encoding="utf-8")
    done = watchfloor("hosts", "import", str(source))
    assert done.returncode == 0
    target.write_text(done.stdout, encoding="utf-8")
    config = load(only_file=target)
    assert [host.name for host in config.hosts] == ["gpu01", "gpu02", "gpu03", "bastion"]
    host = config.known["gpu02"]
    assert (host.port, host.user, host.jump, host.groups) == (2200, "ops", ("bastion",), ("gpu",))
    assert "bad_name!: left out: name 'bad_name!' is not a host name" in done.stderr
    assert "bastion: added as a host, because it is a jump host" in done.stderr
    assert "4 hosts have no known key" in done.stderr


def test_output_is_a_new_private_file(tmp_path: Path) -> None:
    source, target = tmp_path / "inventory.yml", tmp_path / "fleet.toml"
    source.write_text("all:\n  hosts:\n    a:\n    b: {ansible_host: 10.0.0.2}\n", encoding="utf-8")
    argv = ("hosts", "import", str(source), "--output", str(target))
    done = watchfloor(*argv)
    assert (done.returncode, target.stat().st_mode & 0o777) == (0, 0o600)
    hosts = tomllib.loads(target.read_text(encoding="utf-8"))["hosts"]
    assert hosts == [{"name": "a", "address": "a"}, {"name": "b", "address": "10.0.0.2"}]
    again = watchfloor(*argv)
    assert (again.returncode, "is already there" in again.stderr) == (2, True)


def test_an_openssh_configuration_with_its_known_hosts(tmp_path: Path) -> None:
    need_openssh()
    public = " ".join(make_key(tmp_path / "host").public.split()[:2])
    (tmp_path / "known").write_text(f"[10.0.0.1]:2222 {public}\n", encoding="utf-8")
    (tmp_path / "id").write_text("x", encoding="utf-8")
    source = tmp_path / "config"
    source.write_text(
        f"""
        Host bastion
          HostName 10.0.0.1
          Port 2222
        Host gpu1 gpu2 !gpu3 *.internal
          ProxyJump ops@bastion
          IdentityFile {tmp_path / "id"}
        Host odd
          ProxyCommand nc %h %p
        Host *
          User wfmon
          UserKnownHostsFile {tmp_path / "known"}
        """,
        encoding="utf-8",
    )
    done = watchfloor("hosts", "import", str(source))
    assert done.returncode == 0, done.stderr
    target = tmp_path / "fleet.toml"
    target.write_text(done.stdout, encoding="utf-8")
    hosts = {host.name: host for host in load(only_file=target).hosts}
    assert list(hosts) == ["bastion", "gpu1", "gpu2", "odd"]
    bastion, gpu = hosts["bastion"], hosts["gpu1"]
    assert (bastion.address, bastion.port, bastion.user) == ("10.0.0.1", 2222, "wfmon")
    assert bastion.host_key == (public,)
    assert (gpu.jump, gpu.key, gpu.agent) == (("bastion",), str(tmp_path / "id"), False)
    assert "odd: ProxyCommand not carried over" in done.stderr


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Host a\n", "openssh"),
        ("# x\n\n  host=a\n", "openssh"),
        ("Include conf.d/*\n", "openssh"),
        ("[a]\nb\n", "ansible"),
        ("all:\n  hosts:\n", "ansible"),
        ("host1 ansible_host=x\n", "ansible"),
        ("", "ansible"),
    ],
)
def test_the_form_is_told_from_the_content(tmp_path: Path, text: str, form: str) -> None:
    file = tmp_path / "file"
    file.write_text(text, encoding="utf-8")
    assert guess(file) == form


def test_what_is_no_inventory_is_2_and_prints_no_data(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "million").write_text("a[1:1000000]\n", encoding="utf-8")
    (tmp_path / "script").write_text("#!/bin/sh\ntouch ran\n", encoding="utf-8")
    (tmp_path / "bytes").write_bytes(bytes(range(256)))
    (tmp_path / "exec").write_text("Host a\nMatch exec 'touch ran'\n", encoding="utf-8")
    for name, said in (
        ("none", "No such file"),
        ("pipe", "is not a regular file"),
        (".", "is not a regular file"),
        ("million", "million:1: 'a[1:1000000]' stands for 1,000,000 hosts"),
        ("script", "is a program (a dynamic inventory), and is not run"),
        ("bytes", "bytes:"),
        ("exec", "exec line 2: `Match exec` would run a program"),
    ):
        done = watchfloor("hosts", "import", name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), name
        assert said in done.stderr, name
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "ran").exists()


def test_nothing_of_an_inventory_reaches_the_terminal_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text(
        """
all:
  hosts:
    gpu01:
      ansible_host: 10.0.0.1
      ansible_ssh_common_args: "-J \\"x\\e]52;c;ZXZpbA==\\a\\""
    gpu02:
      ansible_host: 10.0.0.2
      ansible_ssh_private_key_file: "/keys/\\u009b31m\\u202eyek"
    gpu03:
      ansible_host: 10.0.0.3
      ansible_port: 0x"""
        + "f" * 6000
        + "\n",
        encoding="utf-8",
    )
    done = watchfloor("hosts", "import", str(file))
    assert done.returncode == 0, done.stderr
    for text in (done.stdout, done.stderr):
        assert not set(text) & set("\x1b\x07\x9b\u202e")
    assert [host["name"] for host in tomllib.loads(done.stdout)["hosts"]] == ["gpu03"]
    for said in (
        "gpu01: left out: jump",
        "gpu02: left out: key holds characters",
        "no port number",
    ):
        assert said in done.stderr
