"""Two people at two terminals, and a control API that really runs."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from guardian.bootstrap.control import Control
from guardian.cli import approving, findings, modes, revoked, sessions
from guardian.cli.common import WAITS
from guardian.commands import tokens
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.errors import ConfigurationError, ControlError
from guardian.telemetry import Metrics
from guardian.wire.evidence import EvidenceClient

Terminal = Callable[..., Result]
WHY = ("--reason", "looked at it with the delegator")


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Runs a command as `ann` (a responder), `ben` (an approver) or `cleo` (an admin)."""
    folder = tmp_path_factory.mktemp("two-people")
    path = initialise(folder)
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings = load(path)
    roles = {"ann": "responder", "ben": "approver", "cleo": "admin"}
    held = {
        name: tokens.issue(settings, name, role=role, tenants=["*"], ttl=timedelta(days=1)).text
        for name, role in roles.items()
    }
    many = [f"t{n:03}" for n in range(130)]  # which control hears of by that
    tokens.issue(settings, "gw-1", role="gateway", tenants=many, ttl=timedelta(days=1))
    app = typer.Typer()
    sessions.register(app)
    modes.register(app)
    revoked.register(app)
    approving.register(app)
    findings.register(app)
    control = Control(settings, metrics=Metrics(), port=0)
    control.start()
    body["control"]["url"] = control.url
    path.write_text(yaml.safe_dump(body), encoding="utf-8")

    def run(name: str, *args: str) -> Result:
        env = {"GUARDIAN_TOKEN": held[name], "COLUMNS": "200", "NO_COLOR": "1"}
        return CliRunner().invoke(app, [*args, "-c", str(path)], env=env)

    yield run
    control.stop()


def _said(result: Result, code: int = 0) -> str:
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


def _id(text: str) -> str:
    found = re.search(r'\(until 20\S+\): guardian approve (apr_\w+) --reason "why"', text)
    assert found is not None, text
    return found[1]


def _waiting(terminal: Terminal, session: str) -> str:
    _said(terminal("ann", "revoke", "acme", session, *WHY))
    return _id(_said(terminal("ann", "reinstate", "acme", session, *WHY), WAITS))


def test_one_asks_and_another_approves(terminal: Terminal) -> None:
    waiting = _waiting(terminal, "sess_1")
    assert waiting in _said(terminal("ben", "approvals", "--tenant", "acme"))
    refused = terminal("ann", "approve", waiting, *WHY)
    assert isinstance(refused.exception, ControlError)
    assert "is approved: reinstated at revision" in _said(terminal("ben", "approve", waiting, *WHY))
    late = terminal("cleo", "approve", waiting, *WHY)
    assert "decided already: approved by ben" in str(late.exception)
    assert waiting not in _said(terminal("ben", "approvals"))
    assert waiting in _said(terminal("ben", "approvals", "--state", "approved"))
    assert "sess_1 is active, as it was" in _said(terminal("ann", "reinstate", "acme", "sess_1", *WHY))


def test_what_waits_can_be_denied_or_withdrawn(terminal: Terminal) -> None:
    first, second = _waiting(terminal, "sess_2"), _waiting(terminal, "sess_3")
    assert f"{first} is denied" in _said(terminal("ben", "deny", first, *WHY))
    assert f"{second} is withdrawn" in _said(terminal("ann", "withdraw", second, *WHY))


def test_leaving_shadow_waits_and_going_back_does_not(terminal: Terminal) -> None:
    asked = _said(terminal("cleo", "mode", "acme", "canary", "--percent", "10", *WHY), WAITS)
    assert "acme: shadow (default)" in asked
    assert "canary_percent=10 mode=canary" in _said(terminal("ann", "approvals"))
    assert "the change of mode of acme waits for a second person" in asked
    assert _id(_said(terminal("ann", "mode", "acme"))) == _id(asked), "whoever looks sees what waits"
    assert "the mode is canary for 10 %" in _said(terminal("ben", "approve", _id(asked), *WHY))
    assert "acme: canary 10 %, set by cleo: looked at it" in _said(terminal("ann", "mode", "acme"))
    assert "acme: shadow, set by ben" in _said(terminal("ben", "mode", "acme", "shadow", *WHY))
    _said(terminal("cleo", "mode", "acme", "enforce", *WHY), WAITS)
    told = _said(terminal("ann", "approvals"))
    assert ("mode=enforce" in told, "canary_percent" in told) == (True, False), (
        "where there is no share, none is told"
    )


