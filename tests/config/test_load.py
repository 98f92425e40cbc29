"""Settings are read once, completely, and every mistake is named with the way out."""

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka.cluster import collect_hosts
from pydantic import ValidationError

import guardian
from guardian.bootstrap import plugins
from guardian.config import Settings, load
from guardian.errors import ConfigurationError
from guardian.gateway.acknowledging import _TELL_S


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("GUARDIAN_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def build(text: str | bytes) -> Path:
        path = tmp_path / "guardian.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return build


def refusal(path: Path | None) -> str:
    with pytest.raises(ConfigurationError) as refused:
        load(path)
    text = str(refused.value)
    assert "\n" not in text
    return text


def test_without_a_file_everything_has_a_default_and_nothing_a_secret() -> None:
    settings = load()
    assert settings.control.default_mode == "shadow"
    assert settings.slack.token is None
    assert settings.gateways == {}
    assert settings.parent_grace.total_seconds() == 60


def test_the_signals_that_are_on_are_among_the_signals_there_are() -> None:
    assert load().signals
    assert set(load().signals) <= set(plugins.names("signals"))


@pytest.mark.parametrize(
    "text",
    [
        "gateways: {gw: [acme/eu]}",
        "control: {protected: {acme/eu: [payroll]}}",
        "control: {on_call: {acme/eu: [ann]}}",
        "slack: {people: {ann: {role: analyst, tenants: [acme/eu], slack: U123}}}",
        "source: {tenant: acme/eu}",
        "revocation: {self_test: {tenant: acme/eu}}",
    ],
)
def test_a_tenant_that_no_path_can_name_is_refused(write, text: str) -> None:
    assert "acme/eu" in refusal(write(text))
    load(write(text.replace("acme/eu", "acme-eu")))


@pytest.mark.parametrize("servers", ["kafka:abc", "kafka:9092,other:", "kafka:70000", "X://kafka:x", "a,,b"])
def test_a_broker_whose_port_is_no_port_is_refused(write, servers: str) -> None:
    said = refusal(write(f"kafka: {{bootstrap_servers: '{servers}'}}"))
    assert "kafka.bootstrap_servers" in said
    assert "is no broker: give host:port" in said


@pytest.mark.parametrize("servers", ["kafka", "a:9092, b:9093", "PLAINTEXT://kafka:9092", "[::1]:9092", "::1"])
def test_brokers_are_named_as_kafkas_client_reads_them(write, servers: str) -> None:
    assert load(write(f"kafka: {{bootstrap_servers: '{servers}'}}")).kafka.bootstrap_servers == servers
    assert len(collect_hosts(servers)) == servers.count(",") + 1


@pytest.mark.parametrize("text", ["", "# only a comment\n", "{}", "---\n"])
def test_an_empty_file_means_the_defaults(write, text: str) -> None:
    path = write(text)
    assert load(path) == load(overrides={"base": path.parent})


@pytest.mark.parametrize(
    ("text", "named", "known"),
    [
        ("kafkaa: {}", "kafkaa: unknown setting", "kafka"),
        ("kafka: {topik: x}", "kafka.topik: unknown setting", "topic"),
        ("monitor: {baseline: {idle: 3}}", "monitor.baseline.idle: unknown setting", "idle_s"),
        ("control: {budget: {window: 3}}", "control.budget.window: unknown setting", "window_s"),
        ("kafka: {oauth: {scop: x}}", "kafka.oauth.scop: unknown setting", "scope"),
        ("archive: {arguments: [{tol: x}]}", "archive.arguments.0.tol: unknown setting", "treatment"),
        ("slack: {people: {ann: {rol: x}}}", "slack.people.ann.rol: unknown setting", "role"),
    ],
)
def test_an_unknown_key_is_named_with_the_known_ones_beside_it(write, text: str, named: str, known: str) -> None:
    said = refusal(write(text))
    assert named in said
    assert known in said.partition("known here: ")[2]
    assert "guardian.yaml" in said


@pytest.mark.parametrize("text", ["Control: {port: 1}", "control: {port: 1}\nControl: {default_mode: enforce}"])
def test_a_section_in_capitals_is_none_and_undoes_none(write, text: str) -> None:
    assert refusal(write(text)).endswith("guardian.yaml: Control: unknown setting; write `control`")


def test_every_wrong_key_is_named_at_once(write) -> None:
    said = refusal(write("kafka: {topik: x}\nmonitor: {batch: 0}\nresponse: {flag_one_in: x}"))
    assert all(name in said for name in ("kafka.topik", "monitor.batch", "response.flag_one_in"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("monitor: {batch: 0}", "monitor.batch"),
        ("monitor: {parent_grace_s: 0}", "positive"),
        ("monitor: {parent_grace_s: .nan}", "positive"),
        ("monitor: {parent_grace_s: .inf}", "at most ten years"),
        ("monitor: {parent_grace_s: 1.0e+300}", "at most ten years"),
        ("response: {flag_one_in: 0.5}", "response.flag_one_in"),
        ("response: {flag_one_in: 10, revoke_one_in: 5}", "flag_one_in 10 must not exceed revoke_one_in 5"),
        ("response: {breaches: {x: shoot}}", "response.breaches.x"),
        ("weights: {purpose_fit: 1}", "weights.purpose_fit"),
        ("control: {default_mode: on}", "control.default_mode"),
        ("control: {port: 70000}", "control.port"),
        ("store: {keep_days: 999999}", "store.keep_days"),
        ("archive: {keep_days: 999999}", "archive.keep_days"),
        ("kafka:", "kafka"),
        ("gateways: {gw: acme}", "gateways.gw"),
        ("control: {url: 'ftp://control:8731'}", "control.url"),
        ("control: {url: 'control:8731'}", "must begin with http:// or https://"),
        ("control: {url: 'http://control:x'}", "control.url"),
        ("control: {url: 'http://control..example'}", "cannot be the name of a host"),
        ("control: {url: 'http://control/v1?x=1'}", "must not contain"),
        ("control: {public_url: guardian.example.com}", "control.public_url"),
        ("control: {client_certificates: {required_for: [monitr]}}", "required_for.0: Input should be 'monitor'"),
        (
            "control: {client_certificates: {trusted_proxies: [foo]}}",
            "trusted_proxies.0: value is not a valid IPv4",
        ),
        ("kafka: {topic: ''}", "kafka.topic: '' is no name of a topic"),
        (
            "kafka: {topic: 'tenant_a,tenant_b'}",
            "kafka.topic: 'tenant_a,tenant_b' is no name of a topic: give one",
        ),
        ("kafka: {topic: '^guardian\\..*'}", "is no name of a topic"),
        (f"kafka: {{topic: {'t' * 246}}}", "at most 245"),
        ("envelopes: {topic: ..}", "envelopes.topic: '..' is no name of a topic"),
        ("audit: {checkpoint_topic: a/b}", "audit.checkpoint_topic: 'a/b' is no name of a topic"),
        ("advice: {url: 'monitor:8733'}", "advice.url"),
        (
            "kafka: {session_timeout_ms: 3000}",
            "heartbeat_interval_ms 3000 must be less than session_timeout_ms 3000",
        ),
    ],
)
def test_an_impossible_value_is_refused_at_start(write, text: str, said: str) -> None:
    assert said in refusal(write(text))


@pytest.mark.parametrize(
    ("path", "session"),
    [("envelope.delegator_id", "window"), ("envelope.agent_id", "window"), ("trace_id", "trace")],
)
def test_what_a_sessions_name_shows_cannot_be_redacted_where_sessions_may_go_by_it(
    write, path: str, session: str
) -> None:
    source = {"format": "opa", "redact": {path: "hash"}}
    said = refusal(write(yaml.safe_dump({"source": source})))
    assert f"source: redact.{path}: where a session goes by {session!r}" in said
    assert f"Leave {session!r} out of source.session" in said
    load(write(yaml.safe_dump({"source": {**source, "session": ["gateway", "token", "conversation"]}})))
    load(write(yaml.safe_dump({"source": {**source, "format": "guardian"}})))


@pytest.mark.parametrize(
    ("monitor", "control"),
    [
        ("sqlite:///data/guardian.db", "sqlite:///data/guardian.db"),
        ("sqlite:///data/guardian.db?timeout=5", "sqlite:///data/../data/guardian.db"),
        ("sqlite:///data/guardian.db", "sqlite:///{folder}/data/guardian.db"),
        ("sqlite+pysqlite:///data/guardian.db", "sqlite:///linked/guardian.db"),
        ("postgresql+psycopg://monitor:a@db/guardian", "postgresql://control:b@DB:5432/guardian"),
        ("postgresql+psycopg://monitor:a@db/guardian?application_name=x", "postgresql://control:b@db./guardian"),
        ("postgresql+psycopg://localhost/guardian", "postgresql+psycopg://127.0.0.1:5432/guardian"),
    ],
)
def test_one_database_for_monitor_and_control_is_refused(
    write, tmp_path: Path, monitor: str, control: str
) -> None:
    control = control.format(folder=tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "linked").symlink_to("data")
    said = refusal(write(yaml.safe_dump({"store": {"monitor": monitor, "control": control}})))
    assert "a database each" in said
    load(write(yaml.safe_dump({"store": {"monitor": monitor, "control": control.replace("guardian", "other")}})))


def test_databases_of_one_name_on_two_addresses_of_one_machine_are_two(write) -> None:
    monitor, control = (f"postgresql+psycopg://{host}/guardian" for host in ("localhost", "127.0.0.2"))
    load(write(yaml.safe_dump({"store": {"monitor": monitor, "control": control}})))


@pytest.mark.parametrize(
    "told", ["host=/run/b&options=-csearch_path%3Da", "host=/run/a&options=-csearch_path%3Db"]
)
def test_databases_of_one_name_on_two_sockets_or_in_two_schemas_are_two(write, told: str) -> None:
    url = "postgresql+psycopg:///guardian?host=/run/a&options=-csearch_path%3Da"
    load(write(yaml.safe_dump({"store": {"monitor": url, "control": f"postgresql+psycopg:///guardian?{told}"}})))


@pytest.mark.parametrize("room", ["monitor", "control"])
@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite+pysqlite:///"])
def test_a_database_in_memory_is_refused(write, room: str, url: str) -> None:
    said = refusal(write(yaml.safe_dump({"store": {room: url}})))
    assert f"store: {room}: a database in memory is gone with its process; name a file" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kafka: {topic: x\nfoo: [", ", in line 2"),
        ("a:\n\t- b", ", in line 2"),
        ("kafka: {topic: a}\nmonitor: {batch: 9}\nkafka: {group: b}", "'kafka' is there twice, in line 3"),
        ("kafka:\n  topic: a\n  topic: b", "is not YAML: 'topic' is there twice, in line 3"),
        ("a: !!python/object:os.system x", ", in line 1"),
        ("a: 2026-13-45", "is not YAML"),
        ("a: \0", "is not YAML"),
        ("[" * 5000, "is not YAML"),
        (b"\xff", "is not YAML"),
        ("- 1", "must hold settings by name, got list"),
        ("just words", "must hold settings by name, got str"),
        ("1: x", "1 is no name of a setting"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line_that_names_it(write, text: str | bytes, said: str) -> None:
    got = refusal(write(text))
    assert said in got
    assert "guardian.yaml" in got


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    said = refusal(tmp_path / "absent.yaml")
    assert "absent.yaml: No such file or directory" in said
    assert "guardian init" in said
    assert "Is a directory" in refusal(tmp_path)


def test_variables_win_over_the_file_setting_by_setting(write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDIAN_KAFKA__TOPIC", "from-the-environment")
    monkeypatch.setenv("GUARDIAN_GATEWAYS", '{"gw": ["acme"]}')
    monkeypatch.setenv("GUARDIAN_MONITOR__BASELINE__IDLE_S", "5")
    settings = load(write("kafka: {topic: from-the-file, group: mine}"))
    assert (settings.kafka.topic, settings.kafka.group) == ("from-the-environment", "mine")
    assert settings.gateways == {"gw": ["acme"]}
    assert settings.monitor.baseline.idle_s == 5


def test_null_in_a_variable_is_none_as_in_the_file(write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("revocation: {self_test: {canary_every_s: 60}}\narchive: {path: kept, keep_days: 9}")
    monkeypatch.setenv("GUARDIAN_REVOCATION__SELF_TEST__CANARY_EVERY_S", "null")
    monkeypatch.setenv("GUARDIAN_ARCHIVE", "null")
    settings = load(path)
    assert settings.revocation.self_test.canary_every_s is None
    assert (settings.archive.path, settings.archive.keep_days) == (None, 9)


def test_topics_that_only_look_alike_may_stand_beside_each_other(write) -> None:
    told = "revocation: {faces: {kafka_topic: {topic: 'revoked.{tenant}'}}}\naudit: {checkpoint_topic: revoked}"
    load(write(f"{told}\nalerts: {{ocsf_kafka: {{topic: siem}}}}\nenvelopes: {{topic: guardian.decisions.told}}"))


def test_a_variable_that_gives_a_whole_map_of_names_replaces_the_files_and_one_for_a_name_adds(
    write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(
        "gateways: {demo: ['*']}\nsource: {redact: {trace_id: drop}}\ncontrol: {on_call: {acme: [ann]}}\n"
        "kafka: {options: {security_protocol: SSL}}"
    )
    monkeypatch.setenv("GUARDIAN_GATEWAYS", '{"GW-EU": ["acme"]}')
    monkeypatch.setenv("GUARDIAN_GATEWAYS__gw-us", '["acme"]')
    monkeypatch.setenv("GUARDIAN_SOURCE__REDACT", '{"decision.reason": "drop"}')
    monkeypatch.setenv("GUARDIAN_CONTROL__ON_CALL__globex", '["ben"]')
    monkeypatch.setenv("GUARDIAN_KAFKA__OPTIONS", '{"ssl_cafile": "ca.pem"}')
    settings = load(path)
    assert settings.source.redact == {"decision.reason": "drop"}
    assert settings.control.on_call == {"acme": ["ann"], "globex": ["ben"]}
    assert settings.kafka.options == {"security_protocol": "SSL", "ssl_cafile": "ca.pem"}
    assert settings.gateways == {"GW-EU": ["acme"], "gw-us": ["acme"]}


_LEE = {"lee": {"slack": "U02", "role": "responder", "tenants": ["acme"]}}


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [
        ("SLACK", {"people": _LEE}, ["lee", "ann", "token", "trace_id", "a"]),
        ("SLACK", {"People": _LEE}, ["lee", "ann", "token", "trace_id", "a"]),
        ("CONTROL", {"on_call": {}, "default_mode": "enforce"}, ["maya", "token", "trace_id", "a"]),
        ("SOURCE", {"redact": {}, "tools": {"aliases": {"b": "y"}}}, ["maya", "ann", "token", "b"]),
        ("SOURCE__TOOLS", {"aliases": {"b": "y"}}, ["maya", "ann", "token", "trace_id", "b"]),
        ("SOURCE", {"tools": {}}, ["maya", "ann", "token", "trace_id", "a"]),
    ],
)
def test_a_map_of_names_in_the_json_of_a_section_replaces_the_files_and_nothing_else_does(
    write, monkeypatch: pytest.MonkeyPatch, name: str, value: dict[str, Any], left: list[str]
) -> None:
    path = write(
        "slack: {people: {maya: {slack: U01, role: admin, tenants: [acme]}}, token: xoxb-1}\n"
        "control: {on_call: {acme: [ann]}}\n"
        "source: {redact: {trace_id: drop}, tools: {aliases: {a: x}}}"
    )
    monkeypatch.setenv(f"GUARDIAN_{name}", json.dumps(value))
    made = load(path)
    found = [*made.slack.people, *(who for people in made.control.on_call.values() for who in people)]
    found += ["token"] if made.slack.token is not None else []
    assert [*found, *made.source.redact, *made.source.tools.aliases] == left


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "GUARDIAN_KAFFKA__TOPIC",
            "x",
            "unknown variable GUARDIAN_KAFFKA__TOPIC; known ones start with: GUARDIAN_SOURCE",
        ),
        ("Guardian_Kafka_Topic", "x", "unknown variable Guardian_Kafka_Topic; known ones start with"),
        ("guardian_foo", "x", "unknown variable guardian_foo"),
        ("GUARDIAN_KAFKA__GROUP", "", "kafka.group (set by GUARDIAN_KAFKA__GROUP): String should have at least"),
        ("GUARDIAN_KAFKA__TOPIC", "null", "kafka.topic (set by GUARDIAN_KAFKA__TOPIC)"),
        ("GUARDIAN_SIGNALS__PURPOSE_FIT", "null", "there is nothing below it"),
        ("GUARDIAN_GATEWAYS", "null", "GUARDIAN_GATEWAYS: null is no section; leave the variable out"),
        ("GUARDIAN_ALERTS", "null", "GUARDIAN_ALERTS: null is no section"),
        ("GUARDIAN_KAFKA__TOPIK", "x", "kafka.topik (set by GUARDIAN_KAFKA__TOPIK): unknown setting"),
        ("GUARDIAN_MONITOR__BATCH", "many", "monitor.batch"),
        ("GUARDIAN_SIGNALS", "not json", "GUARDIAN_SIGNALS: a variable for several values"),
        ("GUARDIAN_MODEL__OPTIONS", "{threads:two}", "GUARDIAN_MODEL__OPTIONS: a variable for several values"),
        ("guardian_model__options", "{threads:two}", "guardian_model__options: a variable for several values"),
        ("GUARDIAN_KAFKA", "x", "holds JSON"),
    ],
)
def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    assert said in refusal(None)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("GUARDIAN_GATEWAYS__GW-EU", """GUARDIAN_GATEWAYS='{"GW-EU": …}'"""),
        ("guardian_gateways__GW-EU", """guardian_gateways='{"GW-EU": …}'"""),
        ("GUARDIAN_CONTROL__PROTECTED__Tenant_A", "'Tenant_A' would be 'tenant_a'"),
        ("GUARDIAN_CONTROL__ON_CALL__Acme", """GUARDIAN_CONTROL__ON_CALL='{"Acme": …}'"""),
        ("GUARDIAN_SLACK__PEOPLE__Ann__ROLE", """GUARDIAN_SLACK__PEOPLE='{"Ann": …}'"""),
        ("GUARDIAN_SOURCE__REDACT__action.arguments.cardNumber", "cardnumber"),
        ("GUARDIAN_SOURCE__TOOLS__ALIASES__readCRM", "readcrm"),
    ],
)
def test_a_name_that_would_lose_its_capitals_in_a_variable_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.setenv(name, '["x"]')
    refused = refusal(None)
    assert refused.startswith(f"{name}: capitals in the name of a variable do not count")
    assert said in refused


def test_names_keep_their_capitals_in_json_and_guardians_own_words_need_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GUARDIAN_CONTROL__PROTECTED", '{"Tenant_A": ["x"]}')
    monkeypatch.setenv("GUARDIAN_CONTROL__ON_CALL__acme", '["maya"]')
    monkeypatch.setenv("GUARDIAN_KAFKA__OPTIONS__SASL_PLAIN_PASSWORD", "Hunter2")
    monkeypatch.setenv("GUARDIAN_WEIGHTS__PURPOSE_FIT", "0.5")
    monkeypatch.setenv("GATEWAYS__GW-EU", "of another program")
    settings = load()
    assert (settings.control.protected, settings.control.on_call) == ({"Tenant_A": ["x"]}, {"acme": ["maya"]})
    assert settings.kafka.options == {"sasl_plain_password": "Hunter2"}
    assert settings.weights == {"purpose_fit": 0.5}


def test_where_several_variables_may_be_wrong_all_are_named_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDIAN_SLACK__PEOPLE", "hunter2")
    monkeypatch.setenv("GUARDIAN_SLACK__TOKEN", "hunter2")
    monkeypatch.setenv("GUARDIAN_KAFKA__TOPIC", "t")
    said = refusal(None)
    assert said.startswith("GUARDIAN_SLACK__PEOPLE or GUARDIAN_SLACK__TOKEN: ")
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GUARDIAN_PORT", "tcp://10.0.0.1:8731"),
        ("GUARDIAN_CONTROL_PORT", "tcp://10.0.0.1:8731"),
        ("GUARDIAN_CONTROL_SERVICE_HOST", "10.0.0.1"),
        ("GUARDIAN_CONTROL_SERVICE_PORT", "8731"),
        ("GUARDIAN_CONTROL_SERVICE_PORT_HTTP", "8731"),
        ("GUARDIAN_CONTROL_PORT_8731_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_what_kubernetes_tells_of_a_service_called_guardian_is_no_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert load() == Settings()


def test_a_port_that_no_service_has_is_a_misspelt_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDIAN_CONTROL_PORT", "8731")
    assert "unknown variable GUARDIAN_CONTROL_PORT" in refusal(None)


@pytest.mark.parametrize("name", ["GUARDIAN_CONFIG", "GUARDIAN_TOKEN", "GUARDIAN_TENANT"])
def test_variables_of_the_command_line_are_no_settings(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")
    assert load() == Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gateways:\n  # mcp-gw-eu-1: [tenant_acme]\n", "gateways: there is nothing below it; leave it out, or"),
        ("advice:\n", "advice: there is nothing below it; leave it out, or"),
        ("gateways: {gw: tenant_acme}", "gateways.gw: takes a list, such as [a, b]"),
        ("alerts: [log]", "alerts: takes names and values, such as {name: value}"),
        ("kafka: broker:9092", "kafka: takes names and values, such as {name: value}"),
        ("gateways: {gw: []}", "gateways.gw: takes at least one, such as [a]"),
        ("gateways: {'': [acme]}", "gateways.'': String should have at least 1 character"),
        ("gateways: {'*': [acme]}", "gateways.*: `*` is no name: `*` stands for every tenant"),
        ("gateways: {'gw-*': [acme]}", "gateways.gw-*: `gw-*` is no name"),
        ("source: {tenant: '*'}", "source.tenant: `*` is no name"),
        ("source: {gateway: '*'}", "source.gateway: `*` is no name"),
        ("revocation: {self_test: {tenant: '*'}}", "revocation.self_test.tenant: `*` is no name"),
        ("control: {protected: {'*': [payroll]}}", "control.protected.*: `*` is no name"),
        ("control: {on_call: {'tenant_*': [ann]}}", "control.on_call.tenant_*: `tenant_*` is no name"),
        ("gateways: {gw: ['tenant_*']}", "gateways.gw.0: 'tenant_*' is no pattern; list tenants by their names"),
        ("source: {session: []}", "source.session: takes at least one, such as [a]"),
        ("source: {redact: {'': drop}}", "source.redact.'': String should have at least 1 character"),
        ("archive: {path: ''}", "archive.path: the archive needs a folder of its own"),
        ("archive: {path: .}", "archive.path: the archive needs a folder of its own"),
        ("envelopes: {topic: guardian.decisions}", "envelopes.topic 'guardian.decisions' is kafka.topic too"),
        (
            "envelopes: {topic: dlq.guardian.decisions}",
            "the dead-letter topic of kafka.topic 'dlq.guardian.decisions' is envelopes.topic too",
        ),
        (
            "alerts: {ocsf_kafka: {topic: dlq.told}}\nenvelopes: {topic: told}",
            "alerts.ocsf_kafka.topic 'dlq.told' is the dead-letter topic of envelopes.topic too",
        ),
        (
            "revocation: {faces: {kafka_topic: {}}}\nalerts: {ocsf_kafka: {topic: guardian.revocations}}",
            "alerts.ocsf_kafka.topic 'guardian.revocations' is revocation.faces.kafka_topic.topic too",
        ),
        (
            "revocation: {faces: {kafka_topic: {topic: 'gone.{tenant}'}}}\naudit: {checkpoint_topic: gone.acme}",
            "revocation.faces.kafka_topic.topic 'gone.{tenant}' may be audit.checkpoint_topic 'gone.acme' for",
        ),
        (
            "revocation: {faces: {kafka_topic: {topic: 'guardian.{tenant}'}}}",
            "revocation.faces.kafka_topic.topic 'guardian.{tenant}' may be kafka.topic 'guardian.decisions' for",
        ),
        ("kafka: {group: ''}", "kafka.group: String should have at least 1 character"),
        ("control: {issuer: ''}", "control.issuer: String should have"),
        ("control: {audience: ''}", "control.audience: String should have"),
        ("kafka: {oauth: {client_id: '', token_file: t}}", "kafka.oauth.client_id: String should have"),
        (
            "audit: {checkpoint_topic: guardian.decisions}",
            "audit.checkpoint_topic 'guardian.decisions' is kafka.topic",
        ),
        (
            "alerts: {ocsf_kafka: {topic: guardian.decisions}}",
            "alerts.ocsf_kafka.topic 'guardian.decisions' is kafka",
        ),
        (
            "envelopes: {topic: e}\nrevocation: {faces: {kafka_topic: {topic: e}}}",
            "revocation.faces.kafka_topic.topic 'e' is envelopes.topic too",
        ),
        ("archive: {flush_s: -1}", "archive.flush_s: a duration in seconds must be positive"),
    ],
)
def test_a_refusal_is_in_words_of_the_file(write, text: str, said: str) -> None:
    assert f"guardian.yaml: {said}" in refusal(write(text))


def test_a_secret_is_read_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDIAN_SLACK__TOKEN", "xoxb-secret")
    settings = load()
    assert settings.slack.token is not None
    assert settings.slack.token.get_secret_value() == "xoxb-secret"
    assert "xoxb" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_a_wrong_secret_is_not_told_in_the_refusal(write) -> None:
    assert "hunter2" not in refusal(write("slack: {token: [hunter2]}"))
    assert "hunter2" not in refusal(write("slack: {token: x, tokn: hunter2}"))
    said = refusal(write("control: {url: 'http://guardian:hunter2/x@control:8731'}"))
    assert "control.url: the address has a port that is no number" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("at", ["control: {url: %s}", "control: {public_url: %s}", "advice: {url: %s}"])
@pytest.mark.parametrize("user", ["guardian:hunter2", "hunter2", "guardian:hunter2%40", ":hunter2"])
def test_an_address_that_is_shown_holds_no_password(write, at, user) -> None:
    said = refusal(write(at % f"'http://{user}@control:8731'"))
    assert "url: the address must not hold a user or a password" in said
    assert "hunter2" not in said


def test_a_providers_address_that_is_shown_holds_no_password(write) -> None:
    people = "{people: {ann: {role: responder, tenants: [acme], sub: s}}, oidc: {issuer: %s, client_id: g}}"
    said = refusal(write(f"console: {people % 'https://g:hunter2@idp.example'}"))
    assert "console.oidc.issuer" in said
    assert "hunter2" not in said


def test_paths_start_at_the_file_that_names_them(write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("keys: {directory: secrets}\nmodel: {path: /abs/model}")
    monkeypatch.chdir("/")
    settings = load(path)
    assert settings.resolve(settings.keys.directory) == tmp_path / "secrets"
    assert settings.model.path is not None
    assert settings.resolve(settings.model.path) == Path("/abs/model")


@pytest.mark.parametrize(("base", "expected"), [("sub", "sub"), ("/usr", "/usr"), (".", ".")])
def test_a_base_in_the_file_is_itself_relative_to_it(write, tmp_path: Path, base: str, expected: str) -> None:
    (tmp_path / "sub").mkdir()
    assert load(write(f"base: {base}")).base == tmp_path / expected


def test_a_base_that_is_not_there_is_refused(write, tmp_path: Path) -> None:
    assert refusal(write("base: nowhere")).startswith(f"base: there is no folder {tmp_path}/nowhere")


def test_a_base_that_is_no_path_is_refused(write) -> None:
    assert "base" in refusal(write("base: [1]"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///data/m.db", "sqlite:///{base}/data/m.db"),
        ("sqlite:////abs/m.db", "sqlite:////abs/m.db"),
        ("postgresql+psycopg://u@h/n", "postgresql+psycopg://u@h/n"),
    ],
)
def test_a_relative_database_lies_beside_the_configuration(write, tmp_path: Path, url: str, expected: str) -> None:
    assert load(write("")).store_url(url) == expected.format(base=tmp_path.resolve())


def test_overrides_stand_in_the_place_of_the_file(write) -> None:
    settings = load(write("kafka: {topic: a}\nlogging: {level: debug}"), overrides={"kafka": {"topic": "b"}})
    assert (settings.kafka.topic, settings.logging.level) == ("b", "debug")


@pytest.mark.parametrize("change", [{"kafka": None}, {"base": Path("/")}])
def test_settings_are_frozen(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        setattr(load(), *next(iter(change.items())))


def test_planting_needs_a_tenant_and_a_gateway_that_the_monitor_believes():
    def planting(**test):
        return load(
            None,
            overrides={
                "gateways": {"gw-9": ["*"], "gw-7": ["globex"]},
                "revocation": {"self_test": {"plant_every_s": 60, **test}},
            },
        )

    with pytest.raises(ConfigurationError, match="needs a tenant and a gateway"):
        planting()
    with pytest.raises(ConfigurationError, match="dead-lettered"):
        planting(tenant="acme", gateway="gw-8")
    with pytest.raises(ConfigurationError, match="with the tenant 'acme'"):
        planting(tenant="acme", gateway="gw-7")
    assert planting(tenant="acme", gateway="gw-9").revocation.self_test.gateway == "gw-9"


def test_nobody_is_two_people_by_two_names():
    def listed(**on_the_page):
        oidc, person = (
            {"issuer": "https://idp.example", "client_id": "g"},
            {"role": "approver", "tenants": ["acme"]},
        )
        people = {name: {**person, **told} for name, told in on_the_page.items()}
        in_slack = {"maya": {**person, "email": "m@x.example"}, "ben": {**person, "slack": "U123"}}
        return load(None, overrides={"console": {"oidc": oidc, "people": people}, "slack": {"people": in_slack}})

    with pytest.raises(
        ConfigurationError, match=r"slack\.people\.maya and console\.people\.maya-k have one address"
    ):
        listed(**{"maya-k": {"email": "M@x.example"}})
    assert listed(maya={"email": "m@x.example"}, ben={"sub": "u1"}, zoe={"email": "z@x.example"}).console.people


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("console: {oidc: {issuer: 'https://idp.example', client_id: g}}", "nobody could sign in"),
        ("console: {people: {maya: {sub: u1, role: analyst, tenants: [a]}}}", "configure oidc"),
        ("console: {oidc: {issuer: idp.example, client_id: g}, people: {}}", "issuer"),
        ("console: {idle_s: 0}", "positive"),
        ("console: {people: {maya: {role: analyst, tenants: [a]}}}", "one of sub"),
        ("console: {people: {maya: {sub: u, email: a@b, role: analyst, tenants: [a]}}}", "one of sub"),
        ("console: {people: {maya: {sub: u, role: monitor, tenants: [a]}}}", "role"),
        ("console: {people: {maya: {sub: u, role: analyst, tenants: []}}}", "tenants"),
    ],
)
def test_who_may_sign_in_is_told_completely_or_not_at_all(write, text: str, told: str) -> None:
    assert told in refusal(write(text))


def test_evidence_pages_are_off_until_somebody_turns_them_on() -> None:
    assert load().console.enabled is False
    assert load().console.oidc is None


def test_gateways_are_given_more_time_than_they_take_to_say_what_they_enforce():
    def within(seconds):
        return load(None, overrides={"revocation": {"self_test": {"enforced_within_s": seconds}}})

    assert within(5).revocation.self_test.enforced_within_s > 2 * _TELL_S
    with pytest.raises(ConfigurationError, match="enforced_within_s"):
        within(4)


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"archive": {"arguments": [{"argument": "card?", "treatment": "drop"}]}}, "archive.arguments.0.argument"),
        ({"archive": {"arguments": [{"tool": "[ab].send", "treatment": "drop"}]}}, "archive.arguments.0.tool"),
        ({"advice": {"risks": {"pay.[a-z]*": "high"}}}, "advice.risks.pay.[a-z]*"),
        (
            {"envelopes": {"static": [{"match": {"agent": "bot?"}, "purpose": "p"}]}},
            "envelopes.static.0.match.agent",
        ),
    ],
)
def test_what_was_a_wildcard_once_is_refused_now(told: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigurationError, match=r"`\*` is the only wildcard") as refused:
        load(None, overrides=told)
    assert where in str(refused.value)


