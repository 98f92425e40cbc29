"""`guardian audit`: what an auditor sees, on a deployment that was really initialised."""

import base64
import codecs
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from guardian.audit.checkpoint import Checkpoint
from guardian.audit.note import parse
from guardian.audit.proofs import verify_consistency, verify_inclusion
from guardian.audit.tree import MerkleTree, leaf_data, leaf_hash
from guardian.bootstrap.checkpoints import open_checkpoints
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control_store import open_control_store
from guardian.bootstrap.secrets import SecretFiles
from guardian.bus.memory import MemoryBroker, MemoryProducer
from guardian.cli import auditing
from guardian.commands import tokens
from guardian.commands.auditing import checkpoints_checked
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.errors import ConfigurationError, ProofError, StoreError
from guardian.keys.signing import SigningKeys
from guardian.store.control.audit import canonical, chain
from guardian.store.control.head import next_change
from guardian.store.control.store import ControlStore
from guardian.telemetry import Metrics

HOSTILE = 'eve\x1b[2J\u202e\x7f\u2028{"seq":1}'


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh deployment: its first tokens are in the trail, and what a hostile agent called itself."""
    folder = tmp_path_factory.mktemp("deployment") / "home"
    initialise(folder)
    body = yaml.safe_load((folder / "guardian.yaml").read_text(encoding="utf-8"))
    body["audit"] = {"checkpoint_file": "out/checkpoints.txt"}
    (folder / "guardian.yaml").write_text(yaml.safe_dump(body), encoding="utf-8")
    settings = load(folder / "guardian.yaml")
    store = ControlStore.open(settings.store_url(settings.store.control), now=utc_now())
    with store.write() as rows:
        rows.audit.append(
            {
                "at": "now",
                "actor": HOSTILE,
                "action": "revoke",
                "tenant_id": "t",
                "session_id": "s",
                "allowed": False,
            }
        )
    store.close()
    return folder


@pytest.fixture
def home(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "home"))


@pytest.fixture
def guardian(home: Path) -> Iterator:
    app = typer.Typer()
    auditing.register(app)

    def run(*args: str):
        return CliRunner().invoke(app, ["audit", *args, "-c", str(home / "guardian.yaml")], catch_exceptions=True)

    return run


def database(home: Path) -> Path:
    (found,) = home.rglob("control.db")
    return found


def damage(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(database(home))) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_sound_trail_verifies_and_says_what_was_not_compared(guardian):
    done = guardian("verify")
    assert done.exit_code == 0
    assert "entries hold, root" in done.stdout
    assert "the last 4 entries are under no checkpoint yet" in done.stdout
    assert "entries/s" in done.stderr
    assert "No exported checkpoint agreed" in done.stderr


def test_a_damaged_trail_is_exit_code_1_with_the_first_bad_entry(guardian, home):
    damage(home, "UPDATE control_audit SET record = replace(record, 'operator', 'nobody') WHERE seq = 2")
    done = guardian("verify")
    assert done.exit_code == 1
    assert "first bad entry: 2" in done.stdout
    told = json.loads(guardian("verify", "--json").stdout)
    assert (told["ok"], told["first_bad"], told["faults"][0]["kind"]) == (False, 2, "edited")


def test_the_first_bad_entry_is_named_also_where_older_keys_were_retired(guardian, home):
    assert guardian("checkpoint").exit_code == 0
    settings = load(home / "guardian.yaml")
    old = SigningKeys(home / "keys" / "signing.jwks.json").current().signing.kid
    tokens.rotate(settings)
    tokens.retire(settings, str(old))
    assert guardian("checkpoint").exit_code == 0
    (home / "out").mkdir()
    (home / "out" / "checkpoints.txt").write_text(guardian("checkpoint").stdout, encoding="utf-8")
    done = guardian("verify")
    assert (done.exit_code, "1 more was signed with keys" in done.stdout) == (0, True)
    tokens.rotate(settings)
    damage(home, "UPDATE control_audit SET record = replace(record, 'rotateKey', 'rotateFoo') WHERE seq = 7")
    done = guardian("verify")
    assert done.exit_code == 1
    assert "first bad entry: 7" in done.stdout


def test_a_rewritten_database_is_found_from_the_exported_checkpoint(guardian, home, tmp_path):
    exported = tmp_path / "elsewhere.txt"
    exported.write_text(guardian("checkpoint").stdout, encoding="utf-8")
    assert guardian("verify", "--checkpoint", str(exported)).exit_code == 0
    damage(home, "DELETE FROM control_checkpoint")
    damage(home, "DELETE FROM control_audit WHERE seq = 4")
    damage(
        home,
        "UPDATE control_head SET audit_seq = 3, audit_hash = (SELECT hash FROM control_audit WHERE seq = 3)",
    )
    done = guardian("verify", "--checkpoint", str(exported))
    assert done.exit_code == 1
    assert f"the checkpoint in {exported} line 1 covers 4 entries and the trail has 3" in done.stdout
    done = guardian("verify")
    assert done.exit_code == 1, "what control remembers of it beside the database"
    assert "control.db.epoch remembers covers 4 entries and the trail has 3: its end was cut off" in done.stdout
    damage(home, "DELETE FROM control_audit")
    before = "0" * 64
    for seq in range(1, 5):
        record = canonical({"action": "revoke", "seq": seq})
        before = chain(before, record)
        damage(home, f"INSERT INTO control_audit VALUES ({seq}, '{record}', '{before}')")
    damage(home, f"UPDATE control_head SET audit_seq = 4, audit_hash = '{before}'")
    done = guardian("verify")
    assert (done.exit_code, "first bad entry: 1" in done.stdout) == (1, True)
    assert "signed over other entries than the present ones" in done.stdout
    database(home).with_name("control.db.epoch").unlink()
    assert guardian("verify").exit_code == 0


def test_a_cut_of_what_nobody_signed_yet_is_found_from_what_control_remembers(guardian, home):
    (home / "out").mkdir()
    (home / "out" / "checkpoints.txt").write_text(guardian("checkpoint").stdout, encoding="utf-8")
    settings = load(home / "guardian.yaml")
    store = ControlStore.open(settings.store_url(settings.store.control), now=utc_now())
    with store.write() as rows:
        next_change(rows.connection)
        rows.audit.append({"action": "revoke"})
    store.close()
    done = guardian("verify")
    assert (done.exit_code, "the last 1 entry is under no checkpoint yet" in done.stdout) == (0, True)
    damage(home, "DELETE FROM control_audit WHERE seq = 5")
    damage(
        home,
        "UPDATE control_head SET audit_seq = 4, audit_hash = (SELECT hash FROM control_audit WHERE seq = 4)",
    )
    done = guardian("verify")
    assert (done.exit_code, "first bad entry: 5" in done.stdout) == (1, True)
    assert "control.db.epoch covers 5 entries and the trail has 4: its end was cut off" in done.stdout


def test_of_a_hole_in_the_trail_its_remembered_length_says_nothing(guardian, home):
    settings = load(home / "guardian.yaml")
    store = ControlStore.open(settings.store_url(settings.store.control), now=utc_now())
    with store.write() as rows:
        next_change(rows.connection)
        rows.audit.append({"action": "revoke"})
    store.close()
    damage(home, "DELETE FROM control_audit WHERE seq = 3")
    report = json.loads(guardian("verify", "--json").stdout)
    assert {fault["source"] for fault in report["faults"]} == {"the chain"}


def test_a_restore_that_people_know_of_blinds_no_nightly_verification(guardian, home):
    backup = database(home).read_bytes()
    settings = load(home / "guardian.yaml")

    def act():
        store = ControlStore.open(settings.store_url(settings.store.control), now=utc_now())
        with store.write() as rows:
            next_change(rows.connection)
            rows.audit.append({"action": "revoke"})
        store.close()

    act()
    (home / "out").mkdir()
    (home / "out" / "checkpoints.txt").write_text(guardian("checkpoint").stdout, encoding="utf-8")
    for leftover in ("control.db-wal", "control.db-shm"):
        database(home).with_name(leftover).unlink(missing_ok=True)
    database(home).write_bytes(backup)
    act()
    done = guardian("verify")
    assert (done.exit_code, "it begins epoch 2" in done.stdout) == (1, True)
    done = guardian("verify", "--restored", "2")
    assert (done.exit_code, "1 more is of what a known restore lost" in done.stdout) == (0, True)


def test_only_the_keys_that_are_given_are_believed(guardian, home, tmp_path):
    exported = tmp_path / "elsewhere.txt"
    exported.write_text(guardian("checkpoint").stdout, encoding="utf-8")
    own = tmp_path / "own.json"
    own.write_text(json.dumps(SigningKeys(home / "keys" / "signing.jwks.json").current().jwks()), encoding="utf-8")
    SigningKeys.create(tmp_path / "other.json")
    assert guardian("verify", "--checkpoint", str(exported), "--keys", str(own)).exit_code == 0
    done = guardian("verify", "--checkpoint", str(exported), "--keys", str(tmp_path / "other.json"))
    assert done.exit_code == 1
    assert "no known key signed it" in done.stdout


def test_a_checkpoint_is_printed_and_the_last_one_again_when_nothing_is_new(guardian):
    first = guardian("checkpoint")
    assert first.exit_code == 0
    assert Checkpoint.parse(parse(first.stdout.removesuffix("\n")).text).size == 4
    assert guardian("checkpoint").stdout == first.stdout


def test_the_export_is_ascii_and_gives_back_what_the_hashes_cover(guardian, tmp_path):
    output = tmp_path / "trail.jsonl"
    assert guardian("export", "-o", str(output)).exit_code == 0
    assert output.stat().st_mode & 0o777 == 0o600, "people's reasons are not for every user of the machine"
    output.chmod(0o640)
    assert guardian("export", "-o", str(output)).exit_code == 0
    assert output.stat().st_mode & 0o777 == 0o640, "whoever was let in still is"
    text = output.read_text(encoding="ascii")
    assert text.replace("\n", "").isprintable()
    entries = [json.loads(line) for line in text.splitlines()]
    assert entries[-1]["record"]["actor"] == HOSTILE
    before = "0" * 64
    for entry in entries:
        before = chain(before, canonical(entry["record"]))
        assert entry["hash"] == before
    rest = guardian("export", "--after", "3").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in rest] == [4]


def test_an_entry_that_nobody_can_read_is_shown_as_its_bytes_and_keeps_control_from_nothing(guardian, home):
    deep = "[" * 100_000
    damage(home, f"UPDATE control_audit SET record = '{deep}' WHERE seq = 4")
    assert "first bad entry: 4" in guardian("verify").stdout
    last = json.loads(guardian("export").stdout.splitlines()[-1])
    assert base64.b64decode(last["damaged"]).decode() == deep
    assert guardian("show").exit_code == 0
    settings = load(home / "guardian.yaml")
    with closing(open_control_store(settings)) as store, store.read() as rows:
        assert rows.audit.newest_at() is None


def test_the_newest_entries_are_shown_whatever_the_head_row_says(guardian, home):
    for seq in (10**9, 0):
        damage(home, f"UPDATE control_head SET audit_seq = {seq}")
        shown = json.loads(guardian("show", "--last", "2", "--json").stdout)
        assert [entry["seq"] for entry in shown] == [3, 4]


def test_a_checkpoint_file_that_is_gone_is_a_fault_unless_a_copy_is_named(guardian, home, tmp_path):
    assert guardian("verify").exit_code == 0, "there is nothing yet to put into it"
    note = guardian("checkpoint").stdout
    done = guardian("verify")
    path = home / "out" / "checkpoints.txt"
    assert (done.exit_code, f"BAD  gone: the exported checkpoints, {path}, are not there" in done.stdout) == (
        1,
        True,
    )
    path.parent.mkdir()
    path.write_text(note, encoding="utf-8")
    assert guardian("verify").exit_code == 0
    copy = path.rename(tmp_path / "copy.txt")
    assert guardian("verify", "--checkpoint", str(copy)).exit_code == 0
    with closing(open_control_store(load(home / "guardian.yaml"))) as store, store.write() as rows:
        rows.checkpoints.mark_exported(f"file {path}", 4, utc_now())
    damage(home, "DELETE FROM control_checkpoint WHERE size > 0")
    assert guardian("verify").exit_code == 1
    body = yaml.safe_load((home / "guardian.yaml").read_text(encoding="utf-8"))
    del body["audit"]
    (home / "guardian.yaml").write_text(yaml.safe_dump(body), encoding="utf-8")
    assert guardian("verify").exit_code == 0, "none is configured"


def test_that_the_epoch_file_was_not_compared_is_said(guardian, home):
    assert "Not compared" not in guardian("verify").stderr
    (file := database(home).with_name("control.db.epoch")).unlink()
    assert f"Not compared: what control remembers in {file}" in guardian("verify").stderr


@pytest.mark.parametrize("also", [{}, {"checkpoint_file": "cp.txt"}])
def test_the_doctor_asks_for_the_topic_that_checkpoints_go_to(home, monkeypatch, also):
    kept = {"checkpoint_topic": "audit", "checkpoint_file": None} | also
    settings = load(home / "guardian.yaml", overrides={"audit": kept})
    partitions = [None, 1]
    monkeypatch.setattr("guardian.bus.admin.topic_partitions", lambda *_: partitions.pop(0))
    with pytest.raises(ConfigurationError, match=r"checkpoint_topic: .* has no topic 'audit'; create it"):
        checkpoints_checked(settings)
    assert "go to topic 'audit'" in checkpoints_checked(settings)


def test_an_export_that_breaks_off_leaves_the_file_as_it_was(guardian, tmp_path, monkeypatch):
    def breaks_off(*_):
        yield {"seq": 1}
        raise StoreError("the database is gone")

    (output := tmp_path / "trail.jsonl").write_text("yesterday's")
    monkeypatch.setattr("guardian.commands.auditing.export", breaks_off)
    assert isinstance(guardian("export", "-o", str(output)).exception, StoreError)
    assert output.read_text() == "yesterday's"


def test_a_damaged_record_is_exported_as_bytes(guardian, home):
    damage(home, "UPDATE control_audit SET record = CAST(x'80' AS TEXT) WHERE seq = 1")
    first = json.loads(guardian("export").stdout.splitlines()[0])
    assert first["damaged"] == "gA=="
    assert "(damaged)" in guardian("show").stdout


def test_the_table_shows_the_newest_and_neutralises_what_agents_wrote(guardian):
    shown = guardian("show", "--last", "2").stdout
    assert "issueToken" in shown
    assert "t / s" in shown
    assert len(shown.splitlines()) == 3
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert len(json.loads(guardian("show", "--json").stdout)) == 4


def test_the_table_is_narrowed_to_who_did_what_and_when(guardian):
    def shown(*options):
        done = guardian("show", "--json", *options)
        assert done.exit_code == 0, done.output
        return [each["seq"] for each in json.loads(done.stdout)]

    assert shown("--actor", HOSTILE) == shown("--tenant", "t") == shown("--action", "revoke") == [4]
    issued = shown("--action", "issueToken")
    assert (issued, shown("--action", "issueToken", "--last", "1")) == ([1, 2, 3], [3])
    assert shown("--action", "issueToken", "--since", "2020-01-01") == issued
    assert shown("--until", "2020-01-01") == [4], "which tells no time"
    assert shown("--since", "2100-01-01T00:00:00Z") == []
    assert "No entries." in guardian("show", "--actor", "nobody").stdout
    assert guardian("show", "--since", "yesterday").exit_code != 0
    backwards = guardian("show", "--since", "2026-05-13", "--until", "2026-05-12")
    assert "there is no time from --since on" in str(backwards.exception)


def test_a_proof_verifies_without_the_database(guardian):
    guardian("checkpoint")
    made = json.loads(guardian("prove", "2", "--since", "3").stdout)
    signed = Checkpoint.parse(parse(made["checkpoint"]).text)
    leaf = leaf_hash(leaf_data(canonical(made["record"]).encode(), bytes.fromhex(made["hash"])))
    path = [bytes.fromhex(node) for node in made["inclusion"]]
    assert verify_inclusion(index=1, size=signed.size, leaf=leaf, proof=path, root=signed.root)
    extended = [bytes.fromhex(node) for node in made["consistency"]]
    earlier = MerkleTree()
    for entry in map(json.loads, guardian("export").stdout.splitlines()[:3]):
        data = leaf_data(canonical(entry["record"]).encode(), bytes.fromhex(entry["hash"]))
        earlier.append(leaf_hash(data))
    assert verify_consistency(
        first=3, second=signed.size, first_root=earlier.root(), second_root=signed.root, proof=extended
    )
    refused = guardian("prove", "9")
    assert isinstance(refused.exception, ConfigurationError)
    assert "1 to 4" in str(refused.exception)


def proof_file(guardian, home: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A proof of entry 2 that extends a checkpoint of 4 entries, that checkpoint, and the public keys."""
    earlier, proof, keys = tmp_path / "earlier.txt", tmp_path / "proof.json", tmp_path / "own.json"
    earlier.write_text(guardian("checkpoint").stdout, encoding="utf-8")
    tokens.rotate(load(home / "guardian.yaml"))
    assert guardian("checkpoint").exit_code == 0
    proof.write_text(guardian("prove", "2", "--since", "4").stdout, encoding="utf-8")
    public = SigningKeys(home / "keys" / "signing.jwks.json").current().jwks()
    keys.write_text(json.dumps(public), encoding="utf-8")
    return proof, earlier, keys


