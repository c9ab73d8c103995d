"""Tracks that may still go on, and how much speaks for each spot that may continue one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from exovision.numerics import motion_models

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Y, X, VARIANCE, LIGHT, SNR, SURE, CELL, CENTRE_Y, CENTRE_X, DISTANCE, NORMAL_Y, NORMAL_X = range(12)
"""Columns of a spot: place and variance per axis, px; log counts; SNR; probability; nearest cell, its
centroid, the signed distance to it and the outward normal there, NaN where there is none."""
SPOT_COLUMNS = 12

LIGHT_ERROR, FLICKER, LIGHT_DRIFT = 0.5, 0.1, 0.05
"""Relative error of the counts times the SNR; spread of log brightness beyond it; its drift per frame (P)."""
MISSED_HALF_SNR, MISSED_SLOPE, MOST_SEEN = 1.6, 2.4, 0.99
"""An exosome of this SNR is missed in every second frame, in fewer with this slope on logits; no chance to be
seen is above the last (P)."""
ENDS = 0.02
"""Chance per frame that an exosome is gone for good (P)."""
IMPLAUSIBLE = 20.0
"""Squared deviation of brightness, and of the frames in which a track was missed, chi-squared, beyond which
spots are never linked."""
JOINT, COAST = 0.05, 0.3
"""Prior odds that a spot is two exosomes at once, or one of two that were; that a track not seen near
another's spot is in it (P)."""
OUTLIER = 9.0
"""Squared deviation, chi-squared, beyond which a track's brightness learns nothing from a spot."""
SNR_MEMORY = 0.2
SINGLE, JOINED, PARTED = 0, 1, 2
"""How the brightness of a link is explained: that of the track, that of two tracks, a part of it."""


class Population(NamedTuple):
    """What is known of all exosomes of a movie.

    Attributes
    ----------
    models : ndarray of shape (M, 4)
        Ways of moving, see `motion_models`.
    prior : ndarray of shape (M,)
        How common each is.
    new_per_px2 : float
        Spots per frame and px² that continue no track.
    light, light_sigma : float
        Mean and standard deviation of log counts.
    """

    models: Floats
    prior: Floats
    new_per_px2: float
    light: float
    light_sigma: float


class OpenTracks(NamedTuple):
    """Tracks that may go on, a row each.

    Attributes
    ----------
    spots : ndarray of shape (N, 12)
        The last spot of each.
    frame, track : ndarray of shape (N,)
        When that was, in acquired frames, and the number of the track.
    states, weights : ndarray of shape (N, M, 7) and (N, M)
        Motion filters and the weights of the models.
    light : ndarray of shape (N, 2)
        Mean log counts and its variance.
    snr, exists : ndarray of shape (N,)
        Usual SNR, and the probability that it is an exosome still there.
    """

    spots: Floats
    frame: Ints
    track: Ints
    states: Floats
    weights: Floats
    light: Floats
    snr: Floats
    exists: Floats

    @classmethod
    def begin(cls, spots: Floats, tracks: Ints, frame: int, population: Population) -> OpenTracks:
        """Open a track with each of the spots, shape (N, 12)."""
        count, models = len(spots), len(population.models)
        states = np.empty((count, models, motion_models.STATE_COLUMNS))
        motion_models.start(states, spots[:, :VARIANCE], spots[:, VARIANCE], population.models)
        return cls(
            spots=spots,
            frame=np.full(count, frame, dtype=np.int64),
            track=tracks,
            states=states,
            weights=np.tile(population.prior, (count, 1)),
            light=np.column_stack([spots[:, LIGHT], FLICKER**2 + (LIGHT_ERROR / spots[:, SNR]) ** 2]),
            snr=spots[:, SNR].copy(),
            exists=np.clip(spots[:, SURE], 0.05, 1 - ENDS),
        )

    def part(self, which: Any) -> OpenTracks:
        """Return some of the rows."""
        return OpenTracks(*(values[which] for values in self))

    def join(self, other: OpenTracks) -> OpenTracks:
        """Return the rows of both."""
        return OpenTracks(*(np.concatenate(pair) for pair in zip(self, other)))


