"""Fitting of the spot model to peaks of light of which it is known whether they are spots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize

from exovision import schema
from exovision.errors import InputError, OutputError, SettingsError
from exovision.exosomes.probability import features, probability, read_model, write_model
from exovision.io.folders import make_folder
from exovision.io.movies import read
from exovision.io.tables import read_table
from exovision.progress import Progress, silent
from exovision.scoring.classifier import calibration_error
from exovision.scoring.matching import match_points, near_pairs
from exovision.settings import Settings
from exovision.sweep import prepared_detector
from exovision.training.cells import held_out

NAME = "spots"
COLUMNS = ("y_px", "x_px", "logit", "width_ratio", "width_se", "is_spot")
SUFFIX = "_spots.csv"
"""Of the file of a taught frame."""
PRIOR_SPREAD = (2.0, 1.0, 15.0, 15.0)
"""Standard deviations of the coefficients around those to go on from: a few frames move them little (P)."""
LEAST = 2
"""Sets, so that one can judge what was learned from the other."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SpotExamples:
    """Peaks of which it is known whether they are spots.

    Attributes
    ----------
    tables : tuple of DataFrame
        One per frame or scene, with `COLUMNS`; a known spot at which nothing was found has no evidence (NaN).
    names : tuple of str
        Of the frames or scenes, sorted.
    """

    tables: tuple[pd.DataFrame, ...]
    names: tuple[str, ...]

    def chosen(self, *, unseen: bool) -> pd.DataFrame:
        """Return the peaks of the sets that training leaves out, or of the others."""
        out = set(held_out(self.names))
        parts = [one for name, one in zip(self.names, self.tables) if (name in out) == unseen]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def examples_of(
    evidence: pd.DataFrame, places_px: Floats, *, ignored_px: Floats | None = None
) -> pd.DataFrame:
    """Say of the peaks of one frame which are spots.

    Parameters
    ----------
    evidence : DataFrame
        As from `exovision.exosomes.detection.Detector.evidence`.
    places_px : ndarray of shape (N, 2)
        Where the frame has spots (y, x); matched one to one within 3 px.
    ignored_px : ndarray of shape (M, 2), optional
        Peaks here are examples of nothing.

    Returns
    -------
    DataFrame
        `COLUMNS`.
    """
    known, peaks = (_points(one) for one in (places_px, evidence[["y_px", "x_px"]].to_numpy()))
    spots, found = match_points(known, peaks)
    table = evidence.assign(is_spot=np.isin(np.arange(len(evidence)), found))
    if ignored_px is not None:
        beside = near_pairs(_points(ignored_px), peaks)[1]
        table = table[table["is_spot"] | ~np.isin(np.arange(len(table)), beside)]
    missed = pd.DataFrame(np.delete(known, spots, axis=0)[:, 1:], columns=["y_px", "x_px"])
    parts = [one for one in (table, missed.assign(is_spot=True)) if len(one)]
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)] if parts else table[list(COLUMNS)]


def _points(places_px: Floats) -> Floats:
    return np.column_stack([np.zeros(len(places_px)), places_px])