def test_a_printed_proof_is_checked_without_the_trail_and_what_was_not_compared_is_said(guardian, home, tmp_path):
    proof, earlier, keys = proof_file(guardian, home, tmp_path)
    done = guardian("check-proof", str(proof))
    assert (done.exit_code, done.stdout) == (
        0, "entry 2 holds: it is under the checkpoint of 5 entries, guardian/audit/1\n"
    )  # fmt: skip
    assert "Not checked: that it extends the checkpoint of 4 entries" in done.stderr
    database(home).unlink()
    (home / "guardian.yaml").unlink()
    done = guardian("check-proof", str(proof), "--keys", str(keys), "--checkpoint", str(earlier))
    assert done.exit_code == 0
    assert done.stdout.endswith("that checkpoint extends the one of 4 entries\n")
    assert not done.stderr


def test_a_proof_comes_from_standard_input_too(guardian, home, tmp_path):
    proof, _, _ = proof_file(guardian, home, tmp_path)
    app = typer.Typer()
    auditing.register(app)
    words = ["audit", "check-proof", "-", "-c", str(home / "guardian.yaml")]
    done = CliRunner().invoke(app, words, input=proof.read_bytes())
    assert done.stdout.startswith("entry 2 holds")
    done = CliRunner().invoke(app, words, input=codecs.BOM_UTF8 + proof.read_bytes())
    assert done.stdout.startswith("entry 2 holds"), "editors put that mark before a text"


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda told: told["record"].update(actor="nobody"), "entry 2 as it stands there is not under"),
        (lambda told: told.update(seq=3, leaf_index=2), "entry 3 as it stands there is not under"),
        (lambda told: told.update(seq=0, leaf_index=-1), "entry 0 as it stands there is not under"),
        (lambda told: told["inclusion"].reverse(), "entry 2 as it stands there is not under"),
        (
            lambda told: told.update(checkpoint=told["checkpoint"].replace("\n5\n", "\n6\n")),
            "does not fit the text",
        ),
        (lambda told: told.update(checkpoint="x"), "the checkpoint in {file} is none"),
        (lambda told: told["consistency"].pop(), "of 5 entries does not extend that of 4"),
        (lambda told: told.pop("hash"), "{file} is no proof as `guardian audit prove` prints it: 'hash' is"),
        (lambda told: told.pop("hash"), "'hash' is missing"),
        (lambda told: told.update(hash="00"), "'hash': "),
        (lambda told: told.update(hash=5), "'hash': "),
        (lambda told: told.update(inclusion="00"), "'inclusion': "),
        (lambda told: told["inclusion"].append("zz"), "'inclusion.3': "),
        (lambda told: told["record"].update(n=0.5), "an audit record cannot hold a float"),
        (lambda told: told.update(leaf_index=2), "leaf_index is 2, and seq less one is 1"),
        (lambda told: told.update(damaged="!", record=told.pop("record")), "not both"),
        (lambda told: told.pop("record"), "it needs either `record` or `damaged`"),
        (lambda told: told.update(seq=True), "'seq': "),
        (
            lambda told: told.update(checkpoint=told["checkpoint"].replace("guardian/audit", "\ud800/audit")),
            "a \\u escape is half of a surrogate pair",
        ),
    ],
)
def test_a_tampered_proof_does_not_hold(guardian, home, tmp_path, tamper, says):
    proof, earlier, _ = proof_file(guardian, home, tmp_path)
    told = json.loads(proof.read_text(encoding="utf-8"))
    tamper(told)
    proof.write_text(json.dumps(told), encoding="utf-8")
    done = guardian("check-proof", str(proof), "--checkpoint", str(earlier))
    assert isinstance(done.exception, ProofError)  # exit code 1
    assert str(done.exception).startswith("the proof does not hold: ")
    assert says.format(file=proof) in str(done.exception)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "Expecting property name enclosed in double quotes at position 1"),
        (b"[]", "it is no JSON object"),
        (b"\xff", "the byte at position 0 is not UTF-8"),
        (b"[" * 100_000, "nested more than 64 levels deep"),
        (b'{"seq": 1, "hash": "", "seq": 2}', "a key of 3 characters occurs twice in one object"),
        (b'{"seq": NaN}', "a number of 3 characters is not one that JSON can carry"),
    ],
)
def test_a_file_that_is_no_proof_is_named_with_the_place_of_what_is_wrong(guardian, tmp_path, text, says):
    file = tmp_path / "proof.json"
    file.write_bytes(text)
    told = str(guardian("check-proof", str(file)).exception)
    assert f"{file} is no proof as `guardian audit prove` prints it: " in told
    assert says in told


