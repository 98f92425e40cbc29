"""Operations of two made-up services, as apis.py finds them in the packages."""

import pytest

from guardian.training.apis import Operation, Parameter

THINGS = ("report", "budget", "meeting", "contact", "backup", "policy", "shipment", "survey")
DEEDS = {"list": "Lists the", "get": "Gets a", "update": "Updates the given", "delete": "Deletes the specified"}


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
