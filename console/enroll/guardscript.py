"""The part of the enrolment script that installs the guard."""

import json

from console.enroll import guardfiles as files
from console.enroll.check import Enrolment
from console.enroll.guardcheck import GuardOrder, digest
from console.enroll.shell import decoded, written
from console.enroll.units import ACCOUNT, ROOT
from console.hostside.guard.guard import AUDIT_KEY
from console.hostside.guard.state.spool import FOLDERS

UNIT_FOLDER = "/etc/systemd/system"
STATE_FOLDERS = (*FOLDERS, "nonces", "audit", "evidence", "payload")
AUDIT = f"{files.STATE}/audit/{AUDIT_KEY}"

ABOUT = f"""\
#   - puts the guard to {files.GUARD}, owned by root: the one program that
#     changes this host, and only after two people signed the very change. Its sha256:
#       {{guard_sha256}}
#   - makes the account {files.OPERATOR} (no password, shell /bin/sh) and {files.SUDOERS_FILE}:
#     it may start the guard as root, without arguments, and nothing else
#   - writes {files.SSHD_FILE}: {files.OPERATOR} and {ACCOUNT} log
#     in by the keys in {files.KEYS} only, and each to its one program. sshd's
#     configuration is tested before it is loaded; for every other account it stays as it is
#   - writes roster and policy to {files.ETC}, where there are none yet:
#       roster {{roster_sha256}}
#       policy {{policy_sha256}}
#   - makes a random host id, a secret and a key that signs the audit log, in
#     {files.STATE}, where there are none yet
#   - adds three systemd units: one puts back what stands before the network comes up, and a
#     timer looks at deadlines every ten seconds while there are any
"""

_NEEDS = """\
[ -d /run/systemd/system ] || stop "the guard needs systemd, which does not run here"
for program in sudo visudo sshd ssh-keygen systemd-tmpfiles sha256sum base64; do
    command -v "$program" >/dev/null || stop "nothing was changed: $program is missing, install it"
done
/usr/bin/python3 -I -S -c 'import sys; sys.exit(sys.version_info < (3, 8))' ||
    stop "nothing was changed: the guard needs Python 3.8 or newer as /usr/bin/python3"
[ -x /usr/bin/sudo ] || stop "nothing was changed: sudo is not /usr/bin/sudo"
grep -Eiq '^[[:space:]]*Include[[:space:]].*/etc/ssh/sshd_config\\.d/\\*' /etc/ssh/sshd_config ||
    stop "nothing was changed: /etc/ssh/sshd_config does not include\
 /etc/ssh/sshd_config.d/*.conf. Put that Include into its first line."
visudo -c >/dev/null 2>&1 || stop "nothing was changed: sudo's configuration is not valid as it\
 is (visudo -c)"
sshd -t || stop "nothing was changed: sshd's configuration is not valid as it is"
# Roster and policy of a host are changed by two people, not by an enrolment.
same() {{
    [ ! -e "$1" ] || [ "$(sha256sum <"$1" | cut -c1-64)" = "$2" ] || stop "nothing was changed: $1\
 is another one than that given here. Use the one in force (watchfloor $3 show), or change it by\
 two people (watchfloor $3 install)."
}}
same {etc}/roster.json {roster_sha256} roster
same {etc}/policy.json {policy_sha256} policy
"""

_BEGIN = """
# --- the guard: its account, its folders, what it trusts
id {operator} >/dev/null 2>&1 ||
    useradd --system --comment {mark} --home-dir /nonexistent --no-create-home \\
        --shell /bin/sh {operator}
usermod --password '*' --home /nonexistent --shell /bin/sh --groups '' {operator}
install -d -m 755 -o root -g root /usr/libexec/watchfloor {etc} {etc}/chain {keys}
install -d -m 700 -o root -g root {state}
for folder in {folders}; do
    install -d -m 700 -o root -g root {state}/"$folder"
done
umask 077
if [ ! -e {state}/secret ]; then
    head -c 32 /dev/urandom >{state}/secret.new
    mv {state}/secret.new {state}/secret
fi
if [ ! -e {audit} ]; then
    rm -f {audit}.new {audit}.new.pub
    ssh-keygen -q -t ed25519 -N '' -C watchfloor-audit -f {audit}.new
    mv {audit}.new.pub {audit}.pub
    mv {audit}.new {audit}
fi
umask 022
audit_key=$(cut -d' ' -f1,2 {audit}.pub)
if [ ! -e {etc}/identity.json ]; then
    host_id=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')
    printf '{{"audit_key":"%s","host_id":"%s"}}' "$audit_key" "$host_id" >{etc}/identity.json.new
    chmod 644 {etc}/identity.json.new
    mv {etc}/identity.json.new {etc}/identity.json
fi
host_id=$(sed -n 's/.*"host_id":"\\([0-9a-f]*\\)".*/\\1/p' {etc}/identity.json)
[ -n "$host_id" ] || stop "{etc}/identity.json names no host id: look at it, or remove it"
"""

