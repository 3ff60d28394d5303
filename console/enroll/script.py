"""The scripts that an administrator reads and runs as root on a host."""

import hashlib
from typing import Any

from console import __version__
from console.enroll import guardscript
from console.enroll.check import Enrolment
from console.enroll.guardcheck import GuardOrder
from console.enroll.guardfiles import KEYS, OPERATOR, SSHD_FILE
from console.enroll.shell import END, PYTHON, wrapped, written
from console.enroll.units import ACCOUNT, ROOT, RUN, SENSOR, UNITS
from console.hostside import bundle
from console.hostside.probe.sources import sha256_of

HOME = "/var/lib/watchfloor"
DECLARED = '{"sources": [], "weights": [], "identifiers": []}'
UNIT_FOLDER = "/etc/systemd/system"
MARK = "Watchfloor"  # comment of the accounts that an enrolment makes
_NAMES = {
    "account": ACCOUNT, "sensor": SENSOR, "root": ROOT, "home": HOME, "run": RUN, "end": END,
    "mark": MARK,
}  # fmt: skip

_HEAD = """\
#!/bin/sh
# Watchfloor {version}: enrol {host} for watching, tier {tier}.
#
# What it does, all of it:
#   - makes the account {account} (no password, shell /bin/sh, home {home}) with its key
#     file, owned by root, {joins}
{more}#   - writes /etc/watchfloor/probe.json where there is none
# Its key can then do one thing on this host: {can}.
# {sshd} It may be run again, also for another
# tier or with another key: the account gets exactly the key, home, shell and groups above. It stops
# before it changes anything where an account of that name exists that no enrolment made.
# `watchfloor enroll {host} --print --remove` prints the script that takes all of it away.
main() {{  # called in the last line: a script that was cut on its way runs nothing
set -eu
umask 022
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
say() {{ echo "watchfloor: $*"; }}
stop() {{ echo "watchfloor: $*" >&2; exit 1; }}
[ "$(id -u)" -eq 0 ] || stop "run this as root"
{needs}{python}{ours}"""

_UNTOUCHED = "It changes neither sshd's configuration nor the firewall."

OURS = """\
# An account that no enrolment made belongs to somebody else.
for account in {accounts}; do
    entry=$(getent passwd "$account") || continue
    [ "$(printf '%s\\n' "$entry" | cut -d: -f5)" = {mark} ] || stop "nothing was changed, for the\
 account $account was not made by an enrolment (its comment is not {mark}). Rename or remove it.\
 If it is ours after all: usermod --comment {mark} $account"
done
"""

_NEEDS = """\
[ -d /run/systemd/system ] || stop "tier 2 needs systemd, which does not run here: use --tier 1"
"""

_PROBE = """\
#   - puts the probe into {root}: Python source, owned by root. To list it before
#     (or, with -xz -C FOLDER, to unpack it), FILE being this script:
#       sed '1,/^base64 /d;/^{end}/,$d' FILE | base64 -d | tar -tz
#     sha256 of the probe, of which the console shows 16 digits:
#       {probe_sha256}
"""

_GUARDED = """\
[ ! -e {sshd_file} ] || stop "nothing was changed: this host has a guard, and without --guard its\
 console would lose its key. Say --guard too, or take it away first: --remove"
"""

_FORMER = """\
#   - takes away the systemd units of tier 2, if this host was at tier 2
"""

_MORE = """\
#   - makes the account {sensor} (no password, no shell) and four systemd units, enabled and
#     started: a socket that only {account} may open, the sandboxed sensor behind it, and a
#     timer that writes the firewall rules to {run} where it may read them
"""

_ACCOUNT = """
# --- the account that the console logs in to
id {account} >/dev/null 2>&1 ||
    useradd --system --comment {mark} --home-dir {home} --no-create-home \\
        --shell /bin/sh {account}
{groups}# No password can match, but the account is not locked: sshd refuses locked ones.
usermod --password '*' --home {home} --shell /bin/sh --groups "$groups" {account}
install -d -m 755 -o root -g root {home} {home}/.ssh
"""

