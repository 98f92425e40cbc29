"""sources, sources try, detect: what a person sees who is about to point guardian at a log."""

import dataclasses
import gzip
import json
import shutil
from pathlib import Path

import pytest
import yaml

from guardian.bootstrap import plugins

SAMPLES = Path(__file__).parent.parent / "sources" / "samples"
EXAMPLE = Path(__file__).parent.parent.parent / "config" / "examples" / "mapping.yaml"


def test_formats_are_listed_with_what_they_carry_and_lack(guardian) -> None:
    shown = guardian("sources").stdout
    assert "opa\n" in shown
    assert "never carries: envelope" in shown
    assert "never carries: –" in shown
    listed = {each["name"]: each for each in json.loads(guardian("sources", "--json").stdout)}
    assert "arguments" in listed["permit"]["missing"]
    assert "arguments" in listed["opa"]["carries"]


def test_detect_names_the_format_its_share_and_the_setting(guardian, tmp_path: Path) -> None:
    (tmp_path / "log.gz").write_bytes(gzip.compress((SAMPLES / "opa.jsonl").read_bytes()))
    done = guardian("detect", "log.gz")
    assert done.returncode == 0
    assert "opa: 4 records, 100.0% readable: 4 decisions" in done.stdout
    assert "format: opa" in done.stdout


def test_detect_says_what_the_configuration_has_to_say_for_a_log(guardian, tmp_path: Path) -> None:
    (tmp_path / "guardian.yaml").write_text("source: {format: envoy}")
    shutil.copy(SAMPLES / "envoy.jsonl", tmp_path / "log")
    assert "no_gateway" in guardian("score", "log", "-c", "guardian.yaml").stdout
    told = to_read_it(guardian)
    assert yaml.safe_load(told) == {
        "source": {"format": "envoy", "gateway": "GATEWAY", "tenant": "TENANT"},
        "gateways": {"GATEWAY": ["tenant_acme", "TENANT"]},
    }
    (tmp_path / "guardian.yaml").write_text(told)
    for command in ("score", "replay"):
        assert guardian(command, "log", "-c", "guardian.yaml").returncode == 0
    shutil.copy(SAMPLES / "guardian.jsonl", tmp_path / "log")
    (tmp_path / "guardian.yaml").unlink()
    assert yaml.safe_load(to_read_it(guardian)) == {
        "source": {"format": "guardian"},
        "gateways": {"mcp-gw-eu-1": ["tenant_acme"]},
    }


def to_read_it(guardian) -> str:
    return guardian("detect", "log").stdout.partition("To read it, in guardian.yaml:\n")[2]


def test_what_a_log_says_of_its_gateways_is_a_configuration_whatever_they_are_called(
    guardian, tmp_path: Path
) -> None:
    one = json.loads((SAMPLES / "guardian.jsonl").read_text().splitlines()[0])
    pairs = [("a: {b}", "*"), ("a: {b}", "tenant\u202e#"), *((f"gw-{n}", "t") for n in range(25))]
    log = [{**one, "gateway": gw, "envelope": {**one["envelope"], "tenant_id": tenant}} for gw, tenant in pairs]
    (tmp_path / "log").write_text("\n".join(map(json.dumps, log)))
    told = to_read_it(guardian)
    assert told.isascii()
    granted = yaml.safe_load(told)["gateways"]
    assert (granted["a: {b}"], granted["gw-0"], len(granted)) == (["tenant\u202e#"], ["t"], 20)
    assert "# and 6 more" in told


def test_detect_reads_guardians_own_format_whichever_gateways_it_names(guardian, tmp_path: Path) -> None:
    (tmp_path / "guardian.yaml").write_text("source: {gateway: another-gateway}")
    log = [json.loads(line) for line in (SAMPLES / "guardian.jsonl").read_text().splitlines()]
    named = [{**each, "gateway": f"gw-{n}"} for each in log for n in (1, 2)]
    (tmp_path / "log").write_text("\n".join(map(json.dumps, named)))
    for config in ((), ("-c", "guardian.yaml")):
        done = guardian("detect", "log", *config)
        assert done.returncode == 0
        assert f"guardian: {2 * len(log)} records, 100.0% readable: {2 * len(log)} decisions" in done.stdout