_PROGRAM = """
# --- the guard itself: it takes its place only where it runs
{writing}
[ "$({guard}.new --self-test)" = {sha256} ] || stop "the guard does not run on this host"
mv {guard}.new {guard}
"""

_SUDOERS = """
# --- sudo: tested before it counts. visudo says "parsed OK" also of settings that it does not
# know, so what else it says counts too.
install -d -m 750 -o root -g root /etc/sudoers.d
{writing}
said=$(visudo -cf {file}.new 2>&1) || stop "visudo refuses {file}.new: $said"
case "$said" in
*rror* | *nknown* | *arning*) rm -f {file}.new; stop "visudo complains of {file}: $said" ;;
esac
rm -f {file}.old~
if [ -e {file} ]; then cp -p {file} {file}.old~; fi
mv {file}.new {file}
if ! said=$(visudo -c 2>&1); then
    if [ -e {file}.old~ ]; then mv {file}.old~ {file}; else rm -f {file}; fi
    stop "sudo's configuration is not valid with {file}, which was taken back: $said"
fi
rm -f {file}.old~
sudo -n -l -U {operator} | grep -q 'NOPASSWD: {guard}' ||
    stop "sudo does not read {file}: put '@includedir /etc/sudoers.d' into /etc/sudoers"
"""

_UNITS = """
# --- its units
{writing}
systemd-tmpfiles --create {tmpfiles}
systemctl daemon-reload
systemctl --quiet enable {enabled}
systemctl start watchfloor-tick.timer
"""

_SSHD = """
# --- sshd: the keys begin to count here, and nobody else may notice. If anything is wrong, the
# configuration of before is put back.
effective() {{ sshd -T -C "user=$1,host=localhost,addr=127.0.0.1" 2>/dev/null; }}
reload_sshd() {{
    for unit in ssh sshd; do
        if systemctl --quiet is-active "$unit.service"; then
            systemctl reload "$unit.service"
            return
        fi
    done
    # With socket activation every connection starts an sshd that reads the configuration.
    for unit in ssh sshd; do
        if systemctl --quiet is-active "$unit.socket"; then return; fi
    done
    say "careful: no unit of sshd is active; load its configuration anew yourself"
}}
undo_sshd() {{
    if [ -s {before} ]; then cp -p {before} {file}; else rm -f {file}; fi
}}
install -d -m 755 -o root -g root /etc/ssh/sshd_config.d
root_before=$(effective root || true)
other_before=$(effective watchfloor-nobody || true)
if [ -e {file} ]; then cp -p {file} {before}; else : >{before}; fi
{writing}
if ! said=$(sshd -t -f {file}.new 2>&1); then
    rm -f {file}.new
    stop "this sshd does not know all of {file}, and nothing of it was changed: $said"
fi
trap 'undo_sshd; exit 1' HUP INT TERM
mv {file}.new {file}
if command -v restorecon >/dev/null; then restorecon -RF {keys} {file} || true; fi
if ! said=$(sshd -t 2>&1); then
    undo_sshd
    stop "sshd refuses the configuration, which was taken back: $said"
fi
if [ "$(effective root || true)" != "$root_before" ] ||
    [ "$(effective watchfloor-nobody || true)" != "$other_before" ]; then
    undo_sshd
    stop "{file} would change what holds for other accounts; it was taken back"
fi
must() {{  # account, then the lines that must hold for it
    found=$(effective "$1" || true)
    who=$1
    shift
    for line; do
        printf '%s\\n' "$found" | grep -qixF -e "$line" && continue
        undo_sshd
        stop "for $who sshd would not use '$line', as another setting comes first; {file} was\
 taken back"
    done
}}
{facts}if ! reload_sshd; then
    undo_sshd
    reload_sshd || true
    stop "sshd cannot be reloaded: the configuration of before was put back"
fi
trap - HUP INT TERM
rm -f {home}/.ssh/authorized_keys
"""

_UNDO = """\
main() {{
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
if [ -s {before} ]; then cp -p {before} {file}; else rm -f {file}; fi
sshd -t || exit 1
systemctl try-reload-or-restart ssh.service 2>/dev/null ||
    systemctl try-reload-or-restart sshd.service
}}
main
"""

_END = """
# --- owners and modes, whatever they were
for file in {etc}/roster.json {etc}/policy.json {etc}/identity.json; do
    chown root:root "$file"
    chmod 644 "$file"
done
chown root:root {audit} {state}/secret
chmod 600 {audit} {state}/secret
# --- does it start?
{guard} status >/dev/null || stop "the guard does not start: run {guard} status"
guard_sha256=$(sha256sum <{guard} | cut -c1-64)
say "compare these on both consoles, by voice or on paper:"
printf '  %-8s %s\\n' guard "$guard_sha256" \\
    roster "$(sha256sum <{etc}/roster.json | cut -c1-64)" \\
    policy "$(sha256sum <{etc}/policy.json | cut -c1-64)" \\
    host_id "$host_id" audit "$(ssh-keygen -lf {audit}.pub | cut -d' ' -f2)"
"""


