"""The systemd units of tier 2, as they are written on the host."""

ROOT = "/usr/lib/watchfloor"
RUN = "/run/watchfloor"
ACCOUNT = "wfmon"
SENSOR = "wfsensor"

# ProtectSystem=strict should cover all of ReadOnlyPaths, but systemd 252 leaves mounts below / out
# when ProtectKernelTunables is set too. These are the places where everybody may write.
_SANDBOX = """\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ReadOnlyPaths=-/dev -/dev/shm -/dev/mqueue -/dev/hugepages -/run -/run/lock -/tmp -/var/tmp
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
KeyringMode=private
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
UMask=0077
"""

SOCKET_UNIT = f"""\
[Unit]
Description=Watchfloor sensor socket

[Socket]
ListenStream={RUN}/sensor.sock
# Whoever may open this socket may ask the sensor its fixed questions: the monitoring account only.
SocketUser=root
SocketGroup={ACCOUNT}
SocketMode=0660
DirectoryMode=0755
Accept=yes
MaxConnections=8
# More are turned away one by one. The usual limit of triggers would instead switch the socket off
# for good, and whoever holds the key could blind the console.
TriggerLimitIntervalSec=0

[Install]
WantedBy=sockets.target
"""

SENSOR_UNIT = f"""\
[Unit]
Description=Watchfloor sensor
CollectMode=inactive-or-failed

[Service]
ExecStart=@PYTHON@ -I -S -u {ROOT}/start.py --tier 2
StandardInput=socket
StandardOutput=socket
StandardError=journal
User={SENSOR}
Group={SENSOR}
# The journal, and what the guard publishes for the console's account.
SupplementaryGroups=systemd-journal {ACCOUNT}
# To see, not to change: who owns a socket (PTRACE), what only root may read (DAC_READ_SEARCH),
# audit records. None of them lets it write where its account may not.
AmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_AUDIT_READ
CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_AUDIT_READ
{_SANDBOX}\
RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6
IPAddressDeny=any
IPAddressAllow=localhost
SystemCallFilter=@system-service
# CAP_SYS_PTRACE would also let it write into the memory of any process and take its open files,
# CAP_DAC_READ_SEARCH open files without a path.
SystemCallFilter=~process_vm_writev process_vm_readv process_madvise ptrace pidfd_getfd kcmp
SystemCallFilter=~open_by_handle_at name_to_handle_at mq_open msgget semget shmget @keyring
SystemCallFilter=~@privileged @resources
# The mounts above are its own. By /proc/1/root it reaches those of the host, where everybody may
# make files in /tmp. So no call may make, move or remove anything; confine.py does the same with
# those calls of open that would. io_uring would get around both.
SystemCallFilter=~mkdir mkdirat mknod mknodat symlink symlinkat link linkat rename renameat
SystemCallFilter=~renameat2 unlink unlinkat rmdir creat truncate truncate64 bind
SystemCallFilter=~io_uring_setup io_uring_enter io_uring_register
SystemCallFilter=~@chown chmod fchmod fchmodat utime utimes utimensat futimesat
SystemCallFilter=~setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
SystemCallErrorNumber=EPERM
MemoryMax=256M
TasksMax=64
CPUQuota=25%
Nice=5
"""

FIREWALL_UNIT = f"""\
[Unit]
Description=Watchfloor: write the firewall rules where the sensor may read them

[Service]
Type=oneshot
ExecStart=@PYTHON@ -I -S {ROOT}/firewall.py
# root without its powers, but for the one that listing rules needs; its group may read the result.
Group={SENSOR}
CapabilityBoundingSet=CAP_NET_ADMIN
{_SANDBOX}\
ReadWritePaths={RUN}
# What the guard publishes is nothing to it.
InaccessiblePaths=-{RUN}/public
PrivateDevices=yes
RestrictAddressFamilies=AF_UNIX AF_NETLINK
IPAddressDeny=any
SystemCallFilter=@system-service
"""

TIMER_UNIT = """\
[Unit]
Description=Watchfloor: look at the firewall rules every minute

[Timer]
OnBootSec=5
OnUnitActiveSec=60
AccuracySec=5

[Install]
WantedBy=timers.target
"""

UNITS = {
    "watchfloor-sensor.socket": SOCKET_UNIT,
    "watchfloor-sensor@.service": SENSOR_UNIT,
    "watchfloor-firewall.service": FIREWALL_UNIT,
    "watchfloor-firewall.timer": TIMER_UNIT,
}
