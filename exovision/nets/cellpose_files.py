"""Where Cellpose models are: a user's file, or a name in Cellpose's own folder; fetched on request alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from exovision.errors import InputError, OutputError
from exovision.files import replacing
from exovision.progress import Progress, silent

DEFAULT = "cpsam_v2"
"""What the segmenter `cellpose` takes where no model is named."""
_HUB, _SITE = "https://huggingface.co/mouseland/cellpose-sam/resolve/main", "https://www.cellpose.org/models"
FOLDER_VARIABLE = "CELLPOSE_LOCAL_MODELS_PATH"
LICENCE = (
    "its authors publish it under BSD-3-Clause, but trained it on images for non-commercial use (CC BY-NC): "
    "whether that binds the weights is yours to judge before any commercial use"
)
TIMEOUT_S = 60.0
TRANSFORMER_BYTES = 1 << 28
"""A file this large holds cpsam (1.2 GB), not a U-Net (27 MB)."""


@dataclass(frozen=True)
class KnownModel:
    """A model that Cellpose's authors publish.

    Attributes
    ----------
    file : str
        Its name in Cellpose's folder.
    url : str
    megabytes : int
    """

    file: str
    url: str
    megabytes: int


KNOWN = {
    "cpsam_v2": KnownModel("cpsam_v2", f"{_HUB}/cpsam_v2", 1220),
    "cpsam": KnownModel("cpsam", f"{_HUB}/cpsam", 1220),
    "cyto3": KnownModel("cyto3", f"{_SITE}/cyto3", 27),
    "cyto2": KnownModel("cyto2torch_0", f"{_SITE}/cyto2torch_0", 27),
    "cyto": KnownModel("cytotorch_0", f"{_SITE}/cytotorch_0", 27),
    "nuclei": KnownModel("nucleitorch_0", f"{_SITE}/nucleitorch_0", 27),
}


def models_folder() -> Path:
    """Return the folder in which Cellpose keeps its models, whether or not it exists."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else Path.home() / ".cellpose" / "models"


def present() -> list[str]:
    """Return the known models that have been fetched."""
    return [name for name, model in KNOWN.items() if (models_folder() / model.file).is_file()]


def find_model(named: str | None) -> Path:
    """Return the file of a model.

    Parameters
    ----------
    named : str, optional
        A path, the name of a known model, or that of a file in Cellpose's folder; None: `DEFAULT`.

    Raises
    ------
    InputError
        If there is no such file; nothing is fetched and no other model takes its place.
    """
    name = named or DEFAULT
    if Path(name).is_file():
        return Path(name)
    folder = models_folder()
    path = folder / (KNOWN[name].file if name in KNOWN else name)
    if path.parent == folder and path.is_file():
        return path
    if name in KNOWN:
        raise InputError(
            f"the Cellpose model {name} is not in {folder} yet; run `exovision models fetch {name}` "
            f"({KNOWN[name].megabytes} MB), or copy the file {path.name} there from another machine"
        )
    raise InputError(
        f"cells.weights must be a Cellpose model file or one of {', '.join(KNOWN)}, got {name!r}, "
        f"which is neither a file here nor in {folder}"
    )


def fetch(name: str, *, say: Callable[[str], None], progress: Progress = silent) -> Path:
    """Download a known model into Cellpose's folder, unless it is there, and say under which licence.

    Parameters
    ----------
    name : str
        One of `KNOWN`.
    say : callable
        Told, a line at a time, what is fetched and its licence.
    progress : Progress
        Called after each megabyte.

    Raises
    ------
    InputError
        If the name is unknown, or the file cannot be fetched or is no such model.
    OutputError
        If the folder cannot be written to.
    """
    if name not in KNOWN:
        raise InputError(f"unknown Cellpose model {name!r}; known: {', '.join(KNOWN)}")
    model, folder = KNOWN[name], models_folder()
    path = folder / model.file
    say(f"licence of {name}: {LICENCE}")
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: the folder must be writable, got: {error.strerror or error}") from error
    say(f"fetching {model.url} ({model.megabytes} MB) into {folder}")
    with replacing(path) as temporary:
        _download(model.url, temporary, progress)
        _check(temporary, model.url)
    return path


def _download(url: str, to: Path, progress: Progress) -> None:
    """Write what is at an address to a file, a megabyte at a time."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=TIMEOUT_S) as answer, to.open("wb") as file:
            total, done = round(int(answer.headers.get("Content-Length") or 0) / 1e6), 0
            while part := answer.read(1 << 20):
                file.write(part)
                done += len(part)
                progress("fetching, MB", round(done / 1e6), total)
    except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise InputError(
            f"{url} could not be fetched: {error}; on a machine without internet copy the file there by hand"
        ) from error


def _check(path: Path, url: str) -> None:
    """Raise `InputError` unless a downloaded file is a model, rather than, say, a page of a proxy."""
    from exovision.nets.cellpose_models import read_state

    try:
        read_state(path)
    except InputError as error:
        raise InputError(f"{url}: a Cellpose model was expected there: {error}") from error