@pytest.mark.parametrize("more", [(), ("--json",)])
@pytest.mark.parametrize(
    ("args", "name"),
    [
        (("mode", "{}", "shadow", *WHY), "{}"),
        (("mode", "{}"), "{}"),
        (("breaker", "{}"), "{}"),
        (("break-glass", "{}", *WHY), "{}"),
        (("revoke", "{}", "agnet_7", "--subject", "agent", *WHY), "agent {}/agnet_7"),
        (("reinstate", "{}", "agnet_8", "--subject", "agent", *WHY), "agent {}/agnet_8"),
        (("revoke", "{}", "tok_1", "--subject", "jti", *WHY), "{}"),
    ],
)
def test_whoever_slips_in_a_name_is_told_that_control_had_not_heard_of_it(
    terminal: Terminal, args, name, more
) -> None:
    def told(tenant: str) -> str:
        done = terminal("ben", *(each.format(tenant) for each in args), *more)
        _said(done)
        if args[0] == "break-glass":
            grant = re.search(r"bgl_\w+", done.stdout)
            assert grant is not None
            _said(terminal("ben", "break-glass-end", grant[0]))
        return done.stderr

    said = f"control had not heard of {name.format('slip_1')}: no session"
    assert said in told("slip_1")
    assert ("control had not heard of" in told("t001")) == (name != "{}"), "of its agents it heard nothing"


def test_the_modes_of_all_tenants_are_listed(terminal: Terminal) -> None:
    _said(terminal("ben", "mode", "t120", "shadow", *WHY))
    lines = _said(terminal("ann", "mode")).splitlines()
    assert [line for line in lines if line.startswith("t12")] == [
        "t120: shadow, set by ben" if n == 120 else f"t{n}: shadow (default)" for n in range(120, 130)
    ]
    assert len([line for line in lines if line.startswith("t")]) == 130
    told = json.loads(_said(terminal("ann", "mode", "--json")))
    assert [each["set_by"] for each in told["items"] if each["tenant_id"] in ("t119", "t120")] == ["", "ben"]


def test_that_an_older_control_lists_only_some_tenants_is_said(terminal: Terminal, monkeypatch) -> None:
    known = EvidenceClient.tenants
    monkeypatch.setattr(
        EvidenceClient, "tenants", lambda api, cursor: known(api).model_copy(update={"next": None})
    )
    for options in ((), ("--json",)):
        listed = terminal("ann", "mode", *options)
        assert "these are not all" in listed.stderr
        assert "t001" in listed.stdout
    assert '"more": true' in listed.stdout
    monkeypatch.undo()
    assert "these are not all" not in terminal("ann", "mode").stderr


@pytest.mark.parametrize(
    "args",
    [
        ("mode", "acme", "canary", *WHY),
        ("mode", "acme", "enforce", "--percent", "5", *WHY),
        ("mode", "acme", "enforce"),
        ("mode", "acme", *WHY),
        ("mode", "acme", "--percent", "5"),
        ("breaker", "acme", "--reset"),
        ("breaker", "acme", *WHY),
        ("break-glass", *WHY),
        ("break-glass", "acme", "--minutes", "5"),
        ("break-glass", "acme", "--reason", " "),
    ],
)
def test_what_cannot_be_meant_is_refused_before_it_is_sent(terminal: Terminal, args: tuple[str, ...]) -> None:
    assert isinstance(terminal("cleo", *args).exception, ConfigurationError)


def test_in_an_emergency_one_reinstates_alone_and_ends_the_grant(terminal: Terminal) -> None:
    told = _said(terminal("ann", "break-glass", "globex", "--minutes", "5", *WHY))
    assert "ann acts alone in globex until 20" in told
    grant = re.search(r"bgl_\w+", told)
    assert grant is not None
    _said(terminal("ann", "revoke", "globex", "sess_1", *WHY))
    assert "sess_1 is active, revision" in _said(terminal("ann", "reinstate", "globex", "sess_1", *WHY))
    assert f"{grant[0]} of ann ended at" in _said(terminal("ann", "break-glass-end", grant[0]))
    assert "waits for a second person" in _said(_again(terminal), WAITS)
    too_long = terminal("ann", "break-glass", "globex", "--minutes", "61", *WHY)
    assert "at most 60" in str(too_long.exception)


def test_who_holds_a_grant_is_listed_with_the_id_that_ends_it(terminal: Terminal) -> None:
    assert "Nobody acts without a second person now" in _said(terminal("ben", "break-glass", "umbrella"))
    _said(terminal("ann", "break-glass", "umbrella", "--reason", "payroll\x1b[2J stands still"))
    (line,) = [each for each in _said(terminal("ben", "break-glass")).splitlines() if "umbrella" in each]
    grant, tenant, who = line.split()[:3]
    assert (tenant, who, "payroll‹U+001B›[2J stands still" in line) == ("umbrella", "ann", True)
    assert f"{grant} of ann ended at" in _said(terminal("ben", "break-glass-end", grant))
    assert grant not in _said(terminal("ben", "break-glass"))


def test_of_an_older_control_which_lists_all_only_those_who_hold_a_grant_are_shown(
    terminal: Terminal, monkeypatch
) -> None:
    def older(api, *, holding, **asked):
        return known(api, **asked)

    known = EvidenceClient.break_glass_grants
    _said(terminal("ann", "break-glass", "soylent", *WHY))
    grant = re.search(r"bgl_\w+", terminal("ben", "break-glass", "soylent").stdout)
    assert grant is not None
    monkeypatch.setattr(EvidenceClient, "break_glass_grants", older)
    assert grant[0] in _said(terminal("ben", "break-glass", "soylent"))
    _said(terminal("ann", "break-glass-end", grant[0]))
    assert grant[0] not in _said(terminal("ben", "break-glass", "soylent"))


