"""What a start costs: heavy libraries are imported only by those who use them."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = (
    "textual",
    "rich",
    "asyncssh",
    "cryptography",
    "psutil",
    "sqlite3",
    "yaml",
    "pynvml",
    "regex",
)

PROBE = """
import sys
{code}
print(",".join(n for n in {heavy!r} if n in sys.modules))
"""


def pulled_in(code: str) -> set[str]:
    """Which of the heavy libraries are loaded after ``code`` in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(code=code, heavy=HEAVY)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    last = done.stdout.splitlines()[-1] if done.stdout.strip() else ""
    return set(filter(None, last.split(",")))


@pytest.mark.parametrize(
    ("code", "allowed"),
    [
        ("import console", set()),
        ("import console.text, console.errors, console.clock", set()),
        ("import console.model.view, console.model.frame", set()),
        ("import console.config.loader", set()),
        ("import console.extend", set()),
        ("import console.cli.main", set()),
        ("import console.hostside.probe.main", set()),
        ("import console.engine.session", {"sqlite3"}),
        ("import console.fleet.pool", set()),
        ("import console.headless.status, console.headless.watch", set()),
        ("import console.tui.app", {"textual", "rich"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_import_pulls_in_no_more(code: str, allowed: set[str]) -> None:
    assert pulled_in(code) <= allowed


def test_version_and_help_need_no_heavy_library() -> None:
    for flag in ("--version", "--help"):
        code = (
            "from console.cli.main import run\n"
            f"try:\n    run([{flag!r}])\nexcept SystemExit:\n    pass"
        )
        assert pulled_in(code) == set()


def test_the_surface_of_plugins_pulls_in_pure_data_alone() -> None:
    code = "import sys, console.extend; print(*(n for n in sys.modules if n.startswith('console')))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    loaded = set(done.stdout.split())
    assert loaded == {"console", "console.extend", "console.model", "console.model.panel"}
