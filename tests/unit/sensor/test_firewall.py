"""The firewall's listing, made by the real program with real rules in a network of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "console/hostside/sensor/firewall.py"
TOOLS = ("unshare", "mount", "setpriv", "nft")
SETUP = """\
mount -t tmpfs tmpfs /run
mkdir /run/watchfloor
run() { "$PYTHON" -I -S "$PROGRAM"; }
"""
RULES = """\
nft add table inet wf
nft add chain inet wf in '{ type filter hook input priority 0; }'
nft add rule inet wf in tcp dport 22 counter accept
"""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, TOOLS)),
    reason=f"needs root and {', '.join(TOOLS)}",
)


def inside(script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script where ``/run`` is empty and the network is one of its own."""
    return subprocess.run(
        ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", SETUP + script],
        check=False, capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"] + ":/usr/sbin", "PYTHON": sys.executable,
             "PROGRAM": str(PROGRAM)},
    )  # fmt: skip


def test_the_rules_are_written_for_the_group_alone() -> None:
    done = inside(
        RULES + "umask 077; run; cd /run/watchfloor; stat -c '%a %U' firewall.json\n"
        "ls; cat firewall.json; nft -j list ruleset"
    )
    assert (done.returncode, done.stderr) == (0, "")
    facts, names, written, listed = done.stdout.strip().splitlines()
    assert facts == "640 root"
    assert names == "firewall.json"
    assert written == listed
    assert sum("rule" in item for item in json.loads(written)["nftables"]) == 1


def test_a_file_that_was_left_behind_does_no_harm() -> None:
    done = inside(
        "cd /run/watchfloor; echo '{old' >firewall.json.new; chmod 666 firewall.json.new\n"
        "run; stat -c %a firewall.json; cat firewall.json"
    )
    assert done.returncode == 0
    mode, written = done.stdout.strip().splitlines()
    assert mode == "640"
    assert json.loads(written)["nftables"]


def test_without_nft_the_file_is_empty() -> None:
    done = inside("PATH=/nonexistent run; cat /run/watchfloor/firewall.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_the_right_it_says_so_and_leaves_what_was_there() -> None:
    done = inside(
        "echo before >/run/watchfloor/firewall.json\n"
        "without='setpriv --bounding-set=-net_admin --inh-caps=-net_admin'\n"
        '$without "$PYTHON" -I -S "$PROGRAM" && exit 9\n'
        "cat /run/watchfloor/firewall.json; ls /run/watchfloor"
    )
    assert done.returncode == 0
    assert done.stdout == "before\nfirewall.json\n"
    assert "cannot write /run/watchfloor/firewall.json" in done.stderr
    assert "Operation not permitted" in done.stderr
