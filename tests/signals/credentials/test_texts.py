"""Secrets in the texts of files, shells and answers, where no quotes and no field tell where one begins."""

import json
from typing import Any

import pytest

from guardian.domain.signal import CredentialHit
from guardian.signals.credentials.scanner import CredentialScanner

KEY = "wJalrXUtnFEMI/K7MDENGbPxRfiCYzRTq1mHk2Lp"
SESSION = "IQoJb3JpZ2luX2VjEJr" + "aB3/" * 60 + "=="
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
        f"aws_session_token={SESSION}\n",
        f"AWS_SESSION_TOKEN='{SESSION}'",
    ],
)
def test_an_aws_secret_is_taken_out_whatever_stands_around_it(
    scanner: CredentialScanner, event: Any, text: str
) -> None:
    clean, hits = scanner.redact(event(action__arguments={"body": text}))
    assert set(hits) == {CredentialHit("aws_key", "arguments.body")}
    body = clean.action.arguments["body"]
    assert KEY not in body
    assert SESSION[:30] not in body
    assert "[redacted:aws_key]" in body


@pytest.mark.parametrize(
    "text",
    [
        f"aws deploy key: {'0a1b2c3d4e' * 4}",
        f"aws key digest {KEY}{KEY}",
        "aws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}",
        "aws ssm get-parameter --name /prod/db/key",
        f"session_token={'eyJ'}{'a1' * 60}",
    ],
)
def test_what_only_stands_beside_its_name_is_left_alone(scanner: CredentialScanner, event: Any, text: str) -> None:
    seen = event(action__arguments={"body": text})
    assert scanner.redact(seen) == (seen, ())