def needs(order: GuardOrder) -> str:
    """What must hold before anything is changed."""
    return _NEEDS.format(
        etc=files.ETC, roster_sha256=digest(order.roster), policy_sha256=digest(order.policy)
    )


def about(order: GuardOrder) -> str:
    """What it does, for the head of the script."""
    return ABOUT.format(
        guard_sha256=digest(order.guard), roster_sha256=digest(order.roster),
        policy_sha256=digest(order.policy),
    )  # fmt: skip


def monitor_command(tier: int) -> str:
    """What the console's account is bound to; ``@PYTHON@`` stands for the interpreter's path."""
    if tier == 0:
        return ""
    tail = "relay.py" if tier == 2 else "start.py --tier 1"
    return f"exec @PYTHON@ -I -S -u {ROOT}/{tail}"


def installation(order: Enrolment, guard: GuardOrder, mark: str, home: str, keys: str) -> str:
    """Everything from the account to the reload of sshd; ``keys`` is the monitor's key file."""
    command = monitor_command(order.tier)
    parts = [
        _BEGIN.format(
            operator=files.OPERATOR, mark=mark, etc=files.ETC, state=files.STATE, keys=files.KEYS,
            folders=" ".join(STATE_FOLDERS), audit=AUDIT,
        ),
        _PROGRAM.format(
            guard=files.GUARD, sha256=digest(guard.guard),
            writing=decoded(files.GUARD, guard.guard, "755").rpartition("mv ")[0].rstrip("\n"),
        ),
        *(_trusted(name, data, signed) for name, data, signed in (
            ("roster", guard.roster, guard.roster_signatures),
            ("policy", guard.policy, guard.policy_signatures),
        )),
        _SUDOERS.format(
            file=files.SUDOERS_FILE, operator=files.OPERATOR, guard=files.GUARD,
            writing=_aside(files.SUDOERS_FILE, files.SUDOERS, "440"),
        ),
        _UNITS.format(
            tmpfiles=files.TMPFILES_FILE, enabled=" ".join(files.ENABLED),
            writing=written(files.TMPFILES_FILE, files.TMPFILES) + "".join(
                written(f"{UNIT_FOLDER}/{name}", text) for name, text in files.GUARD_UNITS.items()
            ),
        ),
        "\n# --- who may log in\n",
        written(f"{files.KEYS}/{files.OPERATOR}",
                files.operator_lines(guard.operator_keys, guard.operator_sources)),
        written(f"{files.KEYS}/{ACCOUNT}", keys),
        _SSHD.format(
            file=files.SSHD_FILE, before=files.SSHD_BEFORE, keys=files.KEYS, home=home,
            writing=_aside(files.SSHD_FILE, files.sshd_config(command), "644"),
            facts="".join(
                f"must {user}" + "".join(f" \\\n    {_quoted(line)}" for line in lines) + "\n"
                for user, lines in files.facts(command).items()
            ),
        ),
        _END.format(guard=files.GUARD, etc=files.ETC, audit=AUDIT, state=files.STATE),
    ]  # fmt: skip
    return "".join(parts)


def _quoted(line: str) -> str:
    """A line for the shell, in which the interpreter's path is filled in."""
    return '"' + line.replace("@PYTHON@", "$python") + '"'


def _aside(path: str, text: str, mode: str) -> str:
    """Write ``path.new`` alone, to be looked at before it counts."""
    return written(path, text, mode).rpartition("mv ")[0].rstrip("\n")


def _trusted(name: str, data: bytes, signatures: tuple[str, ...]) -> str:
    """Have the guard take a roster or policy where there is none, so that its log begins with it;
    then its signatures, if it has any."""
    first = f"{files.STATE}/{name}.first"
    inner = decoded(first, data, "600")
    inner += f"{files.GUARD} install-{name} {first} >{first}.said || {{\n"
    inner += f'    stop "the guard does not take the {name}: $(cat {first}.said)"\n}}\n'
    inner += f"rm -f {first} {first}.said\n"
    if signatures:
        sigs = json.dumps({"signatures": list(signatures)}).encode()
        inner += decoded(f"{files.ETC}/{name}.sigs", sigs, "644")
    return f"if [ ! -e {files.ETC}/{name}.json ]; then\n{inner}fi\n"


def undo_sshd() -> str:
    """A script that puts back what sshd read before the last enrolment."""
    return _UNDO.format(file=files.SSHD_FILE, before=files.SSHD_BEFORE)