_JOURNAL = """\
# Telemetry of logins comes from the journal.
groups=""
if getent group systemd-journal >/dev/null; then groups=systemd-journal; fi
"""

_NO_GROUPS = """\
groups=""
"""

_FILES = """
# --- the probe
# sha256 of the archive: {sha256}
# sha256 of the probe in it: {probe_sha256}
# Whatever happens from here on, the probe that was there is there again or the new one is.
new=""
back() {{
    [ -z "$new" ] || rm -rf "$new"
    if [ -d {root}.old ] && [ ! -d {root} ]; then mv {root}.old {root}; fi
}}
trap back EXIT
trap 'exit 1' HUP INT TERM
new=$(mktemp -d {root}.XXXXXX)
base64 -d >"$new/archive" <<'{end}'
{data}
{end}
echo '{sha256}  '"$new/archive" | sha256sum -c - >/dev/null || stop "the archive is damaged"
tar -xzf "$new/archive" -C "$new" --no-same-owner --no-same-permissions
rm "$new/archive"
chown -R root:root "$new"
chmod -R u=rwX,go=rX "$new"
"$python" -I -S "$new/start.py" --version >/dev/null || stop "the probe does not start"
rm -rf {root}.old
if [ -d {root} ]; then mv {root} {root}.old; fi
mv "$new" {root}
rm -rf {root}.old
trap - EXIT HUP INT TERM
"""

_DECLARED = """
# --- what this host declares: model sources, weight folders, log identifiers. docs/probe-json.md
# of Watchfloor says what may stand there; as it is written here it declares nothing.
install -d -m 755 -o root -g root /etc/watchfloor
if [ ! -e /etc/watchfloor/probe.json ]; then
    printf '%s\\n' '{declared}' >/etc/watchfloor/probe.json
    chmod 644 /etc/watchfloor/probe.json
fi
"""

_UNITS = """
# --- the sensor
id {sensor} >/dev/null 2>&1 ||
    useradd --system --comment {mark} --home-dir /nonexistent --no-create-home \\
        --shell /usr/sbin/nologin {sensor}
{units}
install -d -m 755 -o root -g root {run}
systemctl daemon-reload
systemctl --quiet enable watchfloor-sensor.socket watchfloor-firewall.timer
# Running sensors are of the former version.
systemctl stop 'watchfloor-sensor@*.service'
systemctl restart watchfloor-sensor.socket watchfloor-firewall.timer
systemctl start watchfloor-firewall.service ||
    say "the firewall rules cannot be read: see systemctl status watchfloor-firewall"
"""

_NO_UNITS = """
# --- what tier 2 left, if this host was at tier 2
if [ -e /etc/systemd/system/watchfloor-sensor.socket ]; then
    systemctl --quiet disable --now watchfloor-sensor.socket watchfloor-firewall.timer || true
    systemctl stop 'watchfloor-sensor@*.service' watchfloor-firewall.service || true
    rm -f {units}
    systemctl daemon-reload || true
    rm -rf {run}
fi
"""

