"""Secrets in the texts of files, shells and answers, where no quotes and no field tell where one begins."""

import json
import re
from typing import Any

import pytest
from cost import cost

from guardian.domain.signal import CredentialHit
from guardian.signals.credentials.named_secrets import placeholder
from guardian.signals.credentials.said_secrets import said_secrets, says_secret
from guardian.signals.credentials.scanner import CredentialScanner

KEY = "wJalrXUtnFEMI/K7MDENGbPxRfiCYzRTq1mHk2Lp"
SLASHED = "wJalrXUtnFEM/K7MDENGbPxRfiCY/zRTq1mHk2Lp"
"""One in a hundred keys has no sixteen characters without a slash."""
SESSION = "IQoJb3JpZ2luX2VjEJr" + "aB3xYz9Qw7LmN0pRsT/" * 12 + "=="
FILE = f"[default]\naws_access_key_id = AKIAIOSFODNN7ABCDEFG\naws_secret_access_key = {KEY}\nregion = eu\n"


@pytest.fixture
def scanner() -> CredentialScanner:
    return CredentialScanner(key=b"test")


@pytest.mark.parametrize(
    "text",
    [
        FILE,
        json.dumps({"content": FILE}),
        f"export AWS_SECRET_ACCESS_KEY={KEY}",
        f"aws configure set aws_secret_access_key {KEY} --profile prod",
        f"aws_secret_access_key: '{KEY}'",
        f"AwsSecret = {KEY};",
        json.dumps({"Credentials": {"SecretAccessKey": KEY, "SessionToken": SESSION}}),
        json.dumps(json.dumps({"secretAccessKey": KEY})),
        f"<SecretAccessKey>{KEY}</SecretAccessKey><SessionToken>{SESSION}</SessionToken>",
        f'secret_access_key = "{KEY}"',
        f"aws_secret_access_key = {SLASHED}",
        f"aws_secret_access_key             = {KEY}",
        f"- name: AWS_SECRET_ACCESS_KEY\n          value: {KEY}\n",
        json.dumps(f"- name: AWS_SECRET_ACCESS_KEY\n          value: {KEY}\n"),
        json.dumps(f'os.environ["AWS_SECRET_ACCESS_KEY"] = "{KEY}"'),
        f"`AWS_SECRET_ACCESS_KEY`: `{KEY}`",
        f"| AWS_SECRET_ACCESS_KEY | {KEY} |",
        f"aws_session_token={SESSION}\n",
        f"AWS_SESSION_TOKEN='{SESSION}'",
    ],
)
def test_an_aws_secret_is_taken_out_whatever_stands_around_it(
    scanner: CredentialScanner, event: Any, text: str
) -> None:
    clean, hits = scanner.redact(event(action__arguments={"body": text}))
    assert CredentialHit("aws_key", "arguments.body") in hits
    assert {hit.kind for hit in hits} <= {"aws_key", "aws_key_id"}
    body = clean.action.arguments["body"]
    assert KEY not in body
    assert SLASHED not in body
    assert SESSION[:30] not in body
    assert "[redacted:aws_key]" in body


@pytest.mark.parametrize(
    "text",
    [
        f"aws deploy key: {'0a1b2c3d4e' * 4}",
        f"aws key digest {KEY}{KEY}",
        "aws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}",
        f"aws_s3_key = {'Uploads/2026/Invoices/AcmeCorporationQ3x'}.pdf",
        f"aws_s3_key_prefix = {'Uploads/2026/Invoices/AcmeCorp/Quarter3x'}",
        f"aws_s3_key_prefix = '{'Uploads/2026/Invoices/AcmeCorp/Quarter3x'}'",
        "aws ssm get-parameter --name /prod/db/key",
    ],
)
def test_what_only_stands_beside_its_name_is_left_alone(scanner: CredentialScanner, event: Any, text: str) -> None:
    seen = event(action__arguments={"body": text})
    assert scanner.redact(seen) == (seen, ())


JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
MADE = "Zq81kfLw02mPq7YtRr4e"
MARK = "[redacted:named_secret]"
_SECRET = re.compile(r"«(.*?)»")


@pytest.mark.parametrize(
    "name",
    [
        *("api_token", "apiToken", "bot_token", "session_token", "AWS_SESSION_TOKEN", "vault_token"),
        *("x-vault-token", "private_token", "PRIVATE-TOKEN", "encryption_key", "signing_key", "ssh_key"),
        *("account_key", "storage_key", "service_role_key", "db_pass", "passcode", "cookie", "token", "cookies"),
    ],
)
def test_a_field_that_is_called_like_a_secret_is_one(scanner: CredentialScanner, event: Any, name: str) -> None:
    for arguments, left in (
        ({name: MADE}, {name: MARK}),
        ({"env": [{"name": name, "value": MADE}]}, {"env": [{"name": name, "value": MARK}]}),
    ):
        clean, hits = scanner.redact(event(action__arguments=arguments))
        assert clean.action.arguments == left
        assert [hit.kind for hit in hits] == ["named_secret"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"next_page_token": MADE, "max_tokens": 4096, "password_hint": MADE, "bypass": MADE, "compass": MADE},
        {
            "token": "BTC",
            "signing_key": "3f2a1b4c-0000-4000-8000-1234567890ab",
            "ssh_key": "ssh-ed25519 AAAAC3N a@b",
        },
        {"storage_key": "uploads/2026/ReportOfTheBoard2026Q3.pdf", "account_key": "ACME-EMEA-NORTH-2026-AB12"},
        {"encryption_key": "alias/prod-payments-2026-key", "token": 123456, "token_type": "Bearer"},
    ],
)
def test_names_that_mean_other_things_too_need_a_value_that_a_machine_made(
    scanner: CredentialScanner, event: Any, arguments: dict[str, Any]
) -> None:
    seen = event(action__arguments=arguments)
    assert scanner.redact(seen) == (seen, ())


def test_a_key_in_hex_is_made_by_a_machine(scanner: CredentialScanner, event: Any) -> None:
    clean, _ = scanner.redact(event(action__arguments={"signing_key": "0a1b2c3d" * 8}))
    assert clean.action.arguments == {"signing_key": MARK}


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Basic «YWRtaW46aHVudGVyMnh5eg==»",
        "Authorization: basic «YWRtaW46aHVudGVyMnh5eg»",
        "curl -u admin:«hunterxyz» https://crm.acme.example/",
        "curl --user 'admin:«hunter2xyz»' https://crm.acme.example/",
        "PGPASSWORD=«s3cr3tpassw» psql -h db",
        "Server=db;User Id=sa;Password=«Hunter2xyz»;Encrypt=true",
        "mysqldump --password=«hunter2xyz» crm",
        "deploy --db-password «hunter2xyz» --wait",
        '{"password": "«hunter2xyz»"}',
        '{"params": "{\\"password\\": \\"«hunter2xyz»\\"}"}',
        '{"dbPassword":"«hunter2xyz»","apiKey":"«' + MADE + '»"}',
        "curl -H 'PRIVATE-TOKEN: «" + MADE + "»' https://git.acme.example/",
        "curl -H 'Cookie: «session=" + MADE + "»; theme=dark' https://x.example/",
        "api_key: «" + MADE + "»",
        "password=«password=hunter2xyz»",
        "key=password=«hunter2xyz»",
        "İPASSWORD=«hunter2xyz»",
        "service_role_key: «" + MADE + "»",
        '{"password": "«Tr0ub4dor&3(x)$y,z»", "n": 1}',
        '{"password": "«hunter2 \\"xyz\\" abc»"}',
        json.dumps({"params": '{"password": "«Tr0ub4dor&3 (x)»"}'}, ensure_ascii=False),
        "deploy --password '«hunter2 xyz»' --wait",
        "DB_PASSWORD=«Tr0ub4dor$3&x)y»",
        "password=«hunter2xyz»&next=v2",
        "password=«hunter2xyz»,user=ann2",
        'password="" passwd=«hunter2xyz»',
        "curl -sSu admin:«hunterxyz» https://x.example/",
        "curl -U 'admin:«hun$ter\"x»' https://x.example/",
        "curl https://x.example/ \\\n  -u admin:«123456»",
        "curl https://x.example/\n  -u admin:«hunterxyz»",
    ],
)
def test_what_a_text_calls_a_secret_is_taken_out(scanner: CredentialScanner, event: Any, text: str) -> None:
    said, left = _SECRET.sub(r"\1", text), _SECRET.sub(MARK, text)
    clean, hits = scanner.redact(event(action__arguments={"body": said}))
    assert clean.action.arguments["body"] == left
    assert hits == (CredentialHit("named_secret", "arguments.body"),)