class Candidates(NamedTuple):
    """Pairs of an open track and a spot that may continue it.

    Attributes
    ----------
    rows, columns : ndarray of shape (P,)
        Into the open tracks and the spots of the frame.
    shift : ndarray of shape (P, 2)
        How far the membrane beside the two moved meanwhile, px; NaN where unknown.
    slid : ndarray of shape (P,)
        Variance, px², by which it may have slid along itself.
    """

    rows: Ints
    columns: Ints
    shift: Floats
    slid: Floats


@njit(cache=True)
def gains(
    pairs: Candidates,
    tracks: OpenTracks,
    now: Floats,
    waited: Floats,
    within: Floats,
    joint_px: float,
    known: Population,
) -> tuple[Floats, Ints, NDArray[np.bool_]]:
    """Return the log likelihood ratio of each candidate against a track unseen and a spot that is new.

    Parameters
    ----------
    pairs : Candidates
    tracks : OpenTracks
    now : ndarray of shape (S, 12)
        The spots of this frame.
    waited : ndarray of shape (N,)
        Frames since each track was last seen.
    within : ndarray of shape (N,)
        Largest step since then, px.
    joint_px : float
        Exosomes nearer than this may be one spot.
    known : Population

    Returns
    -------
    gain : ndarray of shape (P,)
        −1 for pairs that are out of the question.
    how : ndarray of shape (P,)
        `SINGLE`, `JOINED` or `PARTED`.
    beside : ndarray of shape (P,)
        Whether the step was judged beside the membrane.
    """
    count = len(pairs.rows)
    gain, how = np.full(count, -1.0), np.full(count, SINGLE, dtype=np.int64)
    beside = np.zeros(count, dtype=np.bool_)
    partner, neighbour = _partners(pairs, tracks, now, joint_px), _neighbours(now, 2 * joint_px)
    for k in range(count):
        i, j = pairs.rows[k], pairs.columns[k]
        moved, beside[k] = _motion(pairs, k, tracks, now[j], waited[i], within[i], known)
        if moved == -np.inf:
            continue
        other = partner[j, 0] if partner[j, 0] != i else partner[j, 1]
        second = (
            tracks.light[other, 0] if other >= 0 and _near(tracks.spots[i], now[j], joint_px) else -np.inf
        )
        piece = now[neighbour[j], LIGHT] if neighbour[j] >= 0 else -np.inf
        light, how[k] = _brightness(tracks.light[i], now[j], second, piece, known)
        if light == -np.inf or _missed(tracks.snr[i]) * (waited[i] - 1) > IMPLAUSIBLE:
            continue
        chance = _chance(tracks.exists[i], tracks.snr[i], waited[i])
        gain[k] = moved + light - np.log(known.new_per_px2) + np.log(chance / (1 - chance))
    return gain, how, beside


@njit(cache=True)
def _near(one: Floats, other: Floats, within: float) -> bool:
    return bool((one[Y] - other[Y]) ** 2 + (one[X] - other[X]) ** 2 <= within**2)


@njit(cache=True)
def _motion(
    pairs: Candidates,
    k: int,
    tracks: OpenTracks,
    spot: Floats,
    waited: float,
    within: float,
    known: Population,
) -> tuple[float, bool]:
    """Return the log density of a step on the stage or beside the membrane, whichever is likelier."""
    i = pairs.rows[k]
    best, beside = -np.inf, False
    for where in range(2):
        y, x, variance = spot[Y], spot[X], spot[VARIANCE]
        if where == 1:
            y, x, variance = y - pairs.shift[k, 0], x - pairs.shift[k, 1], variance + pairs.slid[k]
        if (y - tracks.spots[i, Y]) ** 2 + (x - tracks.spots[i, X]) ** 2 <= within**2:
            found = motion_models.log_density(
                tracks.states[i], tracks.weights[i], known.models, waited, y, x, variance, within
            )
            if found > best:
                best, beside = found, where == 1
    return best, beside


