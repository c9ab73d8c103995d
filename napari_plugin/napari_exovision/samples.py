"""Sample data: the docking movie that ships with exovision, and movies simulated when first asked for."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from exovision_samples import path
from napari.utils import progress
from platformdirs import user_cache_path

import exovision
from exovision.errors import OutputError
from exovision.simulation.movie import simulate, write
from exovision.simulation.scene import load_scene
from napari_exovision.layers import LayerData, image_layers
from napari_exovision.opening import open_movie


@dataclass(frozen=True)
class Recipe:
    """A movie that can be simulated: a scene, cut to a number of frames, and a seed."""

    scene: str
    frames: int
    seed: int


RECIPES: Mapping[str, Recipe] = {
    "fusion": Recipe("fusion", frames=120, seed=11),
    "death": Recipe("death_full", frames=100, seed=11),
}


def docking() -> list[LayerData]:
    """Return the channels of the docking movie."""
    return image_layers(open_movie(path("demo") / "movie.ome.tif"))


def fusion() -> list[LayerData]:
    """Return the channels of a movie in which exosomes fuse."""
    return image_layers(open_movie(simulated("fusion")))


def death() -> list[LayerData]:
    """Return the channels of a movie in which cells divide and die."""
    return image_layers(open_movie(simulated("death")))


def simulated(name: str) -> Path:
    """Return the file of a simulated sample; it is made when first asked for, and kept in the user's cache.

    Parameters
    ----------
    name : str
        A key of `RECIPES`.

    Raises
    ------
    OutputError
        If the cache cannot be written to.
    """
    folder = user_cache_path("exovision") / "samples" / exovision.__version__ / name
    if not (folder / "movie.ome.tif").is_file():
        _make(RECIPES[name], folder)
    return folder / "movie.ome.tif"


def _make(recipe: Recipe, folder: Path) -> None:
    """Simulate a sample beside its place and move it there when it is whole."""
    scene = load_scene(recipe.scene)
    imaging = scene.imaging.model_copy(update={"frames": recipe.frames})
    made = simulate(scene.model_copy(update={"imaging": imaging}), seed=recipe.seed)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        with (
            TemporaryDirectory(dir=folder.parent) as scratch,
            progress(total=recipe.frames, desc="simulating the sample") as bar,
        ):
            write(made, Path(scratch) / "made", progress=lambda stage, done, total: bar.update(1))
            (Path(scratch) / "made").rename(folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: the cache must be writable, got: {error.strerror or error}; free the place"
        ) from error
