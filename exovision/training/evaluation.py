"""Held-out figures of the cell network, as its model card states them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exovision.cells.embedded_segmenter import EmbeddedSegmenter
from exovision.progress import Progress, silent
from exovision.scoring.cells import cells_score
from exovision.settings import CellSettings
from exovision.simulation.training_frames import training_frame
from exovision.training.cells import labelled_names, read_pair

NOMINAL_PIXEL_UM = 0.6
"""Assumed for pictures whose pixel size is unknown; it sets where the typical diameter is looked for."""

HELD_OUT_STREAM = 3
"""Random stream of simulated frames that training never draws from."""

Pair = tuple[NDArray[np.float32], NDArray[np.int32]]


def evaluate_cells(
    weights: Path | None = None,
    *,
    data: Path | None = None,
    simulated: int = 60,
    frame_px: int = 512,
    pixel_size_um: float = NOMINAL_PIXEL_UM,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, dict[str, float]]:
    """Segment held-out pictures with a network and the default settings, and score the result.

    Parameters
    ----------
    weights : Path, optional
        The network; the shipped one if omitted.
    data : Path, optional
        Folder of `X.tif` and `X_labels.tif`; every fifth by name is scored, counted from the first and from
        the fifth.
    simulated : int
        Simulated frames, from a random stream that training does not use.
    frame_px : int
        Side of a simulated frame, px.
    pixel_size_um : float
        Of the pictures in `data`, µm; it sets where the typical diameter is looked for.
    seed : int
        Of the simulated frames.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    progress : Progress
        Called after every picture; may raise `Cancelled`.

    Returns
    -------
    dict of str to dict of str to float
        For each set its `images`, the AP at IoU 0.5, 0.75 and 0.9 (mean over images) and `boundary_px`, the
        median over matched cells of the mean distance between the outlines.

    Raises
    ------
    InputError
        If `data` holds no labelled pictures.
    """
    settings = CellSettings(weights=weights and str(weights), min_area_um2=10.0)
    figures = {}
    if data is not None:
        names = labelled_names(data)
        for label, chosen in (("first of five", names[::5]), ("fifth of five", names[4::5])):
            pairs = (read_pair(data, name) for name in chosen)
            if chosen:
                figures[label] = _score(pairs, settings, pixel_size_um, device, progress, len(chosen))
    if simulated:
        shape = (frame_px, frame_px)
        seeds = ([seed, HELD_OUT_STREAM, index] for index in range(simulated))
        frames = (training_frame(np.random.default_rng(one), shape) for one in seeds)
        figures["simulated"] = _score(frames, settings, NOMINAL_PIXEL_UM, device, progress, simulated)
    return figures


def _score(
    pairs: Iterable[Pair],
    settings: CellSettings,
    pixel_size_um: float,
    device: str,
    progress: Progress,
    total: int,
) -> dict[str, float]:
    found, truth = [], []
    for image, labels in pairs:
        segmenter = EmbeddedSegmenter(settings, pixel_size_um=pixel_size_um, device=device)
        found.append(segmenter.segment(image[None], range(1))[0])
        truth.append(labels)
        progress("evaluating", len(found), total)
    score = cells_score(found, truth)
    names = {"ap50": "ap50", "ap75": "ap75", "ap90": "ap90", "boundary_median_px": "boundary_px"}
    values = {short: score[f"cells.{name}"] for name, short in names.items()}
    return {
        "images": total,
        **{name: getattr(value, "value", float("nan")) for name, value in values.items()},
    }
