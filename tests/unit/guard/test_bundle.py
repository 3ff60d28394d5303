"""The guard as one file."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.hostside import bundle

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "bundle"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated guard below a folder, not yet run."""
    base = tmp_path_factory.mktemp("base")
    path = base / "guard"
    path.write_bytes(bundle.guard("simulated", str(base)))
    path.chmod(0o755)
    return path


def run(program: Path, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [program, *arguments], input=data, capture_output=True, timeout=60, check=False,
        env={"PATH": os.environ["PATH"]},
    )  # fmt: skip


def code_of(program: Path) -> Path:
    (found,) = (program.parent / "var/lib/watchfloor/guard/code").iterdir()
    return found


def test_the_same_files_make_the_same_bytes() -> None:
    one = bundle.guard()
    assert one == bundle.guard()
    assert one.startswith(b"#!/usr/bin/python3 -ISB\nPK")
    assert len(one) < 180 << 10, "it no longer fits the payload of install-guard"


def test_another_build_is_another_file(tmp_path: Path) -> None:
    builds = {bundle.guard(), bundle.guard("simulated"), bundle.guard("simulated", str(tmp_path))}
    assert len(builds) == 3
    for effector, base in (("real", "/tmp/x"), ("other", ""), ("simulated", "relative")):
        with pytest.raises(ValueError, match=r"base folder|effector"):
            bundle.guard(effector, base)


def test_the_script_writes_it(tmp_path: Path) -> None:
    target = tmp_path / "guard"
    ran = subprocess.run(
        [sys.executable, SCRIPT, "guard", "-o", target], capture_output=True, check=True
    )
    data = target.read_bytes()
    assert ran.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert data == bundle.guard()
    assert target.stat().st_mode & 0o777 == 0o755
    wrong = [sys.executable, str(SCRIPT), "guard", "--base", "/srv", "-o", str(target)]
    assert subprocess.run(wrong, capture_output=True, check=False).returncode == 2


def test_it_knows_itself(program: Path) -> None:
    ran = run(program, "--self-test")
    assert ran.stdout.decode().strip() == hashlib.sha256(program.read_bytes()).hexdigest(), ran


def test_compiled_code_is_kept_for_root_alone(program: Path) -> None:
    run(program, "--self-test")
    kept = code_of(program)
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert kept.name.startswith(hashlib.sha256(program.read_bytes()).hexdigest()[:32])


def test_code_that_is_not_whole_or_not_roots_is_made_anew(program: Path) -> None:
    run(program, "--self-test")
    kept = code_of(program)
    good = kept.read_bytes()
    kept.write_bytes(good[:1000])
    assert run(program, "--self-test").returncode == 0
    assert kept.read_bytes() == good
    kept.chmod(0o666)
    inode = kept.stat().st_ino
    assert run(program, "--self-test").returncode == 0
    assert code_of(program).stat().st_ino != inode
    aside = kept.with_name("aside")
    kept.rename(aside)
    kept.symlink_to(aside)
    assert run(program, "--self-test").returncode == 0
    assert not kept.is_symlink()
    aside.unlink()


def test_verify_finds_code_that_is_another(program: Path) -> None:
    """Whoever changes the code that is kept, not the file, is found as well. Threats: 82."""
    import marshal

    run(program, "--self-test")
    kept = code_of(program)
    codes = marshal.loads(kept.read_bytes()[32:])  # noqa: S302
    codes["watchfloor_guard.floors"] = marshal.dumps(compile("QUORUM = 1", "x", "exec"))
    data = marshal.dumps(codes)
    kept.write_bytes(hashlib.sha256(data).digest() + data)
    answer = json.loads(run(program, "verify").stdout)
    assert answer["rule"] == "code", answer


def test_nothing_on_the_way_in_is_believed(program: Path, tmp_path: Path) -> None:
    """Neither variables nor modules beside it. Threats: 74."""
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit(9)")
    environ = {"PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nowhere", "PYTHONSTARTUP": "x",
               "LC_ALL": "x", "BASH_ENV": "x", "PATH": "/nowhere"}  # fmt: skip
    ran = subprocess.run(
        [program], input=b"{}", capture_output=True, cwd=tmp_path, env=environ, check=False
    )
    assert json.loads(ran.stdout)["rule"] == "not-enrolled", ran
