"""Credentials are found, taken out, and never told. Every secret here is made up or from public documentation."""

import base64
import json
import random
import re
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardian.domain.event import DecisionEvent
from guardian.domain.signal import CredentialHit, Observation
from guardian.errors import ConfigurationError
from guardian.signals.credential_exposure import CredentialExposure
from guardian.signals.credentials import matching
from guardian.signals.credentials.key_lines import key_items
from guardian.signals.credentials.matching import WORK, WORK_PER_CHARACTER
from guardian.signals.credentials.named_secrets import holds_secret, placeholder
from guardian.signals.credentials.scanner import CredentialScanner
from guardian.signals.envelope_breach import EnvelopeBreach


def part(claims: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


JWT = f"{part({'alg': 'HS256'})}.{part({'sub': 'user_7f3a91'})}.{'s' * 43}"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQ\n-----END RSA PRIVATE KEY-----"
KEY_LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
TAKEN, END = "[redacted:private_key]", "-----END RSA PRIVATE KEY-----"

SECRETS = {
    "aws_key_id": "AKIAIOSFODNN7ABCDEFG",
    "aws_key": "AKIAIOSFODNN7ABCDEFG,wJalrXUtnFEMI/K7MDENGbPxRfiCYzRTq1mHk2Lp",
    "github_token": "ghp_" + "a1B2c3D4e5F6" * 3,
    "gitlab_token": "glpat-" + "a1B2c3D4e5" * 2,
    "slack_token": "-".join(["xoxb", "123456789012", "123456789012", "abcdefABCDEF"]),
    "stripe_key": "sk_" + "live_" + "a1" * 12,
    "openai_token": "sk-proj-" + "a" * 20 + "T3BlbkFJ" + "b" * 20,
    "sendgrid_key": "SG." + "a" * 22 + "." + "b" * 43,
    "pypi_token": "pypi-AgEIcHlwaS5vcmc" + "a" * 80,
    "square_secret": "sq0csp-" + "a" * 43,
    "azure_storage_key": "AccountKey=" + "a" * 88,
    "json_web_token": JWT,
    "private_key": PEM,
    "google_api_key": "AIza" + "b" * 35,
    "npm_token": "npm_" + "c" * 36,
}


@pytest.fixture
def scanner() -> CredentialScanner:
    return CredentialScanner(key=b"test")


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("text", ["{}", "use {} for it", "a\n{}\nb", "key={}&x=1"])
def test_a_credential_is_cut_out_of_its_text(scanner: CredentialScanner, event: Any, kind: str, text: str) -> None:
    seen = event(action__arguments={"body": text.format(SECRETS[kind])})
    clean, hits = scanner.redact(seen)
    assert hits == (CredentialHit(kind, "arguments.body"),)
    body = clean.action.arguments["body"]
    assert f"[redacted:{kind}]" in body
    assert SECRETS[kind] not in clean.model_dump_json()
    assert body.endswith(text[text.index("{}") + 2 :]), "what follows the credential stays"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgres://admin:hunter2pw@db/crm", "postgres://admin:[redacted:basic_auth_url]@db/crm"),
        ("Authorization: Bearer abc123" + "d" * 20, "Authorization: Bearer [redacted:bearer_token]"),
        ("https://x.example/?api_key=a1b2c3d4&z=1", "https://x.example/?api_key=[redacted:url_secret]&z=1"),
        (f"{SECRETS['aws_key_id']} and {SECRETS['npm_token']}", "[redacted:aws_key_id] and [redacted:npm_token]"),
        ("x -----BEGIN PRIVATE KEY-----\ncut off", "x -----[redacted:private_key]"),
        ("x -----BEGIN PGP PRIVATE KEY BLOCK-----\n\ncut off", "x -----[redacted:private_key]"),
        (r"x -----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN", "x -----[redacted:private_key]"),
        ("x BEGIN EC PRIVATE KEY MHcCAQEEIIrYSSNQFaA2H", "x [redacted:private_key]"),
        *(
            (f"-----BEGIN RSA PRIVATE KEY{joint}{KEY_LINE}", "-----[redacted:private_key]")
            for joint in (
                *(
                    "-----%0A",
                    "-----<br>",
                    r"-----\u000a",
                    "-----&#10;",
                    "-----|",
                    "-----^M",
                    '-----","',
                    "------\n",
                ),
                *(" -----\n", "-----' > k; echo '", "----- Proc-Type: 4,ENCRYPTED DEK-Info: AES-256-CBC,7B "),
            )
        ),
        ("redis://:p4ssw0rd@cache:6379", "redis://:[redacted:basic_auth_url]@cache:6379"),
        (f"https://{'t' * 20}:{'t' * 20}@x", f"https://{'t' * 20}:[redacted:basic_auth_url]@x"),
        ("postgres://app:apple@db/crm", "postgres://app:[redacted:basic_auth_url]@db/crm"),
        ("PuTTY-User-Key-File-2: ssh-rsa\nPrivate-Lines: 1\nAAAA", "[redacted:private_key]"),
    ],
)
def test_only_the_secret_part_is_replaced(scanner: CredentialScanner, event: Any, text: str, left: str) -> None:
    clean, _ = scanner.redact(event(action__arguments={"body": text}))
    assert clean.action.arguments["body"] == left


