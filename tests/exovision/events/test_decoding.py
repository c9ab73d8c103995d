import itertools

import numpy as np
import pytest

from exovision.events.decoding import (
    BELOW,
    BLOCK,
    BLOCK_SPOTS,
    MOBILE,
    OUTSIDE,
    SLOW,
    _blocks,
    _posterior,
    _viterbi,
    decode,
)
from exovision.events.motion import Track
from exovision.settings import EventSettings


def track(distance, steps=0.0, *, dt=1.0, se=0.03):
    n = len(distance)
    at = np.column_stack([np.cumsum(np.broadcast_to(steps, n)), np.zeros(n)])
    whole, none = np.arange(n), np.zeros(n)
    return Track(
        exosome_id=1,
        rows=whole,
        frames=whole,
        times_s=whole * dt,
        stage_um=at,
        cell_um=at,
        motion_um=np.zeros((n, 2)),
        membrane_um=np.zeros((n, 2)),
        se_um=np.full(n, se),
        distance_um=np.asarray(distance, dtype=float),
        nearest=np.ones(n, dtype=np.int64),
        next_cell=np.zeros(n, dtype=np.int64),
        next_um=np.full(n, np.inf),
        slid_um2=np.zeros(max(n - 1, 0)),
        cell_id=1,
        counts=none,
        sigma_px=none,
    )


def path_of(one):
    settings = EventSettings()
    return decode([one], band_um=np.array([0.3]), outline_um=0.1, interval_s=1.0, settings=settings)[0]


def test_place_and_motion_give_the_four_states():
    rng = np.random.default_rng(0)
    distance = np.repeat([2.0, 0.0, 0.0, -2.0], 30)
    steps = np.concatenate([rng.normal(0, s, 30) for s in (1.0, 0.1, 1.0, 0.05)])
    path, probability = path_of(track(distance, steps))
    middle = [path[i : i + 20] for i in (5, 35, 65, 95)]
    for found, expected in zip(middle, (OUTSIDE, SLOW, MOBILE, BELOW)):
        assert (found == expected).mean() >= 0.9
    assert probability.sum(axis=1) == pytest.approx(1.0)


def test_a_single_wrong_distance_does_not_leave_the_band():
    distance = np.zeros(40)
    distance[20] = 1.0
    assert (path_of(track(distance))[0] == SLOW).all()


def test_frames_without_a_distance_are_told_by_their_neighbours():
    distance = np.zeros(40)
    distance[15:20] = np.nan
    assert (path_of(track(distance))[0] == SLOW).all()


def test_motion_along_a_line_is_judged_as_such():
    """At D = 0.1 along a line both axes together show only 0.05, the limit of docked."""
    rng = np.random.default_rng(1)
    found = [
        (path_of(track(np.zeros(80), rng.normal(0, np.sqrt(2 * 0.1), 80)))[0] == MOBILE).mean()
        for _ in range(20)
    ]
    assert np.mean(found) > 0.85


def test_the_decoded_path_is_the_best_of_all_paths_and_the_posterior_their_sum():
    rng = np.random.default_rng(3)
    evidence, stay = rng.normal(0, 1.5, (2, 4, 3)), rng.uniform(0.3, 0.9, (2, 3))
    prior = np.array([0.5, 0.3, 0.2])
    decoded, posterior = _viterbi(evidence, stay, prior), _posterior(evidence, stay, prior)
    for row in range(2):
        weights = {}
        for path in itertools.product(range(3), repeat=4):
            moves = [
                stay[row, t] * (a == b) + (1 - stay[row, t]) * prior[b]
                for t, (a, b) in enumerate(itertools.pairwise(path))
            ]
            seen = np.exp(sum(evidence[row, t, s] for t, s in enumerate(path)))
            weights[path] = seen * prior[path[0]] * np.prod(moves)
        assert tuple(decoded[row]) == max(weights, key=weights.get)
        total = sum(weights.values())
        for t, s in itertools.product(range(4), range(3)):
            share = sum(w for path, w in weights.items() if path[t] == s) / total
            assert posterior[row, t, s] == pytest.approx(share)


def test_the_decoding_of_a_track_does_not_depend_on_the_others():
    rng = np.random.default_rng(5)
    tracks = [track(rng.normal(0, 0.5, n), rng.normal(0, 0.2, n)) for n in (5, 40, 17, 1)]
    together = decode(
        tracks, band_um=np.full(4, 0.3), outline_um=0.1, interval_s=1.0, settings=EventSettings()
    )
    for one, (path, probability) in zip(tracks, together):
        alone = path_of(one)
        assert alone[0].tolist() == path.tolist()
        assert alone[1] == pytest.approx(probability)


def test_long_tracks_are_decoded_a_few_at_a_time():
    lengths = [3] * 300 + [40_000] * 8
    blocks = list(_blocks(range(len(lengths)), lengths))
    assert [i for block in blocks for i in block] == list(range(len(lengths)))
    assert max(len(block) for block in blocks) == BLOCK
    sizes = [len(block) * lengths[block[-1]] for block in blocks]
    assert max(sizes) <= BLOCK_SPOTS and len(blocks) == 5
