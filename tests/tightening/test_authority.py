from guardian.domain.identity import SessionKey
from guardian.tightening.authority import Ledger
from guardian.tightening.trust import Trust

ALL = ("a.read", "b.read", "c.send")


def ledger(call, *calls, flagged=()):
    return Ledger.read([call(**told) for told in calls], Trust(frozenset(flagged)))


def test_each_hop_holds_what_everybody_above_it_held(call):
    found = ledger(
        call,
        {"session_id": "root", "allowed_tools": ALL[:2], "tool": "a.read"},
        {"session_id": "mid", "parent_session_id": "root", "allowed_tools": ALL, "tool": "a.read"},
        {"session_id": "leaf", "parent_session_id": "mid", "allowed_tools": ALL[1:], "tool": "b.read"},
    ).chain(SessionKey("acme", "leaf"))
    assert [each.hop.key.session_id for each in found] == ["root", "mid", "leaf"]
    assert [sorted(each.effective) for each in found] == [["a.read", "b.read"], ["a.read", "b.read"], ["b.read"]]
    assert found[1].faults == ("holds 1 tool that nobody above it could give: c.send",)
    assert [each.used_share for each in found] == [0.5, 0.5, 1.0]
    assert found[0].idle == {"b.read"}


def test_a_child_that_keeps_everything_is_called_out(call):
    found = ledger(
        call,
        {"session_id": "root", "allowed_tools": ALL, "constraints": {"data_classes": ["x"], "max_records": 5}},
        {"session_id": "child", "parent_session_id": "root", "allowed_tools": ALL, "delegator_id": "v"},
    ).chain(SessionKey("acme", "child"))
    assert found[1].faults == (
        "holds all that its parent holds: nothing was narrowed",
        "may touch data classes that its parent may not",
        "may take more records than its parent",
        "acts for v, its parent for u",
    )


def test_a_wildcard_holds_what_it_covers(call):
    found = ledger(
        call,
        {"session_id": "root", "allowed_tools": ("crm.*", "mail.*"), "tool": "crm.read",
         "constraints": {"data_classes": ["te*"]}},
        {"session_id": "mid", "parent_session_id": "root", "allowed_tools": ("crm.read", "crm.edit", "*"),
         "constraints": {"data_classes": ["terms"]}, "tool": "crm.read"},
        {"session_id": "leaf", "parent_session_id": "mid", "allowed_tools": ("crm.read",), "tool": "crm.read",
         "constraints": {"data_classes": ["terms", "x"]}},
    ).chain(SessionKey("acme", "leaf"))  # fmt: skip
    assert [sorted(each.effective) for each in found] == [
        ["crm.*", "mail.*"], ["crm.*", "crm.edit", "crm.read", "mail.*"], ["crm.read"],
    ]  # fmt: skip
    assert [each.faults for each in found] == [
        (),
        ("holds 1 tool that nobody above it could give: *",),
        ("may touch data classes that its parent may not",),
    ]
    assert found[0].idle == found[0].excess == {"mail.*"}
    assert [each.used_share for each in found] == [0.5, 0.5, 1.0]


def test_a_list_without_tools_is_no_limit(call):
    found = ledger(
        call,
        {"session_id": "root", "allowed_tools": ALL[:2], "tool": "a.read"},
        {"session_id": "child", "parent_session_id": "root", "allowed_tools": (), "tool": "c.send"},
        {"session_id": "leaf", "parent_session_id": "child", "allowed_tools": ALL[:1], "tool": "a.read"},
        {"session_id": "free", "allowed_tools": (), "tool": "c.send"},
        {"session_id": "freed", "parent_session_id": "free", "allowed_tools": ALL, "tool": "a.read"},
    )
    root, child, leaf = found.chain(SessionKey("acme", "leaf"))
    assert (child.hop.own, child.effective, child.idle) == ({"*"}, {*ALL[:2]}, {*ALL[:2]})
    assert child.faults == ("holds 1 tool that nobody above it could give: *",)
    assert (leaf.effective, leaf.faults, root.faults) == ({"a.read"}, (), ())
    free, freed = found.chain(SessionKey("acme", "freed"))
    assert (free.effective, freed.effective, freed.faults) == ({"*"}, {*ALL}, ())


def test_what_the_purpose_implies_is_what_honest_sessions_use(call):
    found = ledger(
        call,
        {"session_id": "s", "allowed_tools": ALL, "tool": "a.read"},
        {"session_id": "drifted", "allowed_tools": ALL, "tool": "c.send"},
        {"session_id": "s", "allowed_tools": ALL, "tool": "b.read", "allowed": False},
        flagged=[SessionKey("acme", "drifted")],
    )
    [one] = found.chain(SessionKey("acme", "s"))
    assert one.implied == {"a.read"}
    assert one.excess == {"b.read", "c.send"}
    assert (one.hop.calls, one.hop.denied) == (2, 1)