def test_a_proof_is_believed_by_known_keys_only_and_held_against_what_it_speaks_of(guardian, home, tmp_path):
    proof, earlier, _ = proof_file(guardian, home, tmp_path)
    SigningKeys.create(tmp_path / "other.json")
    done = guardian("check-proof", str(proof), "--keys", str(tmp_path / "other.json"))
    assert isinstance(done.exception, ProofError)
    assert "no known key signed it" in str(done.exception)
    (tmp_path / "none.txt").write_text("nothing\n", encoding="utf-8")
    done = guardian("check-proof", str(proof), "--checkpoint", str(tmp_path / "none.txt"))
    assert isinstance(done.exception, ConfigurationError)
    assert "no checkpoint of 4 entries" in str(done.exception)
    proof.write_text(guardian("prove", "2").stdout, encoding="utf-8")
    done = guardian("check-proof", str(proof), "--checkpoint", str(earlier))
    assert isinstance(done.exception, ConfigurationError)
    assert "--since SIZE" in str(done.exception)


def test_a_proof_of_a_damaged_entry_speaks_of_its_bytes(guardian, home, tmp_path):
    proof, _, _ = proof_file(guardian, home, tmp_path)
    told = json.loads(proof.read_text(encoding="utf-8"))
    told["damaged"] = base64.b64encode(canonical(told.pop("record")).encode()).decode()
    proof.write_text(json.dumps(told), encoding="utf-8")
    assert guardian("check-proof", str(proof)).exit_code == 0


