"""Where a track is relative to the membrane, and whether it moves there, decoded over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e, ndtr

from exovision.events.motion import Track
from exovision.settings import EventSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

OUTSIDE, MOBILE, SLOW, BELOW = range(4)
"""Outside the band; in the band and diffusing faster, or no faster, than docked; below the band."""

DIFFUSION_GRID: tuple[tuple[float, ...], ...] = (
    (0.0, 0.2, 1.0, 4.0, 20.0, 100.0),
    (2.0, 5.0, 15.0, 50.0),
    (0.0, 0.2, 0.6),
    (0.0, 0.1, 0.6, 4.0),
)
"""Diffusion coefficients that each state allows with equal weight, in units of the docked limit (P)."""
GROUP = np.repeat(np.arange(len(DIFFUSION_GRID)), [len(grid) for grid in DIFFUSION_GRID])
PRIOR = np.repeat([1 / len(DIFFUSION_GRID) / len(grid) for grid in DIFFUSION_GRID], np.bincount(GROUP))
"""State and prior probability of each pair of a state and a diffusion coefficient."""
ALONG_MEMBRANE = (False, True, True, False)
"""In the band an exosome moves along an outline, elsewhere in the plane."""

REACH_UM = 5.0
"""Range over which distances outside and below the band are taken as uniform (P)."""
OUTLIER_SHARE, OUTLIER_RANGE_UM = 1e-3, 20.0
"""Share and range of wrong values: false links and failed outlines (P)."""
STAY_S, STAY_FRAMES = 30.0, 8.0
"""A state lasts about this long before another is as likely, whichever is longer (P)."""
LEAST_VARIANCE_UM2 = 1e-8
BLOCK, BLOCK_SPOTS = 256, 1 << 17
"""Tracks decoded side by side, and their spots, counted as if all were as long as the longest."""


def decode(
    tracks: Sequence[Track], *, band_um: Floats, outline_um: float, interval_s: float, settings: EventSettings
) -> list[tuple[Ints, Floats]]:
    """Find the most likely sequence of states of each track, and the probability of each state.

    A hidden Markov model whose hidden states are pairs of a state and one of the diffusion coefficients that
    it allows, kept until the next change. Distances are uniform within the state's range, blurred by the
    error of spot and outline; steps in the cell's frame are normal with that diffusion, in the band along a
    line of any direction. A step counts half for the frame before and half for the frame after, so that a
    reversed movie gives the reversed answer.

    Parameters
    ----------
    tracks : sequence of Track
    band_um : ndarray of shape (len(tracks),)
        Half-width of the membrane band for each track, µm.
    outline_um : float
        Standard deviation of one measured distance that comes from the outline, µm.
    interval_s : float
        Median frame interval, s.
    settings : EventSettings

    Returns
    -------
    list of (ndarray of shape (N,), ndarray of shape (N, 4))
        States as `OUTSIDE`, `MOBILE`, `SLOW`, `BELOW`, and their probabilities.

    References
    ----------
    Rabiner 1989, doi:10.1109/5.18626.
    """
    persistence = max(STAY_S, STAY_FRAMES * interval_s) if np.isfinite(interval_s) else STAY_S
    order = sorted(range(len(tracks)), key=lambda i: len(tracks[i]))
    decoded: dict[int, tuple[Ints, Floats]] = {}
    for block in _blocks(order, [len(track) for track in tracks]):
        longest = len(tracks[block[-1]])
        evidence = np.zeros((len(block), longest, PRIOR.size))
        stay = np.ones((len(block), max(longest - 1, 0)))
        for row, i in enumerate(block):
            n = len(tracks[i])
            evidence[row, :n] = _evidence(tracks[i], float(band_um[i]), outline_um, settings)
            stay[row, : n - 1] = np.exp(-np.diff(tracks[i].times_s) / persistence)
        paths = GROUP[_viterbi(evidence, stay, PRIOR)]
        firsts = np.searchsorted(GROUP, np.arange(len(DIFFUSION_GRID)))
        probabilities = np.add.reduceat(_posterior(evidence, stay, PRIOR), firsts, axis=2)
        for row, i in enumerate(block):
            decoded[i] = paths[row, : len(tracks[i])], probabilities[row, : len(tracks[i])]
    return [decoded[i] for i in range(len(tracks))]


def _blocks(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield tracks, given in the order of their lengths, as many at a time as may be decoded side by side."""
    block: list[int] = []
    for i in order:
        if block and (len(block) == BLOCK or (len(block) + 1) * lengths[i] > BLOCK_SPOTS):
            yield block
            block = []
        block.append(i)
    if block:
        yield block


