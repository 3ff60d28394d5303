"""Secrets do not leave the host in arguments or messages; what is worth seeing does."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.probe.redact import (
    MARK,
    MAX_ARGUMENTS,
    argv_digest,
    command_line,
    redact,
    redact_argv,
)

SECRET = "Zq7vN3xK9pLw2RtY5mBc"


@pytest.mark.parametrize(
    "argv",
    [
        ["vllm", "serve", "--api-key", SECRET],
        ["vllm", "serve", f"--api-key={SECRET}"],
        ["x", "--hf-token", SECRET, "--port", "80"],
        ["x", f"--token={SECRET}"],
        ["x", "--password", SECRET],
        ["x", "-password", SECRET],
        ["x", "--db.password", SECRET],
        ["x", "--client_secret", SECRET],
        ["env", f"HF_TOKEN={SECRET}", "python"],
        ["env", f"AWS_SECRET_ACCESS_KEY={SECRET}", "python"],
        ["env", f"MY_API_KEY='{SECRET}'", "python"],
        ["curl", "-H", f"Authorization: Bearer {SECRET}", "http://x"],
        ["curl", "-H", f"Authorization: Basic {SECRET}", "http://x"],
        ["curl", "-H", f"X-Api-Key: {SECRET}", "http://x"],
        ["curl", "-u", f"bob:{SECRET}", "http://x"],
        ["curl", f"https://bob:{SECRET}@example.test/a"],
        ["curl", f"https://{SECRET}@example.test/a"],
        ["curl", f"https://example.test/a?access_token={SECRET}&x=1"],
        ["psql", f"postgresql://u:{SECRET}@db/x"],
        ["mysql", f"-p{SECRET}", "db"],
        ["sh", "-c", f"run --api-key {SECRET} --port 8000"],
        ["sh", "-c", f"export PASSWORD={SECRET}; run"],
        ["python", "-c", '{"api_key": "' + SECRET + '"}'],
        ["x", "sk-proj-" + SECRET],
        ["x", "hf_" + SECRET + "abcdefghijkl"],
        ["x", "ghp_" + SECRET + "abcdefghijklmnop"],
        ["x", "AKIA" + "ABCDEFGHIJKLMNOP"],
        ["x", "nvapi-" + SECRET],
        ["x", "eyJ" + SECRET + "." + SECRET + "." + SECRET],
        [f"title of a process --api-key {SECRET}"],
        ["sshpass", "-p", SECRET, "ssh", "host"],
        ["sudo", "docker", "login", "-u", "bob", "-p", SECRET, "registry.test"],
        ["sh", "-c", f"sudo redis-cli -h x -a {SECRET} ping"],
        ["ipmitool", "-H", "10.0.0.9", "-P", SECRET],
        ["curl", f"-ubob:{SECRET}", "http://x"],
        ["curl", f"--user=bob:{SECRET}", "http://x"],
        ["x", f"--password=a,b;c&'\"{SECRET}"],
        ["x", "--password", "--" + SECRET],
        ["sh", "-c", f'export PASSWORD="correct horse {SECRET}"; run'],
        ["sh", "-c", f"PASSWORD=ab\u00a0{SECRET} run"],
        ["sh", "-c", f"PASSWORD=p\u00e4\u79d8{SECRET} run"],
        ["curl", "-H", f"Cookie: a=b; session={SECRET}"],
        ["curl", "-H", f"Authorization: ApiKey {SECRET}"],
        ["curl", "-H", f"Authorization: AWS4-HMAC-SHA256 Credential=x/2, Signature={SECRET}"],
        ["psql", f"postgres://u:pa/{SECRET}@db/x"],
        ["psql", f"postgres://u:p@{SECRET}@db/x"],
        ["curl", "a" * 60 + f"://u:{SECRET}@example.test"],
        ["litellm", "--master-key", SECRET],
        ["env", f"OPENAI_KEY={SECRET}", "run"],
        ["curl", f"https://example.test/a?sv=1&sig={SECRET}"],
        ["curl", f"https://example.test/a?X-Amz-Signature={SECRET}"],
        ["x", f"AccountName=x;AccountKey={SECRET}==;E=1"],
        ["x", '{\\"api_key\\": \\"' + SECRET + '\\"}'],
        ["x", "{'password': 'a b " + SECRET + "'}"],
        ["x", '{"auths":{"r":{"auth":"' + SECRET + '"}}}'],
        ["x", "-eyJ" + SECRET + SECRET],
        ["vllm", "serve", "--api-key", "one", SECRET],
        ["vllm", "serve", "--api-key", "one", "password" + SECRET, "--port", "1"],
        ["sh", "-c", f"vllm serve --api-key abc {SECRET} --port 80"],
        ["x", "--api-keys", f"{SECRET},{SECRET}"],
        ["x", f"API_KEYS={SECRET}"],
        ["x", "--auth-tokens", SECRET],
        ["x", f"--hf-tokens={SECRET}"],
        ["x", f"TOKENS={SECRET}"],
        ["x", f"PASSWORDS={SECRET}"],
        ["x", "--passwords", SECRET],
        ["x", f"SECRETS={SECRET}"],
        ["python", "-c", f"import os; os.environ['OPENAI_API_KEY']='{SECRET}'"],
        ["aws", "configure", "set", "aws_secret_access_key", SECRET],
        ["sh", "-c", f"aws configure set aws_secret_access_key {SECRET}"],
        ["nv-tool", "NGC_API_KEY", SECRET],
        ["sh", "-c", f"export NGC_API_KEY {SECRET}"],
        *(["x", option, SECRET] for option in ("--pw", "--psk", "--pat", "--key", "-key")),
        *(["x", f"{option}={SECRET}"] for option in ("--pw", "--psk", "--pat", "--key")),
        ["sh", "-c", f"x --key={SECRET} --key {SECRET}"],
        ["java", f"-Dpw={SECRET}"],
        ["x", f"GITLAB_PAT={SECRET}"],
        ["zip", "-P", SECRET, "x"],
        ["7z", "a", f"-p{SECRET}", "x"],
        ["mosquitto_pub", "-u", "u", "-P", SECRET],
        ["smbclient", "//h/s", "-U", f"bob%{SECRET}"],
        ["smbclient", "//h/s", f"-Ubob%{SECRET}"],
        ["lftp", "-u", f"u,{SECRET}", "h"],
        ["etcdctl", "--user", f"root:{SECRET}", "get"],
        ["etcdctl", f"--user=root:{SECRET}", "get"],
        ["openssl", "enc", "-k", SECRET],
        ["ssh-keygen", "-N", SECRET],
        ["ssh-keygen", "-P", SECRET, "-p"],
        ["vault", "login", "-no-print", SECRET],
        ["wandb", "login", "--relogin", SECRET],
        ["sh", "-c", f"wandb login {SECRET} && python train.py"],
        ["snmpwalk", "-c", SECRET, "h"],
        ["sh", "-c", f"echo {SECRET} | sudo -S x"],
        ["sh", "-c", f"echo root:{SECRET} | chpasswd"],
    ],
    ids=lambda argv: " ".join(argv)[:40],
)
def test_a_secret_is_taken_out(argv: list[str]) -> None:
    line = command_line(b"\0".join(part.encode() for part in argv) + b"\0")
    assert SECRET not in line
    assert "ABCDEFGHIJKLMNOP" not in line
    assert MARK in line
    assert line.startswith(argv[0][:4])


@pytest.mark.parametrize(
    "line",
    [
        "vllm serve m --max-tokens 4096 --tokenizer meta/llama --port 8000",
        "x --tokenizer-mode auto --max-token-len=12 --token-limit=5",
        "/usr/sbin/sshd -D -o AuthorizedKeysFile=/etc/keys -o PasswordFile=/x",
        "python train.py --author bob --compass north --pad-token=<pad>",
        "ssh -i /home/bob/.ssh/id_ed25519 host",
        "TTY=pts/0 ; PWD=/home/alice ; USER=root",
        "Failed password for root from 10.0.0.1 port 22 ssh2",
        "pam_unix(sshd:auth): authentication failure; user=bob",
        "curl http://example.test:8000/v1/models",
        "nginx: worker process",
        "x --password-file /etc/pw --api-key-file=/x --token-path /y",
        "docker run -p 80:80 image",
        "curl http://example.test:8000/@bob",
        "x --use-auth-token --port 8000",
        "sglang --max-num-batched-tokens 8192 --stop-tokens 3 --num-tokens=5k",
        "docker run -e HF_TOKEN vllm/vllm-openai:v0.6.1 --port 8000",
        "docker run --env HF_TOKEN server2025a --port 8000",
        "etcd --key=/etc/etcd/tls.key --key server.pem -key ./k",
        "sort --key=2,2n --key 3",
        "HF_TOKEN is missing and PATH=/bin was not read",
        "smbclient //h/s -U bob",
        "wandb login && python train.py",
        "vllm serve --api-key-file /x Qwen2-7B-Instruct",
        "unzip -o x.zip; docker run -P image",
        "echo hello | grep -c h",
        "prompt tokens: 128, generation tokens=512",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert redact(line) == line
    assert command_line(line.replace(" ", "\0").encode()) == line


@given(st.lists(st.text(max_size=30), max_size=8))
def test_the_number_of_arguments_stays(argv: list[str]) -> None:
    assert len(redact_argv(argv)) == len(argv)


@given(
    st.sampled_from(["--api-key", "--token", "--password", "--hf_token", "--auth-token"]),
    st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789_/+", min_size=6, max_size=60),
    st.booleans(),
    st.lists(st.sampled_from(["serve", "--port", "8000", "-v", "model"]), max_size=4),
)
def test_the_value_of_a_secret_option_never_stays(
    option: str, secret: str, joined: bool, rest: list[str]
) -> None:
    argv = [*rest, option + "=" + secret] if joined else [*rest, option, secret]
    shown = redact_argv(["program", *argv])
    assert secret not in " ".join(shown[1 + len(rest) :])


@given(st.text(max_size=400))
def test_any_text_can_be_redacted_and_twice_is_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_the_digest_sees_a_change_and_needs_the_salt() -> None:
    one = argv_digest(b"x\0--api-key\0one\0", "salt")
    assert one == argv_digest(b"x\0--api-key\0one\0", "salt")
    assert one != argv_digest(b"x\0--api-key\0two\0", "salt")
    assert one != argv_digest(b"x\0--api-key\0one\0", "other salt")
    assert argv_digest(b"", "salt") == ""


def test_a_cut_never_leaves_a_part_of_a_secret() -> None:
    raw = b"x\0" + b"a" * 480 + b"\0--api-key\0" + SECRET.encode() * 20
    assert SECRET[:4] not in command_line(raw)


@pytest.mark.parametrize(
    "piece",
    [
        *("a.", "-eyJ", "token ", "--token ", "a://", "://" + ":" * 20, "-----BEGIN ", "x:"),
        *('"pass" ', "pass", " ", "-", "api_key_id", "sshpass -p ", "password='", "?sig="),
        *("Cookie: a=b; ", "-u", "\\", "pass\\", '"', "eyJ", "\u00e4"),
        *("--key ", "--keys [redacted] ", "--api-key A1b2c3d4 ", "A1b2c3d4 ", "A_API_KEY ", "A_"),
        *(
            "echo ",
            "echo x |",
            "vault login ",
            "smbclient -U a%b ",
            "pw",
            "_pw",
            "tokens=1 ",
            "7z ",
        ),
    ],
)
def test_arguments_cost_time_in_proportion_to_what_is_looked_at(piece: str) -> None:
    """Who runs a process must not be able to stop the loop with what it is called with."""
    for end in ("", "://", "PRIVATE KEY"):
        whole = (piece * MAX_ARGUMENTS)[:60_000] + end
        for raw in (whole.encode(), whole.replace(" ", "\0").encode()):
            began = time.process_time()
            command_line(raw)
            redact(whole)
            assert time.process_time() - began < 1.0  # a quadratic one takes a hundred times that


@given(st.integers(0, MAX_ARGUMENTS), st.booleans())
def test_where_long_arguments_are_cut_no_half_of_a_secret_shows(before: int, one: bool) -> None:
    argv = ["x", "--api-key=" + "k" * before, "--token", SECRET * 20, "y" * MAX_ARGUMENTS]
    raw = (" " if one else "\0").join(argv).encode()
    assert SECRET[:4] not in command_line(raw)