TICK = "2026-11-24T22:07:17Z"
GATEWAY = "gateway: edge-1, tenant: tenant_acme"
ACCESS = {"start_time": "2026-11-24T22:07:17Z", "response_code": 200, "mcp.tool.name": "pay", "x-agent-id": "bot"}
OTHER_KEYS = {"ts": "2026-11-24T22:07:17Z", "code": 200, "mcp_tool": "pay", "x-agent-id": "bot"}
KEYS = "agent: x-agent-id, tool: mcp_tool, status: code, time: ts"
ASKED = {
    "decision_id": "d",
    "labels": {"id": "b"},
    "timestamp": "2026-11-24T22:07:17Z",
    "input": {"tool": "pay", "agent": "bot"},
    "result": True,
}
PLAIN = {"tool": "pay", "agent": "bot", "verdict": "allow", "time": 1764022036}
FIELDS = "fields: {tool: tool, agent: agent, decision: verdict, time: time}"


@pytest.mark.parametrize(
    ("source", "log", "format"),
    [
        (f"{{format: envoy, {GATEWAY}, options: {{fields: {{agent: x-agent-id}}}}}}", [ACCESS], "envoy"),
        (f"{{format: envoy, {GATEWAY}, options: {{fields: {{{KEYS}}}}}}}", [OTHER_KEYS], "envoy"),
        (f"{{format: auto, {GATEWAY}, options: {{envoy: {{fields: {{{KEYS}}}}}}}}}", [OTHER_KEYS], "envoy"),
        (
            f"{{format: opa, {GATEWAY}, options: {{paths: [mcp/authz]}}}}",
            [{**ASKED, "path": path} for path in ("mcp/authz", "http/authz")],
            "opa",
        ),
        (f"{{format: mapping, {GATEWAY}, options: {{{FIELDS}}}}}", [PLAIN], "mapping"),
        (
            f"{{format: mapping, {GATEWAY}, options: {{{FIELDS}, when: agent}}}}",
            [PLAIN, {"event": "heartbeat"}],
            "mapping",
        ),
        (
            f"{{format: mapping, {GATEWAY}, options: {{{FIELDS}, when: agent}}}}",
            [{**PLAIN, "request": {"jsonrpc": "2.0"}}],
            "mapping",
        ),
        ("{format: envoy, gateway: edge-1, options: {fields: {agent: x-agent-id}}}\n"
         "gateways: {edge-1: [tenant_acme]}", [ACCESS], "envoy"),
    ],
)  # fmt: skip
def test_detect_reads_a_log_as_it_is_configured(guardian, tmp_path: Path, source: str, log, format: str) -> None:
    (tmp_path / "guardian.yaml").write_text(f"source: {source}\nmodel: {{engine: lexical}}\n")
    (tmp_path / "log").write_text("".join(json.dumps(each) + "\n" for each in log))
    done = guardian("detect", "log", "--json")
    (tally,) = json.loads(done.stdout)
    assert (done.returncode, tally["format"], tally["decisions"]) == (0, format, 1)
    assert {"gateway", "tenant", "agent_id"}.isdisjoint(tally["missing"])
    told = to_read_it(guardian)
    assert "TENANT" not in told
    for configuration in (f"source: {source}", told):  # who pastes what it says is left with what there was
        (tmp_path / "guardian.yaml").write_text(f"{configuration}\nmodel: {{engine: lexical}}\n")
        assert "1 decision of 1 session" in guardian("replay", "log").stderr
        assert guardian("detect", "log", "--json").stdout == done.stdout


