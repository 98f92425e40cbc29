"""What holds for every channel of the folder, the ones added later too."""

import base64
import dataclasses
import importlib
import pkgutil

import pytest

import guardian.alerting
from guardian.domain.finding import Effect
from guardian.wire.findings import AlertOutcome

MODULES = [
    importlib.import_module(f"guardian.alerting.{m.name}")
    for m in pkgutil.iter_modules(guardian.alerting.__path__)
]
PLUGINS = [module for module in MODULES if hasattr(module, "plugin")]


@pytest.fixture
def options(slack, tmp_path, receiver, mailbox, time) -> dict[str, dict[str, object]]:
    time.broker.create_topic("siem")
    (tmp_path / "secret").write_text("whsec_" + base64.b64encode(b"k" * 32).decode())
    (tmp_path / "secret").chmod(0o600)
    return {
        "webhook": {"url": receiver.url, "secret_file": str(tmp_path / "secret")},
        "ocsf_http": {"url": receiver.url},
        "ocsf_kafka": {"topic": "siem"},
        "email": {
            "host": "127.0.0.1",
            "port": mailbox.port,
            "tls": "none",
            "sender": "guardian@acme.example",
            "recipients": ("soc@acme.example",),
        },
        "slack": {"channel": "C0SECURITY", "token": "xoxb-test-1", "base_url": slack.url},
        "jsonl": {"path": str(tmp_path / "alerts.jsonl")},
    }


@pytest.fixture(params=PLUGINS, ids=lambda module: module.__name__.rsplit(".", 1)[-1])
def opened(request, options, time):
    name = request.param.__name__.rsplit(".", 1)[-1]
    try:
        plugin = request.param.plugin(**options.get(name, {}))
    except TypeError as error:
        pytest.fail(f"{error}: give it in `options` of {__file__}")
    return name, plugin.open(time.given)


def test_the_folder_has_channels() -> None:
    assert PLUGINS


@pytest.mark.parametrize("module", PLUGINS, ids=lambda module: module.__name__)
def test_its_options_are_the_fields_of_a_frozen_dataclass(module) -> None:
    assert dataclasses.is_dataclass(module.plugin)
    assert module.plugin.__dataclass_params__.frozen


def test_a_channel_is_named_as_its_module(opened) -> None:
    name, channel = opened
    assert channel.name == name


def test_an_alert_is_found_after_its_delivery_and_not_before(opened, make_alert) -> None:
    _, channel = opened
    assert channel.find(make_alert(1)) is None
    reference = channel.deliver(make_alert(1))
    assert reference
    assert channel.find(make_alert(1)) == reference
    assert channel.find(make_alert(2)) is None


def test_what_a_person_decided_on_the_same_finding_is_another_alert(opened, make_alert) -> None:
    _, channel = opened
    flagged = make_alert(outcome=AlertOutcome(effect=Effect.FLAG, allowed=False))
    first = channel.deliver(flagged)
    assert channel.find(make_alert()) is None, "that it was revoked is not told yet"
    second = channel.deliver(make_alert())
    assert first != second
    assert (channel.find(flagged), channel.find(make_alert())) == (first, second)


def test_a_hostile_alert_is_delivered_as_any_other(opened, make_alert) -> None:
    _, channel = opened
    act = make_alert().finding.act.model_copy(update={"tool": "<!here>\u202e" * 500, "arguments": "\x00`*" * 600})
    alert = make_alert(title="</pre>\n" * 40, act=act, features_missing=("\ud800",) * 50)
    assert channel.deliver(alert)
    assert channel.find(alert)
