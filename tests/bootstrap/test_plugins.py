"""A name in the configuration is a module of a room; a wrong one is refused with the right ones."""

import importlib
import pkgutil
import re
from dataclasses import dataclass
from pathlib import Path
from threading import Condition

import pytest

from guardian.bootstrap import plugins
from guardian.errors import ConfigurationError
from guardian.sources.guardian import GuardianDecisions

ROOMS = ["signals", "sources", "embedding", "policy", "alerting", "revocation", "tightening"]


@pytest.mark.parametrize("room", ROOMS)
def test_the_listing_is_every_module_that_exports_a_plugin(room: str) -> None:
    package = importlib.import_module(f"guardian.{room}")
    found = set(plugins.names(room))
    assert found
    for module in pkgutil.iter_modules(package.__path__):
        if module.ispkg:
            assert module.name not in found
            continue
        source = Path(package.__path__[0], f"{module.name}.py").read_text(encoding="utf-8")
        assert (module.name in found) == ("\nplugin" in source), module.name


def test_a_room_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every judge asks a dozen times, and each look reads the whole folder."""
    found = plugins.names("signals")
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("read again"))
    assert plugins.names("signals") == found


@pytest.mark.parametrize("name", plugins.names("signals"))
def test_a_signal_is_made_by_its_name(name: str) -> None:
    assert plugins.make("signals", name, {}).name == name


@pytest.mark.parametrize("name", ["purpose_fitt", "", "port", "words", "../os", "os", "__init__"])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        plugins.make("signals", name, {})
    said = str(refused.value)
    assert f"unknown signals {name!r}" in said
    assert all(known in said for known in plugins.names("signals"))


@pytest.mark.parametrize(
    ("room", "setting"),
    [
        ("embedding", "model.engine"),
        ("sources", "source.format"),
        ("policy", "policy.language"),
        ("tightening", "tightening.backends"),
    ],
)
def test_an_unknown_name_is_refused_by_the_setting_that_gives_it(room: str, setting: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^unknown {re.escape(setting)} 'nosuch'; known ones: "):
        plugins.make(room, "nosuch", {})


def test_the_name_for_every_log_format_is_a_known_one() -> None:
    with pytest.raises(ConfigurationError, match=r"known ones: .*\bauto\b"):
        plugins.make("sources", "authzn", {})


def test_options_are_the_fields_of_what_is_made() -> None:
    assert plugins.make("sources", "guardian", {"max_bytes": 10}) == GuardianDecisions(max_bytes=10)


def test_a_list_in_the_configuration_becomes_a_tuple_however_deep() -> None:
    made = plugins.make("signals", "envelope_breach", {"summed": ["max_records"]})
    assert made.summed == ("max_records",)
    assert plugins._tupled([1, [2, [3]], {"a": [4]}]) == (1, (2, (3,)), {"a": [4]})


def test_an_unknown_option_is_refused_with_the_options_there_are() -> None:
    with pytest.raises(ConfigurationError) as refused:
        plugins.make("sources", "guardian", {"max_byte": 10})
    said = str(refused.value)
    assert "unknown option 'max_byte' of source.format 'guardian'" in said
    assert "its options: max_bytes, max_depth" in said


def test_what_the_composition_root_gives_is_no_option() -> None:
    with pytest.raises(ConfigurationError, match="unknown option 'max_bytes'") as refused:
        plugins.make("sources", "guardian", {"max_bytes": 10}, max_bytes=20)
    assert "its options: max_depth" in str(refused.value)
    assert plugins.make("sources", "guardian", {}, max_bytes=20).max_bytes == 20


def test_a_plugin_without_options_says_so() -> None:
    with pytest.raises(ConfigurationError, match="its options: none"):
        plugins.make("embedding", "lexical", {"threads": 2})


@pytest.mark.parametrize("options", [{"window": "many"}, {"window": None}, {"window": 0}, {"scale": -1}])
def test_an_impossible_option_names_its_plugin(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="denial_pressure"):
        plugins.make("signals", "denial_pressure", options)


@pytest.mark.parametrize(
    ("room", "section", "name", "option"),
    [("alerting", "alerts", "jsonl", "path"), ("policy", "policy.language", "opa", "url")],
)
def test_an_option_that_is_needed_is_asked_for_by_name(room: str, section: str, name: str, option: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{section} {name!r} needs the option {option!r}"):
        plugins.make(room, name, {})


@pytest.mark.parametrize(("library", "extra"), [("torch", "train"), ("onnx", "train")])
def test_a_library_that_is_not_installed_is_named_with_its_extra(library: str, extra: str) -> None:
    with (
        pytest.raises(
            ConfigurationError, match=rf"engine 'x' needs {library}.*pip install 'intent-guardian\[{extra}\]'"
        ),
        plugins.extras_named("engine 'x'"),
    ):
        raise ModuleNotFoundError(f"No module named {library!r}", name=library)


def test_a_module_of_our_own_that_is_missing_stays_a_fault() -> None:
    with pytest.raises(ModuleNotFoundError), plugins.extras_named("engine 'x'"):
        raise ModuleNotFoundError("No module named 'guardian.x'", name="guardian.x")


def test_a_number_is_one_also_where_a_variable_spells_it_as_text() -> None:
    told = {"channel": "C0SECURITY", "timeout": "20", "storm": "5"}
    made = plugins.make("alerting", "slack", told, token="xoxb-1")
    assert (made.timeout, made.storm) == (20, 5)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("kafka_topic", {"topic": None}, "revocation.faces 'kafka_topic': topic: "),
        ("webhook", {"url": 5, "secret_file": "s"}, "alerts 'webhook': url: "),
        ("slack", {"channel": "C0SECURITY", "base_url": 5}, "alerts 'slack': base_url: "),
        (
            "email",
            {"host": "mail.example", "sender": {}, "recipients": ["a@b.example"]},
            "alerts 'email': sender: ",
        ),
        (
            "slack",
            {"channel": "C0SECURITY", "timeout": float("nan")},
            "alerts.slack.timeout must be 1 to 120 seconds",
        ),
        (
            "webhook",
            {"url": "https://hooks.example", "secret_file": "s", "timeout_s": float("inf")},
            "alerts.webhook.timeout_s must be 0.1 to 120 seconds",
        ),
        (
            "webhook",
            {"url": "https://hooks.example", "secret_file": "s", "timeout_s": "nan"},
            "alerts 'webhook': timeout_s: ",
        ),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_words_whatever_the_plugin_makes_of_it(
    name, options, said
) -> None:
    room = next(each for each in (*ROOMS, "revocation") if name in plugins.names(each))
    given = {"token": "xoxb-1"} if name == "slack" else {}
    with pytest.raises(ConfigurationError) as refused:
        plugins.make(room, name, options, **given)
    assert str(refused.value).startswith(said)


def test_parts_of_a_second_are_a_time_to_wait_for_slack() -> None:
    made = plugins.make("alerting", "slack", {"channel": "C0SECURITY", "timeout": 2.5}, token="xoxb-1")
    assert made.timeout == 2.5


@pytest.mark.parametrize(("spelt", "meant"), [("true", True), ("false", False)])
def test_yes_and_no_are_taken_as_a_variable_spells_them(spelt: str, meant: bool) -> None:
    told = {"url": "http://pdp.example:8181", "plain_http": spelt}
    if meant:
        assert plugins.make("policy", "opa", told, clock=lambda: 0.0, new_id=str).plain_http is True
    else:
        with pytest.raises(ConfigurationError, match="plain_http"):
            plugins.make("policy", "opa", told, clock=lambda: 0.0, new_id=str)


@dataclass(frozen=True)
class Foreign:
    """Of somebody else's: its types are known to nobody here."""

    engine: "NowhereToBeFound" = None  # type: ignore[name-defined]  # noqa: F821
    size: int = 1


