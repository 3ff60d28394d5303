"""Files of ours, sandbox profiles, and the gateway's include files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.guard.host import nginx
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import file, sandbox, step
from console.hostside.guard.steps.base import StepFailed
from console.hostside.guard.world import World

PATH = "/etc/systemd/system/vllm.service.d/50-watchfloor.conf"
ARGS = {"path": PATH, "lines": ["[Service]", "NoNewPrivileges=yes"]}


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    return World(Place(str(tmp_path)))


def test_a_file_is_written_and_put_back(world: World, tmp_path: Path) -> None:
    each = step("file")
    each.check(ARGS)
    before = each.look(ARGS, world)
    each.do(ARGS, before, world)
    assert (tmp_path / PATH[1:]).read_text() == "[Service]\nNoNewPrivileges=yes\n"
    assert each.holds(ARGS, before, world)
    other = {**ARGS, "lines": ["[Service]"]}
    middle = each.look(other, world)
    each.do(other, middle, world)
    each.undo(other, middle, world)
    each.undo(other, middle, world)
    assert each.holds(ARGS, before, world)
    each.undo(ARGS, before, world)
    each.undo(ARGS, before, world)
    assert list((tmp_path / "etc/systemd/system").iterdir()) == []


def test_a_folder_that_others_use_stays(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "etc/systemd/system/vllm.service.d"
    folder.mkdir()
    (folder / "10-own.conf").write_text("[Service]\n")
    each = step("file")
    before = each.look(ARGS, world)
    each.do(ARGS, before, world)
    each.undo(ARGS, before, world)
    assert [path.name for path in folder.iterdir()] == ["10-own.conf"]


@pytest.mark.parametrize("how", ["symlink", "hard link", "folder", "fifo", "writable", "huge"])
def test_a_file_that_somebody_had_a_hand_in_is_not_used(
    world: World, tmp_path: Path, how: str
) -> None:
    """As everywhere in the guard: checked on the opened handle."""
    path = tmp_path / PATH[1:]
    path.parent.mkdir()
    other = tmp_path / "other"
    other.write_text("[Service]\n")
    if how == "symlink":
        path.symlink_to(other)
    elif how == "hard link":
        os.link(other, path)
    elif how == "folder":
        path.mkdir()
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "huge":
        path.write_bytes(b"#" * (file.MAX + 1))
    else:
        path.write_text("[Service]\n")
        path.chmod(0o666)
    with pytest.raises(StepFailed, match=r"50-watchfloor\.conf"):
        step("file").look(ARGS, world)


def test_a_folder_that_is_a_link_is_not_written_through(world: World, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "etc/systemd/system/vllm.service.d").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StepFailed, match="is a link"):
        step("file").do(ARGS, {}, world)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/etc/systemd/system/ssh.service.d/50-watchfloor.conf",
     "/etc/systemd/system/../x.service.d/50-watchfloor.conf",
     "/etc/systemd/system/vllm.service.d/50-watchfloor.conf\n",
     "/etc/systemd/system/vllm.service.d/99-other.conf"],
)  # fmt: skip
def test_no_other_file_is_written(path: str) -> None:
    with pytest.raises(Refused):
        step("file").check({**ARGS, "path": path})


@pytest.mark.parametrize(
    "line",
    ["NoNewPrivileges=no", "ExecStart=/bin/sh", "User=root", "ExecStartPre=/bin/sh",
     "ProtectSystem=no", "ProtectHome=false", "NoNewPrivileges=yes\nExecStart=/bin/sh", "[Service]",
     "ReadWritePaths=/a;b", "Environment=LD_PRELOAD=/x", "CapabilityBoundingSet=~CAP_KILL",
     "NoNewPrivileges = yes", "NoNewPrivileges", "", 1, None, "RootDirectory=/x", "PrivateTmp=no",
     "SystemCallFilter=@system-service\\", "MemoryMax=infinity", "IPAddressDeny=",
     "ReadWritePaths=/", "ReadWritePaths=/etc", "ReadWritePaths=/run/systemd", "UMask=0000",
     "ReadWritePaths=/srv", "ReadWritePaths=/srv/../etc/x", "ReadWritePaths=/run/dbus/x",
     "ReadWritePaths=/srv/a /etc", "ProtectSystem=yes", "ProtectHome=read-only",
     "CapabilityBoundingSet=CAP_SYS_ADMIN", "CapabilityBoundingSet=CAP_IPC_LOCK CAP_SYS_PTRACE",
     "DeviceAllow=/dev/sda rwm", "DeviceAllow=/dev/nvidia0 rwm", "SystemCallFilter=@mount",
     "RestrictAddressFamilies=AF_PACKET AF_NETLINK", "IPAddressAllow=0.0.0.0/0", "ExecPaths=/",
     "IPAddressAllow=::/0", "IPAddressAllow=0.0.0.0/1", "UMask=0022"],
)  # fmt: skip
def test_a_profile_only_takes_away(line: object) -> None:
    """Beside everything that an opening line would need, too."""
    for lines in ([line], [*CLOSED, line]):
        with pytest.raises(Refused) as refused:
            sandbox.check(lines)
        assert refused.value.rule == "profile"


CLOSED = [
    "ProtectSystem=strict", "NoExecPaths=/", "IPAddressDeny=any", "DevicePolicy=closed",
    "SocketBindDeny=any",
]  # fmt: skip
OPENS = [
    "ReadWritePaths=/srv/models -/run/vllm", "DeviceAllow=/dev/nvidia0 rw", "ExecPaths=/usr /srv/x",
    "DeviceAllow=char-nvidia rw", "IPAddressAllow=localhost 10.0.0.0/8", "SocketBindAllow=tcp:8000",
]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [*CLOSED, *OPENS, "NoNewPrivileges=yes", "CapabilityBoundingSet=",
     "CapabilityBoundingSet=CAP_IPC_LOCK CAP_SYS_NICE",
     "RestrictAddressFamilies=AF_INET AF_UNIX", "SystemCallFilter=~@mount @clock",
     "SystemCallFilter=@system-service", "MemoryMax=64G", "UMask=0077", "LimitCORE=0"],
)  # fmt: skip
def test_what_a_profile_may_say(line: str) -> None:
    """What opens a part again is taken beside the line that closes the whole alone."""
    sandbox.check([*CLOSED, line] if line in OPENS else [line])
    assert sandbox.render([line]).endswith(f"[Service]\n{line}\n".encode())
    if line in OPENS:
        with pytest.raises(Refused, match="only taken beside"):
            sandbox.check([line])


KEYS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)


@given(st.frozensets(KEYS, max_size=5), st.dictionaries(KEYS, st.integers(1, 100000), max_size=5))
def test_what_is_written_for_the_gateway_is_what_is_read(
    blocked: frozenset[str], limited: dict[str, int]
) -> None:
    keys, rules = nginx.render(nginx.Limits(blocked, limited))
    found = nginx.parse(keys)
    assert (found.blocked, found.limited) == (blocked, limited)
    assert keys.count(b"{") == keys.count(b"}") == 1 + len(limited)
    assert rules.count(b"limit_req zone=") == len(limited)


def test_an_include_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "etc/nginx").mkdir(parents=True)
    (tmp_path / "etc/nginx/keys.conf").write_text("map $a $b { default 1; }\n")
    with pytest.raises(StepFailed, match="not written by the guard"):
        nginx.read("/etc/nginx/keys.conf", World(Place(str(tmp_path))))


DUMP = """\
# configuration file /etc/nginx/nginx.conf:
http {
    map $http_authorization $wf_client {
        default "";
        # "Bearer old" team-old;
        "Bearer sk-1" team-one;
        'Bearer sk 2;' "team-two";
        ~^Bearer\\ x- three;
        include /etc/nginx/clients.map;
    }
    map $uri $other { default 0; /x not-a-client; }
    include /etc/nginx/keys.conf; include /etc/nginx/limits.conf;
}

# configuration file /etc/nginx/clients.map:
"Bearer sk-4" team-four;
# configuration file /etc/nginx/keys.conf:
map $wf_client $wf_blocked { default 0; "team-five" 1; }
# configuration file /etc/nginx/limits.conf:
"""


def test_the_clients_of_a_gateway_are_those_of_its_map() -> None:
    files = nginx.files_of(DUMP)
    assert set(files) >= {"/etc/nginx/keys.conf", "/etc/nginx/limits.conf"}
    assert nginx.clients(files) == {"team-one", "team-two", "three", "team-four"}
