"""What simple programs say of the ends of exosome tracks: baselines of the benchmark of events."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.optimize import minimize
from scipy.special import expit

from exovision import schema
from exovision.records import Movie
from exovision.simulation.event_patches import event_patches
from exovision.simulation.single_events import PatchConditions

Floats = NDArray[np.float64]

BAND_UM, LEAST_FRAMES, LAST_FRAMES = 0.5, 5, 3
DISC_PX, RING_PX = 3.0, (5.5, 8.5)
BEFORE, AFTER = 20, 10
"""Frames up to the end of a track, and after it."""
LEVEL_FRAMES, HALF_GONE, LEAST_CHANGE = 8, 0.5, 0.3
RIDGE = 1e-2
FUSION_PRIOR = 0.2
"""Of a scene with fusion : other = 1 : 4."""


def track_ends(spots: pd.DataFrame, n_frames: int) -> pd.DataFrame:
    """Return the last spot of every track that ends near a membrane before the movie does."""
    tracked = spots.dropna(subset=["exosome_id"]).sort_values(["exosome_id", "frame"])
    groups = tracked.groupby("exosome_id")
    last = groups.tail(1).set_index("exosome_id")
    near = tracked.assign(near=tracked["membrane_distance_um"].abs() < BAND_UM)
    settled = near.groupby("exosome_id")["near"].apply(lambda one: bool(one.tail(LAST_FRAMES).all()))
    kept = (groups.size() >= LEAST_FRAMES) & settled & (last["frame"] < n_frames - 1)
    return last[kept.reindex(last.index)].reset_index()


def as_events(ends: pd.DataFrame, kinds: NDArray[np.str_]) -> pd.DataFrame:
    """Return rows of the contract's events, one per track end."""
    shared = ends[["exosome_id", "cell_id", "y_um", "x_um", "membrane_distance_um"]]
    frames = dict.fromkeys(("start_frame", "end_frame"), ends["frame"])
    times = dict.fromkeys(("start_s", "end_s"), ends["time_s"])
    return schema.conform(shared.assign(kind=kinds, **frames, **times), schema.EVENTS)


def traces(stack: Floats, centres: Floats) -> Floats:
    """Return the light in a disc less that of the ring around it.

    Parameters
    ----------
    stack : ndarray of shape (N, T, P, P)
        Counts.
    centres : ndarray of shape (N, 2)
        From the middle of each patch, px.

    Returns
    -------
    ndarray of shape (N, T)
    """
    axis = np.arange(stack.shape[-1]) - stack.shape[-1] // 2
    away = np.hypot(
        axis[None, :, None] - centres[:, 0, None, None], axis[None, None, :] - centres[:, 1, None, None]
    )
    disc = (away <= DISC_PX)[:, None]
    ring = ((away >= RING_PX[0]) & (away <= RING_PX[1]))[:, None]
    level = np.nanmedian(np.where(ring, stack, np.nan), axis=(2, 3))
    return np.asarray((stack * disc).sum(axis=(2, 3)) - level * disc.sum(axis=(2, 3)))


@dataclass(frozen=True)
class TraceClassifier:
    """Logistic regression on the normalised trace around the end of a track, and nothing else.

    Attributes
    ----------
    weights : ndarray of shape (F + 1,)
        The last is the constant.
    """

    weights: Floats

    @classmethod
    def train(cls, conditions: PatchConditions, *, seed: int, count: int = 2000) -> TraceClassifier:
        """Train on simulated patches."""
        trace, fused = ended_traces(conditions, seed=seed, count=count)
        return cls(_logistic(_features(trace), fused.astype(float)))

    def probability(self, trace: Floats) -> Floats:
        """Return the probability of fusion, shape (N,), of traces (N, 20 + 10)."""
        return np.asarray(expit(_with_constant(_features(trace)) @ self.weights))