def test_a_loop_ends_and_a_missing_parent_is_said(call):
    found = ledger(
        call,
        {"session_id": "x", "parent_session_id": "y"},
        {"session_id": "y", "parent_session_id": "x"},
        {"session_id": "own", "parent_session_id": "own"},
        {"session_id": "orphan", "parent_session_id": "gone", "allowed_tools": ()},
    )
    y, x = found.chain(SessionKey("acme", "x"))
    assert (y.hop.key.session_id, y.faults[0]) == ("y", "the delegation runs in a circle")
    assert "the delegation runs in a circle" not in x.faults
    [own] = found.chain(SessionKey("acme", "own"))
    assert own.faults == ("the delegation runs in a circle",)
    [orphan] = found.chain(SessionKey("acme", "orphan"))
    assert orphan.faults == ("its parent gone is not in the window",)
    assert orphan.used_share == 1.0
    assert found.chain(SessionKey("acme", "nobody")) == []
    assert found.chain(SessionKey("globex", "x")) == []


def test_a_purpose_shows_its_longest_chains_first_and_each_once(call):
    found = ledger(
        call,
        {"session_id": "root", "allowed_tools": ALL},
        {"session_id": "child", "parent_session_id": "root", "allowed_tools": ALL},
        {"session_id": "alone"},
        {"session_id": "other", "purpose": "pay"},
    ).of_purpose("acme", "review contracts")
    assert [[each.hop.key.session_id for each in chain] for chain in found] == [["root", "child"], ["alone"]]


def test_a_purpose_whose_sessions_all_delegate_to_another_is_shown_and_so_is_a_circle(call):
    found = ledger(
        call,
        {"session_id": "root"},
        {"session_id": "mid", "parent_session_id": "root", "purpose": "pay"},
        {"session_id": "leaf", "parent_session_id": "mid"},
        {"session_id": "lone"},
        {"session_id": "payer", "parent_session_id": "lone", "purpose": "pay"},
        {"session_id": "x", "parent_session_id": "y"},
        {"session_id": "y", "parent_session_id": "x"},
    )
    shown = [[each.hop.key.session_id for each in chain] for chain in found.of_purpose("acme", "review contracts")]
    assert shown == [["root", "mid", "leaf"], ["y", "x"], ["lone"]]
    shown = [[each.hop.key.session_id for each in chain] for chain in found.of_purpose("acme", "pay")]
    assert shown == [["root", "mid"], ["lone", "payer"]]


def test_a_circle_through_another_purpose_is_shown_once(call):
    found = ledger(
        call,
        {"session_id": "a", "parent_session_id": "d"},
        {"session_id": "b", "parent_session_id": "a", "purpose": "pay"},
        {"session_id": "c", "parent_session_id": "b"},
        {"session_id": "d", "parent_session_id": "c", "purpose": "pay"},
    ).of_purpose("acme", "review contracts")
    assert [[each.hop.key.session_id for each in chain] for chain in found] == [["b", "c", "d", "a"]]


def test_a_session_whose_envelope_was_issued_again_holds_what_either_granted(call):
    limits = {"data_classes": ["x"], "max_records": 5, "ticket": 1}
    found = ledger(
        call,
        {"session_id": "root", "allowed_tools": ALL[:1], "constraints": limits},
        {"session_id": "root", "allowed_tools": ALL[:1], "constraints": limits | {"ticket": 2}},
        {"session_id": "root", "allowed_tools": ALL[1:], "constraints": {"data_classes": ["y"], "max_records": 9}},
        {"session_id": "child", "parent_session_id": "root", "allowed_tools": ALL[:2],
         "constraints": {"data_classes": ["x", "y"], "max_records": 9}},
        {"session_id": "freed", "allowed_tools": ALL[:1], "constraints": limits},
        {"session_id": "freed", "allowed_tools": ()},
        {"session_id": "same", "allowed_tools": ALL[:2]},
        {"session_id": "same", "allowed_tools": ALL[1::-1]},
    )  # fmt: skip
    root, child = found.chain(SessionKey("acme", "child"))
    assert (root.hop.own, root.hop.classes, root.hop.records) == ({*ALL}, {"x", "y"}, 9)
    assert (root.faults, child.faults) == (("its envelope was issued again with other authority",), ())
    [freed] = found.chain(SessionKey("acme", "freed"))
    assert ("*" in freed.hop.own, freed.hop.classes, freed.hop.records) == (True, None, None)
    assert found.chain(SessionKey("acme", "same"))[0].faults == ()
    assert not ledger(call, {"session_id": "root", "constraints": limits}).hops[("acme", "root")].reissued
