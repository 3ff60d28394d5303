"""Parsers of the inventory: right on what they are for, calm on anything else."""

from __future__ import annotations

import json
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.probe.inventory import (
    accounts,
    containers,
    digests,
    firewall,
    hardware,
    mounts,
    nics,
    packages,
    pydists,
    system,
)
from tests.support.inventory import libc_passwd

LINES = st.text(
    st.sampled_from(list("abcdefgh:.,- +#@%/\\\"'=()[]{}<>0123456789\t\n\r\v\x1c\x85\u2028é\0")),
    max_size=300,
)
ANY = st.one_of(LINES, st.text(max_size=200))


@given(ANY)
def test_text_parsers_are_calm_on_any_text(text: str) -> None:
    accounts.passwd(text)
    accounts.groups(text)
    accounts.locked(text)
    accounts.keys_of(text)
    accounts.key_patterns([text, text])
    packages.stanza(text)
    packages.rpm_row(text)
    mounts.parse(text)
    system.os_release(text)
    system.lockdown(text)
    hardware.cpu(text)
    digests.effective(text)
    digests.includes(text, "/etc", "host")


@given(st.binary(max_size=400))
def test_byte_parsers_are_calm_on_any_bytes(data: bytes) -> None:
    pydists.metadata(data)
    found: dict[int, list[str]] = {}
    nics.parse_addresses(data, found)
    try:
        firewall.normalised(data)
    except ValueError:
        return


@given(st.binary(min_size=196, max_size=196))
def test_driver_information_is_calm_on_any_bytes(data: bytes) -> None:
    assert all(len(value) <= 64 for value in nics.drvinfo(data).values())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)
KEYS = ("ID", "Name", "Config", "State", "Image", "Pid", "id", "names", "image", "annotations")


@given(JSON | st.dictionaries(st.sampled_from(KEYS), JSON))
def test_container_files_are_calm_on_any_json(value: object) -> None:
    containers.docker_row(value)
    containers.podman_rows(value, value)
    containers.podman_rows([value], [value])
    containers.oci_row("x", value, "crio")
    containers.oci_row("x", {"annotations": value}, "containerd")


FIELD = st.text(st.sampled_from(list("abz09 +-_./\t\v\x1c\u2028\u0663")), max_size=6)


