"""Conditions compared by their wells: tests, exact permutation, interactions, effect sizes, many readouts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from exovision import schema
from exovision.experiment.design import Contrast, Interaction
from exovision.experiment.mixed import fit_mixed
from exovision.settings import ExperimentSettings

Floats = NDArray[np.float64]

READOUTS: Mapping[str, str] = {
    "dockings_per_cell_hour": "dockings per cell and hour",
    "fusions_per_cell_hour": "fusions per cell and hour",
    "uptakes_per_cell_hour": "uptakes per cell and hour",
    "survival": "share alive at the horizon",
    "mean_time_alive_h": "mean time alive up to the horizon, h",
}
MOST_ARRANGEMENTS = 20_000
"""With more ways to deal the wells, this many random ones stand for all."""
PAIRED_DONORS = 2
"""With as many donors under both conditions wells are dealt within donors."""
MANY_DONORS = 5
"""With as many, donors themselves are the replicates: what is found then holds for donors like them (P)."""
MIXED = "mixed model over donors"
WELCH = "Welch, wells"


class Estimate(NamedTuple):
    """A difference between means of wells or donors: value, 95 % limits, p, and how it was tested."""

    value: float
    lo: float
    hi: float
    p: float
    test: str


@dataclass(frozen=True)
class Sample:
    """The values of one arm's wells, and the donor of each (None: not told)."""

    values: Floats
    donors: Sequence[str | None]

    def by_donor(self) -> dict[str, float]:
        """Return each donor's mean over wells."""
        names = sorted({d for d in self.donors if d is not None})
        told = np.array([d if d is not None else "" for d in self.donors])
        return {name: float(self.values[told == name].mean()) for name in names}


