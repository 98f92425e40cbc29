"""Where archives and control's word come from."""

import stat
import subprocess
import sys
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import yaml

from guardian.analysis import controlled, open_archive, open_control, open_sources, proposing
from guardian.bootstrap.control import Control
from guardian.commands import tokens
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.domain.restriction import Restriction, Scope, Support
from guardian.domain.rules import ForbidTool
from guardian.errors import ConfigurationError, ControlError
from guardian.telemetry import Metrics
from guardian.tightening.backtest import Backtest
from guardian.tightening.proposal import Proposal
from guardian.tightening.redacted import SHAPED
from guardian.tightening.rejections import reject
from guardian.tightening.surface import Surface
from guardian.wire.client import ControlClient
from guardian.wire.findings import FindingPage, ListedFinding


def test_a_folder_a_file_address_and_a_configuration_are_the_same_archive(sample_root, tmp_path):
    config = initialise(tmp_path / "home")
    body = yaml.safe_load(config.read_text(encoding="utf-8"))
    body["archive"]["path"] = str(sample_root)
    config.write_text(yaml.safe_dump(body), encoding="utf-8")
    places = (sample_root, str(sample_root), sample_root.as_uri(), config, str(config))
    assert {len(open_archive(place, tenant="*").days) for place in places} == {30}


@pytest.mark.parametrize("place", ["s3://bucket/archive", "https://example.com/a", "file://elsewhere/a"])
def test_other_addresses_are_refused_with_the_way_out(place):
    with pytest.raises(ConfigurationError, match="give a folder"):
        open_archive(place, tenant="*")


def test_a_folder_without_an_archive_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="no archive here"):
        open_archive(tmp_path, tenant="*")


def never():
    raise AssertionError("the environment names an archive")


def test_the_environment_names_archive_and_tenant(sample_root, monkeypatch):
    monkeypatch.setenv("GUARDIAN_ARCHIVE", str(sample_root))
    monkeypatch.setenv("GUARDIAN_TENANT", "tenant_acme")
    archive, control = open_sources(never)
    assert archive.tenants == ["tenant_acme"]
    assert {view.finding.tenant_id for view in control.views} == {"tenant_acme"}


def test_the_thresholds_are_those_of_the_configuration_where_one_is_known(lay, monkeypatch, tmp_path):
    root, config = lay(), tmp_path / "home" / "guardian.yaml"
    config.parent.mkdir()
    config.write_text("archive: {path: ..}\nresponse: {flag_one_in: 100, revoke_one_in: 5000}\n", encoding="utf-8")
    assert open_archive(root, tenant="*").asks_at is None
    assert open_archive(config, tenant="*").asks_at == (100, 5000)
    assert open_archive(config, tenant="*").only("acme").asks_at == (100, 5000)
    monkeypatch.setenv("GUARDIAN_ARCHIVE", str(root))
    assert open_sources(never)[0].asks_at is None
    monkeypatch.setenv("GUARDIAN_RESPONSE__REVOKE_ONE_IN", "50000")
    assert open_sources(never)[0].asks_at == (1000, 50_000)
    monkeypatch.delenv("GUARDIAN_ARCHIVE")
    assert open_sources(lambda: root)[0].asks_at is None, "which judged the sample"
    monkeypatch.delenv("GUARDIAN_RESPONSE__REVOKE_ONE_IN")
    monkeypatch.setenv("GUARDIAN_CONFIG", str(config))
    assert open_sources(never)[0].asks_at == (100, 5000)


def test_what_people_rejected_is_not_proposed_where_a_configuration_says_what_that_is(
    sample_root, monkeypatch, tmp_path
):
    config = tmp_path / "guardian.yaml"
    config.write_text(yaml.safe_dump({"archive": {"path": str(sample_root)}}), encoding="utf-8")
    monkeypatch.setenv("GUARDIAN_CONFIG", str(config))
    opened, (named, _) = open_archive(config, tenant="*"), open_sources(never)
    proposed = proposing.propose(opened, "tenant_acme").restrictions
    reject(tmp_path / "tightening-rejections.yaml", proposed[0], reason="needed", owner="maya")
    for archive in (opened, named):
        assert proposing.propose(archive, "tenant_acme").restrictions == proposed[1:]
    assert proposing.propose(open_archive(sample_root, tenant="*"), "tenant_acme").restrictions == proposed


def test_what_was_redacted_to_its_shape_is_marked_for_proposals_as_the_command_does_it(lay, monkeypatch, tmp_path):
    root, config = lay(arguments='{"note": "XX-9999", "id": "c1"}'), tmp_path / "home" / "guardian.yaml"
    config.parent.mkdir()
    told = "archive: {path: ..}\nsource: {redact: {action.arguments.note: shape}}\n"
    config.write_text(told, encoding="utf-8")

    def mined(archive):
        begin = archive.days[0].to_pydatetime()
        [call] = archive.past_calls(since=begin, until=begin + timedelta(days=1))
        return call.arguments

    assert mined(open_archive(config, tenant="*").only("acme")) == {"note": SHAPED, "id": "c1"}
    monkeypatch.setenv("GUARDIAN_CONFIG", str(config))
    assert mined(open_sources(never)[0]) == {"note": SHAPED, "id": "c1"}
    config.write_text(told.replace("archive: {path: ..}\n", ""), encoding="utf-8")
    assert mined(open_sources(lambda: root)[0]) == {"note": "XX-9999", "id": "c1"}, "the sample is nobody's"