@given(st.lists(st.lists(FIELD, min_size=1, max_size=9).map(":".join), max_size=6))
def test_accounts_are_those_that_the_c_library_sees(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    """Who reads passwd(5) more strictly than the C library overlooks who can log in."""
    file = tmp_path_factory.getbasetemp() / "passwd"
    text = "\n".join(lines) + "\n"
    file.write_bytes(text.encode())
    wanted = [entry for entry in libc_passwd(file) if entry[0] and entry[0][:1] not in b"+-"]
    seen = accounts.passwd(text)
    assert [(one.uid, one.gid) for one in seen] == [(entry[1], entry[2]) for entry in wanted]
    for one, entry in zip(seen, wanted, strict=True):
        assert len(one.name) == len(entry[0].decode())
        assert len(one.shell) == len(entry[4].decode())


@pytest.mark.parametrize(
    ("line", "uid"),
    [
        ("evil:x:+0:0::/root:/bin/sh", 0),
        ("evil:x: 0:0::/root:/bin/sh", 0),
        ("  evil:x:0:0::/root:/bin/sh", 0),
        ("evil::0:0", 0),
        ("evil:x:0:0:gecos:/root:/bin/sh:more", 0),
        ("evil:x:4294967296:0::/:/bin/sh", None),
        ("alice:x:1000:1000:\u2028\x0b\x85:/home/alice:/bin/sh", 1000),
    ],
)
def test_a_line_that_hides_an_account_is_seen_through(
    tmp_path: Path, line: str, uid: int | None
) -> None:
    (tmp_path / "passwd").write_text(line + "\n")
    wanted = [entry[1] for entry in libc_passwd(tmp_path / "passwd")]
    found = [one.uid for one in accounts.passwd(line)]
    assert found == ([] if uid is None else [uid])
    if uid is not None:
        assert wanted == found


def test_groups_and_locks() -> None:
    names, members = accounts.groups("sudo:x:27:alice,bob\nempty:x:5:\n#x:x:9:eve\nbad\n")
    assert names == {27: "sudo", 5: "empty"}
    assert members == {"alice": {"sudo"}, "bob": {"sudo"}}
    assert accounts.locked("a:!x:1\nb:*:1\nc:$y$j9T:1\nd::1\n") == {
        "a": True,
        "b": True,
        "c": False,
        "d": False,
    }


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ([], [".ssh/authorized_keys", ".ssh/authorized_keys2"]),
        (["#AuthorizedKeysFile /no\n"], [".ssh/authorized_keys", ".ssh/authorized_keys2"]),
        (['authorizedkeysfile="/a b/%u" /c # d\n'], ["/a b/%u", "/c"]),
        (["AuthorizedKeysFile none\n"], []),
        (
            ["Match User eve\n  AuthorizedKeysFile /tmp/eve\n"],
            ["/tmp/eve", ".ssh/authorized_keys", ".ssh/authorized_keys2"],
        ),
        (["AuthorizedKeysFile /one\n", "AuthorizedKeysFile /two\n"], ["/one", "/two"]),
    ],
)
def test_where_keys_may_lie(texts: list[str], wanted: list[str]) -> None:
    assert accounts.key_patterns(texts) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("@includedir /etc/sudoers.d\n", ["/etc/sudoers.d"]),
        ("#includedir /etc/sudoers.d\n#include other\n", ["/etc/sudoers.d", "/etc/other"]),
        ('@include "/etc/a b"\n@include /etc/c\\ d\n', ["/etc/a b", "/etc/c d"]),
        ("@include /etc/sudoers.%h\n", ["/etc/sudoers.gpu7"]),
        ("@include \\\n/etc/long\n", ["/etc/long"]),
        ("# include /x\n##include /x\nroot ALL=(ALL) ALL\nincluded /x\n", []),
    ],
)
def test_what_sudoers_includes(text: str, wanted: list[str]) -> None:
    assert digests.includes(text, "/etc", "gpu7") == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\n"
            "Source: openssl (3.0.1)\nVersion: 3.0.1-1+b1\nDescription: x\n Version: 9\n",
            ["deb/libssl3/amd64", "deb", "libssl3", "3.0.1-1+b1", "amd64", "openssl", "3.0.1"],
        ),
        (
            "Package: a\nStatus: hold ok half-configured\nArchitecture: all\nVersion: 1:2-3\n",
            ["deb/a/all", "deb", "a", "1:2-3", "all", "a", "1:2-3"],
        ),
        ("Package: a\nStatus: deinstall ok config-files\nVersion: 1\n", None),
        ("Package: a\nStatus: purge ok not-installed\nVersion: 1\n", None),
        ("Package: a\nStatus: install ok installed\n", None),
    ],
)
def test_stanzas_of_dpkg(text: str, wanted: list[str] | None) -> None:
    assert packages.stanza(text) == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (
            "openssl-libs\t1:3.0.7-27.el9\tx86_64\topenssl-3.0.7-27.el9.src.rpm",
            [
                *("rpm/openssl-libs/x86_64/1:3.0.7-27.el9", "rpm", "openssl-libs"),
                *("1:3.0.7-27.el9", "x86_64", "openssl", "3.0.7-27.el9"),
            ],
        ),
        (
            "bash\t0:5.1.8-9.el9\tx86_64\tbash-5.1.8-9.el9.src.rpm",
            [
                *("rpm/bash/x86_64/5.1.8-9.el9", "rpm", "bash", "5.1.8-9.el9", "x86_64"),
                *("bash", "5.1.8-9.el9"),
            ],
        ),
        ("gpg-pubkey\t0:fd431d51-4ae0493b\t(none)\t(none)", None),
        ("error: rpmdb: damaged", None),
        ("", None),
    ],
)
def test_lines_of_rpm(line: str, wanted: list[str] | None) -> None:
    assert packages.rpm_row(line) == wanted