def test_what_is_revoked_is_listed_by_tenant_kind_and_name(terminal: Terminal) -> None:
    evil = "agent_\u202e7"
    _said(terminal("ann", "revoke", "soylent", evil, "--subject", "agent", "--minutes", "60", *WHY))
    _said(terminal("ann", "revoke", "soylent", "sess_1", *WHY))
    lines = _said(terminal("ben", "revoked", "--tenant", "soylent")).splitlines()
    assert [line.split()[0] for line in lines] == ["kind", "session", "agent"]
    assert [line.split()[2] for line in lines] == ["name", "sess_1", "agent_‹U+202E›7"]
    assert all(" ann " in line and WHY[1] in line for line in lines[1:])
    only = _said(terminal("ben", "revoked", "--tenant", "soylent", "--subject", "agent"))
    assert ("agent_" in only, "sess_1" in only) == (True, False)
    assert _said(terminal("ben", "revoked", evil, "--json")).count('"subject_id"') == 1
    assert "Nothing of that is revoked" in _said(terminal("ben", "revoked", "nobody"))


def test_what_only_waits_is_not_done_for_a_shell(terminal: Terminal) -> None:
    _said(terminal("ann", "revoke", "acme", "sess_5", *WHY))
    assert terminal("ann", "reinstate", "acme", "sess_5", *WHY).exit_code == WAITS == 5
    assert "sess_5" in _said(terminal("ann", "revoked", "sess_5"))


def _again(terminal: Terminal) -> Result:
    _said(terminal("ann", "revoke", "globex", "sess_1", *WHY))
    return terminal("ann", "reinstate", "globex", "sess_1", *WHY)


def test_a_breaker_is_shown_and_reset(terminal: Terminal) -> None:
    assert "acme: closed (" in _said(terminal("ann", "breaker", "acme"))
    assert "acme: closed (" in _said(terminal("ben", "breaker", "acme", "--reset", *WHY))
    assert isinstance(terminal("ann", "breaker", "acme", "--reset", *WHY).exception, ControlError)


def test_hostile_text_does_not_reach_the_terminal(terminal: Terminal) -> None:
    evil = "sess_\u202e\u009b31mgood"
    _said(terminal("ann", "revoke", "acme", evil, *WHY))
    asked = _said(terminal("ann", "reinstate", "acme", evil, "--reason", "a\x1b[2J\nb"), WAITS)
    waiting = _id(asked)
    for text in (asked, _said(terminal("ben", "approvals")), _said(terminal("ben", "deny", waiting, *WHY))):
        assert not set(text) & {"\x1b", "\u202e", "\u009b"}
    (shown,) = [
        line for line in _said(terminal("ben", "approvals", "--state", "all")).splitlines() if waiting in line
    ]
    assert "sess_‹U+202E›‹U+009B›31mgood" in shown
    assert "a‹U+001B›[2J b" in shown


def test_programs_get_json_everywhere(terminal: Terminal) -> None:
    def read(name: str, *args: str, code: int = 0) -> dict:
        said = _said(terminal(name, *args, "--json"), code)
        begun = re.search(
            r"^\{", said, re.MULTILINE
        )  # a thread of the server in this process may have logged before
        assert begun is not None, said
        return json.JSONDecoder().raw_decode(said, begun.start())[0]

    assert read("ann", "revoke", "acme", "sess_9", *WHY)["changed"] is True
    asked = read("ann", "reinstate", "acme", "sess_9", *WHY, code=WAITS)
    assert read("ben", "approvals", "--state", "pending")["items"][0] == asked["approval"] | {"digest": None}
    assert read("ben", "approve", asked["approval"]["id"], *WHY)["state"] == "approved"
    assert read("ann", "mode", "initech")["mode"] == "shadow"
    assert read("ben", "protect", "acme", "sess_9", *WHY)["session"]["protected"] is True
    assert read("cleo", "mode", "hooli", "enforce", *WHY, code=WAITS)["approval"]["state"] == "pending"
    assert read("cleo", "mode", "hooli")["approval"]["state"] == "pending", "who only looks asks for nothing"
    grant = read("ann", "break-glass", "initech", *WHY)
    assert grant.pop("unheard") is True
    assert read("ben", "break-glass", "initech")["items"] == [grant]
    assert read("ben", "revoke", "acme", "agent_9", "--subject", "agent", *WHY)["revoked"] is True
    assert [each["subject_id"] for each in read("ann", "revoked", "agent_9")["items"]] == ["agent_9"]
    assert read("ann", "break-glass-end", grant["id"])["ended_by"] == "ann"
    assert read("ann", "breaker", "initech")["open"] is False
