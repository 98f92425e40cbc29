"""Samples and readers, by the names of the formats."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guardian.bootstrap import plugins
from guardian.bootstrap.sources import formats_of
from guardian.domain.event import DecisionEvent
from guardian.domain.record import Record
from guardian.errors import DecodeError
from guardian.sources.completing import Completion
from guardian.sources.port import Told
from guardian.sources.reading import Reader

SAMPLES = Path(__file__).parent / "samples"
HOME = Completion(gateway=None, tenant="tenant_home")


def samples_of(name: str) -> list[bytes]:
    """The lines of a format's sample file, facts from its documentation."""
    return (SAMPLES / f"{name}.jsonl").read_bytes().splitlines()


def reader_of(name: str, completion: Completion = HOME, **options: Any) -> Reader:
    return Reader(formats_of(name, options), completion, wrapped=name == "cloudevents")


def read(reader: Any, value: bytes | dict[str, Any] | list[Any], **more: Any) -> list[Told | DecodeError]:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return list(reader.read(Record(**{"topic": "t", "partition": 0, "offset": 0, "value": raw, **more})))


def events(found: list[Told | DecodeError]) -> list[DecisionEvent]:
    """The events of what was read; a refusal fails the test with its reason."""
    assert not [str(each) for each in found if isinstance(each, DecodeError)]
    return [each.event for each in found if isinstance(each, Told)]


@pytest.fixture(scope="session")
def names() -> tuple[str, ...]:
    return plugins.names("sources")


@pytest.fixture(scope="session")
def samples() -> Callable[[str], list[bytes]]:
    return samples_of


@pytest.fixture(scope="session")
def make_reader() -> Callable[..., Reader]:
    return reader_of


@pytest.fixture(scope="session")
def told() -> Callable[..., list[Told | DecodeError]]:
    return read


@pytest.fixture(scope="session")
def decisions() -> Callable[..., list[DecisionEvent]]:
    return lambda reader, value, **more: events(read(reader, value, **more))