@dataclass(frozen=True)
class Opaque:
    lock: Condition | None = None
    size: int = 1


@pytest.mark.parametrize(("plugin", "option"), [(Foreign, "engine"), (Opaque, "lock")])
def test_an_option_of_a_type_that_cannot_be_told_is_left_to_the_plugin(monkeypatch, plugin, option) -> None:
    monkeypatch.setattr(plugins, "find", lambda room, name: plugin)
    assert plugins.make("signals", "theirs", {option: "x", "size": 2}) == plugin(**{option: "x"}, size=2)


@pytest.mark.parametrize(
    ("kinds", "said"),
    [("server", "kinds: takes a list"), (["sever"], "kinds.0: .*'internal', 'server' or 'client'")],
)
def test_words_that_an_option_does_not_know_are_refused_with_those_it_does(kinds, said) -> None:
    with pytest.raises(ConfigurationError, match=f"source.format 'otel': {said}"):
        plugins.make("sources", "otel", {"kinds": kinds})
    assert plugins.make("sources", "otel", {"kinds": ["server"]}).kinds == ("server",)


def test_a_plugin_that_breaks_on_sound_options_stays_a_fault(monkeypatch) -> None:
    class Broken:
        def __init__(self) -> None:
            raise KeyError("a bug")

    monkeypatch.setattr(plugins, "find", lambda room, name: Broken)
    with pytest.raises(KeyError):
        plugins.make("signals", "broken", {})