def write_examples(table: pd.DataFrame, path: Path) -> None:
    """Write the peaks of one frame as CSV.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        table[list(COLUMNS)].astype({"is_spot": int}).to_csv(path, index=False)
    except OSError as error:
        raise OutputError(f"{path}: examples must go to a writable folder: {error.strerror}") from error


def read_examples(folder: Path, *, progress: Progress = silent) -> SpotExamples:
    """Read taught frames, or find the peaks of scenes with truth.

    Parameters
    ----------
    folder : Path
        Files as `write_examples` writes them, named `*_spots.csv`; else folders with `movie.ome.tif` and
        `truth/spots.parquet`, as `exovision simulate` writes them.
    progress : Progress
        Called after every set; may raise `Cancelled`.

    Raises
    ------
    InputError
        If there is neither, or a file is damaged.
    """
    files = sorted(Path(folder).glob(f"*{SUFFIX}"))
    scenes = sorted(path.parent.parent for path in Path(folder).glob("*/truth/spots.parquet"))
    if not files and not scenes:
        raise InputError(
            f"{folder}: taught frames (*{SUFFIX}) or scenes (NAME/movie.ome.tif, NAME/truth/) were wanted, "
            "found none"
        )
    tables = []
    for done, path in enumerate(files or scenes, start=1):
        tables.append(_read_file(path) if files else _read_scene(path))
        progress("finding peaks", done, len(files or scenes))
    return SpotExamples(tuple(tables), tuple(path.name for path in files or scenes))


def _read_file(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)[list(COLUMNS)].astype(float)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: columns {', '.join(COLUMNS)} were wanted, got: {reason}") from error
    return table.astype({"is_spot": bool})


def _read_scene(folder: Path) -> pd.DataFrame:
    truth = read_table(folder / "truth/spots.parquet", schema.TRUTH_SPOTS)
    movie = read(folder / "movie.ome.tif")
    detector = prepared_detector(movie, Settings())
    ignored = truth["ignore"].fillna(False).to_numpy(dtype=bool)
    places = truth[["y_px", "x_px"]].to_numpy(dtype=np.float64)
    parts = []
    for t in range(movie.n_frames):
        if movie.acquired(t, "exosome"):
            here = (truth["frame"] == t).to_numpy(dtype=bool)
            evidence = detector.evidence(movie.image(t, "exosome"))
            parts.append(examples_of(evidence, places[here & ~ignored], ignored_px=places[here & ignored]))
    movie.source.close()
    return pd.concat(parts, ignore_index=True)


def train_spots(
    out: Path, examples: SpotExamples, *, start: Path | None = None, hold_out: bool = True
) -> Path:
    """Fit the spot model and write `spots.json`.

    Parameters
    ----------
    out : Path
        Folder for the model.
    examples : SpotExamples
    start : Path, optional
        Model to go on from; the shipped one if omitted.
    hold_out : bool
        Never look at every fifth set by name (see `exovision.training.cells.held_out`).

    Returns
    -------
    Path
        The model.

    Raises
    ------
    InputError
        If there are fewer than two sets to learn from and to judge by, or the model to go on from is damaged.
    SettingsError
        If there is no peak to learn from.
    OutputError
        If `out` cannot be written to.
    """
    if hold_out and len(examples.names) < LEAST:
        raise InputError(f"at least {LEAST} frames or scenes are needed, got {len(examples.names)}; add some")
    parts = [examples.chosen(unseen=False), *([] if hold_out else [examples.chosen(unseen=True)])]
    table = pd.concat([one for one in parts if len(one)] or parts, ignore_index=True)
    seen = table[table["logit"].notna()]
    if not len(seen):
        raise SettingsError("training needs peaks of light: teach frames that have some")
    coefficients = fit_coefficients(seen, read_model(start))
    path = make_folder(Path(out)) / f"{NAME}.json"
    facts = {"peaks": len(seen), "spots": int(seen["is_spot"].sum()), "held_out": hold_out}
    write_model(path, coefficients, {**facts, "start": None if start is None else str(start)})
    return path


def fit_coefficients(table: pd.DataFrame, start: Sequence[float]) -> tuple[float, ...]:
    r"""Return the most probable coefficients of the logistic model, given those to go on from.

    .. math:: \min_c \sum_i \log(1 + e^{-s_i x_i \cdot c})
        + \sum_k \frac{(c_k - c^0_k)^2}{2 \sigma_k^2}

    where x are the features of a peak, s is 1 for a spot and -1 for others, c0 are the coefficients to go on
    from and σ their `PRIOR_SPREAD` (logistic regression with a Gaussian prior, doi:10.2307/2347628).

    Parameters
    ----------
    table : DataFrame
        `logit width_ratio width_se is_spot`.
    start : sequence of float
    """
    names = ("logit", "width_ratio", "width_se")
    x = features(*(table[name].to_numpy(dtype=np.float64) for name in names))
    sign = np.where(table["is_spot"], 1.0, -1.0)
    middle, spread = np.array(start), np.array(PRIOR_SPREAD)

    def loss(scaled: Floats) -> tuple[float, Floats]:
        margin = sign * (x @ (middle + spread * scaled))
        pull = -sign / (1 + np.exp(np.clip(margin, -500, 500)))
        value = float(np.logaddexp(0, -margin).sum() + 0.5 * (scaled**2).sum())
        return value, spread * (pull @ x) + scaled

    found = minimize(loss, np.zeros(len(middle)), jac=True, method="L-BFGS-B")
    return tuple(float(one) for one in middle + spread * found.x)


def evaluate_spots(
    examples: SpotExamples, weights: Path | None = None, *, min_probability: float | None = None
) -> dict[str, float]:
    """Judge the peaks of held-out sets with a model.

    Parameters
    ----------
    examples : SpotExamples
    weights : Path, optional
        The model; the shipped one if omitted.
    min_probability : float, optional
        From which a peak counts as a spot; that of the settings if omitted.

    Returns
    -------
    dict
        `spots`, how many there are; `precision`, `recall` and `f1` of the peaks taken for spots; `ece`, the
        expected calibration error of their probabilities.
    """
    table = examples.chosen(unseen=True)
    least = Settings().exosomes.min_probability if min_probability is None else min_probability
    names = ("logit", "width_ratio", "width_se")
    seen = table["logit"].notna().to_numpy(dtype=bool)
    is_spot = table["is_spot"].to_numpy(dtype=bool)
    chance = np.zeros(len(table))
    values = (table.loc[seen, name].to_numpy(dtype=np.float64) for name in names)
    chance[seen] = probability(*values, coefficients=read_model(weights))
    called = seen & (chance >= least)
    hits, calls, there = (float(one.sum()) for one in (called & is_spot, called, is_spot))
    return {
        "spots": there,
        "precision": hits / calls if calls else float("nan"),
        "recall": hits / there if there else float("nan"),
        "f1": 2 * hits / (calls + there) if calls + there else float("nan"),
        "ece": calibration_error(chance[seen], is_spot[seen]),
    }
