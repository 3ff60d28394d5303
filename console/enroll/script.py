"""The scripts that an administrator reads and runs as root on a host."""

import hashlib
from base64 import b64encode
from textwrap import dedent

from console import __version__
from console.enroll.check import Enrolment
from console.enroll.units import ACCOUNT, ROOT, RUN, SENSOR, UNITS
from console.hostside import bundle

HOME = "/var/lib/watchfloor"
END = "WATCHFLOOR_END"

_HEAD = """\
#!/bin/sh
# Watchfloor {version}: enrol {host} for watching, tier {tier}.
#
# What it does, all of it:
#   - makes the account {account} (no password, shell /bin/sh) with its key file, owned by root
#   - puts the probe into {root}: Python source, owned by root
{more}#   - writes /etc/watchfloor/probe.json where there is none
# Its key can then do one thing on this host: {can}.
# It changes neither sshd's configuration nor the firewall. `watchfloor enroll {host} --print
# --remove` prints the script that takes all of it away again.
set -eu
umask 022
say() {{ echo "watchfloor: $*"; }}
stop() {{ echo "watchfloor: $*" >&2; exit 1; }}
[ "$(id -u)" -eq 0 ] || stop "run this as root"
python=$(command -v python3) || stop "python3 is missing"
"$python" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 8))' ||
    stop "$python is older than 3.8"
"""

_MORE = """\
#   - makes the account {sensor} and four systemd units: a socket that only {account} may open, the
#     sandboxed sensor behind it, and a timer that writes the firewall rules where it may read them
"""

_ACCOUNT = """
# --- the account that the console logs in to
id {account} >/dev/null 2>&1 ||
    useradd --system --home-dir {home} --no-create-home --shell /bin/sh {account}
# No password can match, but the account is not locked: sshd refuses locked ones.
usermod --password '*' --home {home} --shell /bin/sh {account}
{journal}install -d -m 755 -o root -g root {home} {home}/.ssh
"""

_FILES = """
# --- the probe
# sha256 of the archive: {sha256}
new=$(mktemp -d /usr/lib/watchfloor.XXXXXX)
trap 'rm -rf "$new"' EXIT
base64 -d >"$new/archive" <<'{end}'
{data}
{end}
echo '{sha256}  '"$new/archive" | sha256sum -c --quiet - || stop "the archive is damaged"
tar -xzf "$new/archive" -C "$new" --no-same-owner --no-same-permissions
rm "$new/archive"
chown -R root:root "$new"
chmod -R u=rwX,go=rX "$new"
rm -rf {root}.old
if [ -d {root} ]; then mv {root} {root}.old; fi
mv "$new" {root}
trap - EXIT
rm -rf {root}.old
"""

_DECLARED = """
# --- what this host declares: model sources, weight folders, log identifiers
install -d -m 755 -o root -g root /etc/watchfloor
if [ ! -e /etc/watchfloor/probe.json ]; then
    printf '%s\\n' '{"sources": [], "weights": [], "identifiers": []}' >/etc/watchfloor/probe.json
    chmod 644 /etc/watchfloor/probe.json
fi
"""

_UNITS = """
# --- the sensor
id {sensor} >/dev/null 2>&1 ||
    useradd --system --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin {sensor}
{units}
install -d -m 755 -o root -g root {run}
systemctl daemon-reload
systemctl enable --now watchfloor-sensor.socket watchfloor-firewall.timer
systemctl restart watchfloor-sensor.socket
systemctl start watchfloor-firewall.service ||
    say "the firewall rules cannot be read: see systemctl status watchfloor-firewall"
"""

_TAIL = """
say "{host} is enrolled at tier {tier}. For the inventory:"
for file in /etc/ssh/ssh_host_ed25519_key.pub /etc/ssh/ssh_host_ecdsa_key.pub; do
    [ -r "$file" ] || continue
    read -r kind key rest <"$file"
    printf '%s\\n' '[[hosts]]' 'name = "{host}"' 'user = "{account}"' 'tier = {tier}' \\
        "host_key = \\"$kind $key\\""
    break
done
"""