def _evidence(track: Track, band_um: float, outline_um: float, settings: EventSettings) -> Floats:
    """Return log likelihoods of shape (N, S) of the distances and steps of one track."""
    error = np.sqrt(track.se_um**2 + outline_um**2)
    d = track.distance_um
    density = np.stack(
        [
            ndtr((d - band_um) / error) / REACH_UM,
            *[(ndtr((d + band_um) / error) - ndtr((d - band_um) / error)) / (2 * band_um)] * 2,
            ndtr((-d - band_um) / error) / REACH_UM,
        ],
        axis=1,
    )
    place = np.log((1 - OUTLIER_SHARE) * density + OUTLIER_SHARE / OUTLIER_RANGE_UM)
    evidence: Floats = np.where(np.isfinite(d)[:, None], place, 0.0)[:, GROUP]
    if len(track) > 1:
        steps = _step_evidence(track, settings.docked_max_diffusion_um2_s)
        evidence[1:] += steps / 2
        evidence[:-1] += steps / 2
    return evidence


def _step_evidence(track: Track, unit_um2_s: float) -> Floats:
    r"""Return log likelihoods of shape (N - 1, S) of the steps in the cell's frame.

    A step of length r along a line of unknown direction, with variances u along and v across it, has density

    .. math:: \frac{1}{2\pi\sqrt{uv}} \exp\left(-\frac{r^2}{4u} - \frac{r^2}{4v}\right)
              I_0\left(\frac{r^2}{4v} - \frac{r^2}{4u}\right)
    """
    squared = np.sum(np.diff(track.cell_um, axis=0) ** 2, axis=1)[:, None]
    noise = np.maximum(track.se_um[1:] ** 2 + track.se_um[:-1] ** 2, LEAST_VARIANCE_UM2)[:, None]
    waits = np.diff(track.times_s)
    columns = []
    for grid, on_line in zip(DIFFUSION_GRID, ALONG_MEMBRANE):
        along = 2 * unit_um2_s * np.outer(waits, grid) + noise + track.slid_um2[:, None]
        across = noise if on_line else along
        bessel = i0e(squared / 4 * (1 / across - 1 / along))
        normal = np.log(bessel / (2 * np.pi * np.sqrt(along * across))) - squared / (2 * along)
        columns.append(normal)
    wrong = np.log(OUTLIER_SHARE / OUTLIER_RANGE_UM**2)
    logs: Floats = np.logaddexp(np.concatenate(columns, axis=1), wrong)
    return logs


def _viterbi(evidence: Floats, stay: Floats, prior: Floats) -> Ints:
    """Return the most likely paths of shape (B, N); a change draws the state after it from the prior."""
    n_tracks, n, states = evidence.shape
    every = np.arange(n_tracks)
    best = evidence[:, 0] + np.log(prior)
    came_from = np.zeros((n_tracks, n, states), dtype=np.int8)
    for t in range(1, n):
        change = (1 - stay[:, t - 1, None]) * prior
        first = best.argmax(axis=1)
        with np.errstate(divide="ignore"):
            changed = best[every, first][:, None] + np.log(change)
        stayed = best + np.log(stay[:, t - 1, None] + change)
        came_from[:, t] = np.where(stayed >= changed, np.arange(states), first[:, None])
        best = np.maximum(stayed, changed) + evidence[:, t]
    path = np.empty((n_tracks, n), dtype=np.int64)
    path[:, -1] = best.argmax(axis=1)
    for t in range(n - 1, 0, -1):
        path[:, t - 1] = came_from[every, t, path[:, t]]
    return path


def _posterior(evidence: Floats, stay: Floats, prior: Floats) -> Floats:
    """Return state probabilities of shape (B, N, S) by the forward-backward recursions."""
    n = evidence.shape[1]
    likelihood = np.exp(evidence - evidence.max(axis=2, keepdims=True))
    forward = np.empty_like(likelihood)
    backward = np.ones_like(likelihood)
    forward[:, 0] = prior * likelihood[:, 0]
    for t in range(1, n):
        before = forward[:, t - 1] / forward[:, t - 1].sum(axis=1, keepdims=True)
        kept = stay[:, t - 1, None]
        forward[:, t] = (kept * before + (1 - kept) * prior) * likelihood[:, t]
    for t in range(n - 2, -1, -1):
        after = likelihood[:, t + 1] * backward[:, t + 1]
        kept = stay[:, t, None]
        behind = kept * after + (1 - kept) * (after @ prior)[:, None]
        backward[:, t] = behind / behind.sum(axis=1, keepdims=True)
    joint: Floats = forward * backward
    joint /= joint.sum(axis=2, keepdims=True)
    return joint
