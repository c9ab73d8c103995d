import numpy as np
import pytest

from exovision.death.markov import (
    AT_BIRTH,
    AT_FIRST,
    COVERED,
    DEAD,
    LIVE,
    MITOTIC,
    STATES,
    rates_per_h,
    smooth,
)
from exovision.settings import DeathSettings

RATES = rates_per_h(DeathSettings())


def evidence(states, strength=2.0):
    """Return log-likelihoods that favour one state per frame."""
    found = np.zeros((len(states), len(STATES)))
    for t, state in enumerate(states):
        if state is not None:
            found[t, STATES.index(state)] = strength
    return found


def test_rates_leave_each_state_and_no_death_is_undone():
    np.testing.assert_allclose(RATES.sum(axis=1), 0, atol=1e-12)
    assert (RATES[list(DEAD)][:, [LIVE, MITOTIC]] == 0).all()


def test_without_evidence_death_comes_at_the_expected_rate():
    hours = 10
    posterior = smooth(np.zeros((hours * 60 + 1, len(STATES))), 60.0 * np.arange(hours * 60 + 1), RATES)
    dying = posterior[:, DEAD].sum(axis=1)
    start = dying[0]
    assert 1 - (1 - dying[-1]) / (1 - start) == pytest.approx(1 - np.exp(-0.01 * hours), rel=0.02)


def test_the_posterior_of_dying_never_falls():
    rng = np.random.default_rng(1)
    for _ in range(20):
        log_emission = rng.normal(0, 2, (60, len(STATES)))
        times = np.cumsum(rng.exponential(300, 60))
        dying = smooth(log_emission, times, RATES)[:, DEAD].sum(axis=1)
        assert (np.diff(dying) > -1e-9).all()


def test_the_same_signs_over_the_same_time_tell_the_same_whatever_the_frames():
    """Frames in which nothing is known change nothing."""
    states = ["live"] * 10 + ["late"] * 10
    seen = smooth(evidence(states), 600.0 * np.arange(20), RATES)
    between = [state for pair in zip(states, [None] * 20) for state in pair]
    dense = smooth(evidence(between), 300.0 * np.arange(40), RATES)
    np.testing.assert_allclose(dense[::2], seen, atol=1e-6)


def test_a_track_that_begins_by_a_division_begins_mitotic():
    nothing = np.zeros((5, len(STATES)))
    born, other = (
        smooth(nothing, 240.0 * np.arange(5), RATES, at_first=first)[0, MITOTIC]
        for first in (AT_BIRTH, AT_FIRST)
    )
    assert born > 0.5 > other


def test_a_mitosis_does_not_last_for_hours():
    """What looks like either death or mitosis is mitosis for half an hour, and death after five hours."""
    either = np.zeros((1, len(STATES)))
    either[0, [MITOTIC, STATES.index("late")]] = 3.0
    alive = evidence(["live"])
    for frames, dead in ((6, False), (75, True)):
        log_emission = np.concatenate([alive.repeat(20, axis=0), either.repeat(frames, axis=0)])
        posterior = smooth(log_emission, 240.0 * np.arange(len(log_emission)), RATES)
        assert (posterior[-1, DEAD].sum() > 0.5) == dead


def test_a_stain_that_is_gone_after_an_hour_floated_by():
    either = np.zeros((1, len(STATES)))
    either[0, [COVERED, STATES.index("lytic")]] = 3.0
    alive = evidence(["live"])
    seen = np.concatenate([alive.repeat(30, axis=0), either.repeat(15, axis=0), alive.repeat(30, axis=0)])
    posterior = smooth(seen, 240.0 * np.arange(len(seen)), RATES)
    assert posterior[37, COVERED] > 0.9 and posterior[-1, DEAD].sum() < 0.01


def test_dying_is_judged_by_what_was_before_it_began():
    """Of two groups of onsets, evidence for death counts in that whose past it contradicts."""
    times = 240.0 * np.arange(60)
    group = (np.arange(60) >= 30).astype(np.int64)
    since = np.zeros((2, 60, len(DEAD)))
    since[1, 30:] = 2.0
    dying = smooth(np.zeros((60, len(STATES))), times, RATES, since=since, group=group)[:, DEAD].sum(axis=1)
    assert dying[28] < 0.01 and dying[-1] > 0.99