@pytest.mark.parametrize(
    ("behind", "left"),
    [
        ([END, "Zm9v"], [END, "Zm9v"]),
        (
            ["", None, "...", KEY_LINE, "Zm9v", ["=Zm9"], "-----END PGP-----", 7],
            [*[TAKEN] * 6, "-----END PGP-----", 7],
        ),
        ([KEY_LINE, "c1"], [TAKEN, TAKEN]),
        ([f"{KEY_LINE}{END}"], [TAKEN]),
        (
            [f'{KEY_LINE}",', "-----BEGIN RSA PRIVATE KEY-----", "x"],
            [TAKEN, "-----BEGIN RSA PRIVATE KEY-----", "x"],
        ),
    ],
)
def test_of_a_list_that_holds_a_key_all_is_taken_out_from_its_body_to_its_end(
    scanner: CredentialScanner, event: Any, behind: list[Any], left: list[Any]
) -> None:
    ahead = ["contract_7781", "-----BEGIN RSA PRIVATE KEY-----", "Version: 1"]
    given = {"lines": [*ahead, KEY_LINE, *behind], "patterns": [ahead[1], "FINDME"]}
    clean, hits = scanner.redact(event(action__arguments=given))
    assert clean.action.arguments == {**given, "lines": [*ahead, TAKEN, *left]}
    assert [hit.kind for hit in hits] == ["private_key"]


def test_the_other_items_of_a_list_that_holds_a_key_are_compared_with_the_envelope(
    scanner: CredentialScanner, observe: Any, breaches: Any
) -> None:
    first, other = "-----BEGIN RSA PRIVATE KEY-----", "contract_9999"
    clean, hits = scanner.redact(
        observe(
            envelope__resource_constraints={"contract_ids": ["contract_7781", first]},
            action__arguments={"contract_ids": ["contract_7781", first, KEY_LINE, END, other]},
        ).event
    )
    seen = Observation(clean, now=clean.time, credentials=hits)
    assert "resource_outside_constraints" in breaches(EnvelopeBreach(), seen)