@njit(cache=True)
def _brightness(
    light: Floats, spot: Floats, second: float, piece: float, known: Population
) -> tuple[float, int]:
    """Return the log likelihood ratio of a spot's brightness, against any exosome's, and how it is explained.

    `second` is the log brightness of another track that may be in the spot, `piece` that of another
    spot which may be the rest of the track's; −inf for none.
    """
    error = FLICKER**2 + (LIGHT_ERROR / spot[SNR]) ** 2
    spread = light[1] + error
    unlike, how = (spot[LIGHT] - light[0]) ** 2 / spread, SINGLE
    joined = (spot[LIGHT] - np.logaddexp(light[0], second)) ** 2 / spread - 2 * np.log(JOINT)
    if second > -np.inf and joined < unlike:
        unlike, how = joined, JOINED
    parted = (np.logaddexp(spot[LIGHT], piece) - light[0]) ** 2 / spread - 2 * np.log(JOINT)
    if piece > -np.inf and parted < unlike:
        unlike, how = parted, PARTED
    if unlike > IMPLAUSIBLE:
        return -np.inf, how
    usual = known.light_sigma**2 + error
    any_other = (spot[LIGHT] - known.light) ** 2 / usual + np.log(usual)
    return 0.5 * (any_other - unlike - np.log(spread)), how


@njit(cache=True)
def _seen(snr: float) -> float:
    """Return the chance that an exosome of this SNR is seen in a frame."""
    return float(min(MOST_SEEN, 1 / (1 + np.exp(MISSED_SLOPE * (MISSED_HALF_SNR - snr)))))


@njit(cache=True)
def _missed(snr: float) -> float:
    """Return how unlikely it is that an exosome of this SNR is missed in a frame, as a chi-squared."""
    return float(-2 * np.log(1 - _seen(snr)))


@njit(cache=True)
def _chance(exists: float, snr: float, waited: float) -> float:
    """Return the chance that a track is seen in this frame, after those in which it was not."""
    seen = _seen(snr)
    for _ in range(int(waited) - 1):
        missed = exists * (1 - ENDS) * (1 - seen)
        exists = missed / (missed + 1 - exists * (1 - ENDS))
    return exists * (1 - ENDS) * seen


@njit(cache=True)
def _partners(pairs: Candidates, tracks: OpenTracks, now: Floats, joint_px: float) -> Ints:
    """Return the two brightest tracks that may be in each spot, shape (S, 2), −1 for none."""
    best = np.full((len(now), 2), -1, dtype=np.int64)
    for k in range(len(pairs.rows)):
        i, j = pairs.rows[k], pairs.columns[k]
        if not _near(tracks.spots[i], now[j], joint_px):
            continue
        if best[j, 0] < 0 or tracks.light[i, 0] > tracks.light[best[j, 0], 0]:
            best[j, 1] = best[j, 0]
            best[j, 0] = i
        elif best[j, 1] < 0 or tracks.light[i, 0] > tracks.light[best[j, 1], 0]:
            best[j, 1] = i
    return best


@njit(cache=True)
def _neighbours(now: Floats, within: float) -> Ints:
    """Return the nearest other spot of the same frame within reach, −1 for none."""
    order = np.argsort(now[:, Y], kind="mergesort")
    nearest, distance = np.full(len(now), -1, dtype=np.int64), np.full(len(now), within**2)
    for a in range(len(order)):
        for b in range(a + 1, len(order)):
            i, j = order[a], order[b]
            if now[j, Y] - now[i, Y] > within:
                break
            apart = (now[i, Y] - now[j, Y]) ** 2 + (now[i, X] - now[j, X]) ** 2
            if apart <= distance[i]:
                nearest[i], distance[i] = j, apart
            if apart <= distance[j]:
                nearest[j], distance[j] = i, apart
    return nearest


