"""Takes secrets out of arguments and messages before they leave the host.

What is replaced: values of options, variables and headers whose name says secret, tokens whose
form is known (cloud, model hub, model API, source hosting, JSON web tokens, private keys), and
credentials in URLs. The replacement is ``[redacted]``. A salted digest of the unredacted
arguments is kept so that a change can still be seen.

Who runs a process chooses its arguments. So every expression here takes time in proportion to the
length of the text: each starts once at a word, and none is followed by what could send it back.
"""

from __future__ import annotations

import re

from .digest import sha256_hex
from .place import MAX_TEXT, words

MARK = "[redacted]"
MAX_ARGUMENTS = 8192  # bytes that are looked at; at most 512 characters of them are shown

_NAME = (
    r"(?:[\w.\-]*?(?:pass(?:wd|word|phrase|code)?|secret|token|jwt|bearer|api[_\-. ]?key|dsn"
    r"|(?:access|private|auth|session|encryption|signing|master|license|account|storage|shared"
    r"|admin|hmac|subscription|deploy|openai|anthropic|azure|mistral|cohere|gemini)[_\-.]?key"
    r"|auth(?:orization|[_\-]?token)?|credentials?|cookie|signature|sas|pwd)"
    r"(?:[_\-](?:key|id|value|b64|base64))?)"
)
_START = r"(?<![\w.\-])"
_WORD = r"(?:\"[^\"]*\"?|'[^']*'?|[^ \t\r\n\"'&;])+"
"""One word of a shell, with what is quoted in it; a blank that is not ASCII does not end it."""
_TEXT = r"\\*\"(?:[^\"\\]|\\.)*\"?|\\*'(?:[^'\\]|\\.)*'?|[^ \t\r\n\"',;&}]+"

