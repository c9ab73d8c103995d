import numpy as np
import pytest

from exovision.errors import InputError
from exovision.numerics.diffusion import diffusion


def brownian(rng, n, d, dt, exposure, se, substeps=20):
    """Positions averaged over the exposure, with localisation error."""
    fine = np.cumsum(rng.normal(0, np.sqrt(2 * d * dt / substeps), (n * substeps, 2)), axis=0)
    open_steps = max(1, round(substeps * exposure / dt))
    at = fine.reshape(n, substeps, 2)[:, :open_steps].mean(axis=1)
    return at + rng.normal(0, se, at.shape)


@pytest.mark.parametrize(
    ("d", "dt", "exposure", "se"),
    [(0.1, 1.0, 0.0, 0.03), (0.01, 1.0, 0.0, 0.05), (0.05, 0.1, 0.1, 0.03), (0.002, 1.0, 0.05, 0.05)],
)
def test_the_estimate_is_unbiased_and_its_interval_covers(d, dt, exposure, se):
    rng = np.random.default_rng(7)
    times = np.arange(30) * dt
    found = []
    for _ in range(400):
        at = brownian(rng, 30, d, dt, exposure, se)
        found.append(diffusion(at[:, 0], at[:, 1], times, se, exposure))
    estimates = np.array([f.d_um2_s for f in found])
    covered = np.mean([f.lo <= d <= f.hi for f in found])
    assert abs(estimates.mean() / d - 1) < 0.06
    assert 0.92 <= covered <= 0.98


def test_without_a_standard_error_the_noise_is_taken_from_the_track():
    rng = np.random.default_rng(3)
    at = [brownian(rng, 100, 0.05, 1.0, 0.0, 0.1) for _ in range(60)]
    times = np.arange(100.0)
    blind = [diffusion(a[:, 0], a[:, 1], times, np.nan).d_um2_s for a in at]
    assert np.mean(blind) == pytest.approx(0.05, rel=0.08)


def test_missing_frames_do_not_change_the_estimate():
    rng = np.random.default_rng(5)
    kept = np.delete(np.arange(200), np.arange(5, 200, 7))
    values = []
    for _ in range(40):
        at = brownian(rng, 200, 0.1, 1.0, 0.0, 0.05)[kept]
        values.append(diffusion(at[:, 0], at[:, 1], kept.astype(float), 0.05).d_um2_s)
    assert np.mean(values) == pytest.approx(0.1, rel=0.06)


def test_a_spot_that_does_not_move_has_no_diffusion():
    rng = np.random.default_rng(9)
    at = rng.normal(0, 0.05, (60, 2))
    found = diffusion(at[:, 0], at[:, 1], np.arange(60.0), 0.05)
    assert found.d_um2_s < 0.001
    assert found.lo == 0


def test_the_exponent_parts_directed_from_diffusive_motion():
    rng = np.random.default_rng(1)
    times = np.arange(120.0)
    wandering = [brownian(rng, 120, 0.05, 1.0, 0.0, 0.02) for _ in range(30)]
    exponents = [diffusion(a[:, 0], a[:, 1], times, 0.02).alpha for a in wandering]
    directed = np.column_stack([0.05 * times, 0.02 * times]) + rng.normal(0, 0.02, (120, 2))
    assert np.median(exponents) == pytest.approx(1.0, abs=0.1)
    assert diffusion(directed[:, 0], directed[:, 1], times, 0.02).alpha > 1.8


def test_three_positions_say_nothing():
    found = diffusion(np.zeros(3), np.zeros(3), np.arange(3.0), 0.1)
    assert np.isnan(found).all()


def test_times_that_stand_still_are_refused():
    with pytest.raises(InputError, match="increasing time"):
        diffusion(np.zeros(5), np.zeros(5), np.zeros(5), 0.1)


@pytest.mark.parametrize(("n", "se"), [(25, 0.05), (100, 0.1)])
def test_the_interval_of_the_exponent_holds_that_of_diffusion(n, se):
    rng = np.random.default_rng(11)
    found = []
    for _ in range(400):
        at = brownian(rng, n, 0.05, 1.0, 0.0, se)
        found.append(diffusion(at[:, 0], at[:, 1], np.arange(float(n)), se))
    told = [f for f in found if np.isfinite(f.alpha)]
    assert len(told) > 380
    assert 0.89 <= np.mean([f.alpha_lo <= 1 <= f.alpha_hi for f in told]) <= 0.98
    assert np.median([f.alpha_hi - f.alpha_lo for f in told]) < (1.4 if n == 25 else 0.7)
