"""Several people act on one case at the same moment: what they were shown counts for one act."""

import shutil
import tempfile
import threading
import uuid
from collections import Counter
from pathlib import Path

import pytest
from postgres import open_postgres

PEOPLE = [f"responder-{n}" for n in range(4)]
CASE = "/v1/cases/acme/sess_1"


@pytest.fixture(scope="module")
def server():
    folder = tempfile.mkdtemp(
        prefix="guardian-at-once-"
    )  # PostgreSQL does not run as root, nor in pytest's folder
    started = open_postgres(Path(folder))
    yield started.get_uri()
    started.cleanup()
    shutil.rmtree(folder)


@pytest.fixture
def database(server):
    """Of each test its own."""
    psycopg, name = pytest.importorskip("psycopg"), f"d{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def stage(make_stage, a_finding, request):
    """With a case that everybody has before them."""
    where = {"url": request.getfixturevalue("database")} if request.param == "postgresql" else {}
    stage = make_stage(**where)
    stage.submit(a_finding())
    for who in PEOPLE:
        stage.token("responder", who=who)
    return stage


@pytest.fixture
def shown(stage):
    case = stage.call("GET", CASE, "responder").json()
    return {"case": f'"{case["digest"]}"', "verdict": f"/v1/findings/{case['shown']['finding']['id']}/verdict"}


@pytest.fixture
def at_once(stage, shown):
    """The answers to these acts on the case as it was shown, the first by the first person, and so on."""

    def do(*acts, **headers):
        start, answers = threading.Barrier(len(acts)), {}

        def act(n, path, body, who):
            start.wait()
            told = {"If-Match": shown["case"], **headers}
            answers[n] = stage.call("POST", path, "responder", who=who, json=body, headers=told)

        threads = [threading.Thread(target=act, args=(n, *each)) for n, each in enumerate(acts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [answers[n] for n in range(len(acts))]

    return do


def test_of_those_who_take_or_judge_a_case_at_once_one_does_and_the_others_are_told_to_look_again(
    stage, at_once, shown
):
    for path, body, action in (
        (f"{CASE}/take", {}, "take"),
        (shown["verdict"], {"verdict": "false_positive", "reason": "ours"}, "dismiss"),
    ):
        shown["case"] = stage.call("GET", CASE, "responder").headers["ETag"]
        answers = at_once(*((path, body, who) for who in PEOPLE))
        assert sorted(each.status_code for each in answers) == [200, 412, 412, 412]
        did = PEOPLE[[each.status_code for each in answers].index(200)]
        told = Counter((each["actor"] == did, each["result"] == "stale") for each in stage.audit(action=action))
        assert told == {(True, False): 1, (False, True): 3}
        if action == "take":
            assert stage.call("GET", CASE, "responder").json()["taken_by"] == did


def test_of_those_who_note_or_snooze_a_case_at_once_nobodys_words_are_lost_and_the_last_snooze_holds(
    stage, at_once
):
    acts = [(f"{CASE}/note", {"reason": f"from {who}"}, who) for who in PEOPLE]
    acts += [(f"{CASE}/snooze", {"reason": "I look", "hours": n}, who) for n, who in enumerate(PEOPLE, 1)]
    assert {each.status_code for each in at_once(*acts)} == {200}
    assert sorted(each["reason"] for each in stage.audit(action="note")) == [f"from {who}" for who in PEOPLE]
    last = stage.audit(action="snooze", result="snoozed")[-1]["actor"]
    assert stage.call("GET", CASE, "responder").json()["snoozed_by"] == last


def test_a_key_that_comes_with_two_requests_at_once_answers_for_the_first_of_them_alone(stage, at_once):
    path, who = "/v1/sessions/acme/sess_1/revoke", PEOPLE[0]
    acts = [(path, {"reason": reason}, who) for reason in ("a", "b", "a", "b")]
    answers = at_once(*acts, **{"Idempotency-Key": "k-1"})
    codes = [each.status_code for each in answers]
    assert codes in ([200, 422, 200, 422], [422, 200, 422, 200])
    assert {each.json()["code"] for each in answers if each.status_code == 422} == {"key_reused"}
    assert {each.json()["changed"] for each in answers if each.status_code == 200} == {True}
    assert [reason for _, reason, _ in stage.ledger()] == ["manual"]
