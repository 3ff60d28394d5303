"""Hosts of Ansible inventories, INI and YAML: what is carried over, and what is only told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from console.config.ansible import MAX_BYTES, parse_inventory, read_inventory
from console.config.ansible_ini import expand
from console.config.ranges import MAX_NAMES
from console.errors import ConfigError
from tests.support.outcome import outcome

INI = """
; a comment
mail.example.com   # another

[web]
foo.example.com:2222 ansible_user=deploy
www[01:03].example.com

[db:vars]
ansible_port=2200
ansible_user="db admin"
ntp=a b

[db]
db-[a:c] ansible_ssh_common_args='-o ProxyJump=ops@bastion:2022,inner -o StrictHostKeyChecking=no'
win ansible_connection=winrm
deploy ansible_password=hunter2 ansible_user="{{ who }}" ansible_port=many

[production:children]
db
web
"""

YAML = """
all:
  vars:
    ansible_user: root
    ansible_python_interpreter: auto_silent
  hosts:
    lone:
  children:
    gpu:
      hosts:
        gpu[01:02]:
          ansible_host: 10.0.0.1
          ansible_become_password: !vault |
            $ANSIBLE_VAULT;1.1;AES256
        gpu03: {ansible_user: ops, ansible_ssh_private_key_file: ~/.ssh/gpu}
      vars: {ansible_port: 2200}
      children:
        h100:
          hosts: {gpu01: }
          vars: {ansible_port: 2201, ansible_python_interpreter: /usr/bin/python3}
