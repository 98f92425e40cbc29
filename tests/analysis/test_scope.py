"""A handle sees the tenants that it was opened for and no other."""

import numpy as np
import pandas as pd
import pytest

from guardian.analysis import explain, feedback, findings, meaning, open_archive, open_control, proposing
from guardian.archive.reader import Archive, Window
from guardian.errors import ConfigurationError

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
