"""What makes work from this machine risky, against the real tools, files and processes here."""

from __future__ import annotations

import grp
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.fleet.workstation import desktop, disks, keyfiles, session, system
from console.fleet.workstation.posture import posture
from console.text import clean

ROOT = Path(__file__).resolve().parents[3]
FACTS = {
    "administrator", "ssh session", "forwarded agent", "agent keys", "multiplexer",
    "unencrypted keys", "disk encryption /", "disk encryption home", "screen lock", "firewall",
}  # fmt: skip


def keygen(path: Path, *more: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-f", str(path), "-C", "c", *more], check=True, timeout=60)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def test_every_fact_is_there_and_says_yes_no_none_a_number_or_why_not(home: Path) -> None:
    facts = posture({}, home)
    assert facts.keys() == FACTS
    for name, text in facts.items():
        head, _, rest = text.partition(":")
        assert head in ("yes", "no", "none", "unknown") or head.isdigit(), (name, text)
        assert head != "unknown" or rest.strip(), f"{name} does not say why"
        assert text == clean(text, 200)


def test_administrator_is_what_id_says() -> None:
    ident = subprocess.run(["id", "-u"], check=True, capture_output=True, text=True).stdout.strip()
    said = session.administrator()
    if ident == "0":
        assert said == "yes: root"
    else:
        names = {grp.getgrgid(gid).gr_name for gid in os.getgroups()}
        assert said.startswith("yes") == bool(names & set(session.ADMIN_GROUPS))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_another_user_is_no_administrator() -> None:
    code = (
        "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from console.fleet.workstation.session import administrator\n"
        "from console.fleet.workstation.desktop import firewall\n"
        "print(administrator()); print(firewall())"
    )
    # Imported before the user changes: another user may not read this folder.
    code = (
        "import grp, console.fleet.workstation.session, console.fleet.workstation.desktop\n" + code
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    admin, wall = done.stdout.splitlines()
    assert admin == "no"
    assert wall == "unknown: reading the rules needs root" or wall.startswith("yes")


def test_inside_ssh_by_the_environment_and_by_the_processes_above() -> None:
    assert session.ssh_session({"SSH_CONNECTION": "198.51.100.7 50022 10.0.0.1 22"}) == (
        "yes: from 198.51.100.7"
    )
    assert "\x1b" not in session.ssh_session({"SSH_CONNECTION": "\x1b]52;c;x\x07 1 2 3"})
    above = subprocess.run(
        ["ps", "-o", "comm=", "-p", str(os.getppid())], capture_output=True, text=True, check=True
    ).stdout.strip()
    expected = "yes" if above.startswith("sshd") else ("no", "yes")
    assert session.ssh_session({}).startswith(expected)


def test_a_process_named_sshd_above_is_found_without_the_variable(tmp_path: Path) -> None:
    """A copy of the interpreter under the name of sshd starts a child that looks up."""
    sshd = tmp_path / "sshd"
    shutil.copy(os.path.realpath(sys.executable), sshd)
    child = "from console.fleet.workstation.session import ssh_session; print(ssh_session({}))"
    code = f"import subprocess; subprocess.run([{sys.executable!r}, '-c', {child!r}], check=True)"
    env = {k: v for k, v in os.environ.items() if not k.startswith("SSH")}
    env |= {"PYTHONHOME": sys.base_prefix, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    lib = Path(sys.base_prefix) / "lib"
    env["LD_LIBRARY_PATH"] = str(lib)
    done = subprocess.run(
        [str(sshd), "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "yes: sshd is above this process", done.stderr


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """A real ssh-agent without keys."""
    path = tmp_path / "agent.sock"
    child = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    yield path
    child.terminate()
    child.wait()
    child.stdout.close()


def test_keys_of_a_real_agent_are_counted(agent: Path, tmp_path: Path) -> None:
    env = {"SSH_AUTH_SOCK": str(agent)}
    assert session.agent_keys(env) == "0"
    for name in ("one", "two"):
        key = keygen(tmp_path / name, "-N", "", "-t", "ed25519")
        subprocess.run(["ssh-add", "-q", str(key)], env=os.environ | env, check=True)
    assert session.agent_keys(env) == "2"
    assert session.forwarded_agent(env, inside_ssh=False) == "no"


def test_an_agent_that_lies_hangs_or_is_gone_is_unknown_with_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "AGENT_TIMEOUT_S", 0.2)
    assert session.agent_keys({}) == "none: no agent"
    gone = session.agent_keys({"SSH_AUTH_SOCK": str(tmp_path / "nothing")})
    assert gone.startswith("unknown: the agent cannot be asked")
    for answer, why in (
        (b"", "no answer"),
        (b"\0\0\0\1\5" + b"\0" * 4, "refused"),
        (None, "asked"),
    ):
        path = tmp_path / f"{why[:2]}.sock"
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.listen(1)

        def serve(server: socket.socket = server, answer: bytes | None = answer) -> None:
            link, _ = server.accept()
            link.recv(64)
            if answer is None:
                link.recv(64)  # until the other side gives up
            else:
                link.sendall(answer)
            link.close()

        thread = threading.Thread(target=serve)
        thread.start()
        said = session.agent_keys({"SSH_AUTH_SOCK": str(path)})
        thread.join()
        server.close()
        assert said.startswith("unknown"), said
        assert why in said


def test_a_forwarded_agent_is_told_by_who_serves_it() -> None:
    assert session.forwarded_agent({}, inside_ssh=True) == "no"
    new = {"SSH_AUTH_SOCK": "/home/u/.ssh/agent/s.abc.sshd.xyz"}
    assert session.forwarded_agent(new, inside_ssh=True).startswith("yes")
    ours = {"SSH_AUTH_SOCK": f"/tmp/ssh-XX/agent.{os.getpid()}"}
    assert session.forwarded_agent(ours, inside_ssh=True) == "no", "this process is no sshd"
    gone = {"SSH_AUTH_SOCK": "/tmp/ssh-XX/agent.999999999"}
    assert session.forwarded_agent(gone, inside_ssh=True).startswith("unknown")


def test_a_multiplexer_is_named() -> None:
    assert session.multiplexer({"TMUX": "/tmp/tmux-0/default,1,0"}) == "yes: tmux"
    assert session.multiplexer({}) == "no"


def test_only_private_keys_without_a_passphrase_count(home: Path) -> None:
    folder = home / ".ssh"
    assert keyfiles.unencrypted_keys(folder) == "none"
    assert keyfiles.unencrypted_keys(home / "nothing") == "none"
    keygen(folder / "closed", "-N", "secret passphrase", "-t", "ed25519")
    keygen(folder / "closed_pem", "-N", "secret passphrase", "-t", "rsa", "-b", "2048", "-m", "PEM")
    keygen(
        folder / "closed_p8", "-N", "secret passphrase", "-t", "rsa", "-b", "2048", "-m", "PKCS8"
    )
    (folder / "known_hosts").write_text("host ssh-ed25519 AAAA\n")
    assert keyfiles.unencrypted_keys(folder) == "none"
    keygen(folder / "open", "-N", "", "-t", "ed25519")
    assert keyfiles.unencrypted_keys(folder) == "1: open"
    keygen(folder / "pem", "-N", "", "-t", "rsa", "-b", "2048", "-m", "PEM")
    keygen(folder / "pkcs8", "-N", "", "-t", "ecdsa", "-m", "PKCS8")
    assert keyfiles.unencrypted_keys(folder) == "3: open, pem, pkcs8"


def test_no_secret_of_a_key_leaves(home: Path) -> None:
    key = keygen(home / ".ssh/id_ed25519", "-N", "", "-t", "ed25519")
    text = json.dumps(posture(dict(os.environ), home))
    lines = [line for line in key.read_text().splitlines() if not line.startswith("-")]
    assert not [line for line in lines if line[:20] in text]


def test_a_key_name_cannot_write_to_the_terminal(home: Path) -> None:
    keygen(home / ".ssh/open", "-N", "", "-t", "ed25519").rename(home / ".ssh/\x1b[2Jx")
    assert keyfiles.unencrypted_keys(home / ".ssh") == "1: \ufffd[2Jx"


@given(st.binary(max_size=400))
def test_any_bytes_are_a_key_or_not(data: bytes) -> None:
    assert keyfiles.is_unencrypted(data) in (True, False)
    head = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
    assert keyfiles.is_unencrypted(head + data) in (True, False)


def test_encryption_of_the_places_here_is_what_findmnt_knows(tmp_path: Path) -> None:
    said = disks.encryption(Path("/"))
    kind = subprocess.run(
        ["findmnt", "-n", "-o", "FSTYPE", "--target", "/"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    lsblk = subprocess.run(
        ["lsblk", "-n", "-o", "TYPE"], capture_output=True, text=True, check=False
    )
    if "crypt" not in lsblk.stdout:
        assert not said.startswith("yes: LUKS")
    if kind in ("tmpfs", "ramfs"):
        assert said == f"yes: only in memory ({kind})"
    assert disks.encryption(tmp_path / "nothing").startswith("unknown:")
    assert disks.encryption(Path("/dev/shm")).startswith(("yes: only in memory", "no", "unknown"))


def device(sys_folder: Path, number: str, uuid: str = "", slaves: tuple[str, ...] = ()) -> None:
    place = sys_folder / "dev/block" / number
    (place / "slaves").mkdir(parents=True, exist_ok=True)
    if uuid:
        (place / "dm").mkdir(exist_ok=True)
        (place / "dm/uuid").write_text(uuid + "\n")
    for slave in slaves:
        (place / "slaves" / slave.replace(":", "-")).symlink_to(sys_folder / "dev/block" / slave)


def test_a_disk_counts_only_when_every_way_down_is_encrypted(tmp_path: Path) -> None:
    device(tmp_path, "8:1")
    device(tmp_path, "8:17")
    device(tmp_path, "253:0", "CRYPT-LUKS2-abc-root", ("8:1",))
    device(tmp_path, "253:1", "LVM-xyz", ("253:0",))
    device(tmp_path, "253:2", "LVM-half", ("253:0", "8:17"))
    assert disks.below(tmp_path, "8:1") == "no"
    assert disks.below(tmp_path, "253:0") == disks.below(tmp_path, "253:1") == "yes: LUKS2"
    assert disks.below(tmp_path, "253:2") == "no: only in part"
    assert disks.below(tmp_path, "9:9") == "unknown: device 9:9 is not in sysfs"
    device(tmp_path, "7:0", "", ("7:0",))  # a loop of links
    assert disks.below(tmp_path, "7:0") == "no"


@given(st.text(max_size=200), st.text(max_size=30))
def test_any_mountinfo_is_read(text: str, place: str) -> None:
    disks.find_mount(text, place)
    line = f"36 35 98:0 / /mnt\\040x rw - ext4 /dev/root rw\n{text}"
    assert disks.find_mount(line, "/mnt x/y") is not None


def test_the_screen_lock_is_unknown_where_there_is_no_screen(home: Path) -> None:
    assert desktop.screen_lock({}, inside_ssh=True, home=home) == (
        "unknown: the screen is on another machine"
    )
    assert desktop.screen_lock({}, inside_ssh=False, home=home) == "unknown: no graphical session"
    odd = {"DISPLAY": ":0", "XDG_CURRENT_DESKTOP": "twm\x1b[2J"}
    said = desktop.screen_lock(odd, inside_ssh=False, home=home)
    assert said.startswith("unknown: no way to ask the desktop twm")
    assert "\x1b" not in said
    gnome = {"DISPLAY": ":0", "XDG_CURRENT_DESKTOP": "GNOME"}
    assert desktop.screen_lock(gnome, False, home).split(":")[0] in ("yes", "no", "unknown")
    (home / ".config").mkdir()
    (home / ".config/kscreenlockerrc").write_text("[Daemon]\nAutolock=false\n")
    kde = {"WAYLAND_DISPLAY": "w", "XDG_CURRENT_DESKTOP": "KDE"}
    assert desktop.screen_lock(kde, False, home) == "no: locking is switched off"


@given(st.text(max_size=200))
def test_any_file_of_kde_is_read(text: str) -> None:
    assert desktop.kde_lock(text).split(":")[0] in ("yes", "no", "unknown")


NET = ("unshare", "--net", "--")


def nft(*rules: str) -> str:
    """What a network of its own says after these rules, by the real nft."""
    loaded = "\n".join(rules)
    done = subprocess.run(
        [*NET, "sh", "-c", 'printf "%s\\n" "$1" | nft -f - && nft -j list ruleset', "sh", loaded],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"no network of its own with nft here: {done.stderr.strip()[:80]}")
    return done.stdout


def test_the_firewall_is_read_from_real_rules() -> None:
    assert desktop.nft_filters(nft("add table inet t")) == "no: nothing filters the input hook"
    hook = "add chain inet t in { type filter hook input priority 0; policy %s; }"
    assert desktop.nft_filters(nft("add table inet t", hook % "drop")) == (
        "yes: nftables, default drop"
    )
    accept = ("add table inet t", hook % "accept")
    assert desktop.nft_filters(nft(*accept)).startswith("no")
    rule = "add rule inet t in tcp dport 23 reject"
    assert desktop.nft_filters(nft(*accept, rule)) == "yes: nftables, default accept"
    other = ("add chain inet t other", "add rule inet t other drop")
    assert desktop.nft_filters(nft(*accept, *other)).startswith("no"), "nothing jumps there"


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["nftables", "chain", "rule", "expr", "hook"]), inner)
        ),
    )
)
def test_any_json_of_nft_is_read(value: object) -> None:
    assert desktop.nft_filters(json.dumps(value)).split(":")[0] in ("yes", "no", "unknown")
    assert desktop.nft_filters(json.dumps({"nftables": [value]})).split(":")[0] in (
        "yes", "no", "unknown",
    )  # fmt: skip


def test_a_tool_that_is_missing_hangs_or_fails_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "TIMEOUT_S", 0.3)
    assert system.run("no-such-tool-anywhere").why == "no-such-tool-anywhere is not installed"
    for name, body in (("hangs", "exec sleep 60"), ("fails", "exit 3"), ("speaks", "echo $LC_ALL")):
        tool = tmp_path / name
        tool.write_text(f"#!/bin/sh\n{body}\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert system.run("hangs").why.startswith("hangs did not answer")
    assert system.run("fails").code == 3
    assert system.run("speaks").out == "C\n"
    (tmp_path / "speaks").write_text("no program\n")
    assert system.run("speaks").code is None or system.run("speaks").code != 0