@pytest.mark.parametrize(
    "lines",
    [
        ["-----BEGIN PGP PRIVATE KEY BLOCK-----", "", KEY_LINE],
        ["-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "Charset: utf-8\n", "Comment:\n", "\n", f"{KEY_LINE}\n"],
        ["-----BEGIN RSA PRIVATE KEY-----", f'{KEY_LINE}\\n",'],
        ["-----BEGIN RSA PRIVATE KEY-----\\n", f"{KEY_LINE}\\n"],
        ["-----BEGIN RSA PRIVATE KEY-----", KEY_LINE[:32], KEY_LINE[32:]],
        *(
            ["-----BEGIN RSA PRIVATE KEY-----", f"{KEY_LINE}{end}"]
            for end in ("|", ";", ")", "<br>", "</td>", " 12")
        ),
        [
            {"commit": "0a1b2c3d" * 5, "id": "ConfigurationManagerOfTheShop", "text": line}
            for line in ("-----BEGIN RSA PRIVATE KEY-----", KEY_LINE)
        ],
        [
            {"match": line if line.startswith("-") else "", "text": line}
            for line in ("-----BEGIN RSA PRIVATE KEY-----", KEY_LINE, "Zm9v")
        ],
        [
            {"commit": "0a1b2c3d" * 5, "text": line}
            for line in ("-----BEGIN RSA PRIVATE KEY-----", KEY_LINE[:32], KEY_LINE[32:])
        ],
        [{"text": "-----BEGIN RSA PRIVATE KEY-----"}, {"id": "ConfigurationManager", "line": KEY_LINE}],
        ["-----BEGIN RSA PRIVATE KEY-----", *(KEY_LINE[at : at + 16] for at in range(0, 64, 16))],
        ["-----BEGIN RSA PRIVATE KEY-----", f"{KEY_LINE[:9]}/{KEY_LINE[9:40]}/{KEY_LINE[40:]}"],
        [
            {"n": n, "text": line, "path": "/home/ann/code/acme/shop/deploy/keys/id_rsa"}
            for n, line in enumerate(["-----BEGIN RSA PRIVATE KEY-----", KEY_LINE])
        ],
    ],
)
def test_a_key_in_a_list_is_found_however_its_lines_stand_there(
    scanner: CredentialScanner, event: Any, lines: list[Any]
) -> None:
    clean, hits = scanner.redact(event(action__arguments={"lines": lines}))
    assert [hit.kind for hit in hits] == ["private_key"]
    assert KEY_LINE[:16] not in clean.model_dump_json()


@pytest.mark.parametrize("width", [16, 20, 24, 28, 32, 40, 48, 64, 76])
def test_keys_are_found_in_lines_of_any_usual_length(width: int) -> None:
    letters, rnd = string.ascii_letters + string.digits + "+/", random.Random(width)
    found = 0
    for _ in range(400):
        key = "".join(rnd.choices(letters, k=1_600))
        lines = [key[at : at + width] for at in range(0, len(key), width)]
        found += len(key_items(["-----BEGIN PRIVATE KEY-----", *lines, END])) == len(lines)
    assert found >= 398


@pytest.mark.parametrize(
    "last",
    [
        "/home/runner/code/acme/shop/services/billing",
        "0a1b2c3d" * 5,
        "/Users/ann/code/shop2",
        "/Srv/Shop2" * 5,
        "src/main/java/com/acme/shop2/BillingService.java",
        "src/main/java/com/acme/shop2/BillingService",
        "AcmeBillingServiceImplementationFactoryV2.java",
        "src/main/java/com/acme/shop2/PaymentServiceImpl",
        "PrivateKeyFactoryOfTheWholeShopV2",
        "Pkcs8PrivateKeyParser:12",
    ],
)
def test_a_search_for_the_first_line_of_a_key_is_left_alone(
    scanner: CredentialScanner, event: Any, last: str
) -> None:
    more = ["/Users/ann/code/billing", "Pkcs8KeyProvider", "SecretKeyResolver"]
    words = ["grep", "-rn", "-----BEGIN RSA PRIVATE KEY-----", last, *more]
    seen = event(action__arguments={"command": words})
    assert scanner.redact(seen) == (seen, ())


@pytest.mark.parametrize(
    "text",
    [
        "https://crm.acme.example/cases?id=1042&sort=risk-desc",
        "task-12 risk-based desk-research, awsome key figures",
        "eyJust a word. And another",
        "bearer of good news from the renewal team",
        "a3f2c1d0-0000-4000-8000-000000000001",
        "BEGIN the review",
        "cust_acme_1042",
        "postgres://crm:{{DB_PASSWORD}}@db/crm and https://user:<password>@x.example/",
        "https://x.example/?api_key=YOUR_API_KEY&client_secret=${SECRET}",
        "https://x.example/?access_token=******** or ?password=[redacted:url_secret]",
        "psql postgres://postgres:postgres@localhost:5432/app && ping amqp://guest:guest@rabbit:5672",
        "write it as https://user:password@host.example, then ?password=changeme",
        f"set GITHUB_TOKEN=ghp_{'x' * 36}, or SENDGRID=SG.{'x' * 22}.{'X' * 43} in .env.example",
        "grep -rn 'BEGIN RSA PRIVATE KEY' src/",
        'assert "-----BEGIN PRIVATE KEY-----" in text\nassert done',
        "find what begins with -----BEGIN OPENSSH PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----",
        'grep -rn "BEGIN RSA PRIVATE KEY" src/main/java/com/example/application/configuration/security/rules',
        'grep -rn "-----BEGIN RSA PRIVATE KEY-----" src/main/java/com/acme/shop2/BillingService',
        f"'BEGIN RSA PRIVATE KEY' in text  # {'0a1b2c3d' * 8}",
        "the keys AKIAIOSFODNN7EXAMPLE and ASIAIOSFODNN7EXAMPLE of the documentation",
        "AKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        'f"postgres://{user}:{password}@db/{name}" or f"amqp://{c.user}:{c.password}@q" or "mysql://%s:%s@db"',
        "https://user:xxx@host.example, mongodb://user:your-password@host and 'redis://{}:{}@cache'",
    ],
)
def test_ordinary_text_is_left_alone(scanner: CredentialScanner, event: Any, text: str) -> None:
    seen = event(action__arguments={"body": text})
    clean, hits = scanner.redact(seen)
    assert hits == ()
    assert clean is seen


@pytest.mark.parametrize(
    "secret",
    [
        "https://evil.example/?api_key={my-QwErTyUiOpAsDfGhJkLzXcVb}",
        "https://evil.example/?password={secret:QwErTyUiOpAsDfGh}",
        "https://x.example/?access_token={${a}QwErTyUiOpAsDfGhJkLzXc}",
        "https://x.example/?password={[redacted]QwErTyUiOp}",
        "postgres://root:{my-secret-pw}@db.prod/x",
        "postgres://root:{your_Hunter}@db.prod/x",
        "postgres://root:{xxxxHunter}@db.prod/x",
        "postgres://root:{<a>b<c>}@db.prod/x",
        "postgres://root:{my-password-Hunter}@db.prod/x",
        "postgres://root:{xxHunter}@db.prod/x",
        "use {AKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENGbPxRfiCYzRTq1mHk2Lp}",
        f"{{github_pat_{'a1B2c3D4e5F6' * 3}{'x' * 40}}}",
        f"{{ghp_{'x' * 33}a1B}}",
    ],
)
def test_a_secret_that_only_begins_like_a_stand_in_is_one(
    scanner: CredentialScanner, event: Any, secret: str
) -> None:
    before, _, rest = secret.partition("{")
    hidden, _, after = rest.rpartition("}")
    clean, hits = scanner.redact(event(action__arguments={"body": before + hidden + after}))
    assert len(hits) == 1
    assert hidden not in clean.action.arguments["body"]


def test_keys_values_lists_and_extra_fields_are_walked(scanner: CredentialScanner, event: Any) -> None:
    token = SECRETS["github_token"]
    seen = event(
        envelope__note={"deep": [{"er": token}]},
        envelope__resource_constraints={"customer_id": token},
        action__tool=f"call {token}",
        action__arguments={token: 1, f"{token}": 1, "n": [1, None, [token]], "clean": "x"},
        action__resource={"type": "contract", "id": token, "extra": token},
        decision__reason=f"denied {token}",
        gateway_note=token,
    )
    clean, hits = scanner.redact(seen)
    assert token not in clean.model_dump_json() + repr(hits)
    assert {hit.path for hit in hits} == {
        "envelope.note.deep.er",
        "envelope.resource_constraints.customer_id",
        "action.tool",
        "arguments",
        "arguments.n",
        "resource.id",
        "resource.extra",
        "decision.reason",
        "gateway_note",
    }
    assert clean.action.arguments["clean"] == "x"
    assert DecisionEvent.model_validate_json(clean.model_dump_json(by_alias=True)) == clean


def test_two_keys_that_redact_to_one_both_stay(scanner: CredentialScanner, event: Any) -> None:
    one, other = SECRETS["github_token"], "ghp_" + "z" * 36
    clean, _ = scanner.redact(event(action__arguments={one: 1, other: 2, "ghp_" + "y" * 36: 3}))
    assert sorted(clean.action.arguments.values()) == [1, 2, 3]


@pytest.mark.parametrize(
    "name", ["tenant_id", "session_id", "parent_session_id", "task_id", "agent_id", "delegator_id"]
)
def test_a_name_that_revocations_go_by_is_told_and_kept(scanner: CredentialScanner, event: Any, name: str) -> None:
    for asked_by, kind in ((JWT, "json_web_token"), (f"conv-{SECRETS['aws_key_id']}", "aws_key_id")):
        seen = event(**{f"envelope__{name}": asked_by, "action__arguments": {name: asked_by}})
        clean, hits = scanner.redact(seen)
        assert getattr(clean.envelope, name) == asked_by
        assert CredentialHit(kind, f"envelope.{name}") in hits
        assert asked_by not in clean.action.arguments[name], "only the envelope's own is a name"


def test_the_name_of_a_credential_gets_a_keyed_fingerprint(scanner: CredentialScanner, event: Any) -> None:
    seen = event(action__credential_id=SECRETS["github_token"])
    name = scanner.redact(seen)[0].action.credential_id
    assert name is not None
    assert name.startswith("[redacted:github_token:")
    assert name == scanner.name(SECRETS["github_token"]) != scanner.name("ghp_" + "z" * 36)
    assert name != CredentialScanner(key=b"other").redact(seen)[0].action.credential_id, "fingerprints are keyed"


def test_the_id_of_a_vaulted_credential_is_allowed_unless_it_is_one(
    scanner: CredentialScanner, event: Any
) -> None:
    assert scanner.redact(event(action__credential_id="vault-crm-reader-7"))[1] == ()
    _, hits = scanner.redact(event(action__credential_id=SECRETS["aws_key_id"]))
    assert hits == (CredentialHit("aws_key_id", "action.credential_id"),)


def test_the_envelopes_signature_is_no_exposure(scanner: CredentialScanner, event: Any) -> None:
    seen = event(envelope_jws=JWT, action__arguments={"body": SECRETS["npm_token"]})
    clean, hits = scanner.redact(seen)
    assert clean.envelope_jws == JWT
    assert {hit.kind for hit in hits} == {"npm_token"}


def test_a_field_named_like_a_secret_is_redacted_whole(scanner: CredentialScanner, event: Any) -> None:
    arguments = {
        "dbPassword": "hunter2!",
        "api_keys": ["k-123456"],
        "secret": f"see {SECRETS['npm_token']}",
        "pin": 1,
    }
    clean, hits = scanner.redact(event(action__arguments=arguments))
    assert clean.action.arguments == {
        "dbPassword": "[redacted:named_secret]",
        "api_keys": ["[redacted:named_secret]"],
        "secret": "[redacted:npm_token]",
        "pin": 1,
    }
    assert [hit.kind for hit in hits] == ["named_secret", "named_secret", "npm_token"]


@pytest.mark.parametrize("rows", [40, 2_000])
def test_base64_of_json_is_no_credential_and_is_looked_at_to_its_end(
    scanner: CredentialScanner, event: Any, rows: int
) -> None:
    lines = "".join(json.dumps({"id": n, "name": f"row {n}", "ok": True}) + "\n" for n in range(rows))
    told = base64.b64encode(lines.encode()).decode()
    assert told.count("eyJ") > rows // 4
    seen = event(action__arguments={"content": told})
    assert scanner.redact(seen) == (seen, ())
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
    _, hits = scanner.redact(event(action__arguments={"content": f"{told} {token}"}))
    assert [hit.kind for hit in hits] == ["json_web_token"]


MARK = "[redacted:named_secret]"


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ({"password": {"value": "hunter22!"}}, {"password": {"value": MARK}}),
        ({"password": [{"v": "hunter22!"}]}, {"password": [{"v": MARK}]}),
        ({"dbPassword": {"value": ["hunter22!"]}}, {"dbPassword": {"value": [MARK]}}),
        ({"password": 8493021177}, {"password": MARK}),
        ({"api_key": {"value": 10**300}}, {"api_key": {"value": MARK}}),
        ({"headers": {"Authorization": {"value": "Basic dTpw"}}}, {"headers": {"Authorization": {"value": MARK}}}),
        (
            {"headers": [{"name": "Authorization", "value": "Basic dTpw"}, {"name": "Accept", "value": "text/*"}]},
            {"headers": [{"name": "Authorization", "value": MARK}, {"name": "Accept", "value": "text/*"}]},
        ),
        ({"set": [{"Key": "apiKey", "Values": ["k-12345"]}]}, {"set": [{"Key": "apiKey", "Values": [MARK]}]}),
    ],
)
def test_a_named_secret_is_redacted_in_any_wrapping_and_as_a_number(
    scanner: CredentialScanner, event: Any, arguments: dict[str, Any], left: dict[str, Any]
) -> None:
    clean, hits = scanner.redact(event(action__arguments=arguments))
    assert clean.action.arguments == left
    assert {hit.kind for hit in hits} == {"named_secret"}
    assert scanner.redact(clean) == (clean, ())