def test_what_is_configured_for_a_log_stands_in_what_detect_says_but_a_gateway_that_the_log_contradicts(
    guardian, tmp_path: Path
) -> None:
    (tmp_path / "guardian.yaml").write_text(
        "source: {format: opa, gateway: 'yes', tenant: t\u00e9, options: {paths: [mcp/authz]}, idle_s: 60}"
    )
    others = (SAMPLES / "authzen.jsonl").read_text()
    (tmp_path / "log").write_text(json.dumps({**ASKED, "path": "mcp/authz"}) + "\n" + others)
    told = to_read_it(guardian)
    assert "# and, as now: idle_s" in told
    assert yaml.safe_load(told)["source"] == {
        "format": "auto", "gateway": "yes", "tenant": "t\u00e9", "options": {"opa": {"paths": ["mcp/authz"]}},
    }  # fmt: skip
    own = (SAMPLES / "guardian.jsonl").read_text()
    (tmp_path / "log").write_text(own)
    assert yaml.safe_load(to_read_it(guardian))["source"] == {"format": "guardian", "tenant": "t\u00e9"}
    (tmp_path / "log").write_text(own.replace('"mcp-gw-eu-1"', '"yes"'))
    assert yaml.safe_load(to_read_it(guardian))["source"] == {
        "format": "guardian",
        "gateway": "yes",
        "tenant": "t\u00e9",
    }


def test_a_mapping_that_takes_every_record_takes_none_of_another_format(guardian, tmp_path: Path) -> None:
    (tmp_path / "guardian.yaml").write_text(f"source: {{format: mapping, options: {{{FIELDS}}}}}\n")
    known = {}
    for path in sorted(SAMPLES.glob("*.jsonl")):
        shutil.copy(path, tmp_path / "log")
        known[path.stem] = json.loads(guardian("detect", "log", "--json").stdout)[0]["format"]
    assert known.pop("cloudevents", "guardian") != "mapping"
    assert known == {name: name for name in known}


@pytest.mark.parametrize(("body", "format"), [("{}\n{}", "guardian"), ("[{}, {}]", "auto")])
def test_with_the_setting_that_detect_names_all_that_it_counts_is_scored(guardian, tmp_path, body, format) -> None:
    one = json.loads((SAMPLES / "guardian.jsonl").read_text().splitlines()[0])
    (tmp_path / "log").write_text(
        body.replace("{}", "%s") % tuple(json.dumps({**one, "id": f"d{n}"}) for n in "12")
    )
    done = guardian("detect", "log")
    assert "100.0% readable: 2 decisions" in done.stdout
    assert f"source:\n  format: {format}\n" in done.stdout
    assert ("1 of them with format auto only" in done.stdout) is (format == "auto")
    assert ("one plain object a record, of 8 MiB at most" in done.stdout) is (format == "auto")
    (tmp_path / "guardian.yaml").write_text(f"source: {{format: {format}}}\nmodel: {{engine: lexical}}\n")
    scored = guardian("score", "log", "-o", "out")
    assert (scored.returncode, "2 actions scored, 0 lines refused" in scored.stderr) == (0, True)


def test_a_line_may_hold_as_much_as_a_record_and_a_longer_one_is_said_to_be_too_long(guardian, tmp_path) -> None:
    one = json.loads((SAMPLES / "guardian.jsonl").read_text().splitlines()[0])
    one["action"]["arguments"] = {"note": "x" * 1_000_000}
    (tmp_path / "log").write_text(json.dumps([{**one, "id": f"d{n}"} for n in range(12)]))
    assert "100.0% readable: 12 decisions" in guardian("detect", "log").stdout
    one["action"]["arguments"] = {"note": "x" * (8 * 1024 * 1024)}
    (tmp_path / "log").write_text(json.dumps([{**one, "id": f"d{n}"} for n in range(2)]))
    assert "2 x too_large: one call of" in guardian("detect", "log").stdout
    (tmp_path / "log").write_text(json.dumps([one] * 5) + "\n")
    done = guardian("detect", "log")
    assert (done.returncode, "too_large: larger than the 33816576 bytes" in done.stdout) == (3, True)


