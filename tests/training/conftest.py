"""Operations of two made-up services, as apis.py finds them in the packages; and torch kept to one thread."""

from collections.abc import Iterator

import pytest

from guardian.training.apis import Operation, Parameter

THINGS = ("report", "budget", "meeting", "contact", "backup", "policy", "shipment", "survey")
DEEDS = {"list": "Lists the", "get": "Gets a", "update": "Updates the given", "delete": "Deletes the specified"}


@pytest.fixture(scope="package")
def one_thread() -> Iterator[None]:
    """Models of one layer are too small to share out: threads would mostly wait for each other. Where what trains
    them is not installed, the test is skipped."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("onnx")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def made_operations() -> list[Operation]:
    return [
        Operation(
            service,
            f"{service.title()} API",
            (f"{thing}s",),
            verb,
            f"{said} {thing} of the {service}",
            (Parameter("name", "string"), Parameter("pageSize", "integer"), Parameter("ownerEmail", "string")),
        )
        for service in ("office", "factory")
        for thing in THINGS
        for verb, said in DEEDS.items()
    ]