# Names that hold one of the words above and carry no secret; their values are worth seeing.
_PUBLIC = re.compile(
    r"(?i)(?:file|path|dir|type|name|mode|class|limit|count|len|length|size|budget|parallel|"
    r"provider|methods?|tokens|tokenizer[\w\-]*|bypass|compass)$|tokenizer|max[_\-]?token|"
    r"^(?:pad|eos|bos|unk|sep|cls|mask)[_\-]token"
)
_option = re.compile(r"--[a-z][a-z0-9_.\-]*(?:=|\Z)")  # the word before it was a switch
_flag = re.compile(r"(?i)(--?|/)?(" + _NAME + r")\Z")
_whole = re.compile(r"(?is)(--?)?(" + _NAME + r")(\s*=\s*)(.+)\Z")
_header = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\s*:\s*)"
    r"((?:bearer|basic|token|digest|apikey|negotiate)[ \t]+)?([^\r\n\"']+)"
)
_json = re.compile(r"(?i)" + _START + "(" + _NAME + r")(\\*[\"']\s*[:=]\s*)(" + _TEXT + ")")
_assigned = re.compile(
    r"(?i)" + _START + r"(--?)?(" + _NAME + r")(\s*(?:=|:(?!//))\s*)((?:bearer|basic|token)\s+)?"
    "(" + _WORD + ")"
)
_query = re.compile(r"(?i)([?&](?:key|sig|code|auth)=)([^\s&\"']+)")
_spaced = re.compile(r"(?i)(?<![\w\-])(--?" + _NAME + r")([ \t\r\n]+)(?!-)(" + _WORD + ")")
_bearer = re.compile(r"(?i)\b((?:bearer|basic)[ \t]+)(?!\[)([\w.~+/=\-]{8,})")
_url = re.compile(
    # A password may hold a slash where it was not encoded; a port is no password.
    r"://(?:[^\s/?#\"']+@|[^\s/?#@:\"']{0,256}:(?!\d{1,5}(?:[/?#\s\"']|\Z))[^\s@\"']{0,256}@)"
)
_shapes = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}"
    r"|hf_[A-Za-z0-9]{20,}|api_org_[A-Za-z0-9]{20,}"
    r"|sk-[A-Za-z0-9_\-]{16,}"
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_\-]{18,}"
    r"|xox[abeoprs]-[A-Za-z0-9\-]{10,}|AIza[0-9A-Za-z_\-]{30,}|nvapi-[A-Za-z0-9_\-]{20,}"
    r"|ya29\.[A-Za-z0-9_\-]{20,}|hvs\.[A-Za-z0-9_\-]{20,}|dop_v1_[a-f0-9]{40,}"
    r")"
)
_web_token = re.compile(r"(?<![A-Za-z0-9])eyJ[A-Za-z0-9_\-.+/=]{27,}|eyJ")
"""A JSON object in base 64. The second form steps over what is too short to be one."""
_pem = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    re.S,
)
_LOGIN = ("docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "oras", "crane", "az")
_SHORT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("curl",), ("-u", "--user", "-U", "--proxy-user")),
    **dict.fromkeys(("http", "https", "xh"), ("-a", "--auth")),
    **dict.fromkeys(_LOGIN, ("-p",)),
    **dict.fromkeys(("sshpass", "mongo", "mongosh", "mongodump", "cqlsh"), ("-p",)),
    **dict.fromkeys(("ldapsearch", "ldapmodify", "ldapadd", "ldapwhoami", "ldappasswd"), ("-w",)),
    **dict.fromkeys(("ipmitool", "sqlcmd"), ("-P",)),
    **dict.fromkeys(("redis-cli", "valkey-cli"), ("-a",)),
    **dict.fromkeys(("nmcli",), ("password",)),
}
"""Options without a name that says what they are, by program; their value is the next word."""
_JOINED = frozenset(
    (*("mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "mariadb-admin"), "sshpass")
)
"""Programs whose ``-p`` has the password joined to it."""
_curl_user = re.compile(r"(-u|-U|--user=|--proxy-user=)(?=[^:]+:.)")
_short_text = re.compile(
    r"(?<![\w.\-])(" + "|".join(sorted({*_SHORT, *_JOINED}, key=len, reverse=True)) + r")[ \t]+-"
)


def _secret_name(name: str) -> bool:
    return bool(_flag.match(name)) and not _PUBLIC.search(name.lstrip("-/"))


def _public(name: str) -> bool:
    # PWD in capitals is the shell's working directory
    return bool(_PUBLIC.search(name)) or name in ("PWD", "OLDPWD")


def _assigned_mark(found: re.Match[str]) -> str:
    dashes, name, between, scheme, value = found.groups()
    if _public(name) or value == MARK:
        return found.group(0)
    return "{}{}{}{}{}".format(dashes or "", name, between, scheme or "", MARK)


def _json_mark(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    if _public(name):
        return found.group(0)
    quote = value.lstrip("\\")[:1]
    quote = quote if quote in "\"'" else ""
    return name + between + quote + MARK + quote


def _spaced_mark(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    if _PUBLIC.search(name) or value.startswith(MARK):
        return found.group(0)
    return name + between + MARK


def redact(text: str) -> str:
    """A message or one argument without secrets, at most ``MAX_ARGUMENTS`` characters of it."""
    if len(text) < 4:
        return text
    if len(text) > MAX_ARGUMENTS:
        text = text[:MAX_ARGUMENTS].rpartition(" ")[0] + "\u2026"
    if "PRIVATE KEY" in text:
        text = _pem.sub(MARK, text)
    if "://" in text:
        text = _url.sub("://" + MARK + "@", text)
    text = _shapes.sub(MARK, text)
    if "eyJ" in text:
        text = _web_token.sub(lambda found: MARK if len(found[0]) > 3 else found[0], text)
    if _short_text.search(text):
        text = " ".join(_arguments(text.split(" ")))
    if " -" in text or text.startswith("-"):
        text = _spaced.sub(_spaced_mark, text)
    text = _header.sub(lambda found: found[1] + found[2] + (found[3] or "") + MARK, text)
    text = _json.sub(_json_mark, text)
    text = _assigned.sub(_assigned_mark, text)
    text = _query.sub(lambda found: found[1] + MARK, text)
    return _bearer.sub(lambda found: found[1] + MARK, text)


def _hides(program: str, argument: str, before: list[str]) -> bool:
    """Whether the word after this option of this program is a secret."""
    if argument not in _SHORT.get(program, ()):
        return False
    return program not in _LOGIN or "login" in before


def _arguments(argv: list[str]) -> list[str]:
    """``argv`` without the secrets of options that only their program explains."""
    out: list[str] = []
    program = ""
    hide_next = False
    for argument in argv:
        base = argument.rsplit("/", 1)[-1]
        if hide_next and argument:
            hide_next = False
            out.append(MARK)
            continue
        if base in _SHORT or base in _JOINED:
            program = base  # also behind sudo, env, timeout and in a shell's command
        hide_next = hide_next or _hides(program, argument, out)
        out.append(_joined(program, argument))
    return out


def _joined(program: str, argument: str) -> str:
    """``argument`` without the secret that is joined to an option of this program."""
    if program in _JOINED and argument.startswith("-p") and len(argument) > 2:
        return "-p" + MARK
    found = _curl_user.match(argument) if program == "curl" else None
    return found[1] + MARK if found else argument


def redact_argv(argv: list[str], enough: int = 1 << 30) -> list[str]:
    """Arguments without secrets; the same number of them, or as many as have ``enough`` text."""
    out: list[str] = []
    size = 0
    hide_next = False
    for argument in _arguments(argv):
        size += len(out[-1]) + 1 if out else 0
        if size > enough:
            break
        if hide_next:
            hide_next = False
            if not _option.match(argument):
                out.append(MARK)
                continue
        if argument.startswith("-") and _secret_name(argument):
            hide_next = True
            out.append(argument)
            continue
        whole = _whole.match(argument)
        if whole and not _public(whole[2]):
            # Here the end of the value is known, whatever characters are in it.
            out.append((whole[1] or "") + whole[2] + whole[3] + MARK)
        else:
            out.append(redact(argument))
    return out


def command_line(raw: bytes) -> str:
    """``/proc/PID/cmdline`` as one redacted line."""
    # The cut to what is shown comes after the redaction: cutting first could leave half of a
    # secret unknown. So the last word goes where the first cut may have halved it.
    short = len(raw) > MAX_ARGUMENTS
    raw = raw[:MAX_ARGUMENTS] if short else raw
    argv = [part.decode("utf-8", "replace") for part in raw.rstrip(b"\0").split(b"\0")]
    if short:
        argv[-1] = argv[-1].rpartition(" ")[0] + "\u2026"
    if len(argv) == 1 and " " in argv[0]:
        return words(redact(argv[0]))  # a process that wrote its own title
    return words(" ".join(redact_argv(argv, MAX_TEXT)))


def argv_digest(raw: bytes, salt: str) -> str:
    """16 hexadecimal digits over the salt and the unredacted arguments; empty for none."""
    return sha256_hex(salt.encode() + b"\0" + raw)[:16] if raw else ""
