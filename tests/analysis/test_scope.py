"""A handle sees the tenants that it was opened for and no other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import yaml
from tidied import tidy

from guardian.analysis import (
    explain,
    feedback,
    findings,
    meaning,
    open_archive,
    open_control,
    open_sources,
    proposing,
)
from guardian.analysis.archived import ArchiveView
from guardian.analysis.sessions import ONE
from guardian.archive.reader import Archive, Window
from guardian.archive.rows import labels
from guardian.archive.writer import write_labels
from guardian.commands.initialise import initialise
from guardian.domain.batch import Change
from guardian.domain.identity import SessionKey
from guardian.domain.session import HumanWord
from guardian.errors import ConfigurationError

NOON = datetime(2026, 5, 12, 12, tzinfo=UTC)
OURS, OTHERS = "tenant_acme", {"tenant_globex", "tenant_initech"}


@pytest.fixture(scope="module")
def ours(sample_root):
    return open_archive(sample_root, tenant=OURS)


def test_whose_sessions_must_be_said(sample_root):
    with pytest.raises(TypeError):
        open_archive(sample_root)
    for nobody in ("", [], [""]):
        with pytest.raises(ConfigurationError, match="say whose sessions"):
            open_archive(sample_root, tenant=nobody)


def test_every_frame_of_one_tenant_has_that_tenant_only(ours, control):
    until = (ours.days[-1] + pd.Timedelta(days=1)).to_pydatetime()
    since = ours.days[0].to_pydatetime()
    for frame in (
        ours.events(),
        ours.sessions(),
        ours.words(),
        ours.vectors()[0],
        findings(ours),
        findings(ours, control),  # control told of everybody: still only ours
        feedback(ours),
        feedback(ours, control),
        meaning.session_vectors(ours)[0],
    ):
        assert set(frame["tenant_id"]) == {OURS}
    assert set(ours.arrow(["tenant_id"]).column(0).to_pylist()) == {OURS}
    assert {call.tenant_id for call in ours.past_calls(since=since, until=until)} == {OURS}
    assert ours.tenants == [OURS]


def test_several_tenants_and_all_of_them_are_asked_for(sample_root):
    two = open_archive(sample_root, tenant=OTHERS)
    assert set(two.sessions()["tenant_id"]) == OTHERS
    assert len(open_archive(sample_root, tenant="*").tenants) == 3


def test_a_session_of_another_tenant_is_not_found(ours, planted, archive):
    foreign = archive.sessions().query("tenant_id == 'tenant_initech'")["session_id"].iloc[0]
    with pytest.raises(ConfigurationError, match="no such session"):
        explain(ours, foreign)
    with pytest.raises(ConfigurationError, match="no such session"):
        meaning.purpose_map(ours, foreign)
    assert meaning.similar(ours, foreign).empty


def test_a_handle_can_be_narrowed_and_never_widened(ours, archive):
    assert archive.only(OURS).tenants == [OURS]
    for beyond in (("tenant_globex",), (OURS, "tenant_globex"), ("*",), ()):
        with pytest.raises(ConfigurationError, match="not opened for"):
            ours.only(*beyond)
    with pytest.raises(ConfigurationError, match="not opened for"):
        proposing.propose(ours, "tenant_globex")


def test_a_tenant_in_whose_name_something_hides_is_known_by_what_is_shown(lay):
    lay(tenant_id="pay\u202eeno", session_id="theirs")
    everything = open_archive(lay(), tenant="*")
    plain, shown = everything.tenants
    assert (plain, shown[:11]) == ("acme", "pay‹U+202E›")
    for name in (shown, "pay\u202eeno"):
        one = everything.only(name)
        assert list(one.sessions()["session_id"]) == ["theirs"]
        assert one.only(shown).tenants == [shown]
        proposal = proposing.propose(everything, name)
        assert (proposal.tenant_id, proposal.backtest.replayed) == ("pay\u202eeno", 1)
    with pytest.raises(ConfigurationError, match="not opened for"):
        everything.only(plain).only(shown)


def test_rows_say_whose_they_are_not_the_folder_they_lie_in(lay):
    root = lay(tenant_id="globex", session_id="theirs")
    there = next(root.glob("events/*/tenant=globex"))
    there.rename(there.with_name("tenant=acme"))  # a file strayed, or was put there
    view = open_archive(root, tenant="acme")
    assert view.events().empty
    assert view.arrow(["session_id"]).num_rows == 0
    assert list(Archive(root).past_calls(Window("acme"))) == []


def test_an_export_of_control_is_cut_to_the_tenant(sample_root):
    mine = open_control(sample_root / "control", tenant=OURS)
    assert mine
    assert {view.finding.tenant_id for view in mine.views} == {OURS}


def test_what_guardian_planted_to_test_itself_is_nobodys_work(lay, control, tmp_path):
    vector = {name: np.array((1, 0), dtype="<f2").tobytes() for name in ("purpose_vector", "action_vector")}
    for session, gateway in (("honest", "gw"), ("plant", "gw-test"), ("mixed", "gw-test"), ("mixed", "gw")):
        lay(session_id=session, gateway=gateway, vector_model="m", **vector)
    root = lay(session_id="odd", gateway=None)
    told = ("plant", "mixed", "honest")
    words = [Change(n, SessionKey("acme", name), HumanWord.CONFIRMED, NOON) for n, name in enumerate(told, 1)]
    write_labels(root, "l", [labels(words)])
    view = open_archive(root, tenant="acme", planted="gw-test")
    assert list(view.sessions()["session_id"]) == ["honest", "mixed", "odd"]
    assert list(view.only("acme").events()["gateway"].fillna("")) == ["gw", "gw", ""]
    assert list(feedback(view)["session_id"]) == ["mixed", "honest"], "somebody really acted in these"
    assert view.arrow(["tool"]).column_names == ["tool"]
    assert list(view.vectors()[0]["session_id"]) == ["honest", "mixed"]
    since, until = NOON - timedelta(days=1), NOON + timedelta(days=1)
    assert {call.session_id for call in view.past_calls(since=since, until=until)} == {"honest", "mixed", "odd"}
    with pytest.raises(ConfigurationError, match="no such session"):
        explain(view, "plant")
    drift = next(each for each in control.views if each.verdict and each.finding.act)
    act = drift.finding.act.model_copy(update={"gateway": "gw-test"})
    plant = drift.finding.model_copy(update={"id": "fnd_plant", "tenant_id": "acme", "act": act})
    mine = drift.finding.model_copy(update={"tenant_id": "acme"})
    asked = replace(control, views=tuple(drift.model_copy(update={"finding": each}) for each in (plant, mine)))
    assert list(findings(view, asked)["finding_id"]) == [mine.id]
    assert list(feedback(view, asked)["finding_id"].dropna()) == [mine.id]
    everything = open_archive(root, tenant="acme")
    assert (len(everything.sessions()), len(feedback(everything)), len(findings(everything, asked))) == (4, 3, 2)
    root = lay(session_id="plant", gateway="gw-test", at=NOON + timedelta(days=3))
    for gateway, days in (("gw-test", [12]), ("", [12, 15])):
        assert [day.day for day in open_archive(root, tenant="acme", planted=gateway).days] == days


def test_a_configuration_says_itself_what_is_planted(lay, tmp_path, monkeypatch):
    lay(session_id="plant", gateway="gw-test")
    root = lay(session_id="honest")
    config = initialise(tmp_path / "home")
    body = yaml.safe_load(config.read_text(encoding="utf-8"))
    body["archive"]["path"] = str(root)
    body["revocation"] = {"self_test": {"gateway": "gw-test"}}
    config.write_text(yaml.safe_dump(body), encoding="utf-8")
    assert list(open_archive(config, tenant="*").sessions()["session_id"]) == ["honest"]
    monkeypatch.setenv("GUARDIAN_CONFIG", str(config))
    assert list(open_sources(lambda: root)[0].sessions()["session_id"]) == ["honest"]
    monkeypatch.delenv("GUARDIAN_CONFIG")
    monkeypatch.setenv("GUARDIAN_ARCHIVE", str(root))
    assert len(open_sources(lambda: root)[0].sessions()) == 2, "a folder does not say it"
    monkeypatch.setenv("GUARDIAN_REVOCATION__SELF_TEST__GATEWAY", "gw-test")
    assert list(open_sources(lambda: root)[0].sessions()["session_id"]) == ["honest"]


def test_two_tenants_may_use_the_same_session_id(lay):
    lay(tenant_id="acme", session_id="same", tool="a")
    root = lay(tenant_id="globex", session_id="same", tool="b")
    everything = open_archive(root, tenant="*")
    assert len(everything.sessions()) == 2
    with pytest.raises(ConfigurationError, match="several tenants have it"):
        explain(everything, "same")
    row = everything.sessions().query("tenant_id == 'globex'").iloc[0]
    assert list(explain(everything, row).events["tool"]) == ["b"]
    assert list(explain(everything.only("acme"), "same").events["tool"]) == ["a"]


def test_the_meaning_of_one_tenants_session_is_not_mixed_with_anothers(lay):
    def vector(*values):
        return {name: np.array(values, dtype="<f2").tobytes() for name in ("purpose_vector", "action_vector")}

    for tenant, *values in (("acme", 1, 0), ("globex", 0, 1)):
        lay(tenant_id=tenant, session_id="same", tool=f"{tenant}.call", vector_model="m", **vector(*values))
    for n in range(3):
        root = lay(tenant_id="acme", session_id=f"other{n}", vector_model="m", **vector(1, n))
    everything = open_archive(root, tenant="*")
    for asked in (meaning.purpose_map, meaning.similar):
        with pytest.raises(ConfigurationError, match="several tenants have it"):
            asked(everything, "same")
    row = everything.sessions().query("tenant_id == 'acme' and session_id == 'same'").iloc[0]
    for whose in (row, row.to_dict()):
        places, _ = meaning.purpose_map(everything, whose)
        assert list(places[places["what"] == "call"]["tool"]) == ["acme.call"]
        assert meaning.similar(everything, whose)["session_id"].iloc[0] == "other0"


def test_the_meaning_of_one_session_is_not_mixed_with_that_of_others_of_its_agent_and_user(lay):
    name = "window:agent_a|u"
    for n, values in enumerate(((1, 0), None, (0, 1), (0, 1), (1, 0))):
        kept = {} if values is None else {"vector_model": "m"}
        for column in ("purpose_vector", "action_vector") if values else ():
            kept[column] = np.array(values, dtype="<f2").tobytes()
        minutes = 20 * n + (60 if n > 2 else 0)  # the second call makes no pause, though nothing is kept of it
        root = lay(session_id=name, at=NOON + timedelta(minutes=minutes), tool=f"t{n}", **kept)
    view = open_archive(root, tenant="acme")
    known, vectors = meaning.session_vectors(view)
    assert list(known["begin"].dt.minute) == [0, 0]
    assert vectors == pytest.approx(np.full((2, 2), 0.5**0.5))
    first, second = (row for _, row in view.sessions().iterrows())
    for asked, tools in ((first, ["t0", "t2"]), (second, ["t3", "t4"]), (name, ["t3", "t4"])):
        places, _ = meaning.purpose_map(view, asked)
        assert list(places[places["what"] == "call"]["tool"]) == tools
        assert len(meaning.similar(view, asked)) == 1
    later = NOON + timedelta(minutes=30)
    assert len(meaning.similar(view, first, since=later)) == 1, "its last call is later than that"
    assert meaning.similar(view, first, since=later + timedelta(hours=1)).empty
    gone = dict(first) | dict.fromkeys(("begin", "end"), NOON - timedelta(days=1))  # its vectors were not kept
    assert meaning.similar(view, gone).empty


def test_sessions_are_summed_as_they_are_read_whichever_part_their_calls_lie_in(lay, monkeypatch):
    """Of three days, two tenants, two encoders of unlike lengths, and names that stand for several sessions."""
    chance = np.random.default_rng(7)
    for n in range(60):
        values = chance.normal(size=3 if n < 15 else 5).astype("<f2").tobytes()
        kept = {"vector_model": "old" if n < 15 else "new", "action_vector": values, "purpose_vector": values}
        at = NOON + timedelta(hours=n % 7 + n)
        name = ("s", "window:a|u", "x")[n % 3]
        root = lay(tenant_id=f"t{n % 2}", session_id=name, at=at, **(kept if n % 5 else {}))
    view = open_archive(root, tenant="*")
    rows, _, actions = view.vectors()
    places = rows.groupby(ONE, sort=False).ngroup().to_numpy()
    wanted = np.stack([actions[places == place].sum(axis=0) for place in range(places.max() + 1)])
    monkeypatch.setattr(ArchiveView, "vectors", None)  # which holds the vector of each call
    monkeypatch.setattr(ArchiveView, "arrow", None)
    for _ in ("a file for each call", "a file for each day"):
        known, means = meaning.session_vectors(view)
        assert len(known) > 6, "some names stand for several"
        assert means == pytest.approx(wanted / np.linalg.norm(wanted, axis=1, keepdims=True), abs=1e-6)
        tidy(root, now=NOON + timedelta(days=30), keep=timedelta(days=400))
    assert meaning.session_vectors(view, since=NOON + timedelta(days=9))[0].empty


def test_a_session_is_compared_by_the_model_that_read_it_after_an_upgrade_too(lay):
    vector = {name: np.array((1, 0), dtype="<f2").tobytes() for name in ("purpose_vector", "action_vector")}
    for n, (session, model) in enumerate((("a", "old"), ("b", "old"), ("c", "old"), ("d", "new"), ("e", "new"))):
        root = lay(session_id=session, vector_model=model, at=NOON + timedelta(hours=n), **vector)
    view = open_archive(root, tenant="acme")
    rows, purposes, actions = view.vectors()
    assert list(rows["vector_model"]) == ["new", "new"]
    assert len(purposes) == len(actions) == 2
    for session, others in (("a", {"b", "c"}), ("e", {"d"}), ("nobody", set())):
        assert set(meaning.similar(view, session)["session_id"]) == others
    assert list(meaning.purpose_map(view, "a")[0]["what"]) == ["other", "other", "call", "purpose"]
    empty = view.vectors(until=NOON)
    assert [len(part) for part in empty] == [0, 0, 0]
    assert list(empty[0]) == list(rows)
    assert meaning.similar(view, "a", since=NOON + timedelta(days=1)).empty
