"""What `guardian labels` prints of people's verdicts."""

from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from guardian.cli import labels
from guardian.domain.finding import Effect, Evidence, Finding, Kind, NamedBreach, Reason
from guardian.domain.identity import SessionKey
from guardian.domain.text import visible
from guardian.evaluation.labels import read_labels
from guardian.wire.findings import FindingOutcome, FindingPage, FindingView, ListedFinding, PersonsVerdict
from guardian.wire.sessions import SessionPage, SessionView

AT = datetime(2026, 5, 12, tzinfo=UTC)


def told(name, verdict, *, kind=Kind.DRIFT, effect=Effect.FLAG, seen=0, session="s1", **more):
    this, evidence = {"tenant_id": "acme", "session_id": session}, Evidence(actions_seen=seen)
    about = {"wanted": Effect.FLAG, "severity": "high", "title": "t", "time": AT, "evidence": evidence}
    found = Finding(id=name, kind=kind, **this, **about, **more)
    made = FindingOutcome(finding_id=name, **this, wanted=Effect.FLAG, effect=effect, mode="shadow", at=AT)
    said = verdict and PersonsVerdict(verdict=verdict, reason="r", actor="ann", at=AT)
    return FindingView(finding=found, outcome=made, verdict=said)


@pytest.mark.parametrize(
    ("other", "printed"),
    [
        (told("fnd_2", None), ""),
        (told("fnd_2", None, effect=Effect.NONE), "acme/s1 benign\n"),
        (told("fnd_2", None, kind=Kind.GATEWAY), "acme/s1 benign\n"),
        (told("fnd_2", "false_positive"), "acme/s1 benign\n"),
        (told("fnd_2", "confirmed"), "acme/s1 drift\n"),
    ],
)
def test_no_session_is_benign_of_which_people_have_not_judged_every_drift(capsys, monkeypatch, other, printed):
    assert of(capsys, monkeypatch, told("fnd_1", "benign"), other) == printed


def test_beside_a_confirmed_act_those_that_were_dismissed_are_named_and_those_nobody_judged_are_not(
    capsys, monkeypatch
):
    views = [told("a", "benign", seen=2), told("b", None, seen=3), told("c", "confirmed", seen=5)]
    assert of(capsys, monkeypatch, *views) == "acme/s1/1 benign\nacme/s1/4 drift\n"
    views.append(told("d", "confirmed", seen=2))
    printed = of(capsys, monkeypatch, *views)
    assert printed == "acme/s1/1 benign\nacme/s1/1 drift\nacme/s1/4 drift\n", "of one name the last line counts"


def broke(rule, fit, *, hard=False):
    breaches = (NamedBreach(name=rule, detail="d", hard=hard),)
    reasons = (
        Reason(signal="envelope_breach", share=0.9, value=1.0),
        Reason(signal=fit[0], share=0.1, value=fit[1]),
    )
    return {"breaches": breaches, "reasons": reasons}


@pytest.mark.parametrize(
    ("finding", "word"),
    [
        (broke("envelope_expired", ("purpose_fit", 0.01), hard=True), "rule"),
        (broke("copied_authority", ("purpose_fit", 0.49)), "rule"),
        (broke("copied_authority", ("purpose_fit", 0.5)), "drift"),
        (broke("copied_authority", ("object_mismatch", 0.9)), "drift"),
        (broke("copied_authority", ("denial_pressure", 0.9)), "rule"),
        (broke("credential_in_arguments", ("purpose_fit", 0.01), hard=True), "rule"),
        (broke("credential_in_arguments", ("purpose_fit", 0.01)), "drift"),
    ],
)
def test_an_act_that_was_confirmed_for_a_broken_rule_alone_is_no_drift_of_its_purpose(
    capsys, monkeypatch, tmp_path, finding, word
):
    views = [told("a", "benign", seen=2), told("b", "confirmed", seen=5, **finding)]
    printed = of(capsys, monkeypatch, *views)
    assert printed == f"acme/s1/1 benign\nacme/s1/4 {word}\n"
    (tmp_path / "labels.txt").write_text(printed, encoding="utf-8")
    assert read_labels(tmp_path / "labels.txt").drifts_in(SessionKey("acme", "s1")), "it is not honest"
    views.append(told("c", "confirmed", seen=5))
    assert of(capsys, monkeypatch, *views).splitlines()[-1] == "acme/s1/4 drift", "the last line of a name counts"
    gateway = told("b", "confirmed", kind=Kind.GATEWAY, **finding)
    assert of(capsys, monkeypatch, gateway) == "acme/s1 drift\n"


@pytest.mark.parametrize(
    "session",
    [
        "a\u200bb",
        "❤\ufe0f",
        "e\u0301\u0302\u0303\u0304",
        "a\u00a0b",
        "s\u2028t",
        "s\u202eb",
        " s  t ",
        '"s"',
        "s 1",
    ],
)
def test_what_hides_in_a_name_is_no_other_name_when_it_is_read_again(capsys, monkeypatch, tmp_path, session):
    printed = of(capsys, monkeypatch, told("a", "confirmed", seen=5, session=session))
    assert printed.rstrip("\n") == visible(printed.rstrip("\n")), "nothing steers a terminal or hides in it"
    (tmp_path / "labels.txt").write_text(printed, encoding="utf-8")
    assert read_labels(tmp_path / "labels.txt").words == {f"acme/{session}/4": "drift"}


def test_a_session_that_a_person_revoked_and_nobody_judged_is_not_honest(capsys, monkeypatch, tmp_path):
    views = [told("a", "confirmed", seen=5), told("b", "benign", session="s2")]
    words = {"s1": "revoked", "s2": "revoked", "s3": "revoked", "s4": "reinstated", "s5": None}
    printed = of(capsys, monkeypatch, *views, words=words)
    assert printed == "acme/s2 benign\nacme/s1/4 drift\nacme/s2 rule\nacme/s3 rule\n"
    (tmp_path / "labels.txt").write_text(printed, encoding="utf-8")
    said = read_labels(tmp_path / "labels.txt")
    assert [said.drifts_in(SessionKey("acme", name)) for name in words] == [True, True, True, False, False]


def of(capsys, monkeypatch, *views, words=None):
    def findings(kind, **_):
        return FindingPage(items=[ListedFinding(**dict(each)) for each in views if each.finding.kind == kind])

    def sessions(**_):
        named = [{"session_id": name, "last_word": word} for name, word in (words or {}).items()]
        seen = {"tenant_id": "acme", "status": "active", "first_seen": AT, "last_seen": AT}
        return SessionPage(items=[SessionView(**seen, **each) for each in named])

    control = SimpleNamespace(findings=findings, sessions=sessions)
    monkeypatch.setattr(labels, "client", contextmanager(lambda _: iter([control])))
    labels.labels()
    return capsys.readouterr().out


def test_feedback_goes_to_a_file_that_others_cannot_read(monkeypatch, tmp_path):
    @contextmanager
    def client(_):
        yield SimpleNamespace(feedback=lambda **_: SimpleNamespace(items=[], next=None))

    monkeypatch.setattr(labels, "client", client)
    monkeypatch.setattr(labels, "listed", lambda ask: ask(None).items)
    labels.export(tmp_path / "feedback.jsonl")
    assert (tmp_path / "feedback.jsonl").stat().st_mode & 0o777 == 0o600