@pytest.mark.parametrize(
    "text",
    [
        "Password: required, at least 8 characters",
        '{"password": {"type": "string2"}, "api_key": "the key of settings 2026"}',
        "password = os.environ['DB2_PASSWORD']; password=getpass2(prompt); pwd=v2[0]",
        "password=${DB_PASSWORD2} token=$TOKEN2 passwd=<password2> --password --verbose2",
        "PWD=/home/ann/proj2 and pwd=./run2 and secret_key=https://vault.acme.example/v1/key2",
        "passwords: base64, password=sha256, passcode: 849302",
        "password=your_password and my_secret=my_secret_value, api_key=short1",
        "basic information, Basic Authentication: Basic YWRtaW5odW50ZXIy",
        "docker run -u 1000:1000 x && docker run --user app:staff2 x && sort -u key:value2",
        "curl -u 1000:1000 -u $USER:$PASSWORD2 -u admin",
        "docker run --user app:staff x && curl https://x.example/ && docker run -u app:staff2 x",
        "curl https://x.example/\nkubectl -u ann:staff",
        "user.password = request.body.password2; api_key=settings.API_KEY_V2_PRODUCTION",
        "if password==confirm2: api_key = var.the_key_of_2026_in_full",
        '{"password":"",pin2026:1} --password "$DB2_PASSWORD" --password "$(pass show db2)"',
        "the token: next_page_token=Zq81kfLw02mPq7YtRr4e",
    ],
)
def test_prose_code_and_templates_say_no_secret(scanner: CredentialScanner, event: Any, text: str) -> None:
    seen = event(action__arguments={"body": text})
    assert scanner.redact(seen) == (seen, ())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("password=ghp_" + "a1B2c3D4e5F6" * 3, "password=[redacted:github_token]"),
        ("password=x1-ghp_" + "a1B2c3D4e5F6" * 3, "password=[redacted:github_token]"),
        (f"session_token={JWT}", "session_token=[redacted:json_web_token]"),
        ("hf_" + "aB3d" * 8 + "xY", "[redacted:huggingface_token]"),
        ("dop_v1_" + "0a1b2c3d" * 8, "[redacted:digitalocean_token]"),
        ("ya29." + "a0AfB_by-" * 8, "[redacted:google_oauth_token]"),
    ],
)
def test_what_has_a_shape_is_known_by_it(scanner: CredentialScanner, event: Any, text: str, left: str) -> None:
    clean, hits = scanner.redact(event(action__arguments={"body": f"{text} x"}))
    assert clean.action.arguments["body"] == f"{left} x"
    assert len(hits) == 1


@pytest.mark.parametrize(
    "piece",
    [
        "password=",
        "--password ",
        "curl -u ",
        "token=a1(",
        "pwd:'\"",
        "-u a:",
        "my-",
        "curl\n -u 'a:\"b",
        "password=a$&((",
    ],
)
def test_names_without_end_are_read_once(piece: str) -> None:
    def reading(length: int) -> float:
        text = piece * (length // len(piece)) + "("
        return cost(lambda: (list(said_secrets(text)), says_secret(text), placeholder(text)))

    assert reading(80_000) < 24 * reading(10_000), "eight times as long"
