"""What is wrong with the key and certificate files of hosts, found without asking or connecting."""

from collections.abc import Iterable
from pathlib import Path

import asyncssh

from console.errors import KeyFileError
from console.model.host import Host
from console.ssh.keys import certificate_of, is_encrypted, read_key_file
from console.text import clean


def findings(hosts: Iterable[Host]) -> list[str]:
    """One text for each cause, with the file, some of its hosts and what to do.

    Files are read, nobody is asked for a passphrase, and nothing of their content is told.
    """
    causes: dict[str, list[str]] = {}
    seen: dict[tuple[str, str, bool], list[str]] = {}
    for host in hosts:
        if not host.key:
            continue
        way = (host.key, host.certificate, host.agent)
        if way not in seen:
            seen[way] = list(_faults(host))
        for fault in seen[way]:
            causes.setdefault(fault, []).append(host.name)
    return [f"{fault} ({_names(names)})" for fault, names in causes.items()]


def _faults(host: Host) -> Iterable[str]:
    public: bytes | None = None
    try:
        public = _public_data(host)
    except KeyFileError as error:
        yield f"key {error}"
    try:
        certificate = certificate_of(host)
    except KeyFileError as error:
        yield str(error)
        return
    if certificate is not None and public not in (None, certificate.key.public_data):
        path = host.certificate or f"{host.key.removesuffix('.pub')}-cert.pub"
        yield f"{clean(path, 300)}: the certificate is for another key than {clean(host.key, 300)}"


def _public_data(host: Host) -> bytes | None:
    """The public half of the configured key; None when only a passphrase would tell it.

    Raises KeyFileError when the file cannot be used.
    """
    file = read_key_file(host.key)
    if not file.public:
        if is_encrypted(file):
            return None
        return asyncssh.import_private_key(file.data).public_data
    where = clean(host.key, 300)
    try:
        key = asyncssh.import_public_key(file.data)
    except (asyncssh.KeyImportError, ValueError):
        raise KeyFileError(
            "is no key: neither a private nor a public one",
            where=where,
            hint="Set `key` to the file of the private key, as ssh-keygen writes it.",
        ) from None
    if not host.agent:
        private = where.removesuffix(".pub")
        other = f" {private}" if private != where and Path(host.key[:-4]).exists() else ""
        raise KeyFileError(
            "is a public key, which cannot log in by itself",
            where=where,
            hint=f"Set `key` to the private key{other}, or ssh-add that and set `agent = true`.",
        )
    return key.public_data


def _names(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    more = len(names) - 1
    return f"{names[0]} and {more} more {'host' if more == 1 else 'hosts'} with the same"