def comparison_table(
    wells: pd.DataFrame,
    contrasts: Sequence[Contrast],
    interactions: Sequence[Interaction],
    settings: ExperimentSettings,
) -> pd.DataFrame:
    """Compare conditions readout by readout.

    Parameters
    ----------
    wells : DataFrame
        From `well_table`.
    contrasts, interactions : sequence
        From `plan_contrasts` and `plan_interactions`.
    settings : ExperimentSettings
        `seed` of random arrangements.

    Returns
    -------
    DataFrame
        Columns of `exovision.schema.COMPARISON`. `p` is that of a t-test over donors where five were seen
        under both conditions, else of a mixed model of wells with random donors where donors and wells can
        be told apart, else of a t-test over wells (Welch); `test` says which. `p_permutation` deals wells to
        conditions, within donors where two are shared, `p_smallest` is the least that it could be; `q` is `p`
        corrected over all rows of the table by Benjamini and Hochberg; `effect_size` is Hedges' g over wells.

    Notes
    -----
    Of balanced data, the mixed model is the paired t-test, or that of wells within donors, and the test over
    donors the model that has random donor × condition effects too. Wells without a donor are left out of
    tests with donors. Readouts that are 0 in every well of both conditions
    are left out.

    References
    ----------
    Kenward and Roger 1997, doi:10.2307/2533558; Welch 1947, doi:10.1093/biomet/34.1-2.28;
    Hedges 1981, doi:10.3102/10769986006002107;
    Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    rows: list[dict[str, Any]] = []
    for readout in READOUTS:
        samples = _samples(wells, readout)
        if not any(sample.values.any() for sample in samples.values()):
            continue
        rows += [row for c in contrasts if (row := _compare(c, samples, readout, settings))]
        rows += [row for i in interactions if (row := _interact(i, samples, readout))]
    table = schema.conform(pd.DataFrame(rows), schema.COMPARISON)
    p = table["p"].to_numpy(dtype=np.float64)
    known = np.isfinite(p)
    q = np.full(len(p), np.nan)
    if known.any():
        q[known] = stats.false_discovery_control(p[known])
    return table.assign(q=q)


def _samples(wells: pd.DataFrame, readout: str) -> dict[str, Sample]:
    samples = {}
    for arm, rows in wells.groupby("condition", sort=False):
        values = rows[readout].to_numpy(dtype=np.float64)
        known = np.isfinite(values)
        donors = [None if pd.isna(d) else str(d) for d in rows["donor"][known]]
        samples[str(arm)] = Sample(values[known], donors)
    return samples


def _compare(
    contrast: Contrast, samples: Mapping[str, Sample], readout: str, settings: ExperimentSettings
) -> dict[str, Any] | None:
    if contrast.condition not in samples or contrast.reference not in samples:
        return None
    a, b = samples[contrast.condition], samples[contrast.reference]
    if not (len(a.values) and len(b.values)) or not (a.values.any() or b.values.any()):
        return None
    shared = _shared([a, b])
    paired = len(shared) >= PAIRED_DONORS
    found = _test([(1.0, a), (-1.0, b)], shared)
    p, least = permutation_p(a, b, shared if paired else [], seed=settings.seed)
    effect = hedges_g(a.values, b.values)
    return {
        "contrast": contrast.kind,
        "readout": readout,
        "condition": contrast.condition,
        "reference": contrast.reference,
        "target_type": contrast.target_type,
        "wells": len(a.values),
        "wells_reference": len(b.values),
        "donors": len({d for d in (*a.donors, *b.donors) if d is not None}) or None,
        "mean": float(a.values.mean()),
        "mean_reference": float(b.values.mean()),
        **_difference(found),
        **dict(zip(("effect_size", "effect_size_lo", "effect_size_hi"), effect)),
        "p_permutation": p,
        "p_smallest": least,
        "note": _why(a, b, found, shared),
    }


def _difference(found: Estimate) -> dict[str, Any]:
    names = ("difference", "difference_lo", "difference_hi", "p", "test")
    return dict(zip(names, found))


def _why(a: Sample, b: Sample, found: Estimate, shared: Sequence[str]) -> str | None:
    if min(len(a.values), len(b.values)) < 2:
        return "one well in a condition: the difference is described, not tested"
    if not np.isfinite(found.p):
        return "all wells of both conditions are alike: nothing to test"
    told = {d for d in (*a.donors, *b.donors) if d is not None}
    if found.test == WELCH and told:
        return (
            f"{len(told)} donor(s) that cannot be told from conditions or wells: wells stand for themselves"
        )
    if len(shared) < MANY_DONORS and not (found.test == MIXED and not shared):
        return f"{len(shared) or 'no'} donor(s) under both conditions: nothing is said of other donors"
    return None


def _interact(interaction: Interaction, samples: Mapping[str, Sample], readout: str) -> dict[str, Any] | None:
    """Return the difference of differences between two target types."""
    names = (
        interaction.treated,
        interaction.reference,
        interaction.treated_other,
        interaction.reference_other,
    )
    if any(name not in samples or not len(samples[name].values) for name in names):
        return None
    parts = [(sign, samples[name]) for sign, name in zip((1.0, -1.0, -1.0, 1.0), names)]
    if not any(sample.values.any() for _, sample in parts):
        return None
    shared = _shared([sample for _, sample in parts])
    found = _test(parts, shared)
    first, second = (
        (p[0][0] * p[0][1].values.mean() + p[1][0] * p[1][1].values.mean()) for p in (parts[:2], parts[2:])
    )
    return {
        "contrast": "interaction",
        "readout": readout,
        "condition": f"{interaction.treated} − {interaction.reference}",
        "reference": f"{interaction.treated_other} − {interaction.reference_other}",
        "target_type": f"{interaction.target} against {interaction.target_other}",
        "wells": len(parts[0][1].values) + len(parts[1][1].values),
        "wells_reference": len(parts[2][1].values) + len(parts[3][1].values),
        "donors": len({d for _, s in parts for d in s.donors if d is not None}) or None,
        "mean": float(first),
        "mean_reference": float(-second),
        **_difference(found),
        "note": None if np.isfinite(found.p) else "too few wells to test",
    }


def _shared(samples: Sequence[Sample]) -> list[str]:
    """Return the donors that all samples have, in order."""
    sets = [{d for d in sample.donors if d is not None} for sample in samples]
    return sorted(set.intersection(*sets))


def _test(parts: Sequence[tuple[float, Sample]], shared: Sequence[str]) -> Estimate:
    """Compare over donors where there are many, by the mixed model where that can be fitted, or wells."""
    if len(shared) >= MANY_DONORS:
        return _over_donors(parts, shared)
    return _mixed(parts) or _over_wells(parts)


def _over_wells(parts: Sequence[tuple[float, Sample]]) -> Estimate:
    """Compare means of wells with unequal variances; degrees of freedom by Welch and Satterthwaite."""
    value = float(sum(sign * sample.values.mean() for sign, sample in parts))
    sizes = np.array([len(sample.values) for _, sample in parts])
    if (sizes < 2).any():
        return Estimate(value, np.nan, np.nan, np.nan, "none")
    errors = np.array([sample.values.var(ddof=1) for _, sample in parts]) / sizes
    total = float(errors.sum())
    if not total > 0:
        return Estimate(value, np.nan, np.nan, np.nan, "none")
    freedom = total**2 / float(np.sum(errors**2 / (sizes - 1)))
    return _t_estimate(value, math.sqrt(total), freedom, WELCH)


def _over_donors(parts: Sequence[tuple[float, Sample]], shared: Sequence[str]) -> Estimate:
    """Compare the donors' own contrasts of means."""
    means = [(sign, sample.by_donor()) for sign, sample in parts]
    own = np.array([sum(sign * mean[donor] for sign, mean in means) for donor in shared])
    error, freedom = float(own.std(ddof=1)) / math.sqrt(len(own)), len(own) - 1
    return _t_estimate(float(own.mean()), error, freedom, "donors")