@pytest.mark.parametrize(
    "statement",
    [
        *(f"UPDATE control_audit SET record = '{{}}' WHERE seq = {seq}" for seq in (2, 3, 4)),
        "UPDATE control_audit SET hash = 'none' WHERE seq = 3",
        "DELETE FROM control_audit WHERE seq = 2",
        "DELETE FROM control_audit WHERE seq > 2",
        "UPDATE control_checkpoint SET note = 'none'",
    ],
)
def test_of_a_trail_that_was_altered_nothing_is_proven(guardian, home, statement):
    assert guardian("checkpoint").exit_code == 0
    damage(home, statement)
    refused = guardian("prove", "3")
    assert isinstance(refused.exception, ProofError)
    assert "`guardian audit verify` says where" in str(refused.exception)


def test_looking_at_a_database_that_is_not_there_makes_none(guardian, home):
    database(home).unlink()
    done = guardian("verify")
    assert isinstance(done.exception, ConfigurationError)
    assert "no database" in str(done.exception)
    assert not list(home.rglob("control.db"))


def test_the_configured_writer_exports_to_file_and_topic_and_verify_compares_the_file(guardian, home, monkeypatch):
    monkeypatch.setenv("GUARDIAN_AUDIT__CHECKPOINT_TOPIC", "audit")
    (home / "out").mkdir()
    settings = load(home / "guardian.yaml")
    store = ControlStore.open(settings.store_url(settings.store.control), now=utc_now())
    broker = MemoryBroker()
    keys = SigningKeys(SecretFiles.of(settings).signing)
    writer = open_checkpoints(settings, store, keys, metrics=Metrics(), producer=MemoryProducer(broker))
    writer.start()
    assert writer.stop()
    store.close()
    assert (home / "out" / "checkpoints.txt").is_file()
    assert len(broker.records("audit")) == 1
    report = json.loads(guardian("verify", "--json").stdout)
    assert report["checkpoints"] == {"stored": 1, "given": 1, "superseded": 0, "covered": 4, "lost": 0}


