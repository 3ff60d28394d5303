"""The enrolment scripts on a real host: again and again, cut, damaged, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.enrolled import Enrolled
from tests.support.lab import LabHost, LabUnavailable, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

PLACES = ("etc", "usr/lib", "var/lib", "home", "run/watchfloor", "run/systemd/system")
# Written by useradd and systemd of their own accord, and not by the script.
THEIRS = {"etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "etc/.pwd.lock"}
ACCOUNTS = ("passwd", "shadow", "group", "gshadow")
KEY_FILE = "var/lib/watchfloor/.ssh/authorized_keys"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enrolled]:
    """lab5, as it was made."""
    try:
        host = LabHost(5).__enter__()
    except LabUnavailable as why:
        pytest.skip(f"no lab host: {why}")
    try:
        yield Enrolled(host, tmp_path_factory.mktemp("enroll"))
    finally:
        host.close()


def picture(root: Path) -> set[str]:
    """Every path in the places where enrolment may write."""
    found = set()
    for place in PLACES:
        found |= {str(path.relative_to(root)) for path in (root / place).rglob("*")}
    return found - THEIRS


def accounts(root: Path) -> dict[str, list[str]]:
    return {name: (root / "etc" / name).read_text().splitlines() for name in ACCOUNTS}


def test_what_was_cut_anywhere_lets_nobody_in_and_a_whole_run_mends_it(lab: Enrolled) -> None:
    lines = lab.install().splitlines(keepends=True)
    assert lines[0] == "#!/bin/sh\n"
    key = next(number for number, line in enumerate(lines) if KEY_FILE in line)
    data = next(number for number, line in enumerate(lines) if line.startswith("base64"))
    steps = [n for n, line in enumerate(lines[:key]) if not line.startswith("#") and n < data]
    steps += [data + 5, *range(key - 12, key + 1)]
    before = picture(lab.host.root)
    for at in steps[::3]:
        lab.run_script("".join(lines[:at]), check=False)
        assert picture(lab.host.root) == before, f"cut at line {at}"
        assert not (lab.host.root / KEY_FILE).exists(), f"cut at line {at}"
        assert lab.ssh().returncode == 255
    lab.enroll()
    assert lab.first_frame()["hello"]["tier"] == 2
    assert not list((lab.host.root / "usr/lib").glob("watchfloor.*"))


def test_a_damaged_archive_changes_nothing(lab: Enrolled) -> None:
    lab.enroll()
    before = picture(lab.host.root)
    digest = lab.first_frame()["hello"]["sha256"]
    lines = lab.install().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if line.startswith("base64")) + 3
    lines[at] = ("A" if lines[at][0] != "A" else "B") + lines[at][1:]
    done = lab.run_script("".join(lines), check=False)
    assert done.returncode == 1
    assert "the archive is damaged" in done.stderr
    assert picture(lab.host.root) == before
    assert lab.first_frame()["hello"]["sha256"] == digest


def test_running_it_again_changes_nothing_and_keeps_what_is_declared(lab: Enrolled) -> None:
    lab.enroll()
    declared = lab.host.root / "etc/watchfloor/probe.json"
    declared.write_text('{"weights": ["/srv/weights"]}')
    before, people = picture(lab.host.root), accounts(lab.host.root)
    lab.enroll()
    assert picture(lab.host.root) == before
    assert accounts(lab.host.root) == people
    assert declared.read_text() == '{"weights": ["/srv/weights"]}'
    key_file = lab.host.root / KEY_FILE
    assert (key_file.stat().st_uid, key_file.stat().st_mode & 0o777) == (0, 0o644)
    assert len(key_file.read_text().splitlines()) == 1


def test_another_tier_takes_the_place_of_the_one_before(lab: Enrolled) -> None:
    lab.enroll(2)
    assert "systemd-journal" not in lab.host.run("id", "-nG", "wfmon").stdout
    lab.enroll(1)
    assert lab.first_frame()["hello"]["tier"] == 1
    assert "systemd-journal" in lab.host.run("id", "-nG", "wfmon").stdout
    assert not list((lab.host.root / "etc/systemd/system").rglob("watchfloor*"))
    assert "tier" in lab.ssh("id").stdout
    lab.enroll(2)
    assert lab.first_frame()["hello"]["tier"] == 2
    assert lab.host.run("id", "-nG", "wfmon").stdout.split() == ["wfmon"]


def test_removal_takes_all_of_it_away_also_while_it_is_used(tmp_path: Path) -> None:
    try:
        host = LabHost(6).__enter__()
    except LabUnavailable as why:
        pytest.skip(f"no lab host: {why}")
    try:
        lab = Enrolled(host, tmp_path)
        host.run("systemctl", "daemon-reload")
        for name in ("wfmon", "wfsensor"):
            host.run("useradd", "--shell", "/bin/bash", "--no-create-home", name)
            before, people = picture(host.root), accounts(host.root)
            for script in (lab.install(1), lab.install(), lab.script("--remove")):
                done = lab.run_script(script, check=False)
                assert done.returncode == 1
                assert f"the account {name} was not made by an enrolment" in done.stderr
            assert picture(host.root) == before
            assert accounts(host.root) == people
            host.run("userdel", name)
        before, people = picture(host.root), accounts(host.root)
        lab.enroll()
        assert picture(host.root) != before
        session = "sleep 600 | python3 -I /usr/lib/watchfloor/relay.py"
        listening = host.popen("runuser", "-u", "wfmon", "--", "sh", "-c", session)
        wait_until(lambda: bool(lab.sensors()), 20, "a sensor runs")
        done = lab.run_script(lab.script("--remove"))
        assert done.stdout == "watchfloor: removed\n"
        listening.communicate(timeout=20)
        assert picture(host.root) == before
        assert accounts(host.root) == people
        assert not lab.sensors()
        units = host.run("systemctl", "list-units", "--all", "--plain", "watchfloor*").stdout
        assert "0 loaded units" in units
        assert lab.ssh().returncode == 255
        # Twice does no harm, and what a person declared is kept.
        lab.enroll()
        (host.root / "etc/watchfloor/probe.json").write_text('{"weights": ["/w"]}')
        lab.run_script(lab.script("--remove"))
        lab.run_script(lab.script("--remove"))
        kept = host.root / "etc/watchfloor/probe.json.removed"
        assert kept.read_text() == '{"weights": ["/w"]}'
        lab.enroll()
        assert lab.first_frame()["hello"]["tier"] == 2
    finally:
        host.close()