def test_the_brackets_of_a_list_in_an_argument_are_none() -> None:
    rule = {"tool": "email.*", "argument": "items[].note", "treatment": "drop"}
    assert load(None, overrides={"archive": {"arguments": [rule]}}).archive.arguments[0].argument == "items[].note"


def test_apart_only_the_models_variables_count(write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("gateways: {gw: [acme]}\nmodel: {cache_size: 5}")
    plain = load(path, apart=True)
    for name, value in (("GATEWAYS", '{"other": ["acme"]}'), ("GATEWAYS__eu", "x"), ("ARCHIVE", "/srv")):
        monkeypatch.setenv(f"GUARDIAN_{name}", value)
    assert load(path, apart=True) == plain
    monkeypatch.setenv("GUARDIAN_MODEL__ENGINE", "lexical")
    monkeypatch.setenv("GUARDIAN_MODEL", '{"cache_size": 7}')
    assert (load(path, apart=True).model.engine, load(path, apart=True).model.cache_size) == ("lexical", 7)


def test_whatever_works_in_a_folder_of_its_own_is_apart() -> None:
    root = Path(guardian.__file__).parent
    files = [*(root / "bench").glob("*.py"), *(root / "demo").glob("*.py"), root / "commands" / "initialise.py"]
    found = {
        (path.name, call.lineno): [ast.unparse(each.value) for each in call.keywords if each.arg == "apart"]
        for path in files
        if "import Settings, load" in (text := path.read_text()) or "import load" in text
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "load"
    }
    assert len(found) >= 8
    assert [place for place, apart in found.items() if apart != ["True"]] == []
