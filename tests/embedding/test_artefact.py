"""A model directory is what its manifest says, or it does not load."""

import json
from pathlib import Path

import pytest

from guardian.embedding.artefact import (
    HELD,
    MANIFEST,
    REQUIRED,
    is_artefact,
    list_file,
    open_artefact,
    read_about,
    write_manifest,
)
from guardian.embedding.fusion import FEATURES, Fusion, load_fusion, save_fusion
from guardian.errors import ModelError


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "fusion.json").write_bytes(b"weights")
    (tmp_path / "card.md").write_text("words")
    write_manifest(tmp_path, seed=7)
    return tmp_path


def edit(directory: Path, **changes: object) -> None:
    about = json.loads((directory / MANIFEST).read_text())
    (directory / MANIFEST).write_text(json.dumps(about | changes))


def test_an_untouched_directory_opens_with_a_version_and_its_facts(directory: Path) -> None:
    artefact = open_artefact(directory, required=("fusion.json",))
    assert len(artefact.version) == 12
    assert artefact.about["seed"] == 7
    assert artefact.path("fusion.json").read_bytes() == b"weights"


@pytest.mark.parametrize("name", [*REQUIRED, "calibration.json", HELD])
def test_a_touched_file_refuses_to_load(directory: Path, name: str) -> None:
    (directory / name).write_bytes(b"weights")
    write_manifest(directory)
    assert open_artefact(directory, required=(name,)).path(name).is_file()
    (directory / name).write_bytes(b"weightz")
    with pytest.raises(ModelError, match=rf"{name}.*altered"):
        open_artefact(directory, required=())


def test_what_is_not_loaded_is_peoples_to_change(directory: Path) -> None:
    (directory / "card.md").write_text("filled in")
    assert list(open_artefact(directory, required=()).about["files"]) == ["fusion.json"]


@pytest.mark.parametrize("name", ["card.md", "parity.json", "../fusion.json"])
def test_what_only_an_earlier_versions_manifest_lists_is_peoples_too_and_is_not_handed_out(
    directory: Path, name: str
) -> None:
    files = json.loads((directory / MANIFEST).read_text())["files"]
    edit(directory, files=files | {name: {"sha256": "0" * 64, "bytes": 1}})
    artefact = open_artefact(directory, required=("fusion.json",))
    with pytest.raises(ModelError, match="not listed"):
        artefact.path(name)
    (directory / "fusion.json").write_bytes(b"weightz")
    with pytest.raises(ModelError, match=r"fusion\.json.*altered: reinstall, or for a model of your own"):
        open_artefact(directory, required=())


def test_a_missing_file_refuses_to_load(directory: Path) -> None:
    (directory / "fusion.json").unlink()
    with pytest.raises(ModelError, match=r"fusion\.json.*missing"):
        open_artefact(directory, required=())


def test_a_file_that_the_model_needs_must_be_listed(directory: Path) -> None:
    with pytest.raises(ModelError, match=r"pair\.onnx"):
        open_artefact(directory)


@pytest.mark.parametrize(("form", "said"), [(99, "format 99"), ("2", "format '2' is not the number 2")])
def test_another_format_is_refused(directory: Path, form: object, said: str) -> None:
    edit(directory, format=form)
    with pytest.raises(ModelError, match=said):
        open_artefact(directory, required=())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": [1], "format": 1}', "[" * 100_000])
def test_what_is_not_a_manifest_is_refused(directory: Path, text: str) -> None:
    (directory / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match="not a manifest"):
        open_artefact(directory, required=())


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000])
def test_of_what_is_not_a_manifest_nothing_is_told(directory: Path, text: str) -> None:
    (directory / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match="no manifest to be read"):
        read_about(directory)
    assert not is_artefact(directory)


def test_an_empty_directory_says_how_to_get_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="guardian train"):
        open_artefact(tmp_path)


def test_a_file_added_later_is_listed_by_writing_the_manifest_again(directory: Path) -> None:
    (directory / "calibration.json").write_text("{}")
    write_manifest(directory)
    artefact = open_artefact(directory, required=("calibration.json",))
    assert artefact.about["seed"] == 7


def test_an_unlisted_file_is_not_handed_out(directory: Path) -> None:
    (directory / "stray.txt").write_text("x")
    with pytest.raises(ModelError, match="not listed"):
        open_artefact(directory, required=()).path("stray.txt")


def test_a_fusion_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    size = len(FEATURES)
    fusion = Fusion(-1.5, tuple(0.1 * n for n in range(size)), (-2.0,) * size, (3.0,) * size)
    save_fusion(fusion, tmp_path / "fusion.json")
    assert load_fusion(tmp_path / "fusion.json") == fusion


ROWS = [{"feature": name, "weight": 1, "low": -1, "high": 1} for name in FEATURES]


@pytest.mark.parametrize(
    "features",
    [*map(json.dumps, ([], ROWS[1:], [*ROWS, ROWS[0]], [*ROWS, ROWS[0] | {"feature": "mood"}])), "[" * 100_000],
)
def test_a_fusion_of_other_features_is_refused(tmp_path: Path, features: str) -> None:
    (tmp_path / "fusion.json").write_text(f'{{"intercept": 0, "features": {features}}}')
    with pytest.raises(ModelError, match="not a fusion"):
        load_fusion(tmp_path / "fusion.json")


def test_a_fusion_whose_bounds_are_the_wrong_way_round_is_refused(tmp_path: Path) -> None:
    rows = [ROWS[0] | {"low": 5, "high": -5}, *ROWS[1:]]
    (tmp_path / "fusion.json").write_text(json.dumps({"intercept": 0, "features": rows}))
    with pytest.raises(ModelError, match="low bound above its high one"):
        load_fusion(tmp_path / "fusion.json")


def test_a_calibration_beside_a_model_makes_no_other_one_of_it(tmp_path: Path) -> None:
    for name in REQUIRED:
        (tmp_path / name).write_text(name)
    write_manifest(tmp_path)
    before = open_artefact(tmp_path)
    (tmp_path / "calibration.json").write_text("{}")
    write_manifest(tmp_path)
    assert open_artefact(tmp_path).version == read_about(tmp_path)[0] == before.version
    (tmp_path / REQUIRED[0]).write_text("other weights")
    write_manifest(tmp_path)
    assert open_artefact(tmp_path).version != before.version


def test_whoever_reads_a_manifest_sees_the_old_one_or_the_new_one_whole(directory: Path) -> None:
    with (directory / MANIFEST).open() as reading:
        before = (directory / MANIFEST).read_text()
        write_manifest(directory, seed=8)
        assert reading.read() == before != (directory / MANIFEST).read_text()


def test_a_file_that_is_listed_anew_vouches_for_no_other(directory: Path) -> None:
    (directory / "calibration.json").write_text("1")
    list_file(directory, "calibration.json")
    assert open_artefact(directory, required=()).path("calibration.json").read_text() == "1"
    (directory / "calibration.json").write_text("2")
    (directory / "fusion.json").write_bytes(b"weightz")
    list_file(directory, "calibration.json")
    with pytest.raises(ModelError, match=r"fusion\.json.*altered"):
        open_artefact(directory, required=())