def ended_traces(conditions: PatchConditions, *, seed: int, count: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return traces around the frame in which half of the light is gone, and which are fusions.

    There a tracker would lose the spot; events in which that never happens are left out.
    """
    patches = event_patches(
        np.random.default_rng(seed), replace(conditions, before=BEFORE + 4, after=2 * AFTER + 10), count
    )
    centres = patches.truth[["y_px", "x_px"]].to_numpy(dtype=np.float64)
    trace = traces(patches.counts[:, :, 0].astype(np.float64), centres)
    smooth = uniform_filter1d(trace, 3, axis=1)
    level = trace[:, :LEVEL_FRAMES].mean(axis=1, keepdims=True)
    there = smooth > HALF_GONE * level
    last = trace.shape[1] - 1 - np.argmax(there[:, ::-1], axis=1)
    usable = there.any(axis=1) & (last >= BEFORE - 1) & (last + AFTER < trace.shape[1])
    rows = np.flatnonzero(usable)
    windows = last[rows][:, None] + np.arange(-BEFORE + 1, AFTER + 1)
    fused = (patches.truth["cause"] == "fused").to_numpy()
    return trace[rows[:, None], windows], fused[rows]


def movie_traces(movie: Movie, ends: pd.DataFrame, *, reach: int = 9) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the traces at the ends of tracks, and which of them lie inside image and movie."""
    places = ends[["y_px", "x_px"]].to_numpy(dtype=np.float64)
    middles = np.rint(places).astype(int)
    frames = ends["frame"].to_numpy(dtype=int)[:, None] + np.arange(-BEFORE + 1, AFTER + 1)
    shape = np.array(movie.image_shape)
    inside = (middles >= reach).all(axis=1) & (middles < shape - reach).all(axis=1)
    inside &= (frames[:, 0] >= 0) & (frames[:, -1] < movie.n_frames)
    stack = np.zeros((len(ends), frames.shape[1], 2 * reach + 1, 2 * reach + 1))
    for t in np.unique(frames[inside]):
        image = movie.image(int(t), "exosome")
        for row, column in zip(*np.nonzero((frames == t) & inside[:, None])):
            y, x = middles[row]
            stack[row, column] = image[y - reach : y + reach + 1, x - reach : x + reach + 1]
    return traces(stack, places - middles), inside


def onsets(trace: Floats, frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the last frame before each trace leaves its level for good; `frames` (N,): ends of tracks."""
    smooth = uniform_filter1d(trace, 3, axis=1)
    level = np.maximum(trace[:, :LEVEL_FRAMES].mean(axis=1, keepdims=True), 1.0)
    steady = np.abs(smooth / level - 1)[:, :BEFORE] < LEAST_CHANGE
    late = np.argmax(steady[:, ::-1], axis=1)
    return np.asarray(frames - np.where(steady.any(axis=1), late, 0))


def _features(trace: Floats) -> Floats:
    level = np.maximum(trace[:, :LEVEL_FRAMES].mean(axis=1, keepdims=True), 1.0)
    relative = np.clip(trace[:, LEVEL_FRAMES:] / level, -2, 8)
    return np.column_stack([relative, relative**2, relative.max(axis=1), relative.min(axis=1)])


def _with_constant(features: Floats) -> Floats:
    return np.column_stack([features, np.ones(len(features))])


def _logistic(features: Floats, truth: Floats) -> Floats:
    """Return the weights of a ridge logistic regression, both classes weighted to the prior."""
    design = _with_constant(features)
    shares = np.where(truth > 0, FUSION_PRIOR / truth.mean(), (1 - FUSION_PRIOR) / (1 - truth.mean()))

    def loss(weights: Floats) -> tuple[float, Floats]:
        score = design @ weights
        cost = (shares * (np.logaddexp(0, score) - truth * score)).mean() + RIDGE * (weights[:-1] ** 2).sum()
        slope = design.T @ (shares * (expit(score) - truth)) / len(truth)
        slope[:-1] += 2 * RIDGE * weights[:-1]
        return float(cost), slope

    return np.asarray(minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x)


def area_under_curve(scores: Floats, truth: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve; NaN with one class only."""
    right, wrong = scores[truth], scores[~truth]
    if not len(right) or not len(wrong):
        return float("nan")
    above = (right[:, None] > wrong).mean() + 0.5 * (right[:, None] == wrong).mean()
    return float(above)