def test_what_a_reader_sees_in_a_proof_is_what_was_checked(guardian, home, tmp_path):
    proof, _, _ = proof_file(guardian, home, tmp_path)
    whole = proof.read_text(encoding="utf-8")
    told = json.loads(whole)
    forged = told["record"] | {"actor": "somebody-else"}
    shown = told | {"record": forged, "damaged": base64.b64encode(canonical(told["record"]).encode()).decode()}
    twice = f'{{"record": {json.dumps(forged)}, {whole.lstrip().removeprefix("{")}'
    leaf = canonical(told.pop("record")).encode() + bytes.fromhex(told["hash"])
    cut = told | {"damaged": base64.b64encode(leaf[:9]).decode(), "hash": leaf[9:].hex()}
    for text in (json.dumps(shown), twice, json.dumps(cut)):
        proof.write_text(text, encoding="utf-8")
        assert isinstance(guardian("check-proof", str(proof)).exception, ProofError)


@pytest.mark.parametrize("size", ["0", "999"])
def test_a_proof_since_a_checkpoint_that_cannot_be_is_refused_by_that_name(guardian, size):
    assert guardian("checkpoint").exit_code == 0
    refused = guardian("prove", "1", "--since", size)
    assert isinstance(refused.exception, ConfigurationError)
    assert f"--since {size}" in str(refused.exception)