"""


def hosts_of(text: str) -> dict[str, dict[str, Any]]:
    hosts, _ = parse_inventory(text.encode(), "inv")
    return {host["name"]: host for host in hosts}


def test_an_ini_inventory() -> None:
    hosts = hosts_of(INI)
    assert list(hosts) == [
        "mail.example.com", "foo.example.com",
        "www01.example.com", "www02.example.com", "www03.example.com",
        "db-a", "db-b", "db-c", "deploy", "bastion", "inner",
    ]  # fmt: skip
    assert hosts["mail.example.com"] == {"name": "mail.example.com", "address": "mail.example.com"}
    assert hosts["foo.example.com"] == {
        "name": "foo.example.com", "address": "foo.example.com", "port": 2222, "user": "deploy",
        "groups": ["web", "production"],
    }  # fmt: skip
    assert hosts["db-b"] == {
        "name": "db-b", "address": "db-b", "port": 2200, "user": "db admin",
        "jump": ["bastion", "inner"], "groups": ["db", "production"],
    }  # fmt: skip
    assert "port" not in hosts["deploy"]
    assert hosts["bastion"] == {
        "name": "bastion", "address": "bastion", "user": "ops", "port": 2022,
    }  # fmt: skip


def test_what_is_left_out_is_told_and_secrets_only_by_name() -> None:
    _, notes = parse_inventory(INI.encode(), "inv")
    assert notes == [
        "ansible_ssh_common_args: StrictHostKeyChecking not carried over (3 hosts)",
        "left out: ansible_connection is not ssh (1 hosts)",
        "ansible_port not carried over: no port number (1 hosts)",
        "ansible_user not carried over: a template or vault value (1 hosts)",
        "ansible_password not carried over: Watchfloor logs in by keys (1 hosts)",
        "bastion: added as a host, because it is a jump host",
        "inner: added as a host, because it is a jump host",
    ]


@pytest.mark.parametrize(
    ("hop", "want"),
    [
        ("b", {"name": "b", "address": "b"}),
        ("o@b", {"name": "b", "address": "b", "user": "o"}),
        ("b:2222", {"name": "b", "address": "b", "port": 2222}),
        ("ssh://o@b:2222", {"name": "b", "address": "b", "user": "o", "port": 2222}),
        ("o@[::1]:22", {"name": "::1", "address": "::1", "user": "o", "port": 22}),
        ("::1", {"name": "::1", "address": "::1"}),
        ("b:99999", {"name": "b", "address": "b"}),
    ],
)
def test_a_jump_host_keeps_its_account_and_port(hop: str, want: dict[str, object]) -> None:
    hosts = hosts_of(f"a ansible_ssh_common_args='-J {hop}'\n")
    assert hosts["a"]["jump"] == [want["name"]]
    assert hosts[str(want["name"])] == want
    declared, notes = parse_inventory(f"a ansible_ssh_args='-J {hop}'\nb\n".encode(), "inv")
    assert [host["name"] for host in declared][:2] == ["a", "b"]
    if want["name"] == "b":
        assert (len(declared), "b: a jump host" in str(notes)) == (2, len(want) > 2)


def test_a_yaml_inventory_with_children_that_win_over_parents() -> None:
    hosts = hosts_of(YAML)
    assert list(hosts) == ["lone", "gpu01", "gpu02", "gpu03"]
    assert hosts["lone"] == {"name": "lone", "address": "lone", "user": "root"}
    assert hosts["gpu01"] == {
        "name": "gpu01", "address": "10.0.0.1", "user": "root", "port": 2201,
        "python": "/usr/bin/python3", "groups": ["gpu", "h100"],
    }  # fmt: skip
    assert hosts["gpu03"]["key"] == "~/.ssh/gpu"
    assert (hosts["gpu03"]["user"], hosts["gpu03"]["port"]) == ("ops", 2200)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("www[01:03].x", ["www01.x", "www02.x", "www03.x"]),
        ("n[1:10:4]", ["n1", "n5", "n9"]),
        ("db-[a:c]", ["db-a", "db-b", "db-c"]),
        ("r[1:2]n[8:9]", ["r1n8", "r1n9", "r2n8", "r2n9"]),
        ("n[3:1]", []),
        ("plain", ["plain"]),
    ],
)
def test_ranges_of_ansible(pattern: str, names: list[str]) -> None:
    assert expand(pattern) == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a[1:1000000]\n", "inv:1: 'a[1:1000000]' stands for 1,000,000 hosts"),
        ("\na[1:999]b[1:999]\n", "inv:2: 'a[1:999]b[1:999]' stands for more than 65,536 hosts"),
        ("a[1:60000]\nb[1:60000]\n", "inv:2: more than 65,536 hosts"),
        ("all:\n  hosts:\n    a[1:1000000]:\n", "group 'all': 'a[1:1000000]' stands for"),
        ("[a\n", "inv:1: '[a' holds no range that can be read"),
        ("[a:foo]\n", "inv:1: unknown kind of section 'foo'"),
        ("[a:vars]\nx\n", "inv:2: a variable without `=`"),
        ("a b\n", "inv:1: 'b' is no variable"),
        ("a x='\n", "inv:1: quotes do not match"),
        ("[a:children]\nb\n[b:children]\na\n", "inv: its groups contain each other"),
        ("---\n- a\n", "inv: is not an inventory: no groups on top"),
        ("all: [1, 2]\n", "inv: 'all' holds something that is no table"),
        ("all:\n  hosts: {a: 3}\n", "inv: 'a' holds something that is no table"),
        ("all:\n  x: [\n", "is not YAML"),
        ("all: !!python/object/apply:os.system [id]\n", "inv:1: is not YAML"),
        ("all: !!timestamp x\n", "is not YAML"),
        ("all: !!bool x\n", "is not YAML"),
        ("all: !!int ''\n", "is not YAML"),
        ("all: " + "9" * 5000, "is not YAML"),
        ("all: " + "[" * 5000, "is not YAML"),
        ("all: &a {children: {b: *a}}\n", "nested too deeply"),
        ("#!/bin/sh\necho\n", "is a program"),
    ],
)
def test_an_error_says_where(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_inventory(text.encode(), "inv")
    assert said in str(caught.value)
    assert str(caught.value).startswith("inv")


def test_small_files_do_not_unfold_to_large_ones() -> None:
    merges = "\n".join(f"m{n}: &m{n}\n  <<: [*m{n - 1}, *m{n - 1}]" for n in range(1, 40))
    with pytest.raises(ConfigError, match="merges too much"):
        parse_inventory(f"m0: &m0 {{a: 1}}\n{merges}\n".encode(), "inv")
    wide = ", ".join(["*a"] * 1000)
    with pytest.raises(ConfigError, match="too many merges"):
        parse_inventory(f"a: &a {{b: 1}}\nc: {{<<: [{wide}]}}\n".encode(), "inv")
    lists = "\n".join(f"  v{n}: &v{n} [{', '.join([f'*v{n - 1}'] * 9)}]" for n in range(1, 40))
    text = f"all:\n vars:\n  v0: &v0 [x]\n{lists}\n  ansible_host: *v39\n hosts: {{a: }}\n"
    hosts, notes = parse_inventory(text.encode(), "inv")
    assert hosts == [{"name": "a", "address": "a"}]
    assert notes == ["ansible_host not carried over: a template or vault value (1 hosts)"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"#" * (MAX_BYTES + 1))
    for path, said in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "Is a directory"),
        (big, "is too big"),
    ):
        with pytest.raises(ConfigError, match=said):
            read_inventory(path)


WORDS = st.sampled_from(
    (
        *("[a]", "[a:vars]", "[b:children]", "a", "b[1:3]", "c:22", "[::1]:22", "ansible_host=x"),
        *("ansible_port=0x1", "ansible_ssh_args='-J a,b -o'", "# x", '"', "{{ x }}", "\x1b]0;x"),
    )
)
INI_TEXT = st.lists(st.lists(WORDS, max_size=4).map(" ".join), max_size=8).map("\n".join)
SCALARS = st.one_of(st.none(), st.integers(), st.floats(), st.booleans(), st.text(max_size=6))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                (
                    *("all", "hosts", "children", "vars", "a", "b[1:2]", "ansible_host"),
                    *("ansible_port", "ansible_ssh_args", "ansible_connection", "ansible_user"),
                )
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


@given(
    st.one_of(
        INI_TEXT.map(str.encode),
        TREES.map(lambda tree: yaml.safe_dump({"all": tree}).encode()),
        st.binary(max_size=80),
        st.text(alphabet="al:\n -?&*![]{}'\"<>|%@,#\t", max_size=40).map(
            lambda t: f"all:\n {t}".encode()
        ),
    )
)
def test_any_bytes_are_hosts_or_a_config_error(raw: bytes) -> None:
    found = outcome(lambda: parse_inventory(raw, "inv"), ConfigError)
    if isinstance(found, ConfigError):
        assert str(found).startswith("inv")
        assert str(found).isprintable()
        return
    hosts, notes = found
    assert len(hosts) <= MAX_NAMES
    assert all(note.isprintable() for note in notes)
