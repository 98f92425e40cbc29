"""People hear of a machine's last token before it ends, once in time and once more when it is urgent."""

import shlex
from dataclasses import replace
from datetime import timedelta

from guardian.control.authentication.token_expiry import tell_of_ending_tokens
from guardian.control.authentication.token_records import record_token
from guardian.domain.finding import OPERATORS
from guardian.keys.signing import SigningKeys


def give(stage, principal: str, role: str = "gateway", *tenants: str, days: float) -> str:
    now, covered = stage.clock(), tenants or ("tenant_acme",)
    token = stage.deps.tokens.issue(principal, role=role, tenants=covered, ttl=timedelta(days=days), now=now)
    with stage.deps.store.write() as rows:
        record_token(rows, token)
    return token.principal.jti


def told(stage) -> list[str]:
    tell_of_ending_tokens(stage.deps)
    tell_of_ending_tokens(stage.deps)
    with stage.deps.store.read() as rows:
        found = rows.findings.after(0, 100)
    return sorted(each.finding.title for _, each in found if each.finding.tenant_id == OPERATORS)


def test_the_last_token_of_a_gateway_is_told_two_weeks_and_two_days_before_it_ends(stage) -> None:
    give(stage, "gw-eu", days=90)
    stage.clock.now += timedelta(days=75)
    assert told(stage) == []
    stage.clock.now += timedelta(days=2)
    assert told(stage) == ["The last token of gateway gw-eu ends within 14 days"]
    stage.clock.now += timedelta(days=12)
    assert told(stage) == [
        "The last token of gateway gw-eu ends within 14 days",
        "The last token of gateway gw-eu ends within 2 days",
    ]


def test_so_is_that_of_who_reads_the_metrics(stage) -> None:
    give(stage, "prometheus", "metrics", days=90)
    stage.clock.now += timedelta(days=77)
    assert told(stage) == ["The last token of metrics prometheus ends within 14 days"]


def test_who_has_another_token_or_gets_a_new_one_every_day_is_not_told(stage) -> None:
    give(stage, "gw-eu", days=40)
    give(stage, "gw-eu", days=90)
    give(stage, "gw-us", days=1)
    give(stage, "maya", "responder", days=40)
    stage.clock.now += timedelta(days=39)
    give(stage, "gw-us", days=1)
    assert told(stage) == []


def test_nobody_is_carried_on_by_a_token_of_other_tenants(stage) -> None:
    give(stage, "gw", "gateway", "acme", "initech", days=40)
    give(stage, "gw", "gateway", "globex", "initech", days=90)
    give(stage, "gw-all", "gateway", "acme", days=40)
    give(stage, "gw-all", "gateway", "*", days=90)
    give(stage, "gw-one", "gateway", "*", days=40)
    give(stage, "gw-one", "gateway", "acme", days=90)
    stage.clock.now += timedelta(days=39)
    assert told(stage) == [
        f"The last token of gateway {name} for some of its tenants ends within 2 days" for name in ("gw", "gw-one")
    ]
    with stage.deps.store.read() as rows:
        texts = [each.finding.reasons[0].text for _, each in rows.findings.after(0, 100)]
    assert {text.partition("--role gateway ")[2] for text in texts} == {"--tenant acme", "--tenant '*'"}


def test_nor_by_one_for_a_week_which_nobody_would_be_told_of(stage) -> None:
    give(stage, "gw-eu", days=90)
    stage.clock.now += timedelta(days=85)
    give(stage, "gw-eu", days=7)
    assert told(stage) == ["The last token of gateway gw-eu ends within 14 days"]


def test_the_command_for_a_new_token_can_be_pasted_into_a_shell(stage) -> None:
    tenants = ["acme", "o'brien & sons"]
    life, now = timedelta(days=30), stage.clock()
    with stage.deps.store.write() as rows:
        record_token(rows, stage.deps.tokens.issue("gw eu", role="gateway", tenants=tenants, ttl=life, now=now))
    stage.clock.now += timedelta(days=29)
    assert told(stage)
    with stage.deps.store.read() as rows:
        ((_, news),) = rows.findings.after(0, 100)
    _, command = news.finding.reasons[0].text.split("A new one: ")
    issued = ["guardian", "token", "issue", "gw eu", "--role", "gateway"]
    assert shlex.split(command) == [*issued, "--tenant", "acme", "--tenant", "o'brien & sons"]


def test_a_token_that_was_withdrawn_carries_nobody_on(stage) -> None:
    give(stage, "mon-1", "monitor", days=30)
    jti = give(stage, "mon-1", "monitor", days=90)
    stage.clock.now += timedelta(days=20)
    assert told(stage) == []
    with stage.deps.store.write() as rows:
        rows.tokens.revoke(jti, by="operator", now=stage.clock())
    assert told(stage) == ["The last token of monitor mon-1 ends within 14 days"]


def test_nor_of_one_whose_key_was_retired_for_it_has_ended_already(stage) -> None:
    give(stage, "gw-eu", days=90)
    with stage.deps.store.write() as rows:
        rows.tokens.retire_key(str(stage.deps.tokens.keys.current().signing.kid), stage.clock())
    stage.clock.now += timedelta(days=89)
    assert told(stage) == []


def test_people_hear_that_a_control_lacks_the_key_by_which_another_one_signs(stage, tmp_path) -> None:
    def give_elsewhere(principal: str) -> None:
        with stage.deps.store.write() as rows:
            record_token(
                rows,
                elsewhere.issue(principal, role="gateway", tenants=["acme"], ttl=life, now=stage.clock()),
            )

    life, elsewhere = (
        timedelta(days=90),
        replace(stage.deps.tokens, keys=SigningKeys.create(tmp_path / "other.json")),
    )
    give_elsewhere("gw-old")
    stage.clock.now += timedelta(days=1)
    give(stage, "gw-eu", days=90)
    assert told(stage) == [], "that key may have been retired long ago"
    stage.clock.now += timedelta(days=1)
    give_elsewhere("gw-us")
    assert told(stage) == ["A control lacks the newest signing key"]
