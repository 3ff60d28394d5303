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
    r"(?:[\w.\-]*?(?:pass(?:wd|word|phrase|code)?s?|secrets?|tokens?|jwt|bearer"
    r"|api[_\-. ]?keys?|dsn|(?:(?<![A-Za-z0-9])|(?<=-D))(?:pw|psk|pat)"
    r"|(?:access|private|auth|session|encryption|signing|master|license|account|storage|shared"
    r"|admin|hmac|subscription|deploy|openai|anthropic|azure|mistral|cohere|gemini)[_\-.]?keys?"
    r"|auth(?:orization|[_\-]?token)?|credentials?|cookies?|signature|sas|pwd)"
    r"(?:[_\-](?:key|id|value|b64|base64))?)"
)
_START = r"(?<![\w.\-])"
_WORD = r"(?:\"[^\"]*\"?|'[^']*'?|[^ \t\r\n\"'&;])+"
"""One word of a shell, with what is quoted in it; a blank that is not ASCII does not end it."""
_TEXT = r"\\*\"(?:[^\"\\]|\\.)*\"?|\\*'(?:[^'\\]|\\.)*'?|[^ \t\r\n\"',;&}]+"

# Names that hold one of the words above and carry no secret; their values are worth seeing.
_PUBLIC = re.compile(
    r"(?i)(?:file|path|dir|type|name|mode|class|limit|count|len|length|size|budget|parallel|"
    r"provider|methods?|tokenizer[\w\-]*|bypass|compass)$|tokenizer|max[_\-]?token|"
    r"^(?:pad|eos|bos|unk|sep|cls|mask)[_\-]token|"
    r"(?:max|min|num|new|total|stop|special|batched|draft|prompt|context)[_\-]?[\w\-]{0,32}tokens$"
)
_counted = re.compile(r"[\d.,_]{1,12}[kKmM]?[\])}.,;]{0,3}\Z")  # how many tokens, and not which
_several = re.compile(r"(?i)api[_\-]?keys?$|(?:keys|tokens|secrets|pass(?:word|wd)s)$")
_random = re.compile(r"(?=[^\d\s]*\d)(?=[^A-Za-z\s]*[A-Za-z])[\w+=\-]{8,}\Z")
_file = re.compile(
    r"(?i)[~./]|file:|[\d.,]{1,8}[a-z]?\Z"
    r"|[\w.\-/]{0,250}\.(?:pem|key|crt|cer|der|p12|pfx|jks|pub|json|ya?ml|txt|gpg|asc)\Z"
)
"""What ``--key`` may have behind it that is no key: a file, or columns to sort by."""
_option = re.compile(r"--[a-z][a-z0-9_.\-]*(?:=|\Z)")  # the word before it was a switch
_flag = re.compile(r"(?i)(--?|/)?(" + _NAME + r")\Z")
_whole = re.compile(r"(?is)(--?)?(" + _NAME + r")(\s*=\s*)(.+)\Z")
_header = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(\s*:\s*)"
    r"((?:bearer|basic|token|digest|apikey|negotiate)[ \t]+)?([^\r\n\"']+)"
)
_json = re.compile(r"(?i)" + _START + "(" + _NAME + r")(\\*[\"']\]?\s*[:=]\s*)(" + _TEXT + ")")
_assigned = re.compile(
    r"(?i)" + _START + r"(--?)?(" + _NAME + r")(\s*(?:=|:(?!//))\s*)((?:bearer|basic|token)\s+)?"
    "(" + _WORD + ")"
)
_key = re.compile(r"(?i)(?<![\w\-])(--?key)(=|[ \t]+)(?!-)(" + _WORD + ")")
_more = re.compile(
    r"(?i)(?<![\w\-])(--?[\w.\-]*?(?:api[_\-]?keys?|keys|tokens|secrets|passwords)"
    r"[ \t]+\[redacted\])"
    r"((?:[ \t]+(?=[^\d\s]*\d)(?=[^A-Za-z\s]*[A-Za-z])[\w+=\-]{8,}(?=[ \t]|\Z))+)"
)
_piped = re.compile(
    r"(?<![\w.\-])((?:echo|printf)(?:[ \t]+-\w+)?[ \t]+)([^|\r\n]{1,256}?)"
    r"([ \t]*\|[ \t]*(?:sudo|chpasswd|passwd|docker|podman|cryptsetup)\b)"
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
    **dict.fromkeys(("zip", "unzip", "mosquitto_pub", "mosquitto_sub", "mosquitto_rr"), ("-P",)),
    **dict.fromkeys(("ssh-keygen",), ("-N", "-P")),
    **dict.fromkeys(("openssl",), ("-k", "-K")),
    **dict.fromkeys(
        ("snmpwalk", "snmpget", "snmpset", "snmpbulkwalk", "snmpbulkget", "snmpgetnext"),
        ("-c", "-A", "-X"),
    ),
}
"""Options without a name that says what they are, by program; their value is the next word."""
_JOINED = frozenset(
    (
        *("mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "mariadb-admin"),
        *("sshpass", "7z", "7za", "7zr", "7zz", "rar", "unrar"),
    )
)
"""Programs whose ``-p`` has the password joined to it."""
_PARTED: dict[str, tuple[tuple[str, ...], str]] = {
    **dict.fromkeys(("smbclient", "rpcclient", "smbget", "smbmap"), (("-U", "--user"), "%")),
    "lftp": (("-u", "--user"), ","),
    "etcdctl": (("--user",), ":"),
}
"""Options with a user and a password in one word, and what stands between them."""
_LOGIN_WORDS = {
    "vault": ("login",),
    "wandb": ("login",),
    "ngrok": ("authtoken", "add-authtoken"),
}
"""Commands whose next word that is no option is a token."""
_PROGRAMS = frozenset((*_SHORT, *_JOINED, *_PARTED, *_LOGIN_WORDS))
_ENDS = frozenset(("&&", "||", "|", ";", "&"))
_variable = re.compile(
    r"[A-Z0-9_]{1,60}?_(?:API_KEY|TOKEN|SECRET|PASSWORD|ACCESS_KEY|SECRET_KEY)\Z"
    r"|(aws_secret_access_key|aws_session_token)\Z"
)
"""A variable that is set without an equals sign; of the second form by its name alone."""
_curl_user = re.compile(r"(-u|-U|--user=|--proxy-user=)(?=[^:]+:.)")
_short_text = re.compile(
    r"(?<![\w.\-])(?:(?:" + "|".join(sorted(map(re.escape, _PROGRAMS), key=len, reverse=True)) + ")"
    r"|[A-Z0-9_]{1,60}_(?:API_KEY|TOKEN|SECRET|PASSWORD|ACCESS_KEY|SECRET_KEY)"
    r"|aws_secret_access_key|aws_session_token)[ \t]+[^ \t]"
)


def _secret_name(name: str) -> bool:
    return bool(_flag.match(name)) and not _PUBLIC.search(name.lstrip("-/"))


def _public(name: str) -> bool:
    # PWD in capitals is the shell's working directory
    return bool(_PUBLIC.search(name)) or name in ("PWD", "OLDPWD")


def _count(name: str, value: str) -> bool:
    return name.lower().endswith("tokens") and bool(_counted.match(value))


def _key_mark(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    if _file.match(value.lstrip("\"'")) or value.startswith(MARK):
        return found.group(0)
    return name + between + MARK


def _assigned_mark(found: re.Match[str]) -> str:
    dashes, name, between, scheme, value = found.groups()
    if _public(name) or value == MARK or _count(name, value):
        return found.group(0)
    return "{}{}{}{}{}".format(dashes or "", name, between, scheme or "", MARK)


def _json_mark(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    if _public(name) or _count(name, value):
        return found.group(0)
    quote = value.lstrip("\\")[:1]
    quote = quote if quote in "\"'" else ""
    return name + between + quote + MARK + quote


def _spaced_mark(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    if _PUBLIC.search(name) or value.startswith(MARK) or _count(name, value):
        return found.group(0)
    return name + between + MARK


def _more_mark(found: re.Match[str]) -> str:
    if _PUBLIC.search(found[1].split()[0]):
        return found.group(0)
    return found[1] + (" " + MARK) * len(found[2].split())


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
        text = _more.sub(_more_mark, text)
        text = _key.sub(_key_mark, text)
    if "|" in text:
        text = _piped.sub(lambda found: found[1] + MARK + found[3], text)
    text = _header.sub(lambda found: found[1] + found[2] + (found[3] or "") + MARK, text)
    text = _json.sub(_json_mark, text)
    text = _assigned.sub(_assigned_mark, text)
    text = _query.sub(lambda found: found[1] + MARK, text)
    return _bearer.sub(lambda found: found[1] + MARK, text)


def _hides(program: str, argument: str, before: list[str]) -> str:
    """What of the next word is secret: empty for nothing, ``all``, ``random`` for what looks so,
    or the character behind which it is."""
    options, between = _PARTED.get(program, ((), ""))
    if argument in options:
        return between
    if argument in _SHORT.get(program, ()):
        return "all" if program not in _LOGIN or "login" in before else ""
    found = _variable.match(argument)
    if found and not (before and before[-1] in ("-e", "--env")):
        return "all" if found[1] else "random"
    return ""


def _part(argument: str, between: str) -> str:
    """``argument`` without what comes after the first ``between``."""
    user, there, secret = argument.partition(between)
    return user + there + MARK if secret else argument


def _arguments(argv: list[str]) -> list[str]:
    """``argv`` without the secrets of options that only their program explains."""
    out: list[str] = []
    program = hide = ""
    login = False  # the next word that is no option is a token
    for argument in argv:
        base = argument.rsplit("/", 1)[-1]
        if hide and argument:
            how, hide = hide, ""
            if how == "all" or (how == "random" and _random.match(argument)):
                out.append(MARK)
                continue
            if how != "random":
                out.append(_part(argument, how))
                continue
        if argument in _ENDS:
            program, login = "", False
        if login and argument and not argument.startswith("-") and "=" not in argument:
            login = False
            out.append(MARK)
            continue
        if base in _PROGRAMS:
            program = base  # also behind sudo, env, timeout and in a shell's command
        login = login or argument in _LOGIN_WORDS.get(program, ())
        hide = hide or _hides(program, argument, out)
        out.append(_joined(program, argument))
    return out


def _joined(program: str, argument: str) -> str:
    """``argument`` without the secret that is joined to an option of this program."""
    if program in _JOINED and argument.startswith("-p") and len(argument) > 2:
        return "-p" + MARK
    options, between = _PARTED.get(program, ((), ""))
    if between and argument.startswith(options):
        return _part(argument, between)
    found = _curl_user.match(argument) if program == "curl" else None
    return found[1] + MARK if found else argument


def redact_argv(argv: list[str], enough: int = 1 << 30) -> list[str]:
    """Arguments without secrets; the same number of them, or as many as have ``enough`` text."""
    out: list[str] = []
    size = 0
    hide = more = ""  # the option whose value comes next, or may have another one
    greedy = any("vllm" in argument for argument in argv[:4])
    for argument in _arguments(argv):
        size += len(out[-1]) + 1 if out else 0
        if size > enough:
            break
        if hide:
            option, hide = hide, ""
            if not _option.match(argument):
                more = option if _several.search(option) else ""
                out.append(argument if _harmless(option, argument) else MARK)
                continue
        if more and not argument.startswith("-") and (greedy or _random.match(argument)):
            out.append(MARK)
            continue
        more = ""
        if argument.startswith("-") and (_secret_name(argument) or argument in ("--key", "-key")):
            hide = argument
            out.append(argument)
            continue
        out.append(_one(argument))
    return out


def _harmless(option: str, value: str) -> bool:
    """True for a value that stays: a number of tokens, or a file behind ``--key``."""
    if option in ("--key", "-key"):
        return bool(_file.match(value))
    return _count(option, value)


def _one(argument: str) -> str:
    """One argument by itself. Here the end of a value is known, whatever characters are in it."""
    whole = _whole.match(argument)
    if whole and not _public(whole[2]) and not _count(whole[2], whole[4]):
        return (whole[1] or "") + whole[2] + whole[3] + MARK
    return redact(argument)


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
