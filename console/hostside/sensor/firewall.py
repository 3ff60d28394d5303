"""Writes the host's firewall rules where the sensor may read them.

Listing nftables rules needs CAP_NET_ADMIN, which would also let the sensor change them. So this
small program, started by a timer, has that right and nothing else: it talks to nobody, and leaves
one file that the sensor can read but not write.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys

TARGET = "/run/watchfloor/firewall.json"
LIMIT = 16 << 20


def rules() -> bytes:
    """The rule set as JSON, empty where nft is not installed; OSError where it cannot be had."""
    try:
        done = subprocess.run(
            ["nft", "-j", "list", "ruleset"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
    except FileNotFoundError:
        return b""
    if done.returncode != 0:
        raise OSError(done.returncode, done.stderr.decode("utf-8", "replace").strip()[:200])
    if len(done.stdout) > LIMIT:  # half a listing would look like another rule set
        raise OSError(errno.EFBIG, f"the rules are longer than {LIMIT >> 20} MiB")
    return done.stdout


def main() -> int:
    """Write the file as a whole or not at all."""
    try:
        data = rules()
        fresh = TARGET + ".new"
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o640)  # whatever the umask and a file that was left behind say
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, TARGET)
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"cannot write {TARGET}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
