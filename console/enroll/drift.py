"""The script that compares a host with what an enrolment would write. It changes nothing."""

from hashlib import sha256

from console import __version__
from console.enroll import guardfiles as files
from console.enroll.check import Enrolment
from console.enroll.guardcheck import GuardOrder, digest
from console.enroll.guardscript import AUDIT, STATE_FOLDERS, UNIT_FOLDER, monitor_command
from console.enroll.script import HOME, key_lines
from console.enroll.shell import END, PYTHON
from console.enroll.units import ACCOUNT, ROOT, SENSOR, UNITS
from console.hostside import bundle

_HEAD = """\
#!/bin/sh
# Watchfloor {version}: compare {host} with its enrolment. It changes nothing.
# exit status: 0 as enrolled, 1 something differs (each on a line of its own)
main() {{
set -u
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
stop() {{ echo "watchfloor: $*" >&2; exit 1; }}
[ "$(id -u)" -eq 0 ] || stop "run this as root"
{python}wrong=0
differs() {{ echo "differs: $*"; wrong=1; }}
text() {{  # standard input is what the file must hold
    sed "s|@PYTHON@|$python|g" | cmp -s - "$1" || differs "$1: its contents"
}}
bytes() {{
    [ "$(sha256sum <"$1" 2>/dev/null | cut -c1-64)" = "$2" ] || differs "$1: its contents"
}}
kind() {{  # path, then owner, group and mode, and f or d
    found=$(stat -c '%U:%G %a' -- "$1" 2>/dev/null || echo missing)
    if [ -L "$1" ] || [ ! -"$3" "$1" ]; then found="missing or of another kind"; fi
    [ "$found" = "$2" ] || differs "$1: $found, and should be $2"
}}
account() {{  # name, shell, groups beside its own
    entry=$(getent passwd "$1") || {{ differs "account $1: missing"; return; }}
    [ "$(printf '%s\\n' "$entry" | cut -d: -f7)" = "$2" ] || differs "account $1: its shell"
    [ "$(printf '%s\\n' "$entry" | cut -d: -f3)" != 0 ] || differs "account $1: it is root"
    for group in $(id -Gn "$1"); do
        case " $1 $3 " in *" $group "*) ;; *) differs "account $1: in the group $group" ;; esac
    done
}}
no_password() {{
    [ "$(getent shadow "$1" | cut -d: -f2)" = '*' ] || differs "account $1: it has a password, or\\
 is locked, so that sshd refuses its keys"
}}
"""

_GUARD = """\
if ! visudo -c >/dev/null 2>&1; then differs "sudo: its configuration is not valid (visudo -c)"; fi
list=$(sudo -n -l -U {operator} 2>/dev/null | sed -n '/may run/,$s/^ *(/(/p')
[ "$list" = '(root : root) NOPASSWD: {guard} ""' ] ||
    differs "sudo: {operator} may run something else than the guard: $list"
if sudo -n -l -U {account} 2>/dev/null | grep -q 'may run'; then
    differs "sudo: {account} may run something"
fi
sshd -t 2>/dev/null || differs "sshd: its configuration is not valid"
must() {{
    found=$(sshd -T -C "user=$1,host=localhost,addr=127.0.0.1" 2>/dev/null)
    who=$1
    shift
    for line; do
        printf '%s\\n' "$found" | grep -qixF -e "$line" || differs "sshd: for $who not '$line'"
    done
}}
{facts}host_id=$(sed -n 's/.*"host_id":"\\([0-9a-f]*\\)".*/\\1/p' {etc}/identity.json 2>/dev/null)
[ -n "$host_id" ] || differs "{etc}/identity.json: names no host id"
for unit in {enabled}; do
    systemctl --quiet is-enabled "$unit" 2>/dev/null || differs "$unit: not enabled"
done
systemctl --quiet is-active watchfloor-tick.timer || differs "watchfloor-tick.timer: not running"
{guard} status >/dev/null 2>&1 || differs "{guard}: does not start"
"""

_END = """\
[ "$wrong" -eq 1 ] || echo "as enrolled: tier {tier}{more}"
exit "$wrong"
}}
main
"""


