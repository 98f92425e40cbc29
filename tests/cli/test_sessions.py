"""What people do with the queue, through the command line and a control API that really runs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from ports import port_of, reserve
from until import until

from guardian.cli import asking
from guardian.commands.initialise import initialise
from guardian.demo.log import log_lines
from guardian.demo.scenario import Plant, Scenario


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A deployment with a control API, and a day's findings in it; tenant_acme is in enforce."""
    folder = tmp_path_factory.mktemp("deployment")
    initialise(folder)
    path = folder / "guardian.yaml"
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    held = reserve()
    port = port_of(held)
    body["control"] |= {"port": port, "url": f"http://127.0.0.1:{port}", "default_mode": "enforce"}
    body["model"] = {"engine": "lexical"}
    path.write_text(yaml.safe_dump(body), encoding="utf-8")
    with (folder / "serve.log").open("wb") as log:
        serve = subprocess.Popen(
            [sys.executable, "-m", "guardian", "serve", "-c", str(path)], stdout=log, stderr=log
        )
    try:
        plan = [
            s
            for s in Scenario(seed=5, sessions=2, each=2).plan()
            if s.plant in (Plant.NONE, Plant.EXPIRED_ENVELOPE)
        ]
        lines = list(log_lines(plan, begin=datetime.now(UTC) - timedelta(hours=3), seed=5))
        (folder / "log.jsonl").write_bytes(b"\n".join([*lines, b"{broken"]) + b"\n")
        until(lambda: "listening" in (folder / "serve.log").read_text(encoding="utf-8"))
        watch = [sys.executable, "-m", "guardian", "watch", "--file", str(folder / "log.jsonl"), "-c", str(path)]
        assert subprocess.run(watch, capture_output=True, timeout=90, check=False).returncode == 3
        yield folder
    finally:
        serve.terminate()
        serve.wait(timeout=20)
        held.close()


