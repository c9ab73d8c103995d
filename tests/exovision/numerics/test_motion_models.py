import numpy as np
import pytest

from exovision.numerics.motion_models import (
    JITTER,
    SPEED,
    STATE_COLUMNS,
    log_density,
    motion_models,
    start,
    update,
)

REACH = 6.0
MODELS = motion_models(REACH)
PRIOR = np.full(len(MODELS), 1 / len(MODELS))
ERROR = 0.15


def followed(path):
    states = np.empty((1, len(MODELS), STATE_COLUMNS))
    start(states, path[:1], np.array([ERROR**2]), MODELS)
    weights = PRIOR.copy()
    for y, x in path[1:]:
        update(states[0], weights, MODELS, PRIOR, 1.0, y, x, ERROR**2)
    return states[0], weights


def noise(n, scale, seed=0):
    return np.random.default_rng(seed).normal(0, scale, (n, 2))


PATHS = {
    "directed": 1.5 * np.arange(30)[:, None] * np.array([[0.6, 0.8]]) + noise(30, ERROR),
    "confined": noise(30, np.hypot(0.6, ERROR)),
    "free": np.cumsum(noise(30, 1.0), axis=0) + noise(30, ERROR, 1),
}


@pytest.mark.parametrize("kind", PATHS)
def test_the_weights_tell_how_a_track_moves(kind):
    _, weights = followed(PATHS[kind])
    columns = {"directed": MODELS[:, SPEED] > 0, "confined": MODELS[:, JITTER] > 0}
    columns["free"] = ~(columns["directed"] | columns["confined"])
    share = {name: weights[which].sum() for name, which in columns.items()}
    assert max(share, key=share.get) == kind and share[kind] > 0.6


def test_directed_motion_is_expected_to_go_on_and_confined_to_return():
    state, weights = followed(PATHS["directed"])
    here = PATHS["directed"][-1]
    ahead, behind = (
        log_density(state, weights, MODELS, 1.0, *(here + sign * np.array([0.9, 1.2])), ERROR**2, REACH)
        for sign in (1, -1)
    )
    assert ahead > behind + 3
    state, weights = followed(PATHS["confined"])
    after_ten = [log_density(state, weights, MODELS, 10.0, d, 0.0, ERROR**2, REACH) for d in (0.5, 5.0)]
    assert after_ten[0] > after_ten[1] + 2


def test_the_density_of_a_prediction_sums_to_one():
    state, weights = followed(PATHS["free"])
    grid = np.arange(-30, 30, 0.25)
    total = sum(
        np.exp(log_density(state, weights, MODELS, 1.0, y, x, ERROR**2, 1e6)) * 0.25**2
        for y in state[0, 0] + grid
        for x in state[0, 1] + grid
    )
    assert total == pytest.approx(0.99, abs=0.02)