@pytest.mark.parametrize(
    "arguments",
    [
        {"token_count": 5000, "max_tokens": 4096},
        {"next_token": {"value": "abcdefgh"}, "page_token": 12345},
        {"password_policy": {"min_length": 12, "rotate_days": 9000}},
        {"password": {"type": "string", "minLength": 1024, "required": True, "description": "choose it well"}},
        {"secret": {"secretName": "db-prod", "version": "latest"}, "access_token": {"expires_in": 3600}},
        {"authorization": {"amount": 4000, "currency": "EUR", "contract_id": "contract_7781"}},
        {"authorization": {"decision": "approved", "approver": "ann.lee", "account": "acc_evil1"}},
        {"parameters": [{"name": "api_key", "in": "header", "required": True}]},
        {"entries": [{"name": "password", "value": "${DB_PASSWORD}"}, {"key": "colour", "value": "green"}]},
        {"password": None, "secret": True, "api_key": {"value": False}},
    ],
)
def test_what_is_told_beside_a_secret_stays(
    scanner: CredentialScanner, event: Any, arguments: dict[str, Any]
) -> None:
    seen = event(action__arguments=arguments)
    assert scanner.redact(seen) == (seen, ())


@pytest.mark.parametrize(
    "value",
    [
        "",
        "***",
        "xxxxxxxx",
        "${DB_PASSWORD}",
        "$DB_PASSWORD",
        "<password>",
        "{{ secret }}",
        "vault:kv/crm",
        "changeme",
        "[redacted:named_secret]",
        "arn:aws:secretsmanager:eu:1:secret:x",
        "projects/p/secrets/s",
        "None",
        "your-key",
        "your password here",
        "my_password",
        "env:DB_PASSWORD",
        "env:DB2_PASSWORD",
        "op://prod/db/password2",
        "file:/run/secrets/db2",
        "${{ secrets.DB2 }}",
        "${USER}-${DB_PASSWORD2}",
    ],
)
def test_placeholders_and_references_are_no_secrets(scanner: CredentialScanner, event: Any, value: str) -> None:
    assert placeholder(value)
    assert scanner.redact(event(action__arguments={"password": value}))[1] == ()