def test_one_line_is_not_told_as_several(guardian, tmp_path) -> None:
    one = (SAMPLES / "guardian.jsonl").read_text().splitlines()[0]
    (tmp_path / "log").write_text(f"{one}\n{{broken\n")
    (tmp_path / "guardian.yaml").write_text("model: {engine: lexical}\n")
    assert "1 action scored, 1 line refused" in guardian("score", "log", "-o", "out").stderr
    told = guardian("replay", "log").stderr
    assert "1 decision of 1 session in" in told
    assert "0 duplicates, 1 line refused" in told


HINT = "`guardian detect log` says which one"


@pytest.mark.parametrize("command", ["score", "replay"])
def test_a_log_of_another_format_is_refused_with_how_to_find_out_which(guardian, tmp_path, command: str) -> None:
    one = (SAMPLES / "guardian.jsonl").read_text().splitlines()[0]
    for name, text in (("opa", (SAMPLES / "opa.jsonl").read_text()), ("an array", f"[{one}, {one}]")):
        (tmp_path / "log").write_text(text)
        done = guardian(command, "log")
        assert (done.returncode, HINT in done.stderr) == (3, True), name
        again = guardian(command, "log", env={"GUARDIAN_SOURCE__FORMAT": "auto"})
        assert HINT not in again.stderr


def test_a_bad_line_and_what_the_configuration_must_say_are_no_other_format(guardian, tmp_path: Path) -> None:
    one = (SAMPLES / "guardian.jsonl").read_text().splitlines()[0]
    (tmp_path / "log").write_text(f"{one}\n{{broken\n")
    broken = guardian("replay", "log")
    (tmp_path / "guardian.yaml").write_text("gateways: {another-gateway: [tenant_acme]}")
    disbelieved = guardian("replay", "log", "-c", "guardian.yaml")
    (tmp_path / "log").write_text(json.dumps(ASKED))
    nobodys = [guardian(command, "log", env={"GUARDIAN_SOURCE__FORMAT": "opa"}) for command in ("score", "replay")]
    for done in (broken, disbelieved, *nobodys):
        assert (done.returncode, HINT in done.stderr) == (3, False)


def test_detect_tells_mixed_and_broken_logs(guardian, tmp_path: Path) -> None:
    good = (SAMPLES / "authzen.jsonl").read_text()
    spread = json.dumps(json.loads((SAMPLES / "opa.jsonl").read_text().splitlines()[0]), indent=2)
    (tmp_path / "log").write_text(good + spread + "\n" + '{"msg": "started"}\n{"cut": \n')
    done = guardian("detect", "log", "--json")
    assert done.returncode == 3
    tallies = {each["format"]: each for each in json.loads(done.stdout)}
    assert (tallies["authzen"]["records"], tallies["authzen"]["decisions"]) == (3, 4)
    assert tallies["opa"]["decisions"] == 1
    assert tallies[None]["refused"] == 2
    assert any(reason.startswith("unknown_format") for reason in tallies[None]["reasons"])


def test_detect_says_what_to_do_with_records_that_are_shipped_as_text(guardian, tmp_path: Path) -> None:
    lines = (SAMPLES / "opa.jsonl").read_text().splitlines()
    shipped = {
        "in `log` as text": [json.dumps({"log": line + "\n", "stream": "stderr"}) for line in lines],
        "in `message` as text": [json.dumps({"message": line, "kubernetes": {}}) for line in lines],
        "behind a prefix": [f"2026-11-24T22:07:19.1Z stderr F {line}" for line in lines],
        "have the gateway write JSON": ["info request gateway=default/gw route={x}"] * 4,
        "format of your own": [json.dumps({"message": "started", "own": line}) for line in lines],
    }
    for hint, records in shipped.items():
        (tmp_path / "log").write_text("\n".join(records) + "\n")
        done = guardian("detect", "log")
        assert [each for each in shipped if each in done.stdout] == [hint], done.stdout
        assert done.returncode == 3
    for damaged in (lines[0][:-9].encode(), b"\xff\xfe\x80 stderr"):
        (tmp_path / "log").write_bytes(damaged + b"\n")
        assert not [each for each in shipped if each in guardian("detect", "log").stdout]


