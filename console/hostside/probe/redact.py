"""Takes secrets out of arguments and messages before they leave the host.

What is replaced: values of options, variables and headers whose name says secret, tokens whose
form is known (cloud, model hub, model API, source hosting, JSON web tokens, private keys), and
credentials in URLs. The replacement is ``[redacted]``. A salted digest of the unredacted
arguments is kept so that a change can still be seen.
"""

from __future__ import annotations

import re

from .digest import sha256_hex
from .place import words

MARK = "[redacted]"

_NAME = (
    r"(?:[\w.\-]*?(?:pass(?:wd|word|phrase|code)?|secret|token|api[_\-]?key|apikey|access[_\-]?key"
    r"|private[_\-]?key|auth(?:orization|[_\-]?key|[_\-]?token)?|credentials?|cookie|session[_\-]?key"
    r"|encryption[_\-]?key|signing[_\-]?key|sas|pwd)(?:[_\-](?:key|id|value|b64|base64))?)"
)
# Names that hold one of the words above and carry no secret; their values are worth seeing.
_PUBLIC = re.compile(
    r"(?i)(?:file|path|dir|type|name|mode|class|limit|count|len|length|size|budget|parallel|"
    r"provider|methods?|tokens|tokenizer[\w\-]*|bypass|compass)$|tokenizer|max[_\-]?token|"
    r"^(?:pad|eos|bos|unk|sep|cls|mask)[_\-]token"
)
_flag = re.compile(r"(?i)^(--?|/)?(" + _NAME + r")$")
_assigned = re.compile(
    r"(?i)(?<![\w.\-])(--?)?(" + _NAME + r")(\"?'?\s*(?:=|:(?!//))\s*[\"']?)"
    r"((?:bearer|basic|token)\s+)?([^\s\"',;&]+)"
)
_spaced = re.compile(r"(?i)(?<![\w\-])(--?" + _NAME + r")(\s+[\"']?)(?!-)([^\s\"']+)")
_bearer = re.compile(r"(?i)\b((?:bearer|basic)\s+)(?!\[)([\w.~+/=\-]{8,})")
_url = re.compile(r"(?i)\b([a-z][a-z0-9+.\-]*://)([^\s/@:?#]*:)?[^\s/@?#]+@")
_shapes = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}"
    r"|hf_[A-Za-z0-9]{20,}|api_org_[A-Za-z0-9]{20,}"
    r"|sk-[A-Za-z0-9_\-]{16,}"
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_\-]{18,}"
    r"|xox[abeoprs]-[A-Za-z0-9\-]{10,}|AIza[0-9A-Za-z_\-]{30,}|nvapi-[A-Za-z0-9_\-]{20,}"
    r"|ya29\.[A-Za-z0-9_\-]{20,}|hvs\.[A-Za-z0-9_\-]{20,}|dop_v1_[a-f0-9]{40,}"
    r"|eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"
    r")"
)
_pem = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.S
)
_curl_user = re.compile(r"^(?:-u|--user|--proxy-user|-U)$")
_SHORT_PASSWORD = {"mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "sshpass"}


def _secret_name(name: str) -> bool:
    return bool(_flag.match(name)) and not _PUBLIC.search(name.lstrip("-/"))


def _keep_or_mark(found: re.Match[str]) -> str:
    dashes, name, between, scheme, value = found.groups()
    # PWD in capitals is the shell's working directory
    if _PUBLIC.search(name) or value == MARK or name in ("PWD", "OLDPWD"):
        return found.group(0)
    return "{}{}{}{}{}".format(dashes or "", name, between, scheme or "", MARK)


def _spaced_mark(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    if _PUBLIC.search(name) or value.startswith(MARK):
        return found.group(0)
    return name + between + MARK


def redact(text: str) -> str:
    """A message or one argument without secrets."""
    if len(text) < 4:
        return text
    if "PRIVATE KEY" in text:
        text = _pem.sub(MARK, text)
    if "://" in text:
        text = _url.sub(lambda found: found.group(1) + MARK + "@", text)
    text = _shapes.sub(MARK, text)
    text = _assigned.sub(_keep_or_mark, text)
    text = _bearer.sub(lambda found: found.group(1) + MARK, text)
    if " -" in text or text.startswith("-"):
        text = _spaced.sub(_spaced_mark, text)
    return text


def redact_argv(argv: list[str]) -> list[str]:
    """Arguments without secrets; the same number of them."""
    out = []
    hide_next = False
    program = argv[0].rsplit("/", 1)[-1] if argv else ""
    for argument in argv:
        if hide_next:
            hide_next = False
            if not argument.startswith("--"):
                out.append(MARK)
                continue
        names_secret = _secret_name(argument) and argument.startswith("-")
        if names_secret or (program == "curl" and _curl_user.match(argument)):
            hide_next = True
            out.append(argument)
        elif program in _SHORT_PASSWORD and argument.startswith("-p") and len(argument) > 2:
            out.append("-p" + MARK)
        else:
            out.append(redact(argument))
    return out


def command_line(raw: bytes) -> str:
    """``/proc/PID/cmdline`` as one redacted line."""
    # The cut comes after the redaction: cutting first could leave half of a secret unknown.
    argv = [part.decode("utf-8", "replace") for part in raw.rstrip(b"\0").split(b"\0")]
    if len(argv) == 1 and " " in argv[0]:
        return words(redact(argv[0]))  # a process that wrote its own title
    return words(" ".join(redact_argv(argv)))


def argv_digest(raw: bytes, salt: str) -> str:
    """16 hexadecimal digits over the salt and the unredacted arguments; empty for none."""
    return sha256_hex(salt.encode() + b"\0" + raw)[:16] if raw else ""