@pytest.mark.parametrize(
    "value",
    [
        "my-Sup3rS3cret!2026",
        "my dog likes 7 cakes",
        "your2ndPassword",
        "file: Sup3rS3cret",
        "secret:Sup3rS3cret",
        "${a}Hunter2xyz",
        "${DB_PASSWORD:-hunter2xyz}",
        "{{a}}Hunter2xyz",
        "[redacted]QwErTyUiOp",
        "projects/p/secrets/s Hunter2xyz",
    ],
)
def test_what_only_begins_like_a_placeholder_is_none(scanner: CredentialScanner, event: Any, value: str) -> None:
    clean, hits = scanner.redact(event(action__arguments={"password": value}))
    assert clean.action.arguments == {"password": MARK}
    assert len(hits) == 1


def test_a_secret_behind_endless_blanks_is_read_once(scanner: CredentialScanner, event: Any) -> None:
    seen = event(action__arguments={"password": " " * 100_000 + "hunter2!"})
    assert scanner.redact(seen)[0].action.arguments == {"password": "[redacted:named_secret]"}


@pytest.mark.parametrize(
    "name", ["password_hint", "max_tokens", "page_token", "secretary", "keys", "x" * 200 + "_secret"]
)
def test_other_names_hold_no_secrets(name: str) -> None:
    assert not holds_secret(name, "Zq81kfLw02mPq7YtRr4e")