@pytest.mark.parametrize("known", [True, False])
def test_detect_asks_for_json_only_where_most_of_the_log_is_none(guardian, tmp_path: Path, known: bool) -> None:
    record = spans({"openinference.span.kind": "TOOL", "tool.name": "pay"}) if known else '{"own": "format"}'
    (tmp_path / "log").write_text("listening on :8181\n" * 120 + f"{record.strip()}\n" * 200)
    told = guardian("detect", "log").stdout
    assert "have the gateway write JSON" not in told
    assert "format of your own" in told


def test_detect_knows_session_lines_and_says_who_reads_them(guardian, tmp_path: Path) -> None:
    line = {"session_id": "s1", "purpose": "review", "actions": [{"tool": "a.read", "args": {}}, {"tool": "b"}]}
    (tmp_path / "log").write_text(json.dumps(line) + "\n")
    done = guardian("detect", "log")
    assert (done.returncode, "To read it" in done.stdout, "format of your own" in done.stdout) == (0, False, False)
    assert "session lines: 1 record, 100.0% readable: 2 decisions" in done.stdout
    assert "`guardian score` reads them" in done.stdout
    assert guardian("score", "log").returncode == 0
    (tmp_path / "log").write_text(json.dumps({**line, "session_id": None}) + "\n")
    other = guardian("detect", "log")
    assert (other.returncode, "session lines" in other.stdout, "format of your own" in other.stdout) == (
        3,
        False,
        True,
    )
    assert "1 x as a session line invalid: session_id: expected a string" in other.stdout


def calls(count: int, **more) -> str:
    line = json.loads((SAMPLES / "mcp.jsonl").read_text().splitlines()[1]) | {"session_id": None}
    made = [{**line, "trace_id": f"{n:032x}", "request_id": f"r-{n}", **more} for n in range(count)]
    return "\n".join(map(json.dumps, made)) + "\n"


def test_detect_counts_the_calls_beside_which_an_envelope_is_anothers(guardian, tmp_path: Path) -> None:
    line = json.loads((SAMPLES / "opa.jsonl").read_text().splitlines()[1])
    envelopes = ({"session_id": session, "delegator_id": "maya"} for session in ("s-1", "s-2"))
    lines = [line | {"input": line["input"] | {"envelope": envelope}} for envelope in envelopes]
    (tmp_path / "log").write_text("\n".join(map(json.dumps, lines)))
    assert "1 with the envelope of another tenant, session, agent or user" in guardian("detect", "log").stdout
    (tally,) = json.loads(guardian("detect", "log", "--json").stdout)
    assert tally["anothers"] == 1


ALONE = "sessions hold one call"


