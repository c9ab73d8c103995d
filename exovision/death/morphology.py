"""What each cell looks like in each frame, as probabilities of its states."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.death.crops import BODIES, Sizes, cut, typical_sizes
from exovision.nets.cell_judge import STATES, CellJudge
from exovision.nets.shipped import weights_file
from exovision.settings import DeathSettings

COLUMNS = [f"p_{state}" for state in STATES]
GPU_CELLS = 512
"""Cells gathered, over frames, before a GPU judges them."""

Image = NDArray[np.float32]
Key = tuple[NDArray[np.int64], NDArray[np.int64]]


class Morphology:
    """Judges the cells of a movie, frame after frame.

    Parameters
    ----------
    settings : DeathSettings
        `weights` names another network than the shipped one.
    roles : collection of str
        The movie's channels.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".

    Attributes
    ----------
    notes : list of str
        What cannot be judged and why, and what happened on the device.

    Notes
    -----
    The first frame with cells sets the scale. On a CPU each frame is judged alone, so that results do not
    depend on how a movie is cut into chunks; on a GPU cells of several frames share a batch. Weights are
    loaded when there are cells to judge. Memory is bounded: 80 kB a cell, of one frame or of `GPU_CELLS`.
    """

    def __init__(self, settings: DeathSettings, *, roles: Collection[str], device: str = "auto") -> None:
        self.notes: list[str] = []
        self._settings, self._roles, self._device = settings, roles, device
        self._labelled = "nucleus" if "nucleus" in roles and "cell" not in roles else "cell"
        self._judge: CellJudge | None = None
        self._sizes: Sizes | None = None
        self._idle = settings.morphology == "none" or not set(BODIES) & set(roles)
        self._waiting: list[tuple[Key, NDArray[np.float32]]] = []
        self._judged: list[tuple[Key, NDArray[np.float64]]] = []

    def take(self, frame: int, labels: NDArray[np.int32], images: Mapping[str, Image]) -> None:
        """Judge the cells of one frame, or put them by for a larger batch.

        Parameters
        ----------
        frame : int
        labels : ndarray of shape (Y, X)
            A value is the `cell_id`.
        images : mapping of str to ndarray of shape (Y, X)
            Counts of each channel, by role.
        """
        if self._idle or not any(role in images for role in BODIES):
            return
        self._sizes = self._sizes or typical_sizes(labels, images.get("nucleus"), labelled=self._labelled)
        if self._sizes is None:
            return
        judge = self._ready()
        if self._idle or not any(role in images for role in judge.needs):
            return
        ids, crops = cut(labels, images, sizes=self._sizes, roles=judge.roles)
        self._waiting.append(((np.full(ids.size, frame), ids), crops))
        if judge.on_cpu or sum(len(crops) for _, crops in self._waiting) >= GPU_CELLS:
            self._flush(judge)

    def _ready(self) -> CellJudge:
        if self._judge is None:
            self._judge = CellJudge(weights_file(self._settings), device=self._device, note=self.notes.append)
            shown = [role for role in BODIES if role in self._roles]
            self._idle = not set(self._judge.needs) & set(shown)
            if self._idle:
                self.notes.append(
                    f"what cells look like (p_live, …) is not judged: the network learned from real cells by "
                    f"{' and '.join(self._judge.needs)}, this movie shows {' and '.join(shown)}"
                )
        return self._judge

    def _flush(self, judge: CellJudge) -> None:
        if self._waiting:
            judged = judge.judge(np.concatenate([crops for _, crops in self._waiting]))
            ends = np.cumsum([len(crops) for _, crops in self._waiting])[:-1]
            self._judged += zip((key for key, _ in self._waiting), np.split(judged, ends))
            self._waiting.clear()

    def join(self, cells: pd.DataFrame) -> pd.DataFrame:
        """Fill the probabilities into a table of cells.

        Parameters
        ----------
        cells : DataFrame
            Columns `frame` and `cell_id`.

        Returns
        -------
        DataFrame
            The same rows with `p_live p_mitotic p_apoptotic p_lytic p_debris`, which sum to 1, or are null
            for cells that were not or could not be judged.
        """
        if self._judge is not None:
            self._flush(self._judge)
        if not self._judged or cells.empty:
            return cells
        frames, ids = (np.concatenate([key[k] for key, _ in self._judged]) for k in (0, 1))
        values = np.concatenate([values for _, values in self._judged])
        table = pd.DataFrame(values, index=[frames, ids], columns=COLUMNS)
        keys = pd.MultiIndex.from_arrays([cells["frame"].astype(np.int64), cells["cell_id"].astype(np.int64)])
        return cells.assign(**dict(zip(COLUMNS, table.reindex(keys).to_numpy().T)))