def test_what_a_merged_proposal_refused_is_no_proof_in_a_notebook_that_it_costs_nothing(lay):
    begin = datetime(2026, 5, 12, 12, tzinfo=UTC)
    for day in range(3):
        done = {"tool": "mail.send", "effect": "deny" if day else "allow"}
        root = lay(at=begin + timedelta(days=day), session_id=f"s{day}", **done)
    support = Support(
        sessions=9, actions=9, days=9, last_use=None, denied_at_most=0.1, held_out=3, held_out_broken=0
    )
    cut = Restriction(Scope("acme", "read files", "agent_a"), ForbidTool("mail.send"), "never used", support)
    window = {"since": begin, "until": begin + timedelta(days=2), "made_at": begin}
    told = {"restrictions": (cut,), "grants": {}, "backtest": Backtest(), "surface": Surface()}
    tested = proposing.replay(
        open_archive(root, tenant="acme"), Proposal(tenant_id="acme", **window, **told), since=begin
    )
    assert (tested.honest_denied, tested.already_denied, tested.refused_alike) == (1, 2, 1)
    assert proposing.counts(tested)["honest calls refused as it refuses them: its cost, if it is merged"] == 1
    assert len(proposing.counts(Backtest())) == 6


def test_a_folder_in_the_variable_leaves_the_rest_of_the_section_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("GUARDIAN_ARCHIVE", str(tmp_path))
    settings = load(None, overrides={"archive": {"path": "elsewhere", "keep_days": 9}})
    assert (settings.archive.path, settings.archive.keep_days) == (tmp_path, 9)
    monkeypatch.setenv("GUARDIAN_ARCHIVE", '{"keep_days": 8}')
    settings = load(None, overrides={"archive": {"path": "elsewhere"}})
    assert (str(settings.archive.path), settings.archive.keep_days) == ("elsewhere", 8)


def test_without_a_name_the_other_archive_is_opened(sample_root):
    archive, control = open_sources(lambda: sample_root)
    assert len(archive.tenants) == 3
    assert control


def test_an_archive_without_control_is_read_alone(lay, monkeypatch):
    monkeypatch.setenv("GUARDIAN_ARCHIVE", str(lay()))
    assert not open_sources(never)[1]
    monkeypatch.setenv("GUARDIAN_TOKEN", "not-a-token")
    monkeypatch.setenv("GUARDIAN_CONTROL__URL", "http://127.0.0.1:9")
    with pytest.raises(ControlError, match="cannot be reached"):
        open_sources(never)


def test_with_a_token_control_is_asked_and_no_export_beside_the_archive(sample_root, monkeypatch):
    monkeypatch.setenv("GUARDIAN_TOKEN", "not-a-token")
    monkeypatch.setenv("GUARDIAN_CONTROL__URL", "http://127.0.0.1:9")
    assert open_sources(lambda: sample_root)[1], "the sample brings its own, and no control knows of it"
    monkeypatch.setenv("GUARDIAN_ARCHIVE", str(sample_root))
    with pytest.raises(ControlError, match="cannot be reached"):
        open_sources(never)


def test_control_wants_a_token():
    with pytest.raises(ConfigurationError, match="guardian token issue NAME --role analyst"):
        open_control("http://127.0.0.1:9", tenant="*")


def _listed(views):
    return tuple(ListedFinding(**dict(view)) for view in views)


