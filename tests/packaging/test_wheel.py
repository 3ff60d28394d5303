"""The wheel, built, installed into an empty environment by the lock file's way, and run."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build(folder: Path) -> Path:
    """Build the wheel without the network: hatchling is one of the locked test packages."""
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return folder / done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_ships_themes_plugins_and_samples(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for folder, least in (("sample_configs", 1), ("themes", 0), ("plugins", 0)):
        source = [
            p for p in (ROOT / folder).rglob("*") if p.is_file() and "__pycache__" not in str(p)
        ]
        shipped = [n for n in names if n.startswith(f"console/_shipped/{folder}/")]
        assert len(shipped) == len(source) >= least
    assert "console/py.typed" in names
    assert "console/demo/incident.toml" in names


def test_no_path_of_this_machine_is_in_the_wheel(wheel: Path) -> None:
    needle = str(ROOT).encode()
    archive = zipfile.ZipFile(wheel)
    assert not [n for n in archive.namelist() if needle in archive.read(n)]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment after the README's two installation commands; its Python."""
    home = tmp_path_factory.mktemp("env")
    venv.create(home, with_pip=True)
    python = home / "bin/python"
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    locked = subprocess.run(
        [*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "No matching distribution" in locked.stderr or "Connection" in locked.stderr:
        pytest.skip(f"no package index can be reached: {locked.stderr.strip().splitlines()[-1]}")
    assert locked.returncode == 0, locked.stderr
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True, timeout=120)
    return python


@pytest.mark.timeout(480)
def test_the_wheel_runs_in_an_empty_environment(installed: Path, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(installed.with_name("watchfloor")), *argv],
            cwd=tmp_path,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=90,
        )

    version = run("--version")
    assert version.returncode == 0, version.stderr
    assert version.stdout.startswith("watchfloor ")
    demo = run("demo", "--plain", "--seconds", "10")
    assert demo.returncode == 0, demo.stderr
    assert "LIVE" in demo.stdout
    assert str(ROOT) not in demo.stdout + demo.stderr