def test_redacting_twice_changes_nothing_more(scanner: CredentialScanner, event: Any) -> None:
    once, _ = scanner.redact(event(action__arguments={**SECRETS, "password": "hunter2!"}))
    twice, hits = scanner.redact(once)
    assert twice == once
    assert hits == ()


def test_what_lies_too_deep_to_scan_is_dropped_and_told(scanner: CredentialScanner, event: Any) -> None:
    for inner in ({"x": SECRETS["aws_key_id"]}, [SECRETS["aws_key_id"]]):
        deep: Any = inner
        for _ in range(60):
            deep = {"a": deep} if isinstance(inner, dict) else [deep]
        clean, hits = scanner.redact(event(action__arguments={"a": deep}))
        assert "AKIA" not in clean.model_dump_json()
        assert [hit.kind for hit in hits] == ["unscanned"]


def test_claims_nested_without_end_are_no_token_and_no_crash(scanner: CredentialScanner, event: Any) -> None:
    nested = base64.urlsafe_b64encode(b"[" * 9_000).decode().rstrip("=")
    seen = event(action__arguments={"body": f"{part({'alg': 'none'})}.{nested}.x"})
    assert scanner.redact(seen) == (seen, ())


BEGINNINGS = ["sk-", "eyJ", "eyJ" + "a" * 60 + ".", "SG.", "glagent-!", "aws", "://a:", "Bearer ", "BEGIN "]


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_beginnings_without_end_are_not_looked_at_again_and_again(
    scanner: CredentialScanner, event: Any, monkeypatch: pytest.MonkeyPatch, beginning: str
) -> None:
    looked_at: list[int] = []

    def counting(rule: Any, text: str, start: int, runs: Any) -> Any:
        looked_at.append(len(re.findall(r"^[\w.=-]*", text[start : start + rule.reach])[0]))
        return tried(rule, text, start, runs)

    tried = matching._try
    monkeypatch.setattr(matching, "_try", counting)
    texts = [beginning * (6_000 // len(beginning)) + str(number) for number in range(20)]
    scanner.redact(event(action__arguments={"body": texts}))
    size = sum(map(len, texts)) + 1_000
    assert sum(looked_at) <= WORK + WORK_PER_CHARACTER * size
    assert len(looked_at) <= size


def test_the_rest_of_a_record_that_asks_for_too_much_work_is_cut_and_told(
    scanner: CredentialScanner, event: Any
) -> None:
    seen = event(action__arguments={"a": SECRETS["npm_token"], "b": "sk-" * 2_000, "c": SECRETS["aws_key_id"]})
    clean, hits = scanner.redact(seen)
    assert hits[0] == CredentialHit("npm_token", "arguments.a"), "what was found before stays what it is"
    assert CredentialHit("unscanned", "arguments.b") in hits
    assert "AKIA" not in clean.model_dump_json()
    assert scanner.redact(seen) == (clean, hits), "what is remembered counts as it did"


def test_many_honest_beginnings_are_all_looked_at(scanner: CredentialScanner, event: Any) -> None:
    listed = " ".join(f"https://crm.acme.example/cases/{number}" for number in range(5_000))
    words = "desk-risk-task-" * 40
    seen = event(action__arguments={"urls": listed, "tokens": [f"{JWT}{n}" for n in range(50)], "words": words})
    assert scanner.redact(seen)[1] == (CredentialHit("json_web_token", "arguments.tokens"),)


@pytest.mark.parametrize("many", [0, 63, 64, 200])
def test_no_number_of_fields_that_are_called_secrets_hides_a_real_one(
    scanner: CredentialScanner, event: Any, many: int
) -> None:
    named = {f"h{n}": {"password": f"hunter{n}zz"} for n in range(many)}
    _, hits = scanner.redact(event(action__arguments={**named, "a": SECRETS["npm_token"], "b": "sk-" * 2_000}))
    assert hits[-2:] == (CredentialHit("npm_token", "arguments.a"), CredentialHit("unscanned", "arguments.b"))
    assert len(hits) == min(64, many + 2)


def test_the_memory_of_texts_is_bounded_and_holds_no_text(event: Any) -> None:
    scanner = CredentialScanner(cache_size=2)
    texts = [f"number {n} " + "x" * 80 + SECRETS["aws_key_id"] for n in range(4)]
    for text in [*texts, texts[-1]]:
        _, hits = scanner.redact(event(action__arguments={"body": text}))
        assert hits == (CredentialHit("aws_key_id", "arguments.body"),)
    assert len(scanner._cache) == 2
    assert "AKIA" not in repr(vars(scanner))


def test_a_text_full_of_credentials_takes_no_memory_once_it_was_looked_at(event: Any) -> None:
    scanner = CredentialScanner()
    full = event(action__arguments={"body": f"{SECRETS['aws_key_id']} " * 2_000})
    found = scanner.redact(full)
    assert scanner.redact(full) == found
    assert sum(len(kept.spans) for kept in scanner._cache.values()) < 100


@settings(max_examples=60, deadline=None)
@given(before=st.text(max_size=30), after=st.text(max_size=30), kind=st.sampled_from(sorted(SECRETS)))
def test_a_credential_is_found_whatever_surrounds_it(before: str, after: str, kind: str) -> None:
    scanner = CredentialScanner()
    found = scanner.find(f"{before} {SECRETS[kind]} {after}")
    assert kind in {span.kind for span in found}


def test_hits_become_one_hard_breach_for_each_place(observe: Any, folded: Any) -> None:
    hits = (
        CredentialHit("named_secret", "arguments.password"),
        CredentialHit("github_token", "arguments.body"),
        CredentialHit("aws_key", "envelope.note"),
        CredentialHit("aws_key", "resource.id"),
        CredentialHit("aws_key", "decision.reason"),
    )
    _, (signal,) = folded(CredentialExposure(), [observe(facts={"credentials": hits})])
    assert {breach.name: breach.hard for breach in signal.breaches} == {
        "credential_in_arguments": True,
        "credential_in_envelope": True,
        "credential_in_resource": True,
        "credential_in_record": True,
    }
    assert signal.value == 1.0
    assert "github token" in signal.reason


def test_a_field_that_is_only_named_like_a_secret_is_soft(observe: Any, folded: Any) -> None:
    seen = observe(facts={"credentials": (CredentialHit("named_secret", "arguments.password"),)})
    _, (signal,) = folded(CredentialExposure(), [seen])
    assert [(breach.name, breach.hard) for breach in signal.breaches] == [("credential_in_arguments", False)]
    assert signal.value == 0.2
    assert folded(CredentialExposure(soft_kinds=()), [seen])[1][0].value == 1.0


KEY_ID, KEY = "AKIAIOSFODNN7ABCDEFG", "wJalrXUtnFEMI/K7MDENGbPxRfiCYzRTq1mHk2Lp"


@pytest.mark.parametrize(
    ("arguments", "hard"),
    [
        ({"AccessKeyId": KEY_ID, "Status": "Inactive"}, False),
        (
            {"url": f"https://b.s3.amazonaws.com/x?X-Amz-Credential={KEY_ID}%2F20260512%2Feu%2Fs3&X-Amz-Date=1"},
            False,
        ),
        ({"access_key": KEY_ID}, False),
        ({"AccessKeyId": KEY_ID, "login": {"password": "hunter2!"}}, False),
        ({"AccessKeyId": KEY_ID, "SecretAccessKey": KEY}, True),
        ({"env": [{"name": "AWS_ACCESS_KEY", "value": KEY_ID}, {"name": "AWS_SECRET_KEY", "value": KEY}]}, True),
        ({"body": f"{KEY_ID},{KEY}"}, True),
        ({"body": f"user={KEY_ID} pass={KEY}"}, True),
        ({"body": f"{KEY_ID},us-east-1,{KEY}"}, True),
        ({"a": KEY_ID, "b": KEY}, True),
        ({"k": [KEY_ID, KEY]}, True),
        ({"body": f"Access key ID,Secret access key\n{KEY_ID},{KEY}\n"}, True),
        ({"body": f'["{KEY_ID}", "{KEY}"]'}, True),
        ({"body": f"{KEY_ID}{KEY}"}, True),
        ({"body": f"aws_access_key_id={KEY_ID}\naws_secret_access_key={KEY}"}, True),
    ],
)
def test_the_id_of_a_key_is_soft_without_its_secret(
    scanner: CredentialScanner, event: Any, folded: Any, arguments: dict[str, Any], hard: bool
) -> None:
    clean, hits = scanner.redact(event(action__arguments=arguments))
    _, (signal,) = folded(CredentialExposure(), [Observation(clean, now=clean.time, credentials=hits)])
    assert [(breach.name, breach.hard) for breach in signal.breaches] == [("credential_in_arguments", hard)]
    assert KEY not in clean.model_dump_json()
    assert KEY_ID not in clean.model_dump_json()


@pytest.mark.parametrize(
    ("envelope", "hard"),
    [
        ({"envelope__purpose": f"Rotate the key {KEY_ID}"}, None),
        ({"envelope__resource_constraints": {"access_key_ids": [KEY_ID]}}, None),
        ({"envelope__resource_constraints": {"access_key_id": KEY_ID, "secret_access_key": KEY}}, True),
        ({"envelope__purpose": f"Rotate the key {KEY_ID}:{KEY}"}, True),
    ],
)
def test_an_envelope_may_name_the_key_that_the_work_is_about(
    scanner: CredentialScanner, event: Any, folded: Any, envelope: dict[str, Any], hard: bool | None
) -> None:
    clean, hits = scanner.redact(event(**envelope))
    seen = Observation(clean, now=clean.time, credentials=hits)
    told = [] if hard is None else [("credential_in_envelope", hard)]
    _, (signal,) = folded(CredentialExposure(), [seen])
    assert [(breach.name, breach.hard) for breach in signal.breaches] == told
    _, (signal,) = folded(CredentialExposure(soft_kinds=()), [seen])
    assert [(breach.name, breach.hard) for breach in signal.breaches] == [("credential_in_envelope", True)]


@pytest.mark.parametrize(
    "held",
    [
        {"secrets": ["db-prod", "crm-prod"]},
        {"api_keys": ["key_1"], "access_key": "ak_live_8231"},
        {"session_token": "session_9", "api_key": 12345, "secret": {"value": "db-prod"}},
    ],
)
def test_which_secrets_an_agent_may_read_is_no_secret(
    scanner: CredentialScanner, event: Any, held: dict[str, Any]
) -> None:
    seen = event(envelope__resource_constraints=held)
    assert scanner.redact(seen) == (seen, ())


@pytest.mark.parametrize(
    "held",
    [
        {"secrets": ["db-prod", "Zq81kfLw02mPq7YtRr4e"]},
        {"api_key": {"value": "Zq81kfLw02mPq7YtRr4e"}},
        {"db_password": "hunter2!"},
        {"dbPassword": {"value": ["hunter2!"]}},
        {"password": 8493021177},
        {"secrets": [SECRETS["npm_token"]]},
    ],
)
def test_a_secret_in_a_constraint_is_one(scanner: CredentialScanner, event: Any, held: dict[str, Any]) -> None:
    clean, hits = scanner.redact(event(envelope__resource_constraints=held))
    assert len(hits) == 1
    for secret in ("Zq81kfLw02mPq7YtRr4e", "hunter2", "8493021177", SECRETS["npm_token"]):
        assert secret not in clean.model_dump_json()


def test_missing_arguments_are_told(observe: Any, folded: Any) -> None:
    _, signals = folded(CredentialExposure(), [observe(), observe(action__arguments=None)])
    assert [signal.value for signal in signals] == [0.0, 0.0]
    assert "missing" in signals[1].reason


def test_impossible_options_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"credential_exposure\.soft_value"):
        CredentialExposure(soft_value=2)