def test_detect_says_where_each_call_is_a_session_of_its_own(guardian, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(calls(18) + calls(2, trace_id="a" * 32))
    told = guardian("detect", "log").stdout
    assert f"18 of 19 {ALONE}, named by its trace" in told
    assert "source.session: [gateway, token, conversation, window]" in told
    (tally,) = json.loads(guardian("detect", "log", "--json").stdout)
    assert tally["alone"] == {"sessions": 19, "of_one_call": 18, "named_by": "trace"}
    (tmp_path / "guardian.yaml").write_text("source: {session: [gateway, token, conversation, window]}")
    assert ALONE not in guardian("detect", "log", "-c", "guardian.yaml").stdout


def test_and_where_a_gateway_makes_a_session_of_each_request(guardian, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("\n".join(calls(1, session_id=f"s-{n}").strip() for n in range(30)))
    told = guardian("detect", "log").stdout
    assert f"30 of 30 {ALONE}, named by its gateway session id" in told
    assert "source.session: [token, conversation, trace, window]" in told


@pytest.mark.parametrize(
    "log",
    [
        calls(19),  # too few to tell
        calls(17) + calls(2, trace_id="a" * 32) + calls(2, trace_id="b" * 32),
        calls(30, session_id="s-1"),
        "\n".join(calls(1, trace_id=None, agent=f"bot {n}").strip() for n in range(30)),  # no other name
        calls(30, user=None),  # nor here
    ],
    ids=["few", "many of several", "one session", "agents", "nobody"],
)
def test_detect_says_nothing_of_sessions_where_another_name_would_change_little(
    log: str, guardian, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text(log)
    assert ALONE not in guardian("detect", "log").stdout
    (tally,) = json.loads(guardian("detect", "log", "--json").stdout)
    assert tally["alone"] is None


def test_detect_counts_what_is_read_only_in_part_as_not_readable(guardian, tmp_path: Path) -> None:
    whole = json.loads((SAMPLES / "opa.jsonl").read_text().splitlines()[0])
    lines = [json.dumps(whole | {"hash": number}) for number in (2**64 - 1, 2**64)]
    (tmp_path / "log").write_text("\n".join(lines))
    (opa,) = json.loads(guardian("detect", "log", "--json").stdout)
    assert (opa["records"], opa["decisions"], opa["refused"], opa["readable"]) == (2, 2, 1, 0.6667)
    assert list(opa["reasons"]) == ["not_json: a number of 20 characters is not one that JSON can carry"]


def spans(*attributes: dict[str, str]) -> str:
    """A batch of OTLP with one span for each."""
    at = 1764022036000000000
    made = [
        {"traceId": f"{n:032x}", "spanId": f"{n:016x}", "name": "call", "startTimeUnixNano": at + n,
         "attributes": [{"key": key, "value": {"stringValue": said}} for key, said in each.items()]}
        for n, each in enumerate(attributes)
    ]  # fmt: skip
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": made}]}]}) + "\n"


CALL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "pay", "gen_ai.conversation.id": "c"}


def test_the_share_that_detect_names_is_of_calls_and_not_of_batches(guardian, tmp_path: Path) -> None:
    nameless = {name: said for name, said in CALL.items() if name != "gen_ai.tool.name"}
    (tmp_path / "log").write_text(spans(*[CALL] * 199, nameless))
    done = guardian("detect", "log")
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        3, "otel: 1 record, 99.5% readable: 199 decisions, 0 that are no tool calls, 1 refused",
    )  # fmt: skip
    (tmp_path / "log").write_text(spans(nameless, nameless))
    assert "0.0% readable: 0 decisions, 0 that are no tool calls, 2 refused" in guardian("detect", "log").stdout


def test_detect_says_where_a_format_that_it_knows_holds_no_call(guardian, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(spans({"openinference.span.kind": "TOOL", "tool.name": "pay"}))
    done = guardian("detect", "log")
    assert (done.returncode, "none of it is a tool call as otel has them" in done.stdout) == (0, True)
    assert "guardian sources try" in done.stdout
    (tmp_path / "log").write_text(spans(CALL, {"openinference.span.kind": "TOOL", "tool.name": "pay"}))
    assert "none of it" not in guardian("detect", "log").stdout


def test_where_a_log_of_a_known_format_says_nothing_detect_names_what_options_could_mend(
    guardian, tmp_path: Path
) -> None:
    read = {"start_time": TICK, "response_code": 200, "mcp.method.name": "tools/call", "mcp.session.id": "s"}
    (tmp_path / "log").write_text(json.dumps({**read, "tool": "pay"}))
    done = guardian("detect", "log")
    assert (done.returncode, "source.options may say how: `fields`, the log's key" in done.stdout) == (3, True)
    (tmp_path / "log").write_text(json.dumps({**read, "mcp.tool.name": "pay"}))
    assert "source.options" not in guardian("detect", "log").stdout


@pytest.mark.parametrize("name", plugins.names("sources"))
def test_every_option_of_a_format_is_told(guardian, name: str) -> None:
    (told,) = (each for each in json.loads(guardian("sources", "--json").stdout) if each["name"] == name)
    options = [each.name for each in dataclasses.fields(plugins.find("sources", name))]
    assert bool(told["options"]) is bool(options)
    assert all(f"`{option}`" in told["options"] for option in options)
    shown = guardian("sources").stdout
    assert not options or f"    source.options: {told['options']}\n" in shown


def test_detect_says_how_a_format_of_ones_own_is_read(guardian, tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"msg": "started"}\n')
    shown = guardian("detect", "log").stdout
    assert "config/examples/mapping.yaml" in shown
    assert "guardian sources try" in shown
    (tmp_path / "log").write_text('{"cut": \n')
    assert "mapping" not in guardian("detect", "log").stdout


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("detect log", ""),
        ("detect log", "\n"),
        ("score log", ""),
        ("score log", "\n"),
        ("sources try map.yaml log", ""),
        ("sources try map.yaml log", "\n"),
        ("replay log", ""),
        ("archive import log -c g.yaml", ""),
    ],
)
def test_an_empty_file_is_said_to_be_one_and_is_no_fault(
    guardian, tmp_path: Path, command: str, text: str
) -> None:
    (tmp_path / "log").write_text(text)
    (tmp_path / "map.yaml").write_text(EXAMPLE.read_text("utf-8"))
    guardian("init", ".")
    (tmp_path / "guardian.yaml").rename(tmp_path / "g.yaml")
    done = guardian(*command.split())
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "log holds no records")


