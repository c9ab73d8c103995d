"""Spots linked into tracks by sparse assignment, frame by frame, over gaps of a few frames."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from exovision import schema
from exovision.calibration import um_to_px
from exovision.numerics import motion_models
from exovision.numerics.assignment import assign_pairs
from exovision.numerics.membrane_frame import SLIP, beside_membrane
from exovision.numerics.neighbours import pairs_within
from exovision.settings import ExosomeSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LIGHT_ERROR = 0.5
FLICKER = 0.1
DRIFT = 0.05
STEEP = 2.4
MOST_SEEN = 0.99
IMPLAUSIBLE = 20.0
LEAST_SURE = 0.3
MEMBRANE_REACH = 3.0
JOINT_SIGMAS = 2.0
JOINT_PRIOR = -1.0
USUAL_SIGMA_PX = 1.5
BLOCK_SPOTS = 100_000

PLACE_Y, PLACE_X, VARIANCE, LIGHT, SNR, SURE, CELL, CENTRE_Y, CENTRE_X, DISTANCE, NORMAL_Y, NORMAL_X = range(12)


class _Population(NamedTuple):
    """What is known of all exosomes of a movie."""

    models: Floats
    prior: Floats
    new_per_px2: float
    ends: float
    half_snr: float
    light: float
    light_sigma: float


class _Open(NamedTuple):
    spots: Floats
    frame: Ints
    track: Ints
    states: Floats
    weights: Floats
    light: Floats
    snr: Floats
    exists: Floats

    def part(self, which: Any) -> _Open:
        return _Open(*(values[which] for values in self))

    def join(self, other: _Open) -> _Open:
        return _Open(*(np.concatenate(pair) for pair in zip(self, other)))


def link(spots, *, times_s, drift_px, pixel_size_um, settings):
    order = np.full(len(times_s), -1, dtype=np.int64)
    acquired = np.flatnonzero(np.isfinite(times_s))
    order[acquired] = np.arange(acquired.size)
    drift = np.zeros((len(times_s), 2)) if drift_px is None else drift_px
    frames = spots["frame"].to_numpy(dtype=np.int64)
    reach = float(um_to_px(settings.max_step_um, pixel_size_um))
    population = _population(spots, drift, pixel_size_um, order[frames], reach, settings.max_gap_frames)
    tracks, _, _ = _link_all(spots, drift, pixel_size_um, order[frames], population, reach, settings.max_gap_frames)
    sure = spots["probability"].to_numpy(dtype=np.float64) >= settings.min_probability
    return _numbered(spots, tracks, sure, settings.min_track_spots)


def _columns(spots: pd.DataFrame, drift_px: Floats, pixel_size_um: float) -> Floats:
    """Return what linking needs of each spot, shape (N, 12); NaN where unknown."""
    normal_y, normal_x, *centre = schema.MEMBRANE_FRAME
    names = ["y_px", "x_px", "y_se_px", "x_se_px", "counts", "snr", "probability", "cell_id", *centre,
             "membrane_distance_um", normal_y, normal_x]
    found = spots.reindex(columns=names).to_numpy(dtype=np.float64, na_value=np.nan)
    seen = np.empty((len(spots), 12))
    seen[:, :2] = found[:, :2] - drift_px
    seen[:, VARIANCE] = (found[:, 2:4] ** 2).mean(axis=1)
    seen[:, LIGHT] = np.log(np.maximum(found[:, 4], 1e-9))
    seen[:, SNR], seen[:, SURE] = found[:, 5], found[:, 6]
    seen[:, CELL] = found[:, 7]
    seen[:, CENTRE_Y : CENTRE_X + 1] = found[:, 8:10] / pixel_size_um - drift_px
    seen[:, DISTANCE] = found[:, 10] / pixel_size_um
    seen[:, NORMAL_Y:] = found[:, 11:]
    return seen


def _population(spots, drift, pixel, frames, reach, max_gap, rounds=2, most_frames=60):
    seen = spots.iloc[:200_000]
    c = _columns(seen, drift[seen["frame"].to_numpy(dtype=np.int64)], pixel)
    models = motion_models.motion_models(reach)
    sure = c[:, SURE] >= 0.5
    light = c[sure, LIGHT] if sure.any() else np.zeros(1)
    area = float(np.prod(np.ptp(c[:, :2], axis=0))) if len(c) else 0.0
    area = max(area, (10 * reach) ** 2)
    per_frame = len(c) / max(len(np.unique(frames[: len(c)])), 1)
    pop = _Population(models, np.full(len(models), 1 / len(models)), max(0.2 * per_frame / area, FLOOR), 0.02, 1.6,
                      float(np.median(light)), max(float(np.std(light)), 0.2))
    stop = int(np.searchsorted(frames, frames[0] + most_frames)) if len(frames) else 0
    for _ in range(rounds if stop else 0):
        tracks, prior, started = _link_all(seen.iloc[:stop], drift, pixel, frames[:stop], pop, reach, max_gap)
        pop = pop._replace(prior=prior, new_per_px2=max(STARTS * started / area, FLOOR))
    return pop

FLOOR=1e-3
STARTS=1.0

def _link_all(spots, drift, pixel, frames, population, reach, max_gap):
    """Return a track number for every spot, the mean weights of the models, and starts per frame."""
    tracks = np.empty(len(spots), dtype=np.int64)
    m = len(population.models)
    opened = _Open(np.empty((0, 12)), np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, m, 7)), np.empty((0, m)),
                   np.empty((0, 2)), np.empty(0), np.empty(0))
    count = 0
    weights, starts_n, n_frames = np.full(m, 1.0), 0, 0
    starts = np.flatnonzero(np.diff(frames, prepend=-1))
    table = _columns(spots, drift[spots["frame"].to_numpy(dtype=np.int64)], pixel)
    sigma = spots["sigma_px"].median() if "sigma_px" in spots else np.nan
    joint = JOINT_SIGMAS * (sigma if np.isfinite(sigma) else USUAL_SIGMA_PX)
    for start, stop in zip(starts, [*starts[1:], len(tracks)]):
        frame = int(frames[start])
        now = table[start:stop]
        opened = opened.part(frame - opened.frame <= max_gap + 1)
        rows, columns, shift, split = _assign(opened, now, frame, population, reach, joint)
        chosen = np.full(stop - start, -1, dtype=np.int64)
        chosen[columns] = opened.track[rows]
        _go_on(opened, now, rows, columns, shift, frame, population, reach, joint, split)
        new = np.flatnonzero(chosen < 0)
        chosen[new] = np.arange(count, count + new.size)
        count += new.size
        if frame > frames[0]:
            starts_n += new.size
            n_frames += 1
        weights += opened.weights[rows].sum(axis=0)
        tracks[start:stop] = chosen
        opened = opened.join(_begin(now[new], chosen[new], frame, population))
    return tracks, weights / weights.sum(), starts_n / max(n_frames, 1)


def _begin(now, track, frame, population):
    n, m = len(now), len(population.models)
    states = np.empty((n, m, 7))
    motion_models.start(states, now[:, :2], now[:, VARIANCE], population.models)
    light = np.column_stack([now[:, LIGHT], FLICKER**2 + (LIGHT_ERROR / now[:, SNR]) ** 2])
    return _Open(now, np.full(n, frame), track, states, np.tile(population.prior, (n, 1)), light, now[:, SNR].copy(),
                 np.clip(now[:, SURE], 0.05, 1 - population.ends))


def _assign(opened, now, frame, population, reach, joint):
    none = np.empty(0, dtype=np.int64)
    if not len(opened.track):
        return none, none, np.empty((0, 2)), np.empty(0, np.bool_)
    waited = (frame - opened.frame).astype(np.float64)
    within = reach * np.sqrt(waited)
    at_membrane = np.abs(opened.spots[:, DISTANCE]) < reach
    around = np.where(at_membrane, MEMBRANE_REACH, 1.0) * within
    rows, columns = pairs_within(opened.spots[:, :2], now[:, :2], around)
    shift, slid = _moved(opened.spots[rows], now[columns])
    beside_track = _two_brightest(rows, columns, opened, now, joint, len(now))
    beside_spot = _beside(now, 2 * joint)
    gain, used, split = _gains(rows, columns, shift, slid, opened.spots, waited, opened.states, opened.weights, opened.light,
                        opened.snr, opened.exists, now, beside_track, beside_spot, population, within, joint)
    kept = assign_pairs(rows, columns, gain)
    opened.exists[rows[kept]] = 1 - (1 - opened.exists[rows[kept]]) / (1 + np.exp(np.minimum(gain[kept], 50)))
    return rows[kept], columns[kept], np.where(used[kept, None], shift[kept], 0.0), split[kept]


def _moved(before, after):
    """Return how far the membrane beside pairs of spots moved, NaN if unknown, and the variance of its slip."""
    same = before[:, CELL] == after[:, CELL]
    shift, slid = np.full((len(before), 2), np.nan), np.zeros(len(before))
    if same.any():
        b, a = before[same], after[same]
        centre = a[:, CENTRE_Y : CENTRE_X + 1] - b[:, CENTRE_Y : CENTRE_X + 1]
        steps = a[:, :2] - b[:, :2]
        left, outwards = beside_membrane(steps - centre, b[:, NORMAL_Y:], a[:, NORMAL_Y:], a[:, DISTANCE] - b[:, DISTANCE])
        shift[same], slid[same] = steps - left, (SLIP * outwards) ** 2
    return shift, slid


@njit(cache=True)
def _two_brightest_kernel(rows, columns, places, now, light, joint, n):
    best = np.full((n, 2), -1, dtype=np.int64)
    for k in range(len(rows)):
        i, j = rows[k], columns[k]
        if (places[i, 0] - now[j, 0]) ** 2 + (places[i, 1] - now[j, 1]) ** 2 > joint * joint:
            continue
        if best[j, 0] < 0 or light[i, 0] > light[best[j, 0], 0]:
            best[j, 1] = best[j, 0]
            best[j, 0] = i
        elif best[j, 1] < 0 or light[i, 0] > light[best[j, 1], 0]:
            best[j, 1] = i
    return best


def _two_brightest(rows, columns, opened, now, joint, n):
    return _two_brightest_kernel(rows, columns, opened.spots, now, opened.light, joint, n)


def _beside(now, within):
    """Return the nearest other spot of the same frame within reach, -1 if none."""
    rows, columns = pairs_within(now[:, :2], now[:, :2], np.full(len(now), within))
    other = rows != columns
    rows, columns = rows[other], columns[other]
    far = ((now[rows, :2] - now[columns, :2]) ** 2).sum(axis=1)
    order = np.argsort(-far, kind="stable")
    beside = np.full(len(now), -1, dtype=np.int64)
    beside[rows[order]] = columns[order]
    return beside


@njit(cache=True)
def _gains(rows, columns, shift, slid, spots, waited, states, weights, light, snr, exists, now, beside_track, beside_spot,
           population, within, joint):
    n = len(rows)
    gain = np.full(n, -1.0)
    used = np.zeros(n, dtype=np.bool_)
    split = np.zeros(n, dtype=np.bool_)
    for k in range(n):
        i, j = rows[k], columns[k]
        reach2 = within[i] ** 2
        y, x, variance = now[j, 0], now[j, 1], now[j, VARIANCE]
        stray = 1 / (np.pi * reach2)
        best = -np.inf
        if (y - spots[i, 0]) ** 2 + (x - spots[i, 1]) ** 2 <= reach2:
            best = motion_models.log_density(states[i], weights[i], population.models, waited[i], y, x, variance, stray)
        sy, sx = y - shift[k, 0], x - shift[k, 1]
        if (sy - spots[i, 0]) ** 2 + (sx - spots[i, 1]) ** 2 <= reach2:
            there = motion_models.log_density(states[i], weights[i], population.models, waited[i], sy, sx, variance + slid[k], stray)
            if there > best:
                best = there
                used[k] = True
        if best == -np.inf:
            continue
        # brightness
        error = FLICKER**2 + (LIGHT_ERROR / now[j, SNR]) ** 2
        unlike = (now[j, LIGHT] - light[i, 0]) ** 2 / (light[i, 1] + error)
        spread = light[i, 1] + error
        other = beside_track[j, 0] if beside_track[j, 0] != i else beside_track[j, 1]
        if other >= 0 and (spots[i, 0] - y) ** 2 + (spots[i, 1] - x) ** 2 <= joint**2:
            both = np.log(np.exp(light[i, 0]) + np.exp(light[other, 0]))
            joined = (now[j, LIGHT] - both) ** 2 / (light[i, 1] + error) - 2 * JOINT_PRIOR
            if joined < unlike:
                unlike = joined
        if beside_spot[j] >= 0:
            both = np.log(np.exp(now[j, LIGHT]) + np.exp(now[beside_spot[j], LIGHT]))
            parted = (both - light[i, 0]) ** 2 / (light[i, 1] + error) - 2 * JOINT_PRIOR
            if parted < unlike:
                unlike = parted
                split[k] = True
        if unlike > IMPLAUSIBLE:
            continue
        pop = population.light_sigma**2 + error
        lightgain = -0.5 * (unlike + np.log(spread)) + 0.5 * ((now[j, LIGHT] - population.light) ** 2 / pop + np.log(pop))
        seen = min(MOST_SEEN, 1 / (1 + np.exp(STEEP * (population.half_snr - snr[i]))))
        alive = exists[i]
        for _ in range(int(waited[i]) - 1):
            still = alive * (1 - population.ends) * (1 - seen)
            alive = still / (still + 1 - alive * (1 - population.ends))
        chance = alive * seen * (1 - population.ends)
        gain[k] = best - np.log(population.new_per_px2) + lightgain + np.log(chance) - np.log(1 - chance)
    return gain, used, split


def _go_on(opened, now, rows, columns, shift, frame, population, reach, joint, split):
    waited = (frame - opened.frame).astype(np.float64)
    _update(rows, columns, shift, waited, opened.spots, opened.states, opened.weights, opened.light, opened.snr, now, population, joint, split)
    opened.frame[rows] = frame
    opened.spots[rows] = now[columns]
    opened.exists[rows] *= 1 - population.ends


@njit(cache=True)
def _update(rows, columns, shift, waited, spots, states, weights, light, snr, now, population, joint, split):
    for k in range(len(rows)):
        i, j = rows[k], columns[k]
        for m in range(states.shape[1]):
            states[i, m, 0] += shift[k, 0]
            states[i, m, 1] += shift[k, 1]
        motion_models.update(states[i], weights[i], population.models, population.prior, waited[i], now[j, 0], now[j, 1], now[j, VARIANCE])
        error = FLICKER**2 + (LIGHT_ERROR / now[j, SNR]) ** 2
        if split[k]:
            light[i, 0], light[i, 1] = now[j, LIGHT], error
        else:
            was = light[i, 1] + DRIFT**2 * waited[i]
            if (now[j, LIGHT] - light[i, 0]) ** 2 < 9 * (was + error):
                light[i, 0] += was / (was + error) * (now[j, LIGHT] - light[i, 0])
                light[i, 1] = was - was**2 / (was + error)
        snr[i] += 0.2 * (now[j, SNR] - snr[i])


def _numbered(spots: pd.DataFrame, tracks: Ints, sure: NDArray[np.bool_], least: int) -> pd.Series[int]:
    """Give the tracks with enough sure spots numbers by first frame, y, x; both ends are sure."""
    ids = pd.array(np.full(len(spots), -1), dtype="Int64")
    ids[:] = pd.NA
    if tracks.size:
        first = pd.DataFrame(
            {
                "track": tracks,
                "frame": spots["frame"].to_numpy(),
                "y": spots["y_px"].to_numpy(),
                "x": spots["x_px"].to_numpy(),
            }
        ).drop_duplicates("track")
        surely = np.bincount(tracks, weights=sure)
        long_enough = (surely >= least) & (surely >= LEAST_SURE * np.bincount(tracks))
        kept = first[long_enough[first["track"]]].sort_values(["frame", "y", "x"])["track"].to_numpy()
        number = np.zeros(long_enough.size, dtype=np.int64)
        number[kept] = np.arange(1, kept.size + 1)
        order = np.arange(tracks.size)
        from_sure, to_sure = np.full(long_enough.size, tracks.size), np.full(long_enough.size, -1)
        np.minimum.at(from_sure, tracks[sure], order[sure])
        np.maximum.at(to_sure, tracks[sure], order[sure])
        linked = (number[tracks] > 0) & (order >= from_sure[tracks]) & (order <= to_sure[tracks])
        ids[linked] = number[tracks][linked]
    return pd.Series(ids, index=spots.index, name="exosome_id")