def check(order: Enrolment, binding: bytes | None, guard: GuardOrder | None = None) -> str:
    """The script that compares a host with what ``install`` with the same arguments writes.

    Roster and policy are compared with those of the order. What an administrator declares in
    ``probe.json`` is theirs and not compared.
    """
    parts = [_HEAD.format(version=__version__, host=order.host, python=PYTHON)]
    parts.append(_monitor(order, guard is not None))
    if order.tier:
        parts += [
            f"bytes {ROOT}/{path} {sha256(data).hexdigest()}\n"
            for path, data in sorted(bundle.files(binding).items())
        ]
        parts.append(f"kind {ROOT} 'root:root 755' d\n")
    if order.tier == 2:
        parts += [_text(f"{UNIT_FOLDER}/{name}", text) for name, text in UNITS.items()]
        parts.append(f"account {SENSOR} /usr/sbin/nologin ''\n")
    if guard is not None:
        parts.append(_guard(order, guard))
    more = ", guard {host_id}".replace("{host_id}", "$host_id") if guard else ""
    parts.append(_END.format(tier=order.tier, more=more))
    return "".join(parts)


def _monitor(order: Enrolment, guarded: bool) -> str:
    groups = "systemd-journal" if order.tier < 2 else ""
    file = f"{files.KEYS}/{ACCOUNT}" if guarded else f"{HOME}/.ssh/authorized_keys"
    parts = [f"account {ACCOUNT} /bin/sh '{groups}'\nno_password {ACCOUNT}\n"]
    parts += [_text(file, "\n".join(key_lines(order)) + "\n"), f"kind {file} 'root:root 644' f\n"]
    return "".join(parts)


def _guard(order: Enrolment, guard: GuardOrder) -> str:
    command = monitor_command(order.tier)
    keys = files.operator_lines(guard.operator_keys, guard.operator_sources)
    texts = {
        files.SSHD_FILE: files.sshd_config(command), files.SUDOERS_FILE: files.SUDOERS,
        files.TMPFILES_FILE: files.TMPFILES, f"{files.KEYS}/{files.OPERATOR}": keys,
        **{f"{UNIT_FOLDER}/{name}": text for name, text in files.GUARD_UNITS.items()},
    }  # fmt: skip
    parts = [_text(path, text) for path, text in texts.items()]
    parts += [
        f"bytes {path} {digest(data)}\n"
        for path, data in (
            (files.GUARD, guard.guard),
            (f"{files.ETC}/roster.json", guard.roster),
            (f"{files.ETC}/policy.json", guard.policy),
        )
    ]
    plain = [path for path in texts if path != files.SUDOERS_FILE]
    plain += [f"{files.ETC}/{name}.json" for name in ("roster", "policy", "identity")]
    parts += [f"kind {path} 'root:root 644' f\n" for path in plain]
    parts += [f"kind {files.SUDOERS_FILE} 'root:root 440' f\n"]
    parts += [f"kind {files.GUARD} 'root:root 755' f\n", f"kind {files.ETC} 'root:root 755' d\n"]
    parts += [f"kind {files.KEYS} 'root:root 755' d\n", f"kind {AUDIT} 'root:root 600' f\n"]
    parts += [f"kind {files.STATE}/secret 'root:root 600' f\n"]
    folders = [files.STATE, *(f"{files.STATE}/{name}" for name in STATE_FOLDERS)]
    parts += [f"kind {path} 'root:root 700' d\n" for path in folders]
    parts += [f"kind {files.PUBLIC} 'root:{ACCOUNT} 750' d\n"]
    parts += [f"account {files.OPERATOR} /bin/sh ''\nno_password {files.OPERATOR}\n"]
    facts = "".join(
        f"must {user}" + "".join(f" \\\n    {_quoted(line)}" for line in lines) + "\n"
        for user, lines in files.facts(command).items()
    )
    parts += [
        _GUARD.format(
            operator=files.OPERATOR, account=ACCOUNT, guard=files.GUARD, etc=files.ETC,
            facts=facts, enabled=" ".join(files.ENABLED),
        )
    ]  # fmt: skip
    return "".join(parts)


def _quoted(line: str) -> str:
    return '"' + line.replace("@PYTHON@", "$python") + '"'


def _text(path: str, text: str) -> str:
    return f"text {path} <<'{END}'\n{text}{END}\n"