_REMOVE = """\
#!/bin/sh
# Watchfloor {version}: take everything that enrolment put on {host} away again.
set -eu
[ "$(id -u)" -eq 0 ] || {{ echo "run this as root" >&2; exit 1; }}
if command -v systemctl >/dev/null 2>&1; then
    systemctl disable --now watchfloor-sensor.socket watchfloor-firewall.timer 2>/dev/null || true
    systemctl stop 'watchfloor-sensor@*.service' watchfloor-firewall.service 2>/dev/null || true
fi
rm -f {units}
if command -v systemctl >/dev/null 2>&1; then systemctl daemon-reload; fi
for account in {account} {sensor}; do
    pkill -KILL -u "$account" 2>/dev/null || true
    if id "$account" >/dev/null 2>&1; then userdel "$account"; fi
    if getent group "$account" >/dev/null 2>&1; then groupdel "$account"; fi
done
rm -rf {root} {root}.old {home} {run}
# What the host declares may be the work of a person; it is kept beside its place.
if [ -e /etc/watchfloor/probe.json ]; then
    mv /etc/watchfloor/probe.json /etc/watchfloor/probe.json.removed
fi
echo "watchfloor: removed"
"""


def forced_command(tier: int) -> str:
    """What the key starts; ``@PYTHON@`` stands for the interpreter's path."""
    if tier == 2:
        return f"exec @PYTHON@ -I -S -u {ROOT}/relay.py"
    return f"exec @PYTHON@ -I -S -u {ROOT}/start.py --tier 1"


def key_lines(order: Enrolment) -> list[str]:
    """Lines of the key file (sshd(8), AUTHORIZED_KEYS FILE FORMAT)."""
    options = f'restrict,command="{forced_command(order.tier)}"' if order.tier else "restrict"
    if order.sources:
        options += f',from="{",".join(order.sources)}"'
    return [f"{options} {key} watchfloor" for key in order.keys]


def install(order: Enrolment, binding: bytes | None) -> str:
    """The script that enrols; ``binding`` is the NVML binding to send along."""
    names = {
        "version": __version__, "host": order.host, "tier": order.tier, "account": ACCOUNT,
        "sensor": SENSOR, "root": ROOT, "home": HOME, "run": RUN, "end": END,
    }  # fmt: skip
    more = _MORE.format(**names) if order.tier == 2 else ""
    can = {
        0: "open a shell without forwarding or terminal (for trying out only)",
        1: "start the probe as that account",
        2: "open that socket",
    }[order.tier]
    journal = ""
    if order.tier < 2:
        journal = (
            "# Telemetry of logins comes from the journal.\n"
            f"if getent group systemd-journal >/dev/null; then "
            f"usermod -a -G systemd-journal {ACCOUNT}; fi\n"
        )
    parts = [_HEAD.format(more=more, can=can, **names), _ACCOUNT.format(journal=journal, **names)]
    if order.tier:
        data = bundle.archive(bundle.files(binding))
        parts.append(
            _FILES.format(sha256=hashlib.sha256(data).hexdigest(), data=_wrapped(data), **names)
        )
    parts.append(_DECLARED)
    if order.tier == 2:
        units = "\n".join(_written(f"/etc/systemd/system/{n}", t) for n, t in UNITS.items())
        parts.append(_UNITS.format(units=units, **names))
    # Last, so that nobody can log in to what is half there.
    keys = "\n# --- its key, for which the account itself may not write another\n"
    keys += _written(f"{HOME}/.ssh/authorized_keys", "\n".join(key_lines(order)) + "\n")
    parts += [keys, _TAIL.format(**names)]
    return "".join(parts)


def remove(host: str) -> str:
    """The script that undoes ``install`` of any tier."""
    units = " ".join(f"/etc/systemd/system/{name}" for name in UNITS)
    return _REMOVE.format(
        version=__version__, host=host, account=ACCOUNT, sensor=SENSOR, root=ROOT, home=HOME,
        run=RUN, units=units,
    )  # fmt: skip


def _written(path: str, text: str) -> str:
    """Shell that writes ``text`` to ``path`` as a whole; ``@PYTHON@`` becomes the interpreter."""
    return dedent(f"""\
        sed "s|@PYTHON@|$python|g" >'{path}.new' <<'{END}'
        """) + (f"{text}{END}\nchmod 644 '{path}.new'\nmv '{path}.new' '{path}'\n")


def _wrapped(data: bytes) -> str:
    text = b64encode(data).decode()
    return "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
