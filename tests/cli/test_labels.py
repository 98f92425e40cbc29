"""What `guardian labels` prints of people's verdicts."""

from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from guardian.cli import labels
from guardian.domain.finding import Effect, Finding, Kind
from guardian.wire.findings import FindingOutcome, FindingPage, FindingView, Verdict

AT = datetime(2026, 5, 12, tzinfo=UTC)


def told(name, verdict, *, kind=Kind.DRIFT, effect=Effect.FLAG):
    this = {"tenant_id": "acme", "session_id": "s1"}
    found = Finding(id=name, kind=kind, **this, wanted=Effect.FLAG, severity="high", title="t", time=AT)
    made = FindingOutcome(finding_id=name, **this, wanted=Effect.FLAG, effect=effect, mode="shadow", at=AT)
    said = verdict and Verdict(verdict=verdict, reason="r", actor="ann", at=AT)
    return FindingView(finding=found, outcome=made, verdict=said)


@pytest.mark.parametrize(
    ("other", "printed"),
    [
        (told("fnd_2", None), ""),
        (told("fnd_2", None, effect=Effect.NONE), "acme/s1 benign\n"),
        (told("fnd_2", None, kind=Kind.GATEWAY), "acme/s1 benign\n"),
        (told("fnd_2", "false_positive"), "acme/s1 benign\n"),
        (told("fnd_2", "confirmed"), "acme/s1 benign\nacme/s1 drift\n"),
    ],
)
def test_no_session_is_benign_of_which_people_have_not_judged_every_drift(capsys, monkeypatch, other, printed):
    def findings(kind, **_):
        return FindingPage(items=[each for each in (told("fnd_1", "benign"), other) if each.finding.kind == kind])

    monkeypatch.setattr(labels, "client", contextmanager(lambda _: iter([SimpleNamespace(findings=findings)])))
    labels.labels()
    assert capsys.readouterr().out == printed