@njit(cache=True)
def _update_motion(
    tracks: OpenTracks, i: int, known: Population, waited: float, spot: Floats, doubt_px2: float
) -> None:
    """Take a spot into the filters of track `i`, in place; `doubt_px2` adds to the variance of its place."""
    variance = spot[VARIANCE] + doubt_px2
    motion_models.update(
        tracks.states[i], tracks.weights[i], known.models, known.prior, waited, spot[Y], spot[X], variance
    )


@njit(cache=True)
def go_on(
    tracks: OpenTracks,
    now: Floats,
    pairs: Candidates,
    chosen: Ints,
    gain: Floats,
    how: Ints,
    beside: NDArray[np.bool_],
    frame: int,
    known: Population,
) -> None:
    """Take the chosen candidates, given by their numbers, into their tracks, in place."""
    for k in chosen:
        i, j = pairs.rows[k], pairs.columns[k]
        waited = float(frame - tracks.frame[i])
        if beside[k]:
            tracks.states[i, :, motion_models.Y] += pairs.shift[k, 0]
            tracks.states[i, :, motion_models.X] += pairs.shift[k, 1]
        _update_motion(tracks, i, known, waited, now[j], 0.0)
        _learn_light(tracks.light[i], now[j], waited, how[k])
        tracks.snr[i] += SNR_MEMORY * (now[j, SNR] - tracks.snr[i])
        doubt = (1 - tracks.exists[i]) / (1 + np.exp(min(gain[k], 50.0)))
        tracks.exists[i] = (1 - doubt) * (1 - ENDS)
        tracks.spots[i], tracks.frame[i] = now[j], frame


@njit(cache=True)
def _learn_light(light: Floats, spot: Floats, waited: float, how: int) -> None:
    """Update a track's mean log counts and its variance, unless the spot holds another exosome too."""
    error = FLICKER**2 + (LIGHT_ERROR / spot[SNR]) ** 2
    before, surprise = light[1] + LIGHT_DRIFT**2 * waited, spot[LIGHT] - light[0]
    if how == PARTED:
        light[0], light[1] = spot[LIGHT], error
    elif how == SINGLE and surprise**2 < OUTLIER * (before + error):
        light[0] += before / (before + error) * surprise
        light[1] = before * error / (before + error)


@njit(cache=True)
def coast(
    tracks: OpenTracks,
    now: Floats,
    pairs: Candidates,
    chosen: Ints,
    frame: int,
    joint_px: float,
    known: Population,
) -> None:
    """Carry tracks that were not chosen along, in place, where another's spot is bright enough for both."""
    owner, seen = np.full(len(now), -1, dtype=np.int64), np.zeros(len(tracks.frame), dtype=np.bool_)
    owner[pairs.columns[chosen]] = pairs.rows[chosen]
    seen[pairs.rows[chosen]] = True
    for k in range(len(pairs.rows)):
        i, j = pairs.rows[k], pairs.columns[k]
        waited = float(frame - tracks.frame[i])
        if seen[i] or owner[j] < 0 or not _near(tracks.spots[i], now[j], joint_px * np.sqrt(waited)):
            continue
        odds = _odds_of_both(tracks.light[i], tracks.light[owner[j]], now[j]) * tracks.exists[i]
        odds *= COAST / (1 - _chance(tracks.exists[i], tracks.snr[i], 1.0))
        if odds < 1:
            continue
        _update_motion(tracks, i, known, waited, now[j], joint_px**2 / 4)
        tracks.exists[i] *= odds / (1 + odds)
        tracks.spots[i], tracks.frame[i], seen[i] = now[j], frame, True


@njit(cache=True)
def _odds_of_both(light: Floats, other: Floats, spot: Floats) -> float:
    """Return how much likelier a spot's brightness is that of two tracks than that of the other alone."""
    error = FLICKER**2 + (LIGHT_ERROR / spot[SNR]) ** 2
    alone = (spot[LIGHT] - other[0]) ** 2 / (other[1] + error)
    both = (spot[LIGHT] - np.logaddexp(light[0], other[0])) ** 2 / (light[1] + other[1] + error)
    return float(np.exp(min(0.5 * (alone - both), 50.0)))