def _mixed(parts: Sequence[tuple[float, Sample]]) -> Estimate | None:
    """Compare wells with random donors; None where donors and wells cannot be told apart."""
    wells = [
        (value, arm, donor)
        for arm, (_, sample) in enumerate(parts)
        for value, donor in zip(sample.values, sample.donors)
        if donor is not None
    ]
    arms = np.array([arm for _, arm, _ in wells])[:, None] == np.arange(len(parts))
    if (arms.sum(axis=0) < 2).any():
        return None
    y = np.array([value for value, _, _ in wells])
    fit = fit_mixed(y, arms.astype(np.float64), [donor for _, _, donor in wells])
    return _t_estimate(*fit.contrast(np.array([sign for sign, _ in parts])), MIXED) if fit else None


def _t_estimate(value: float, error: float, freedom: float, test: str) -> Estimate:
    if not error > 1e-12 * (1 + abs(value)):
        return Estimate(value, np.nan, np.nan, np.nan, "none")
    reach = float(stats.t.ppf(0.975, freedom)) * error
    return Estimate(
        value, value - reach, value + reach, 2 * float(stats.t.sf(abs(value) / error, freedom)), test
    )


def hedges_g(a: Floats, b: Floats) -> tuple[float, float, float]:
    """Return the difference of means in pooled standard deviations, for few wells, with 95 % limits.

    References
    ----------
    Hedges 1981, doi:10.3102/10769986006002107.
    """
    n, m = len(a), len(b)
    if min(n, m) < 2:
        return np.nan, np.nan, np.nan
    pooled = ((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / (n + m - 2)
    if not pooled > 0:
        return np.nan, np.nan, np.nan
    g = (1 - 3 / (4 * (n + m) - 9)) * float(a.mean() - b.mean()) / math.sqrt(pooled)
    reach = 1.959964 * math.sqrt((n + m) / (n * m) + g**2 / (2 * (n + m)))
    return g, g - reach, g + reach


def permutation_p(a: Sample, b: Sample, shared: Sequence[str], *, seed: int) -> tuple[float, float]:
    """Return the two-sided p of dealing wells to conditions anew, and the least p that any data could give.

    Parameters
    ----------
    a, b : Sample
    shared : sequence of str
        Donors within which wells are dealt; empty: over all wells.
    seed : int
        Of random arrangements, where there are too many for all.
    """
    blocks = [_block(a, b, donor) for donor in shared] if shared else [(a.values, b.values)]
    observed = abs(sum(x.mean() - y.mean() for x, y in blocks))
    sizes = [math.comb(len(x) + len(y), len(x)) for x, y in blocks]
    arrangements = math.prod(sizes)
    symmetric = all(len(x) == len(y) for x, y in blocks)
    if arrangements <= MOST_ARRANGEMENTS:
        null = np.array([sum(parts) for parts in product(*(_differences(x, y) for x, y in blocks))])
        return float((np.abs(null) >= observed - 1e-12).mean()), min(
            1.0, (2 if symmetric else 1) / arrangements
        )
    rng = np.random.default_rng(seed)
    draws = sum(_random_differences(x, y, rng) for x, y in blocks)
    larger = int((np.abs(draws) >= observed - 1e-12).sum())
    return (1 + larger) / (1 + MOST_ARRANGEMENTS), 1 / (1 + MOST_ARRANGEMENTS)


def _block(a: Sample, b: Sample, donor: str) -> tuple[Floats, Floats]:
    x, y = (s.values[[d == donor for d in s.donors]] for s in (a, b))
    return x, y


def _differences(x: Floats, y: Floats) -> Iterator[float]:
    """Yield the difference of means of every way to deal the values."""
    pool = np.concatenate([x, y])
    total, n, m = pool.sum(), len(x), len(y)
    for chosen in combinations(range(n + m), n):
        part = pool[list(chosen)].sum()
        yield part / n - (total - part) / m


def _random_differences(x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    pool = np.tile(np.concatenate([x, y]), (MOST_ARRANGEMENTS, 1))
    dealt = rng.permuted(pool, axis=1)
    draws: Floats = dealt[:, : len(x)].mean(axis=1) - dealt[:, len(x) :].mean(axis=1)
    return draws
