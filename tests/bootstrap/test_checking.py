"""A name that nothing answers to is refused before anything is opened, and said with those that there are."""

from pathlib import Path
from typing import Any

import pytest

from guardian.alerting import ocsf, sentences
from guardian.bootstrap import plugins
from guardian.bootstrap.channels import channel_options, check_channels
from guardian.bootstrap.checking import check_files, check_plugins
from guardian.bootstrap.control_settings import control_settings
from guardian.bootstrap.judgement import lasting_of, open_signals, weights_of
from guardian.commands.doctor import examine
from guardian.commands.evaluating import _without
from guardian.config import load
from guardian.control.deps import ControlSettings
from guardian.errors import ConfigurationError
from guardian.response.ladder import REVOKE_BREACHES, Ladder
from guardian.signals.envelope_breach import EnvelopeBreach

WRONG: list[tuple[dict[str, Any], str, str]] = [
    (
        {"kafka": {"options": {"sasl_mechansim": "PLAIN"}}},
        "kafka client option 'sasl_mechansim' is not known",
        "sasl_mechanism",
    ),
    ({"alerts": {"jsonl": {"pth": "x"}}}, "unknown option 'pth' of alerts 'jsonl'", "path"),
    ({"alerts": {"slack": {"chanel": "C1"}}}, "unknown option 'chanel' of alerts 'slack'", "channel"),
    ({"alerts": {"ocsf_kafka": {"topc": "x"}}}, "unknown option 'topc' of alerts 'ocsf_kafka'", "topic"),
    ({"alerts": {"ocsf_kafka": {"topic": "x", "producer": 1}}}, "unknown option 'producer'", "topic"),
    ({"alerts": {"ocsf_kafka": {"topic": "a,b"}}}, "'a,b' is no name of a topic", "one"),
    ({"revocation": {"faces": {"kafka_topic": {"topic": "a,b"}}}}, "'a,b' is no name of a topic", "one"),
    ({"alerts": {"log": {"because": "x"}}}, "unknown option 'because' of alerts 'log'", "none"),
    ({"alerts": {"nosuch": {}}}, "unknown alerts 'nosuch'", "jsonl"),
    (
        {"alerts": {"email": {"host": "mx.example", "sender": "g@x.example", "recipients": "soc@x.example"}}},
        "alerts.email.recipients must be a list",
        "names somebody",
    ),
    (
        {"alerts": {"ocsf_http": {"url": "https://x.example", "timeout_s": "fast"}}},
        "alerts 'ocsf_http': timeout_s: Input should be a valid number",
        "number",
    ),
    ({"alerts": {"webhook": {}}}, "alerts 'webhook' needs the option 'url'", ""),
    ({"revocation": {"faces": {"nosuch": {}}}}, "unknown revocation.faces 'nosuch'", "kafka_topic"),
    (
        {"revocation": {"faces": {"kafka_topic": {"topc": "x"}}}},
        "unknown option 'topc' of revocation.faces 'kafka_topic'",
        "topic",
    ),
    (
        {"tightening": {"backends": {"cedar": {"nosuch": 1}}}},
        "unknown option 'nosuch' of tightening.backends 'cedar'",
        "facts",
    ),
    ({"tightening": {"backends": {"nosuch": {}}}}, "unknown tightening.backends 'nosuch'", "rego"),
    (
        {"policy": {"language": "opa", "options": {"nosuch": 1}}},
        "unknown option 'nosuch' of policy.language 'opa'",
        "timeout_s",
    ),
    ({"policy": {"options": {"nosuch": 1}}}, "Cedar policies have none, got nosuch", "policy.path"),
    ({"policy": {"language": "nosuch"}}, "unknown policy.language 'nosuch'", "opa"),
    ({"signals": {"nosuch": {}}}, "unknown signals 'nosuch'", "purpose_fit"),
    ({"weights": {"nosuch": 0.5}}, "weights.nosuch: 0.5: no such signal is switched on", "purpose_fit"),
    (
        {"response": {"breaches": {"nosuch_rule": "revoke"}}},
        "response.breaches.nosuch_rule: revoke: no signal switched on has this hard rule",
        "copied_authority",
    ),
    (
        {"response": {"breaches": {"nosuch_rule?": "none"}}},
        "response.breaches.nosuch_rule?: none: no signal switched on has this hard rule",
        "copied_authority",
    ),
    (
        {"signals": {"purpose_fit": {}}, "response": {"breaches": {"copied_authority": "revoke"}}},
        "response.breaches.copied_authority: revoke: no signal switched on has this hard rule",
        "none",
    ),
    (
        {"slack": {"people": {"maya": {"role": "responder", "tenants": ["a"]}}}},
        "slack.people.maya needs",
        "slack: U",
    ),
    (
        {
            "slack": {"people": {"maya": {"slack": "U0MAYA", "role": "responder", "tenants": ["a"]}}},
            "control": {"client_certificates": {"header": "X-Cert", "required_for": ["responder"]}},
        },
        "slack.people.maya: control.client_certificates wants a certificate",
        "cannot have",
    ),
    (
        {"console": {"enabled": True}, "control": {"host": "0.0.0.0"}},
        "console.enabled: http://127.0.0.1:8731 would carry sign-ins in the clear",
        "control.public_url",
    ),
    (
        {"control": {"client_certificates": {"header": "X-Cert"}}},
        "control: client_certificates: name the trusted_proxies",
        "",
    ),
    (
        {"control": {"budget": {"revocations": 3}}},
        "control: budget: reserved_for_breaches 5 must lie between 0 and revocations 3",
        "",
    ),
    (
        {"control": {"purpose_owners": {"Review the Contract": ["legal"], "Review the Salaries": ["hr"]}}},
        "control: purpose_owners: 'Review the Contract' and 'Review the Salaries' are one purpose here",
        "'review the'",
    ),
    ({"store": {"control": "nonsense"}}, "store.control: 'nonsense' is not a database URL", "postgresql+psycopg"),
    ({"store": {"monitor": "postgres://db/g"}}, "store.monitor: guardian keeps its data in SQLite or", "psycopg"),
    (
        {"store": {"control": "mysql://db/guardian"}},
        "store.control: guardian keeps its data in SQLite or",
        "psycopg",
    ),
    (
        {"store": {"control": "postgresql+nosuch://db/guardian"}},
        "store.control: no driver for 'postgresql+nosuch'",
        "psycopg",
    ),
]


