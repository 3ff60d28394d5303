"""Base roots for real hosts: made once by debootstrap, cached between runs.

The mirror is the one that this machine's own apt is configured with.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = (
    "systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,nftables,iproute2,python3,sudo,"
    "procps,netbase,passwd,adduser"
)
TOOLS = ("debootstrap", "systemd-nspawn", "ip", "nsenter", "unshare", "setpriv", "ssh-keygen")
MAKE_SECONDS = 480.0
# Whatever is started so is killed by the kernel when the process that started it dies.
TIED = ("setpriv", "--pdeathsig", "KILL", "--")


class LabUnavailable(Exception):
    """Why real hosts cannot be had on this machine."""


def cache_dir() -> Path:
    """Where base roots are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "watchfloor-lab"


def base_root(suite: str = "bookworm", packages: str = PACKAGES) -> Path:
    """The cached base root of a Debian suite; made on first use (a minute or two).

    Raises LabUnavailable with the reason where it cannot be made.
    """
    if os.geteuid() != 0:
        raise LabUnavailable("real hosts need root")
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise LabUnavailable(f"not installed: {', '.join(missing)}")
    digest = hashlib.sha256(packages.encode()).hexdigest()[:8]
    target = cache_dir() / f"{suite}-{digest}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _make(suite, packages, target)
    return target


def _make(suite: str, packages: str, target: Path) -> None:
    fresh = target.with_suffix(".new")
    failed = []
    for mirror in [*mirrors(), ""]:
        shutil.rmtree(fresh, ignore_errors=True)
        failed.append(_debootstrap(suite, packages, fresh, mirror))
        if not failed[-1]:
            fresh.rename(target)
            return
    shutil.rmtree(fresh, ignore_errors=True)
    raise LabUnavailable(f"debootstrap {suite} failed: {failed[0]}")


def _debootstrap(suite: str, packages: str, target: Path, mirror: str) -> str:
    """Why it failed, empty when it worked; what it mounts goes with its namespace."""
    argv = [
        *TIED, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
        "debootstrap", "--force-check-gpg", "--variant=minbase", f"--include={packages}",
        suite, str(target), *([mirror] if mirror else []),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            argv, check=False, capture_output=True, text=True, timeout=MAKE_SECONDS,
            stdin=subprocess.DEVNULL, env={**os.environ, **_proxies()},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"not done within {MAKE_SECONDS:g} s"
    if done.returncode == 0:
        return ""
    lines = (done.stdout + done.stderr).strip().splitlines()
    return next((line for line in lines if line.startswith("E:")), lines[-1] if lines else "silent")


def mirrors() -> list[str]:
    """Debian mirrors of this machine's own apt configuration, in its order."""
    form = "$(REPO_URI) $(ORIGIN)"
    found: dict[str, None] = {}
    for line in _output("apt-get", "indextargets", "--format", form, "Created-By: Packages"):
        uri, _, origin = line.partition(" ")
        path = uri.rstrip("/")
        if "security" not in path and (origin == "Debian" or path.endswith("/debian")):
            found[path] = None
    return list(found)


def _proxies() -> dict[str, str]:
    """The proxies that apt uses, in the form that debootstrap's downloader takes."""
    found = {}
    for line in _output("apt-config", "dump", "Acquire::http::Proxy", "Acquire::https::Proxy"):
        name, _, value = line.partition(" ")
        kind = name.split("::")[1] if name.count("::") == 2 else ""
        value = value.strip(' ";')
        if kind in ("http", "https") and value and value != "DIRECT":
            found[f"{kind}_proxy"] = value
    return found


def _output(*argv: str) -> list[str]:
    if shutil.which(argv[0]) is None:
        return []
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    return done.stdout.splitlines()
