"""Operations of public APIs, read from the packages that carry them; nothing of those packages is imported."""

import gzip
import json
import sys
from pathlib import Path

import pytest

from guardian.errors import ModelError
from guardian.training import apis
from guardian.training.apis import PACKAGES, Operation, first_sentence, operations, versions


@pytest.fixture(scope="module")
def known() -> list[Operation]:
    return operations()


@pytest.mark.slow
def test_the_packages_hold_tens_of_thousands_of_operations(known: list[Operation]) -> None:
    assert len(known) > 20_000
    found = {(o.service, o.path, o.verb): o for o in known}
    send = found["ggmail", ("messages",), "send"]
    assert send.said.startswith("Sends the specified message")
    bucket = found["as3", ("Bucket",), "Delete"]
    assert "Bucket" in {parameter.name for parameter in bucket.parameters}
    assert set(versions()) == set(PACKAGES)
    assert not {"botocore", "googleapiclient"} & set(sys.modules)


def test_what_they_say_is_one_plain_sentence(known: list[Operation]) -> None:
    for operation in known:
        assert 15 <= len(operation.said) <= 220
        assert "<p>" not in operation.said
        assert "\n" not in operation.said
        assert len(operation.parameters) <= apis.MOST_PARAMETERS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<p>Deletes the <a>Bucket</a>. All objects must be gone.</p>", "Deletes the Bucket"),
        ("Deprecated: Gets the [list of `x`](https://x.example). More.", "Gets the list of x"),
        ("Short. And then a longer one. The end", "Short. And then a longer one"),
        ("", ""),
        ("x" * 500, "x" * 200),
    ],
)
def test_a_description_is_cut_to_its_first_sentence(text: str, said: str) -> None:
    assert first_sentence(text) == said


def test_the_newest_released_version_of_an_api_is_read(tmp_path: Path) -> None:
    google = tmp_path / "googleapiclient" / "discovery_cache" / "documents"
    amazon = tmp_path / "botocore" / "data"
    for version, said in (("v1", "old"), ("v2", "new"), ("v3beta", "unfinished")):
        google.mkdir(parents=True, exist_ok=True)
        method = {
            "description": f"Gets the {said} note.",
            "parameters": {"id": {"type": "string", "required": True}},
        }
        document = {"name": "notes", "version": version, "resources": {"notes": {"methods": {"get": method}}}}
        (google / f"notes.{version}.json").write_text(json.dumps(document))
    for version in ("2020-01-01", "2024-01-01"):
        (amazon / "shop" / version).mkdir(parents=True)
        about = {"documentation": f"<p>Lists orders of {version}.</p>", "input": {"shape": "In"}}
        shapes = {
            "In": {"members": {"Max": {"shape": "Long"}, "Tags": {"shape": "List"}}, "required": ["Max", "Tags"]},
            "Long": {"type": "long"},
            "List": {"type": "list"},
        }
        model = {"metadata": {"serviceId": "Shop"}, "operations": {"ListOrders": about}, "shapes": shapes}
        (amazon / "shop" / version / "service-2.json.gz").write_bytes(gzip.compress(json.dumps(model).encode()))
    note, order = operations([tmp_path, tmp_path])
    assert note == Operation(
        "gnotes", "notes", ("notes",), "get", "Gets the new note", (apis.Parameter("id", "string"),)
    )
    assert order == Operation(
        "ashop", "Shop", ("Orders",), "List", "Lists orders of 2024-01-01", (apis.Parameter("Max", "integer"),)
    )


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apis, "PACKAGES", ("no-such-package-at-all", "botocore"))
    with pytest.raises(ModelError, match=r"no-such-package-at-all holds: pip install"):
        operations()
    with pytest.raises(ModelError, match=r"no-such-package-at-all holds: pip install"):
        versions()
