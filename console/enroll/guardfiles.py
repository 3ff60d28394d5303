"""The files that the guard needs on a host, as they are written there."""

from console.enroll.units import ACCOUNT

GUARD = "/usr/libexec/watchfloor/guard"
ETC = "/etc/watchfloor"
STATE = "/var/lib/watchfloor/guard"
PUBLIC = "/run/watchfloor/public"
OPERATOR = "wfops"
KEYS = "/etc/ssh/watchfloor_keys"
SUDOERS_FILE = "/etc/sudoers.d/watchfloor"
SSHD_FILE = "/etc/ssh/sshd_config.d/00-watchfloor.conf"
SSHD_BEFORE = f"{SSHD_FILE}.before"
TMPFILES_FILE = "/etc/tmpfiles.d/watchfloor.conf"
KEPT = "/var/lib/watchfloor-kept"
SUDO = f"/usr/bin/sudo -n {GUARD}"

SUDOERS = f"""\
# Watchfloor: the account {OPERATOR} may start the guard, without arguments, and nothing else.
Defaults!{GUARD} env_reset, !setenv, umask=0077, umask_override, !log_output
Defaults!{GUARD} !log_input, !requiretty, !noexec
# All of the environment that the guard is given: who is at the other end, as sshd says.
Defaults!{GUARD} env_keep = "SSH_CONNECTION SSH_USER_AUTH"
{OPERATOR} ALL=(root:root) NOPASSWD: {GUARD} ""
"""

TMPFILES = f"""\
d /run/watchfloor 0755 root root -
d {PUBLIC} 0750 root {ACCOUNT} -
"""

_MATCH = """\
Match User {user}
    AuthorizedKeysFile {keys}/%u
    AuthorizedKeysCommand none
    AuthenticationMethods publickey
    PubkeyAuthentication yes
    # What DisableForwarding means, once more by name: before OpenSSH 10.0 it left some of it on.
    DisableForwarding yes
    AllowAgentForwarding no
    AllowTcpForwarding no
    AllowStreamLocalForwarding no
    X11Forwarding no
    PermitTunnel no
    PermitTTY no
    PermitUserRC no
"""

BOOT_UNIT = f"""\
[Unit]
Description=Watchfloor guard: what two people left standing, before there is a network
DefaultDependencies=no
Wants=network-pre.target
# Also before whatever starts in the ordinary way: some networks are up before network-pre.
Before=network-pre.target sysinit.target shutdown.target
Conflicts=shutdown.target
After=systemd-tmpfiles-setup.service local-fs.target
RequiresMountsFor={STATE} {ETC} {GUARD}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={GUARD} boot
TimeoutStartSec=60

[Install]
WantedBy=sysinit.target
"""

TICK_UNIT = f"""\
[Unit]
Description=Watchfloor guard: deadlines
# Where nothing waits and nothing stands, nothing is started.
ConditionPathExistsGlob=|{STATE}/spool/*
ConditionPathExistsGlob=|{STATE}/journal/*
ConditionPathExistsGlob=|{STATE}/standing/*

[Service]
Type=oneshot
ExecStart={GUARD} tick
TimeoutStartSec=120
"""

TICK_TIMER = """\
[Unit]
Description=Watchfloor guard: deadlines, every ten seconds

[Timer]
OnCalendar=*:*:0/10
AccuracySec=1

[Install]
WantedBy=timers.target
"""

GUARD_UNITS = {
    "watchfloor-guard-boot.service": BOOT_UNIT,
    "watchfloor-tick.service": TICK_UNIT,
    "watchfloor-tick.timer": TICK_TIMER,
}
ENABLED = ("watchfloor-guard-boot.service", "watchfloor-tick.timer")
WANTS = (
    "sysinit.target.wants/watchfloor-guard-boot.service",
    "timers.target.wants/watchfloor-tick.timer",
)


def sshd_config(monitor_command: str) -> str:
    """The drop-in for sshd. ``monitor_command`` is what the console's account is bound to, empty
    at tier 0, where the probe comes over its shell."""
    operator = _MATCH.format(user=OPERATOR, keys=KEYS)
    # Who logs in is told to the guard: by which key, so that two people at one console show.
    operator += f"    ExposeAuthInfo yes\n    ForceCommand {SUDO}\n"
    monitor = _MATCH.format(user=ACCOUNT, keys=KEYS)
    if monitor_command:
        monitor += f"    ForceCommand {monitor_command}\n"
    head = "# Watchfloor: two accounts, each bound to one program. `watchfloor enroll` wrote it.\n"
    return f"{head}{operator}{monitor}"


def facts(monitor_command: str) -> dict[str, tuple[str, ...]]:
    """Lines that ``sshd -T -C user=...`` must print, by account."""
    both = (
        f"authorizedkeysfile {KEYS}/%u", "authorizedkeyscommand none",
        "authenticationmethods publickey", "disableforwarding yes", "permittty no",
    )  # fmt: skip
    command = (f"forcecommand {monitor_command}",) if monitor_command else ()
    return {
        OPERATOR: (*both, "exposeauthinfo yes", f"forcecommand {SUDO}"),
        ACCOUNT: (*both, *command),
    }


def operator_lines(keys: tuple[str, ...], sources: tuple[str, ...]) -> str:
    """The key file of the operators' account."""
    options = f'restrict,from="{",".join(sources)}",command="{SUDO}"'
    return "".join(f"{options} {key} watchfloor\n" for key in keys)
