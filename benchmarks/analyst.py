"""What a good analyst would write for the same question, from the libraries at hand: a peer for `whole.py`.

Cells by the same network, called as Cellpose calls its own (rescaled to the working diameter, flows followed
for 200 steps and checked), spots by `trackpy.locate`, both linked by `trackpy.link`, distances by scipy's
distance transform, a table of cells by scikit-image, and dockings wherever a track stays near an outline.
There are no sub-pixel outlines, no uncertainty, no states, no fates, no chance level and no report.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import trackpy
from scipy import ndimage
from skimage.measure import regionprops_table
from skimage.transform import resize

from exovision.nets import weights
from exovision.nets.shipped import weights_file
from exovision.records import Movie
from exovision.settings import CellSettings

SPOT_PX = 7
LEAST_MASS = 8.0
"""Of spots, in standard deviations of a pixel: finds about as many as are there."""
STEP_UM, MEMORY_FRAMES = 0.9, 3
BAND_UM, LEAST_FRAMES = 0.3, 5
CELL_STEP_UM = 3.0
MEASURED = ("label", "centroid", "area", "perimeter", "eccentricity", "solidity", "intensity_mean")


class Script:
    """The script, with the CPU-seconds of its parts.

    Parameters
    ----------
    diameter_px : float
        Typical diameter of a cell, which the analyst knows.
    """

    def __init__(self, diameter_px: float) -> None:
        self.seconds: Counter[str] = Counter()
        from exovision.nets.unet import FlowUNet

        self._network, facts = weights.load(weights_file(CellSettings()), FlowUNet)
        self._factor = min(float(facts["working_diameter_px"]) / diameter_px, 1.0)

    def run(self, movie: Movie, out: Path) -> pd.DataFrame:
        """Analyse a movie, write the tables and return the dockings."""
        spots, cells = [], []
        for t in range(movie.n_frames):
            labels = self._segment(movie.image(t, "cell"))
            begun = time.process_time()
            found = self._spots(movie.image(t, "exosome"), t)
            begun = self._took("spots", begun)
            distance = np.where(
                labels > 0,
                -ndimage.distance_transform_edt(labels > 0),
                ndimage.distance_transform_edt(labels == 0),
            )
            y, x = (found[axis].to_numpy().round().astype(int) for axis in ("y", "x"))
            spots.append(found.assign(distance_um=distance[y, x] * movie.pixel_size_um))
            begun = self._took("distances", begun)
            table = regionprops_table(labels, movie.image(t, "cell"), properties=MEASURED)
            cells.append(pd.DataFrame(table).assign(frame=t))
            self._took("measuring cells", begun)
        begun = time.process_time()
        names = {"centroid-0": "y", "centroid-1": "x"}
        followed = trackpy.link(pd.concat(cells).rename(columns=names), CELL_STEP_UM / movie.pixel_size_um)
        tracks = trackpy.link(pd.concat(spots), STEP_UM / movie.pixel_size_um, memory=MEMORY_FRAMES)
        begun = self._took("linking", begun)
        dockings = self._dockings(tracks)
        for name, table in (("cells", followed), ("spots", tracks), ("dockings", dockings)):
            table.to_csv(out / f"{name}.csv")
        self._took("dockings and tables", begun)
        return dockings

    def _took(self, part: str, begun: float) -> float:
        now = time.process_time()
        self.seconds[part] += now - begun
        return now

    def _segment(self, image: Any) -> Any:
        import torch
        from cellpose import dynamics

        begun = time.process_time()
        stride = self._network.stride
        small = resize(image, [round(side * self._factor / stride) * stride for side in image.shape])
        low, high = np.percentile(small, [1, 99])
        scaled = torch.from_numpy(((small - low) / (high - low)).astype(np.float32))
        begun = self._took("cells without the network", begun)
        with torch.inference_mode():
            output = self._network(scaled[None, None])[0].numpy()
        begun = self._took("network of cells", begun)
        masks = dynamics.compute_masks(output[:2], output[2], min_size=15, max_size_fraction=1.0)
        labels = resize(masks, image.shape, order=0, preserve_range=True, anti_aliasing=False).astype(int)
        self._took("cells without the network", begun)
        return labels

    @staticmethod
    def _spots(image: Any, t: int) -> pd.DataFrame:
        noise = 1.4826 * np.median(np.abs(image - np.median(image)))
        found = trackpy.locate(image, SPOT_PX, minmass=LEAST_MASS * noise)
        return found.assign(frame=t)

    @staticmethod
    def _dockings(tracks: pd.DataFrame) -> pd.DataFrame:
        near = tracks[tracks["distance_um"].abs() <= BAND_UM]
        stays = near.groupby("particle")["frame"].agg(["min", "max", "count"])
        return stays[stays["count"] >= LEAST_FRAMES]