_TAIL = """
# --- would sshd take it?
sshd=$(sshd -T -C user={account},host=localhost,addr=127.0.0.1 2>/dev/null || true)
case "$sshd" in
*"authorizedkeysfile "*.ssh/authorized_keys* | *"authorizedkeysfile {key_folder}/"*) ;;
*authorizedkeysfile*) say "careful: sshd reads no key file below a home (AuthorizedKeysFile)" ;;
esac
case "$sshd" in
*"allowusers "* | *"allowgroups "* | *"denyusers "* | *"denygroups "*)
    say "careful: sshd limits who may log in (AllowUsers and the like); let {entrants} in" ;;
esac
say "{host} is enrolled at tier {tier}. {compare}For the inventory:"
printf '%s\\n' '[[hosts]]' 'name = "{host}"' 'address = "{host}"' 'user = "{account}"' \\
    'key = "~/.ssh/{account}"  # put the path of your private key here' 'tier = {tier}'
host_key='# host_key is missing: run `watchfloor hosts trust {host}` on the console'
for file in /etc/ssh/ssh_host_ed25519_key.pub /etc/ssh/ssh_host_ecdsa_key.pub; do
    [ -r "$file" ] || continue
    read -r kind key rest <"$file" || true
    host_key="host_key = \\"$kind $key\\""
    break
done
printf '%s\\n' "$host_key"
{pin}}}
main
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


def install(order: Enrolment, binding: bytes | None, guard: GuardOrder | None = None) -> str:
    """The script that enrols; ``binding`` is the NVML binding to send along, ``guard`` what is
    needed to install the guard too."""
    contents = bundle.files(binding)
    names = {
        "version": __version__, "host": order.host, "tier": order.tier, "declared": DECLARED,
        "probe_sha256": _probe_sha256(contents), **_NAMES,
    }  # fmt: skip
    parts = [_head(order, names, guard)]
    parts.append(_ACCOUNT.format(groups=_JOURNAL if order.tier < 2 else _NO_GROUPS, **names))
    if order.tier:
        data = bundle.archive(contents)
        sha256 = hashlib.sha256(data).hexdigest()
        parts.append(_FILES.format(sha256=sha256, data=wrapped(data), **names))
    parts.append(_DECLARED.format(**names))
    if order.tier == 2:
        units = "\n".join(written(f"{UNIT_FOLDER}/{n}", t) for n, t in UNITS.items())
        parts.append(_UNITS.format(units=units, **names))
    else:
        parts.append(_NO_UNITS.format(units=unit_files(), **names))
    # Last, so that nobody can log in to what is half there.
    lines = "\n".join(key_lines(order)) + "\n"
    if guard is not None:
        keys = guardscript.installation(order, guard, MARK, HOME, lines)
    else:
        keys = "\n# --- its key, for which the account itself may not write another\n"
        keys += written(f"{HOME}/.ssh/authorized_keys", lines)
    compare = f"The sha256 of the probe is {names['probe_sha256']}. " if order.tier else ""
    pin = 'printf \'%s\\n\' "guard_id = \\"$host_id\\""\n' if guard else ""
    entrants = f"{ACCOUNT} and {OPERATOR}" if guard else ACCOUNT
    parts.append(keys)
    parts.append(
        _TAIL.format(compare=compare, pin=pin, entrants=entrants, key_folder=KEYS, **names)
    )
    return "".join(parts)


def _head(order: Enrolment, names: dict[str, Any], guard: GuardOrder | None) -> str:
    """What the script does, in words, and what must hold before it does any of it."""
    more = (_PROBE if order.tier else "") + (_MORE if order.tier == 2 else _FORMER)
    can = {
        0: "open a shell, without forwarding or terminal",
        1: "start the probe as that account",
        2: "open that socket",
    }[order.tier]
    joins = (
        "in no other group"
        if order.tier == 2
        else "in the group systemd-journal to read logins, and in no other"
    )
    needs = _NEEDS if order.tier == 2 else ""
    accounts, told, sshd = f"{ACCOUNT} {SENSOR}", more.format(**names), _UNTOUCHED
    if guard is None:
        needs += _GUARDED.format(sshd_file=SSHD_FILE)
    else:
        needs += guardscript.needs(guard)
        told += guardscript.about(guard)
        accounts, sshd = f"{accounts} {OPERATOR}", "It does not change the firewall."
    ours = OURS.format(accounts=accounts, mark=MARK)
    return _HEAD.format(
        more=told, can=can, joins=joins, needs=needs, ours=ours, sshd=sshd, python=PYTHON, **names
    )


def _probe_sha256(contents: dict[str, bytes]) -> str:
    """The digest that the installed probe tells in its first frame."""
    own = {
        path.removeprefix(f"{bundle.PACKAGE}/"): data
        for path, data in contents.items()
        if path.startswith(f"{bundle.PACKAGE}/") or path == "pynvml.py"
    }
    return sha256_of(own)


def unit_files() -> str:
    """Paths of the units of tier 2, separated by spaces."""
    return " ".join(f"{UNIT_FOLDER}/{name}" for name in UNITS)