@pytest.mark.parametrize(("told", "says", "known"), WRONG)
def test_what_nothing_answers_to_is_refused_with_what_there_is(
    told: dict[str, Any], says: str, known: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_plugins(load(None, overrides=told))
    assert says in str(refused.value)
    assert known in str(refused.value).partition(says)[2]


def test_two_names_of_one_purpose_may_have_the_same_owners() -> None:
    owners = {"review contract 1": ["ann", "bob"], "review contract 2": ["bob", "ann"], "pay invoices": ["eve"]}
    made = control_settings(load(None, overrides={"control": {"purpose_owners": owners}}))
    assert made.purpose_owners == {"review contract": {"ann", "bob"}, "pay invoices": {"eve"}}


@pytest.mark.parametrize(
    ("section", "setting", "there"),
    [("policy", "path", False), ("model", "path", False), ("model", "calibration", True)],
)
def test_a_file_that_is_named_and_not_there_is_refused(
    tmp_path: Path, section: str, setting: str, there: bool
) -> None:
    settings = load(None, overrides={"base": str(tmp_path), section: {setting: "mine"}})
    with pytest.raises(ConfigurationError, match=rf"{section}\.{setting}: there is no (file|folder) .*/mine; "):
        check_files(settings)
    (tmp_path / "mine").touch() if there else (tmp_path / "mine").mkdir()
    check_files(settings)


def test_a_folder_of_policies_that_nobody_asks_need_not_be_there(tmp_path: Path) -> None:
    policy = {"language": "opa", "floor": False, "path": "mine"}
    check_files(load(None, overrides={"base": str(tmp_path), "policy": policy}))
    with pytest.raises(ConfigurationError, match=r"policy\.path"):
        check_files(load(None, overrides={"base": str(tmp_path), "policy": policy | {"floor": True}}))


@pytest.mark.parametrize(
    "told",
    [
        {"alerts": {"slack": {"channel": "C0123456789"}, "ocsf_kafka": {"topic": "t"}}},
        {"alerts": {"webhook": {"url": "https://hooks.example", "secret_file": "not-here-yet"}}},
        {
            "revocation": {
                "faces": {"kafka_topic": {}, "caep": {"receivers": [{"url": "https://a", "audience": "a"}]}}
            }
        },
        {"policy": {"language": "opa", "options": {"url": "https://pdp.example"}}},
        {
            "weights": {"purpose_fit": 0.5},
            "response": {"breaches": {"copied_authority": "none"}},
        },
    ],
)
def test_what_there_is_passes_although_nobody_listens_there(told: dict[str, Any]) -> None:
    check_plugins(load(None, overrides=told))


def test_the_files_of_channels_lie_where_the_configuration_lies(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "events").mkdir()
    (tmp_path / "guardian.yaml").write_text("alerts: {jsonl: {path: events/alerts.ocsf.jsonl}}")
    settings = load(tmp_path / "guardian.yaml")
    check_channels(settings)
    made: Any = channel_options(settings, "jsonl", settings.alerts["jsonl"])
    assert Path(made.path) == tmp_path / "events" / "alerts.ocsf.jsonl"


@pytest.mark.parametrize("path", ["", ".", "not-there/alerts.jsonl"])
def test_alerts_go_to_no_folder_as_if_it_were_a_file(path: str, tmp_path: Path) -> None:
    settings = load(None, overrides={"base": str(tmp_path), "alerts": {"jsonl": {"path": path}}})
    with pytest.raises(ConfigurationError, match=r"alerts\.jsonl\.path"):
        check_channels(settings)


def test_the_doctor_and_the_start_refuse_a_rule_that_would_never_fire() -> None:
    settings = load(None, overrides={"response": {"breaches": {"copied_authorty": "revoke"}}})
    found = next(check for check in examine(settings) if check.name == "names")
    assert not found.ok
    assert "copied_authorty" in found.found
    with pytest.raises(ConfigurationError, match="copied_authorty"):
        open_signals(settings)


def test_what_the_rooms_take_for_granted_is_what_the_configuration_says() -> None:
    settings, ladder = load(None), Ladder()
    assert control_settings(settings) == ControlSettings()
    thresholds = settings.response.flag_one_in, settings.response.revoke_one_in
    assert (ladder.flag_one_in, ladder.revoke_one_in) == thresholds


def test_the_tenants_that_gateways_may_speak_for_are_those_that_guardian_knows() -> None:
    gateways = {"gw-1": ["*", "tenant_globex"], "gw-2": ["tenant_acme"]}
    signals = {signal.name: signal for signal in open_signals(load(None, overrides={"gateways": gateways}))}
    assert signals["envelope_breach"] == EnvelopeBreach(tenants=frozenset({"tenant_acme", "tenant_globex"}))


def test_a_careless_grant_revokes_nobody_whatever_the_configuration_says() -> None:
    with pytest.raises(ConfigurationError, match=r"response\.breaches\.no_expiry"):
        open_signals(load(None, overrides={"response": {"breaches": {"no_expiry": "revoke"}}}))


@pytest.mark.parametrize(
    "name", [name for name in plugins.names("signals") if plugins.find("signals", name).tells_of != "grant"]
)
def test_every_rule_of_every_signal_can_be_configured_and_goes_with_its_signal(name: str) -> None:
    rules = plugins.find("signals", name).breaches
    on = {**load(None).signals, name: {}}  # it may be off out of the box
    settings = load(None, overrides={"signals": on, "response": {"breaches": dict.fromkeys(rules, "revoke")}})
    open_signals(settings)
    open_signals(_without(settings, name))


def test_what_revokes_and_what_has_a_technique_are_rules_that_are_on_out_of_the_box() -> None:
    rules = {name for signal in open_signals(load(None)) for name in signal.breaches}
    assert rules >= REVOKE_BREACHES
    assert rules >= set(ocsf.BY_BREACH)


def test_every_signal_that_is_on_out_of_the_box_has_a_sentence() -> None:
    signals = set(load(None).signals)
    assert set(sentences.SIGNALS) == signals
    assert signals >= {*ocsf.BY_SIGNAL, *ocsf.OWASP_BY_SIGNAL}


def test_a_signal_counts_as_it_says_itself_where_the_configuration_does_not() -> None:
    usual = weights_of(load(None))
    assert usual == {signal.name: signal.weight for signal in open_signals(load(None))}
    told = load(None, overrides={"weights": {"denial_pressure": 0.1}})
    assert weights_of(told) == {**usual, "denial_pressure": 0.1}


def test_what_happened_outlives_a_wrong_finding_and_evidence_does_not() -> None:
    lasting = {"purpose_baseline", "delegation_widening", "envelope_breach", "chain_exposure"}
    assert lasting_of(load(None)) == lasting
    assert lasting_of(_without(load(None), "purpose_baseline")) == lasting - {"purpose_baseline"}