def test_a_log_of_what_are_no_tool_calls_is_not_empty(guardian, tmp_path: Path) -> None:
    (tmp_path / "log").write_text('{"event": "heartbeat"}\n')
    (tmp_path / "map.yaml").write_text(EXAMPLE.read_text("utf-8"))
    for command in ("detect log", "score log", "replay log", "sources try map.yaml log"):
        assert "no records" not in guardian(*command.split()).stderr


def test_there_is_nothing_to_evaluate_in_an_empty_file_or_without_labels(guardian, tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    done = guardian("evaluate", "log")
    assert (done.returncode, "nothing to evaluate: log holds no records; give" in done.stderr) == (2, True)
    (tmp_path / "log").write_text((SAMPLES / "permit.jsonl").read_text("utf-8"))
    (tmp_path / "g.yaml").write_text("source: {format: permit, gateway: g, tenant: t}")
    done = guardian("evaluate", "log", "-c", "g.yaml")
    assert "nothing to evaluate: no session has labels and a purpose; give" in done.stderr


LOG = [
    {"event": "tool_call", "ts": 1764022036, "tool": {"name": "read", "server": "crm", "input": {"id": 7}},
     "verdict": "passed", "session": {"id": "s-1"}, "agent": {"name": "bot\u202e"}, "user": {"email": "maya@x"}},
    {"event": "heartbeat"},
    {"event": "tool_call", "tool": {"name": "read"}, "verdict": "perhaps"},
]  # fmt: skip


def test_a_mapping_is_tried_line_by_line(guardian, tmp_path: Path) -> None:
    (tmp_path / "gateway.log").write_text("\n".join(map(json.dumps, LOG)))
    done = guardian("sources", "try", str(EXAMPLE), "gateway.log")
    assert done.returncode == 3
    assert "1: tool=crm.read  decision=allow  session=s-1  agent=bot‹U+202E›  user=maya@x" in done.stdout
    assert "2: no tool call" in done.stdout
    assert "3: refused: invalid: decision (verdict): expected" in done.stdout
    events = json.loads(guardian("sources", "try", str(EXAMPLE), "gateway.log", "--json").stdout.splitlines()[0])
    assert events["events"][0]["action"]["arguments"] == {"id": 7}


@pytest.mark.parametrize(
    ("mapping", "said"),
    [("fields: {tool: t}", "fields.decision is missing"), ("- a", "expected settings"), (": :", "cannot be read"),
     ("when: 2026-13-45", "cannot be read: month must be in"),
     ("fields: {tool: t, decision: d}\ncolour: red", "unknown option 'colour'")],
)  # fmt: skip
def test_a_mapping_that_is_none_is_wrong_usage(guardian, tmp_path: Path, mapping: str, said: str) -> None:
    (tmp_path / "m.yaml").write_text(mapping)
    (tmp_path / "log").write_text("{}\n")
    done = guardian("sources", "try", "m.yaml", "log")
    assert (done.returncode, said in done.stderr) == (2, True)


@pytest.mark.parametrize("format", ["mapping", "auto", "cloudevents"])
def test_a_mappings_file_is_read_wherever_a_mapping_may_stand(guardian, tmp_path: Path, format: str) -> None:
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "map.yaml").write_text(EXAMPLE.read_text("utf-8"))
    options = "{file: map.yaml}" if format == "mapping" else "{mapping: {file: map.yaml}}"
    source = f"source: {{format: {format}, gateway: g, options: {options}}}\n"
    (tmp_path / "g" / "guardian.yaml").write_text(f"{source}model: {{engine: lexical}}\n")
    event = {"specversion": "1.0", "id": "e", "source": "g", "type": "t", "data": LOG[0]}
    (tmp_path / "log").write_text(json.dumps(event if format == "cloudevents" else LOG[0]))
    config = ("-c", "g/guardian.yaml")
    assert guardian("check-config", *config).returncode == 0
    assert "mapping: 1 record, 100.0% readable: 1 decision" in guardian("detect", "log", *config).stdout
    assert "1 decision of 1 session" in guardian("replay", "log", *config).stderr
    (tmp_path / "g" / "map.yaml").unlink()
    assert "map.yaml: cannot be read" in guardian("check-config", *config).stderr


