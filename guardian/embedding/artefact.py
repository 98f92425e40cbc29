"""A drift model on disk: a directory whose manifest names what is loaded of it with its sha256.

Anything that does not match refuses to load: a swapped encoder or a touched weight is an attack on the monitor.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guardian.disk import write_atomically
from guardian.errors import ModelError

FORMAT = 2
MANIFEST = "manifest.json"
PAIR_MODEL, TEXT_MODEL, TOKENIZER, FUSION = "pair.onnx", "text.onnx", "tokenizer.json", "fusion.json"
REQUIRED = (PAIR_MODEL, TEXT_MODEL, TOKENIZER, FUSION)
FOLDS = Path(".work", "folds")
"""In the folder of a training, the folder with one folder per fold encoder."""
HELD = "held-out.json"
"""Beside the encoder of a training fold: the purposes it has not seen."""

_LISTED = (*REQUIRED, "calibration.json", HELD)
"""What a manifest lists of what is there, and what is verified where one of an earlier version lists more. Cards
are filled in by people, samples may be removed before a model is passed on, and any other file is theirs."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A verified model directory, and its manifest; of the files that this lists, those that were verified."""

    directory: Path
    about: Mapping[str, Any]

    @property
    def version(self) -> str:
        return version_of(self.about)

    def path(self, name: str) -> Path:
        """The path of a listed file. Raises ModelError for one that the manifest does not list."""
        if name not in self.about["files"]:
            raise ModelError(
                f"{self.directory / name}: not listed in {MANIFEST}; re-run `guardian train` or reinstall"
            )
        return self.directory / name


def version_of(about: Mapping[str, Any]) -> str:
    """The short hash of the files that decide a score, by the manifest. A new card or calibration does not change
    it."""
    listed = about["files"]
    told = "".join(str(listed[name]["sha256"]) for name in REQUIRED if name in listed)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def digest(path: Path) -> str:
    """Hex sha256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_manifest(directory: Path, **about: Any) -> str:
    """Re-hash what is loaded of `directory` and write its manifest; returns the new version.

    Keeps what an earlier manifest said (data sets, seed, metrics) unless `about` replaces it, so a file that is
    added later (calibration.json) only needs this call.
    """
    path = directory / MANIFEST
    kept: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    names = sorted(name for name in _LISTED if (directory / name).is_file())
    return _write(directory, {**kept, **about, "format": FORMAT, "files": _entries(directory, names)})


def is_artefact(directory: Path) -> bool:
    """Whether the folder holds a drift model of this format, sound or not."""
    try:
        about = json.loads((directory / MANIFEST).read_text("utf-8"))
        return about["format"] == FORMAT and set(REQUIRED) <= set(about["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def list_file(directory: Path, name: str) -> None:
    """Update the manifest for one file of a model. Its other entries stay, so that it vouches for no other
    change."""
    _, about = read_about(directory)
    _write(directory, {**about, "files": {**about["files"], **_entries(directory, [name])}})


def _entries(directory: Path, names: Iterable[str]) -> dict[str, Any]:
    sizes = {name: (directory / name).stat().st_size for name in names}
    return {name: {"sha256": digest(directory / name), "bytes": size} for name, size in sizes.items()}


def _write(directory: Path, about: Mapping[str, Any]) -> str:
    with write_atomically(directory / MANIFEST) as file:
        file.write(f"{json.dumps(about, indent=2, sort_keys=True)}\n".encode())
    return version_of(about)


def read_about(directory: Path) -> tuple[str, Mapping[str, Any]]:
    """Version and manifest, to tell people what is there. Nothing is verified, so load nothing by it.

    Raises ModelError if there is no manifest.
    """
    path = directory / MANIFEST
    try:
        about: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        return version_of(about), about
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path}: no manifest to be read ({error})") from error


def open_artefact(directory: Path, required: tuple[str, ...] = REQUIRED) -> Artefact:
    """Verify `directory` against its manifest. Raises ModelError naming the file and what is wrong with it."""
    path = directory / MANIFEST
    if not path.is_file():
        raise ModelError(f"{path}: no drift model here; set `model.path` or run `guardian train`")
    try:
        about = json.loads(path.read_text("utf-8"))
        files = {name: entry for name, entry in about["files"].items() if name in _LISTED}
        listed = {name: str(entry["sha256"]) for name, entry in files.items()}
        form = about["format"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path}: not a manifest ({error!r})") from error
    if form != FORMAT:
        raise ModelError(
            f"{path}: format {form!r} is not the number {FORMAT} that this guardian reads; train again or change"
            " versions"
        )
    for name in required:
        if name not in listed:
            raise ModelError(f"{path}: does not list {name}, which the model needs")
    for name, expected in listed.items():
        if not (directory / name).is_file():
            raise ModelError(f"{directory / name}: listed in the manifest and missing")
        found = digest(directory / name)
        if found != expected:
            raise ModelError(
                f"{directory / name}: sha256 {found[:12]}… instead of {expected[:12]}…; it was altered: reinstall,"
                " or for a model of your own put the file back as `guardian train` wrote it, or train again"
            )
    return Artefact(directory, {**about, "files": files})