def read(guardian, home: Path, *args: str) -> dict:
    done = guardian(*args, "--json", "-c", str(home / "guardian.yaml"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_queue_from_finding_to_reinstatement(guardian, home: Path) -> None:
    config = ("-c", str(home / "guardian.yaml"))
    found = read(guardian, home, "findings", "--kind", "drift")["items"]
    drift = [view for view in found if view["outcome"]["effect"] == "revoke"]  # lexical scores may flag others
    assert len(drift) == 2
    tenant, session = drift[0]["finding"]["tenant_id"], drift[0]["finding"]["session_id"]
    listed = {s["session_id"]: s["status"] for s in read(guardian, home, "sessions")["items"]}
    assert listed[session] == "revoked"

    why = ("--reason", "looked at it with the delegator")
    asked = guardian("reinstate", tenant, session, *why, *config)
    assert f"the request to reinstate {session} waits for a second person" in asked.stdout
    (waiting,) = read(guardian, home, "approvals", "--tenant", tenant)["items"]
    assert guardian("approve", waiting["id"], *why, *config).returncode == 1, "nobody approves their own"
    ben = guardian("token", "issue", "ben", "--role", "approver", "--tenant", tenant, *config).stdout.strip()
    done = guardian("approve", waiting["id"], *why, *config, env={"GUARDIAN_TOKEN": ben})
    assert "reinstated at revision" in done.stdout
    assert read(guardian, home, "sessions", "--status", "revoked")["items"][0]["session_id"] != session
    assert guardian("revoke", tenant, session, *why, *config).returncode == 0
    assert session in [s["session_id"] for s in read(guardian, home, "sessions", "--status", "revoked")["items"]]

    assert "confirmed" in guardian("confirm", drift[1]["finding"]["id"], *why, *config).stdout
    other = guardian("dismiss", drift[0]["finding"]["id"], "--tenant", "globex", *why, *config)
    assert (other.returncode, "no such finding" in other.stderr) == (1, True)
    whose = ("--tenant", drift[0]["finding"]["tenant_id"])
    assert "false_positive" in guardian("dismiss", drift[0]["finding"]["id"], *whose, *why, *config).stdout
    for view in found:  # a session is honest once nothing told of it is left unjudged
        if view is not drift[0] and view["finding"]["session_id"] == session:
            assert guardian("dismiss", view["finding"]["id"], *whose, *why, *config).returncode == 0
    said = guardian("labels", *config).stdout.splitlines()
    names = {i: f"{v['finding']['tenant_id']}/{v['finding']['session_id']}" for i, v in enumerate(drift)}
    act = drift[1]["finding"]["evidence"]["actions_seen"] - 1
    assert sorted(said) == sorted([f"{names[0]} benign", f"{names[1]}/{act} drift"])
    others = read(guardian, home, "findings", "--kind", "gateway")["items"]
    for finding, word in ((others[0]["finding"], "confirm"), (others[-1]["finding"], "dismiss")):
        of = ("--tenant", finding["tenant_id"])
        assert guardian(word, finding["id"], *of, *why, *config).returncode == 0
    told = f"{others[0]['finding']['tenant_id']}/{others[0]['finding']['session_id']} drift"
    lines = guardian("labels", *config).stdout.splitlines()
    assert lines[-2:] == [said[-1], told], "the last word comes last"
    assert told.replace(" drift", " benign") not in lines, "it is not honest as a whole"
    same = next(drift[i]["finding"] for i, name in names.items() if told == f"{name} drift")
    of = ("--tenant", same["tenant_id"])
    assert guardian("dismiss", same["id"], *of, "--benign", *why, *config).returncode == 0
    assert guardian("labels", *config).stdout.splitlines()[-1] == told, "nobody took that back"
    assert "is protected" in guardian("protect", tenant, session, *why, *config).stdout
    assert "not protected" in guardian("protect", tenant, session, "--off", *why, *config).stdout
    slip = guardian("revoke", tenant, "slip", *why, *config)
    assert (slip.returncode, slip.stdout.startswith("slip is revoked")) == (0, True)
    assert f"control had not heard of {tenant}/slip" in slip.stderr
    unfollowed = "It is on the revocation list; no gateway is known to follow that list now\n"
    assert guardian("revoke", tenant, session, *why, *config).stderr == unfollowed


@pytest.mark.slow
def test_whose_token_is_not_taken_hears_which_that_was_and_what_makes_another(guardian, home, tmp_path) -> None:
    config = ("-c", str(home / "guardian.yaml"))
    by_variable = guardian("findings", *config, env={"GUARDIAN_TOKEN": "not.a.token"})
    other = initialise(tmp_path / "other")
    there = yaml.safe_load((home / "guardian.yaml").read_text(encoding="utf-8"))["control"]["url"]
    by_file = guardian("sessions", "-c", str(other), env={"GUARDIAN_CONTROL__URL": there})
    for done, whose in ((by_variable, "of GUARDIAN_TOKEN"), (by_file, str(other.parent / "keys" / "admin.token"))):
        assert (done.returncode, whose in done.stderr, "guardian token issue" in done.stderr) == (1, True, True)


@pytest.mark.slow
def test_lists_are_narrowed_to_an_agent_and_more(guardian, home: Path) -> None:
    one = next(each for each in read(guardian, home, "sessions")["items"] if each["agent_id"])
    tied = ("--agent", one["agent_id"], "--delegator", one["delegator_id"], "--session", one["session_id"])
    task = ("--task", one["task_id"]) if one["task_id"] else ()
    assert [each["session_id"] for each in read(guardian, home, "sessions", *tied, *task)["items"]] == [
        one["session_id"]
    ]
    assert read(guardian, home, "sessions", *tied, "--agent", "nobody")["items"] == []
    found = read(guardian, home, "findings", "--agent", one["agent_id"], "--unjudged")["items"]
    assert one["session_id"] in [each["finding"]["session_id"] for each in found]
    broken = next(each for each in read(guardian, home, "findings")["items"] if each["finding"]["breaches"])[
        "finding"
    ]
    assert read(guardian, home, "findings", "--breach", broken["breaches"][0]["name"])["items"]
    assert read(guardian, home, "findings", "--signal", "none such")["items"] == []
    assert guardian("findings", broken["id"], "--unjudged", "-c", str(home / "guardian.yaml")).returncode == 2


@pytest.mark.slow
def test_modes_are_shown_set_with_a_reason_and_refused_without(guardian, home: Path) -> None:
    config = ("-c", str(home / "guardian.yaml"))
    assert "enforce (default)" in guardian("mode", "tenant_new", *config).stdout
    assert guardian("mode", "tenant_new", "shadow", *config).returncode == 2
    assert guardian("mode", "tenant_new", "sideways", "--reason", "x", *config).returncode == 2
    assert "shadow" in guardian("mode", "tenant_new", "shadow", "--reason", "trial", *config).stdout
    assert "trial" in guardian("mode", "tenant_new", *config).stdout


@pytest.mark.slow
def test_tables_for_people_and_a_token_that_reaches_only_its_tenant(guardian, home: Path) -> None:
    config = ("-c", str(home / "guardian.yaml"))
    assert "expired envelope" in guardian("findings", *config).stdout
    assert "revoked" in guardian("sessions", *config).stdout
    token = guardian("token", "issue", "zoe", "--role", "analyst", "--tenant", "elsewhere", *config).stdout.strip()
    assert "No findings" in guardian("findings", *config, env={"GUARDIAN_TOKEN": token}).stdout
    denied = guardian("mode", "tenant_acme", *config, env={"GUARDIAN_TOKEN": token})
    assert denied.returncode == 1
    assert "Traceback" not in denied.stderr
    assert guardian("findings", *config, env={"GUARDIAN_TOKEN": "nonsense"}).returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize("what", ["sessions", "findings"])
def test_a_list_goes_on_as_far_as_asked_and_says_where_it_was_cut(guardian, home: Path, monkeypatch, what) -> None:
    monkeypatch.setattr(asking, "_AT_ONCE", 1)
    every = read(guardian, home, what)["items"]
    assert len(every) > 1
    two, later = (read(guardian, home, what, *limit)["items"] for limit in (("--limit", "2"), ()))
    assert two in (every[:2], later[:2])  # news of guardian itself may come meanwhile
    config = ("-c", str(home / "guardian.yaml"))
    assert "there are more: --limit" in guardian(what, "--limit", "1", *config).stderr
    monkeypatch.setattr(asking, "_MOST", 1)
    assert "there are more: ask for less" in guardian(what, "--limit", "1", *config).stderr
    assert guardian(what, *config).stderr == ""


@pytest.mark.slow
def test_dead_letters_are_listed_without_their_bytes(guardian, home: Path) -> None:
    letters = json.loads(guardian("dlq", "list", "--json", "-c", str(home / "guardian.yaml")).stdout)
    assert [letter["code"] for letter in letters] == ["not_json"]
    shown = guardian("dlq", "list", "-c", str(home / "guardian.yaml")).stdout
    assert "not_json" in shown
    assert "{broken" not in shown