def test_metadata_of_a_distribution() -> None:
    head = b"Metadata-Version: 2.1\nName: torch\nVersion: 2.4.0+cu121\nSummary: Version: 9\n"
    assert pydists.metadata(head) == ("torch", "2.4.0+cu121")
    assert pydists.metadata(b"Name:\nVersion: 1\n") is None


def test_mountinfo_with_escapes_and_bytes_that_look_like_line_ends() -> None:
    text = (
        "36 35 98:0 / /mnt/a\\040b\\012c rw,noatime shared:1 master:2 - ext4 /dev/sd\\134a rw\n"
        "37 35 0:5 / /mnt/\x0c\u2028 ro - tmpfs none ro\n"
        "broken\n38 35 98:0 / /x rw -\n"
    )
    first, second = mounts.parse(text)
    assert (first["target"], first["source"]) == ("/mnt/a b\ufffdc", "/dev/sd\\a")
    assert (first["device"], first["fstype"], first["options"]) == ("98:0", "ext4", "rw,noatime")
    assert second["fstype"] == "tmpfs"


def address_message(index: int, local: bytes, prefix: int) -> bytes:
    family = socket.AF_INET if len(local) == 4 else socket.AF_INET6
    body = struct.pack("=BBBBI", family, prefix, 0, 0, index)
    body += struct.pack("=HH", 4 + len(local), nics.IFA_ADDRESS) + local
    return struct.pack("=IHHII", 16 + len(body), nics.RTM_NEWADDR, 2, 1, 0) + body


@given(st.integers(1, 2**31 - 1), st.integers(0, 32), st.binary(min_size=4, max_size=4))
def test_addresses_are_read_back(index: int, prefix: int, raw: bytes) -> None:
    found: dict[int, list[str]] = {}
    done = struct.pack("=IHHIIi", 20, nics.NLMSG_DONE, 2, 1, 0, 0)
    six = b"\x20\x01\x0d\xb8" + raw * 3
    data = address_message(index, raw, prefix) + address_message(index, six, 64)
    assert not nics.parse_addresses(data, found)
    assert nics.parse_addresses(done, found)
    assert found == {
        index: [f"{socket.inet_ntoa(raw)}/{prefix}", f"{socket.inet_ntop(10, six)}/64"]
    }


def rules(**change: object) -> bytes:
    rule: dict[str, object] = {"family": "inet", "handle": 4, "expr": [{"drop": None}]}
    rule.update(change)
    items: list[object] = [{"metainfo": {"version": "1"}}, {"rule": rule}]
    return json.dumps({"nftables": items}).encode()


def test_a_firewall_digest_changes_with_rules_and_with_nothing_else() -> None:
    digest, count = firewall.normalised(rules())
    assert count == 1
    assert firewall.normalised(rules(handle=9))[0] == digest
    assert firewall.normalised(rules(expr=[{"accept": None}]))[0] != digest
    counted = [firewall.normalised(rules(expr=[{"counter": {"packets": n}}]))[0] for n in (1, 2)]
    assert counted[0] == counted[1]
    with pytest.raises(ValueError, match="not a listing"):
        firewall.normalised(b'{"nftables": 3}')


def test_taint_flags_have_the_kernels_names() -> None:
    assert system.taint_flags(0) == []
    assert system.taint_flags(1 | 1 << 12 | 1 << 13) == [
        *("proprietary-module", "out-of-tree-module", "unsigned-module")
    ]
    assert system.taint_flags(1 << 40) == ["other-200000"]


def test_lockdown_is_the_chosen_word() -> None:
    assert system.lockdown("none [integrity] confidentiality") == "integrity"
    assert system.lockdown("") == ""


def test_os_release_with_quotes() -> None:
    text = 'ID=ubuntu\nPRETTY_NAME="Ubuntu 24.04 \\"LTS\\""\nVERSION_ID=\'24.04\'\nbroken\n'
    want = {"ID": "ubuntu", "PRETTY_NAME": 'Ubuntu 24.04 "LTS"', "VERSION_ID": "24.04"}
    assert system.os_release(text) == want