def test_a_foreign_log_is_scored_and_replayed_like_guardians_own(guardian, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes((SAMPLES / "agentgateway.jsonl").read_bytes())
    envelope = {"delegator_id": "maya", "tenant_id": "tenant_acme", "session_id": "191c48", "purpose": "greet",
                "allowed_tools": ["everything/echo"]}  # fmt: skip
    (tmp_path / "envelopes.jsonl").write_text(json.dumps({"envelope": envelope}))
    (tmp_path / "guardian.yaml").write_text(
        "source: {format: agentgateway, tenant: tenant_acme}\nenvelopes: {file: envelopes.jsonl}\n"
        "model: {engine: lexical}\n"
    )
    scored = guardian("score", "log")
    assert scored.returncode == 0
    lines = [json.loads(line) for line in scored.stdout.splitlines()]
    assert [line["session_id"] for line in lines] == ["191c48"] * 4
    assert "envelope" not in lines[0]["features_missing"]
    # two more were tried and denied; everything/echo is all that the envelope lists
    assert [line["signals"]["envelope_breach"] > 0 for line in lines] == [False, True, False, True]
    replayed = guardian("replay", "log", "--json")
    assert replayed.returncode == 0
    assert {json.loads(line)["session_id"] for line in replayed.stdout.splitlines()} == {"191c48"}


def test_what_opens_the_registry_and_the_broker_is_not_shown(guardian, tmp_path: Path) -> None:
    (tmp_path / "guardian.yaml").write_text(
        "source: {schema_registry: {url: 'https://r', options: {basic.auth.user.info: 'u:s3cret'}}}\n"
        "kafka: {oauth: {token_url: 'https://idp/t', client_secret: s3cret}}\n"
    )
    done = guardian("check-config", "-c", "guardian.yaml")
    assert done.returncode == 0
    assert "s3cret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("source: {format: nosuch}", "unknown source.format 'nosuch'"),
        ("model: {engine: openvino}", "unknown model.engine 'openvino'"),
        ("source: {format: opa, options: {colour: red}}", "unknown option 'colour'"),
        ("source: {format: auto, options: {nosuch: {}}}", "source.options.nosuch"),
        ("source: {format: opa, redact: {id: drop}}", "source.redact.id"),
        ("source: {tools: {name: x}}", "source.tools.name"),
        ("envelopes: {static: [{match: {colour: x}, purpose: p}]}", "envelopes.static"),
        ("envelopes: {file: absent.jsonl}", "envelopes.file"),
    ],
)
def test_a_wrong_setting_fails_at_start_and_is_named(guardian, tmp_path: Path, settings: str, said: str) -> None:
    (tmp_path / "guardian.yaml").write_text(settings + "\n")
    done = guardian("check-config", "-c", "guardian.yaml")
    assert done.returncode == 2
    assert said in done.stderr