def test_control_is_asked_page_by_page_and_for_the_one_tenant_only(control, monkeypatch):
    views = list(reversed(control.views))
    asked = []

    def answer(request):
        query = dict(request.url.params)
        asked.append(query)
        assert request.headers["authorization"] == "Bearer secret"
        at = int(query.get("cursor", 0))
        mine = [view for view in views if view.finding.tenant_id == query.get("tenant_id", view.finding.tenant_id)]
        more = str(at + 4) if at + 4 < len(mine) else None
        return httpx.Response(200, text=FindingPage(items=_listed(mine[at : at + 4]), next=more).model_dump_json())

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(
        controlled, "ControlClient", lambda url, token, **_: ControlClient(url, token, transport=transport)
    )
    everything = open_control("http://control.example", tenant="*", token="secret")
    assert everything == control
    assert len(asked) == -(-len(views) // 4)
    assert "tenant_id" not in asked[0]
    mine = open_control("http://control.example", tenant="tenant_initech", token="secret")
    assert asked[-1]["tenant_id"] == "tenant_initech"
    assert {view.finding.tenant_id for view in mine.views} == {"tenant_initech"}


def test_each_tenants_newest_are_asked_for_whatever_others_have_and_where_some_are_missing_that_is_told(
    control, monkeypatch, tmp_path
):
    """Also by an export that is made of it, and by one of that. A finding that came late, when its monitor reached
    control again, does not hide that younger ones are missing."""
    first, noon = control.views[0], datetime(2026, 5, 12, 12, tzinfo=UTC)
    made = [("c", 0, 0), ("b", 1, 0), ("a", 2, 0), ("a", 3, 2), ("a", 4, 0), ("a", 5, 0)]
    views = [
        first.model_copy(
            update={
                "finding": first.finding.model_copy(
                    update={"id": f"fnd_{n}", "tenant_id": tenant, "time": noon + timedelta(days=n - late)}
                ),
                "outcome": first.outcome.model_copy(update={"at": noon + timedelta(days=n)}),
            }
        )
        for tenant, n, late in made
    ]

    def answer(request):
        query = dict(request.url.params)
        mine = [
            each
            for each in reversed(views)
            if each.finding.tenant_id == query.get("tenant_id", each.finding.tenant_id)
        ]
        return httpx.Response(200, text=FindingPage(items=_listed(mine)).model_dump_json())

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(
        controlled, "ControlClient", lambda url, token, **_: ControlClient(url, token, transport=transport)
    )
    monkeypatch.setattr(controlled, "MOST", 3)

    def opened(tenant, place="http://control.example"):
        return [view.finding.id for view in open_control(place, tenant=tenant, token="secret").views]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(("b", "c")) == ["fnd_0", "fnd_1"]
    for tenant in ("a", ("a", "b"), "*"):
        with pytest.warns(UserWarning, match="before 2026-05-14 12:00 UTC some are missing") as told:
            found = opened(tenant)
        assert found == (["fnd_1"] if "b" in tenant else []) + ["fnd_3", "fnd_4", "fnd_5"]
        assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="some are missing"):
        open_control("http://control.example", tenant="*", token="secret").save(tmp_path / "one")
    with pytest.warns(UserWarning, match="before 2026-05-14 12:00 UTC some are missing"):
        open_control(tmp_path / "one", tenant="a").save(tmp_path / "two")
    with pytest.warns(UserWarning, match="some are missing"):
        assert opened("*", tmp_path / "two") == ["fnd_3", "fnd_4", "fnd_5"]


def test_what_control_said_can_be_saved_for_its_owner_alone_and_read_again(control, tmp_path):
    path = control.save(tmp_path / "control")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_control(tmp_path / "control", tenant="*") == control
    replace(control, views=()).save(tmp_path)
    assert open_control(tmp_path, tenant="*").views == ()


def test_what_agents_wrote_ends_no_line_of_an_export(control, tmp_path):
    first = control.views[0]
    odd = first.finding.model_copy(update={"title": "pay\u2028now\x85and\u2029then"})
    told = replace(control, views=(first.model_copy(update={"finding": odd}), *control.views[1:]))
    told.save(tmp_path)
    assert open_control(tmp_path, tenant="*") == told


def test_an_export_that_is_none_is_told_with_its_line(tmp_path):
    with pytest.raises(ConfigurationError, match="no export of control here"):
        open_control(tmp_path, tenant="*")
    (tmp_path / "findings.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="line 1 is no finding"):
        open_control(tmp_path, tenant="*")
    (tmp_path / "findings.jsonl").write_bytes(b"\xff\n")
    with pytest.raises(ConfigurationError, match="line 1 is no finding"):
        open_control(tmp_path, tenant="*")


def test_without_the_extra_the_import_says_how_to_install_it():
    code = "import sys; sys.modules['pandas'] = None; import guardian.analysis"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pandas, which is not installed: pip install 'intent-guardian[notebooks]'" in done.stderr


@pytest.mark.slow
def test_an_analyst_reads_findings_of_her_tenant_from_a_real_control(control, tmp_path):
    initialise(tmp_path / "home")
    settings = load(tmp_path / "home" / "guardian.yaml")
    server = Control(settings, metrics=Metrics(), port=0)
    server.start()
    try:
        monitor, analyst = (
            tokens.issue(settings, name, role=name, tenants={"tenant_acme"}, ttl=timedelta(hours=1)).text
            for name in ("monitor", "analyst")
        )
        mine = [view.finding for view in control.views if view.finding.tenant_id == "tenant_acme"]
        with ControlClient(server.url, lambda: monitor) as client:
            for finding in mine[:3]:
                client.submit(finding)
        read = open_control(server.url, tenant="*", token=analyst)
    finally:
        server.stop()
    assert {view.finding.id for view in read.views} == {finding.id for finding in mine[:3]}
    assert {view.outcome.mode for view in read.views} == {"shadow"}
