"""The script that takes an enrolment away again."""

from console import __version__
from console.enroll import guardfiles as guard
from console.enroll.guardscript import UNIT_FOLDER
from console.enroll.script import DECLARED, HOME, MARK, OURS, unit_files
from console.enroll.units import ACCOUNT, ROOT, RUN, SENSOR

_REMOVE = """\
#!/bin/sh
# Watchfloor {version}: take everything that enrolment put on {host} away again.
#
# The guard's audit log, evidence and trust are not deleted: they are moved to {kept}.
# It stops before it changes anything where an action of two people is still in force on this host;
# `sh FILE --anyway` goes on, removes the guard's firewall tables, and leaves the rest as it is.
main() {{  # called in the last line: a script that was cut on its way runs nothing
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
say() {{ echo "watchfloor: $*"; }}
stop() {{ echo "watchfloor: $*" >&2; exit 1; }}
[ "$(id -u)" -eq 0 ] || stop "run this as root"
{ours}for entry in {state}/journal/* {state}/standing/*; do
    [ -e "$entry" ] || continue
    [ "${{1:-}}" = --anyway ] || stop "nothing was changed: an action is in force here. Release it\
 by two people first, or run this with --anyway"
done
# First the keys, so that nobody logs in meanwhile.
rm -rf {home}/.ssh {keys}
if [ -e {sshd_file} ]; then
    rm -f {sshd_file} {before}
    if sshd -t; then
        systemctl try-reload-or-restart ssh.service 2>/dev/null ||
            systemctl try-reload-or-restart sshd.service || true
    else
        say "careful: sshd's configuration is not valid, so it was not loaded anew"
    fi
fi
rm -f {before} {sudoers} {tmpfiles}
if [ -d /run/systemd/system ]; then
    systemctl --quiet disable --now \\
        watchfloor-sensor.socket watchfloor-firewall.timer 2>/dev/null || true
    systemctl --quiet disable --now \\
        watchfloor-tick.timer watchfloor-guard-boot.service 2>/dev/null || true
    systemctl stop watchfloor-tick.service 2>/dev/null || true
    systemctl stop 'watchfloor-sensor@*.service' watchfloor-firewall.service 2>/dev/null || true
fi
rm -f {units} {wants}
if [ -d {state} ]; then
    if [ "${{1:-}}" = --anyway ] && command -v nft >/dev/null; then
        nft delete table inet watchfloor 2>/dev/null || true
        nft delete table netdev watchfloor_l2 2>/dev/null || true
    fi
    kept={kept}/$(date -u +%Y%m%dT%H%M%SZ)
    install -d -m 700 -o root -g root {kept} "$kept" "$kept/etc"
    mv {state} "$kept/guard"
    for name in secret lock code nonces payload spool journal standing; do
        rm -rf "$kept/guard/$name"
    done
    for file in {etc}/roster.* {etc}/policy.* {etc}/identity.json {etc}/chain; do
        if [ -e "$file" ]; then mv "$file" "$kept/etc/"; fi
    done
    say "audit log, evidence and trust of the guard are kept in $kept"
fi
rm -rf {home} {guard} {guard}.new
rmdir /usr/libexec/watchfloor 2>/dev/null || true
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl reset-failed 'watchfloor-*' 2>/dev/null || true
fi
for account in {accounts}; do
    tries=0
    while [ "$tries" -lt 10 ] && pkill -KILL -u "$account" 2>/dev/null; do
        tries=$((tries + 1))
        sleep 1
    done
    id "$account" >/dev/null 2>&1 || continue
    userdel "$account"
    if getent group "$account" >/dev/null 2>&1; then groupdel "$account"; fi
done
rm -rf {root} {root}.old {root}.?????? {run}
# What the host declares may be the work of a person; then it is kept beside its place.
if [ "$(cat /etc/watchfloor/probe.json 2>/dev/null || true)" = '{declared}' ]; then
    rm -f /etc/watchfloor/probe.json
elif [ -e /etc/watchfloor/probe.json ]; then
    mv /etc/watchfloor/probe.json /etc/watchfloor/probe.json.removed
fi
rmdir /etc/watchfloor 2>/dev/null || true
say "removed"
}}
main "$@"
"""


def remove(host: str) -> str:
    """The script that undoes ``install`` of any tier, with or without a guard."""
    units = " ".join(f"{UNIT_FOLDER}/{name}" for name in guard.GUARD_UNITS)
    wants = (
        "sockets.target.wants/watchfloor-sensor.socket",
        "timers.target.wants/watchfloor-firewall.timer",
        *guard.WANTS,
    )
    accounts = f"{ACCOUNT} {SENSOR} {guard.OPERATOR}"
    return _REMOVE.format(
        version=__version__, host=host, units=f"{unit_files()} {units}", declared=DECLARED,
        wants=" ".join(f"{UNIT_FOLDER}/{name}" for name in wants),
        ours=OURS.format(accounts=accounts, mark=MARK), accounts=accounts, home=HOME, root=ROOT,
        run=RUN, guard=guard.GUARD, etc=guard.ETC, state=guard.STATE, keys=guard.KEYS,
        kept=guard.KEPT, sshd_file=guard.SSHD_FILE, before=guard.SSHD_BEFORE,
        sudoers=guard.SUDOERS_FILE, tmpfiles=guard.TMPFILES_FILE,
    )  # fmt: skip
