"""Bias, coverage and false positives of the analysis of hits and deaths, on experiments with known truth.

    python benchmarks/hits.py --replicates 300 --seed 20000
    python benchmarks/hits.py --only half_life
    python benchmarks/hits.py --only mixed --replicates 1000 --seed 20000
    python benchmarks/hits.py --only ratios --plans "no effect" --replicates 1000 --seed 50000

Each row is a plan of `exovision.simulation.studies`, simulated `--replicates` times as tables and analysed
with default settings (but for `ERRORS`); beside it stand the analyses that are often made instead. Tables go
to standard output as they are ready. An experiment takes about 0.15 s on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from exovision.experiment.comparison import comparison_table
from exovision.experiment.cox import HazardFit, fit_hazard, pair_at_risk
from exovision.experiment.damage import profile_half_life
from exovision.experiment.design import check_design
from exovision.experiment.exposures import Cohort, exposure, make_cohort
from exovision.experiment.hazard import Group, estimate, make_groups, time_shift_p
from exovision.experiment.mixed import fit_mixed
from exovision.experiment.study import Study, make_study
from exovision.experiment.wells import well_table
from exovision.settings import ExperimentSettings
from exovision.simulation.studies import simulate_study
from exovision.simulation.study_plan import Arm, StudyPlan

HOUR_S = 3600.0
SETTINGS = ExperimentSettings()


def arms(**changes: Any) -> tuple[Arm, ...]:
    """Return two conditions that differ in nothing."""
    return Arm("one", **changes), Arm("other", **changes)


BIG = StudyPlan(arms=arms(), sights_every=6)
PLANS: dict[str, tuple[StudyPlan, float]] = {
    "no effect": (BIG, 1.0),
    "HR 1.3": (replace(BIG, arms=arms(docking_hr=1.3)), 1.3),
    "HR 1.3, 24 wells": (replace(BIG, arms=arms(docking_hr=1.3), wells_per_donor=4), 1.3),
    "HR 2, one condition of 6 wells": (replace(BIG, arms=arms(docking_hr=2.0)[:1]), 2.0),
    "HR 1.3, hazards differ between wells and donors": (
        replace(BIG, arms=arms(docking_hr=1.3), well_spread=0.4, donor_spread=0.3),
        1.3,
    ),
    "HR 1.3, late entries, lost tracks": (
        replace(BIG, arms=arms(docking_hr=1.3), late=0.3, lost_per_h=0.02),
        1.3,
    ),
    "HR 1.3, onset known to 2 h": (replace(BIG, arms=arms(docking_hr=1.3), onset_width_h=2.0), 1.3),
    "HR 1.3, frail cells (variance 0.5)": (replace(BIG, arms=arms(docking_hr=1.3), frailty=0.5), 1.3),
    "no effect, size drives hits and death": (
        replace(BIG, size_to_docking=1.0, size_to_death=1.0, size_spread=0.4),
        1.0,
    ),
    "no effect, dying cells catch 10 times more": (
        replace(BIG, docking_after_onset=10.0, onset_delay_h=0.4),
        1.0,
    ),
    "HR 1.3, a fifth labelled": (
        replace(BIG, arms=arms(docking_hr=1.3, docking_per_h=3.0), tracer_fraction=0.2),
        1.3,
    ),
    "HR 1.3, a fifth missed, a fifth false": (
        replace(BIG, arms=arms(docking_hr=1.3), recall=0.8, false_per_h=0.1),
        1.3,
    ),
}
ERRORS = {
    "HR 1.3, a fifth missed, a fifth false": SETTINGS.model_copy(
        update={"docking_recall": 0.8, "docking_precision": 0.8}
    )
}
"""Settings of experiments whose detection errors are known; the others have the defaults."""


def main() -> None:
    """Run the tables that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicates", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20000)
    parser.add_argument("--only", nargs="+", choices=sorted(TABLES), default=list(TABLES))
    parser.add_argument(
        "--plans", nargs="+", choices=list(PLANS), default=list(PLANS), help="rows of `ratios`"
    )
    options = parser.parse_args()
    for name in options.only:
        print(f"\n{name} ({options.replicates} experiments each, seeds from {options.seed})", flush=True)
        table = partial(ratios, plans=options.plans) if name == "ratios" else TABLES[name]
        for number, row in enumerate(table(options.replicates, options.seed)):
            if not number:
                print("| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|")
            print("| " + " | ".join(map(str, row.values())) + " |", flush=True)


def study_of(plan: StudyPlan, seed: int) -> Study:
    """Return a simulated experiment as the analysis takes it."""
    tables = simulate_study(plan, seed=seed)
    return make_study(tables.movies, fates=tables.fates, events=tables.events, cells=tables.cells)


def whole(cohort: Cohort, settings: ExperimentSettings = SETTINGS) -> Group:
    """Return all cells of an experiment as one group, each well with its own baseline."""
    return make_groups(cohort, settings)[0]


def _first(fit: HazardFit) -> tuple[float, float, float, float]:
    contrast = np.zeros(len(fit.beta))
    contrast[0] = 1.0
    return fit.interval(contrast)


def _summary(found: list[tuple[float, float, float, float]], truth: float) -> dict[str, Any]:
    values = np.array(found)
    log = np.log(truth)
    covered = (values[:, 1] <= log) & (values[:, 2] >= log)
    mean = float(np.exp(values[:, 0].mean()))
    return {
        "hazard ratio": f"{mean:.3f}",
        "bias": f"{100 * (mean / truth - 1):+.1f} %",
        "95 % intervals that cover": f"{covered.mean():.3f}",
        "p < .05": f"{(values[:, 3] < 0.05).mean():.3f}",
    }


def ratios(replicates: int, seed: int, plans: Sequence[str] = tuple(PLANS)) -> Iterator[dict[str, Any]]:
    """Yield bias and coverage of the hazard ratio per doubling of dockings, as the program gives it."""
    for number, (name, (plan, truth)) in enumerate(PLANS.items()):
        if name not in plans:
            continue
        settings, found, deaths = ERRORS.get(name, SETTINGS), [], []
        for k in range(replicates):
            cohort = make_cohort(study_of(plan, seed + 10_000 * number + k), settings)
            fit, _ = estimate(cohort, whole(cohort), ("docked",), lag_s=HOUR_S, settings=settings)
            found.append(_first(fit))
            deaths.append(fit.deaths)
        yield {"experiment": name, "true": truth, "deaths": round(float(np.mean(deaths)))} | _summary(
            found, truth
        )


def wrong(replicates: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield what other analyses make of the same kinds of experiments."""
    lag0 = SETTINGS.model_copy(update={"lag_h": 0.0})
    cases: list[tuple[str, str, Callable[[Cohort], HazardFit]]] = [
        ("no effect, dying cells catch 10 times more", "lag 0", lambda c: _fit(c, lag0)),
        ("no effect, size drives hits and death", "not adjusted", lambda c: _fit(c, SETTINGS, adjust=False)),
        ("no effect", "total hits of each cell as a fixed number", _fixed_total),
        ("HR 1.3, a fifth labelled", "seen hits divided by the labelled share", _divided),
        ("HR 1.3, a fifth labelled", "seen hits taken for all", _undivided),
    ]
    for number, (name, analysis, fit) in enumerate(cases):
        plan, truth = PLANS[name]
        start = seed + 200_000 + 10_000 * number
        found = [_first(fit(make_cohort(study_of(plan, start + k), SETTINGS))) for k in range(replicates)]
        yield {"experiment": name, "analysis": analysis, "true": truth} | _summary(found, truth)


def _fit(cohort: Cohort, settings: ExperimentSettings, *, adjust: bool = True) -> HazardFit:
    lag_s = settings.lag_h * HOUR_S
    return estimate(
        cohort, whole(cohort), ("docked",), lag_s=lag_s, settings=settings, adjusters=None if adjust else {}
    )[0]


def _fixed_total(cohort: Cohort) -> HazardFit:
    pairs = whole(cohort).pairs
    total = np.log2(1 + np.diff(cohort.hits["docked"].start))
    return fit_hazard(total[pairs.cell][:, None], pairs, cohort.unit)


def _divided(cohort: Cohort) -> HazardFit:
    return _scaled(cohort, 1 / 0.2)


def _undivided(cohort: Cohort) -> HazardFit:
    return _scaled(cohort, 1.0)


def _scaled(cohort: Cohort, factor: float) -> HazardFit:
    group = whole(cohort)
    seen = replace(cohort, seen=np.ones(len(cohort.seen)))
    x = exposure(seen, "docked", cell=group.pairs.cell, at_s=group.pairs.time_s - HOUR_S, scale="hit")
    return fit_hazard(np.log2(1 + factor * x)[:, None], group.pairs, group.cluster)


def conditions(replicates: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield how often two conditions without any difference are told apart, by cells and by wells."""
    for wells, donors in ((1, 3), (2, 3), (1, 6)):
        plan = replace(BIG, wells_per_donor=wells, donors=donors, well_spread=0.4, donor_spread=0.3)
        found = []
        for k in range(replicates):
            study = study_of(plan, seed + 400_000 + 10_000 * (wells + 3 * donors) + k)
            cohort = make_cohort(study, SETTINGS)
            design = check_design(study.movies, SETTINGS)
            table = comparison_table(
                well_table(study, cohort, SETTINGS), design.contrasts, design.interactions, SETTINGS
            )
            row = table[table["readout"] == "mean_time_alive_h"].iloc[0]
            found.append((_log_rank_p(cohort), row["p"], row["p_permutation"]))
        shares = (np.array(found, dtype=float) < 0.05).mean(axis=0)
        yield {
            "wells per condition": wells * donors,
            "donors": donors,
            "log-rank over cells, p < .05": f"{shares[0]:.3f}",
            "the program's test over wells, p < .05": f"{shares[1]:.3f}",
            "permutation of wells, p < .05": f"{shares[2]:.3f}",
            "smallest p of the permutation": f"{row['p_smallest']:.3f}",
        }


def _log_rank_p(cohort: Cohort) -> float:
    """Return the p-value of the log-rank test over cells: the score test of the arm in one stratum."""
    pairs = pair_at_risk(
        cohort.entry_s, cohort.end_s, cohort.died, np.zeros(len(cohort.unit), dtype=np.int64)
    )
    arm = pd.factorize(cohort.cells["arm"])[0].astype(float)[pairs.cell]
    share = np.add.reduceat(arm * pairs.weight, pairs.start) / np.add.reduceat(pairs.weight, pairs.start)
    score = float(np.sum(arm[pairs.case] - share))
    return 2 * float(stats.norm.sf(abs(score) / np.sqrt(np.sum(share * (1 - share)))))


def null(replicates: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield how often hits without effect are called one, by the interval and by the time-shift null."""
    settings = SETTINGS.model_copy(update={"null_draws": 19})
    for number, (name, plan) in enumerate(
        {
            "no effect": BIG,
            "no effect, wells differ": replace(BIG, well_spread=0.4, donor_spread=0.3),
            "no effect, late entries": replace(BIG, late=0.3, lost_per_h=0.02),
        }.items()
    ):
        found = []
        for k in range(replicates):
            cohort = make_cohort(study_of(plan, seed + 600_000 + 10_000 * number + k), settings)
            group = whole(cohort)
            fit, _ = estimate(cohort, group, ("docked",), lag_s=HOUR_S, settings=settings)
            found.append((_first(fit)[3], time_shift_p(cohort, group, "docked", fit, settings)))
        p = np.array(found)
        yield {
            "experiment": name,
            "robust interval, p < .05": f"{(p[:, 0] < 0.05).mean():.3f}",
            "time-shift null, p ≤ .05": f"{(p[:, 1] <= 0.05).mean():.3f}",
            "both": f"{((p[:, 0] < 0.05) & (p[:, 1] <= 0.05)).mean():.3f}",
        }


def half_life(replicates: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield how well the half-life of damage is found."""
    for number, truth_h in enumerate((1.0, 3.0)):
        plan = replace(BIG, arms=arms(docking_hr=2.5), scale="damage", half_life_h=truth_h)
        found = []
        for k in range(replicates):
            cohort = make_cohort(study_of(plan, seed + 800_000 + 10_000 * number + k), SETTINGS)
            group = whole(cohort)
            at_s = group.pairs.time_s - HOUR_S

            def fit_at(
                half_life_s: float, cohort: Cohort = cohort, group: Group = group, at_s: Any = at_s
            ) -> HazardFit:
                damage = exposure(
                    cohort, "docked", cell=group.pairs.cell, at_s=at_s, scale="hit", half_life_s=half_life_s
                )
                return fit_hazard(damage[:, None], group.pairs, group.cluster)

            best = profile_half_life(fit_at, longest_s=24 * HOUR_S)
            found.append((best.half_life_s, best.lo_s, best.hi_s, best.fit.beta[0]))
        values = np.array(found)
        lo, hi = np.nan_to_num(values[:, 1], nan=0.0), np.nan_to_num(values[:, 2], nan=np.inf)
        covered = (lo <= truth_h * HOUR_S) & (hi >= truth_h * HOUR_S)
        yield {
            "true half-life, h": truth_h,
            "median, h": f"{np.median(values[:, 0]) / HOUR_S:.2f}",
            "95 % intervals that cover": f"{covered.mean():.3f}",
            "without an upper limit": f"{np.isinf(hi).mean():.3f}",
            "hazard ratio per fresh hit (true 2.5)": f"{np.exp(values[:, 3].mean()):.2f}",
        }


DONORS = {
    "3 donors under both": ("xyz", "xyz"),
    "2 donors under both": ("xy", "xy"),
    "one of 5 donors under both": ("xyz", "xuv"),
    "3 donors of each condition": ("xyz", "uvw"),
}


def mixed(replicates: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield false positives and coverage of the mixed model, of 1 to 4 wells per donor and condition."""
    for number, (name, donors) in enumerate(DONORS.items()):
        for spread in (0.0, 0.5, 1.0, 2.0):
            rng = np.random.default_rng([seed, number, round(10 * spread)])
            null = np.array([_mixed_wells(rng, donors, spread, 0.0) for _ in range(replicates)])
            shifted = np.array([_mixed_wells(rng, donors, spread, 2.0) for _ in range(replicates)])
            covered = (shifted[:, 0] <= 2) & (shifted[:, 1] >= 2)
            yield {
                "donors": name,
                "their SD, in SD of wells": spread,
                "p < .05 without effect": f"{((null[:, 0] > 0) | (null[:, 1] < 0)).mean():.3f}",
                "95 % intervals that cover": f"{covered.mean():.3f}",
                "their half width (median)": f"{np.median(shifted[:, 1] - shifted[:, 0]) / 2:.2f}",
                "Welch over wells, p < .05": f"{(null[:, 2] < 0.05).mean():.3f}",
            }


def _mixed_wells(
    rng: np.random.Generator, donors: Sequence[str], spread: float, difference: float
) -> tuple[float, float, float]:
    """Return the limits of the mixed model, and Welch's p, of one simulated table of wells."""
    pairs = [(arm, d) for arm, own in enumerate(donors) for d in own for _ in range(rng.integers(1, 5))]
    arm, names = np.array([a for a, _ in pairs]), [d for _, d in pairs]
    level = dict(zip(sorted(set(names)), rng.normal(0, spread, len(set(names)))))
    y = rng.normal(size=len(arm)) + [level[d] for d in names] + difference * (arm == 0)
    fit = fit_mixed(y, (arm[:, None] == [0, 1]).astype(float), names)
    welch = float(stats.ttest_ind(y[arm == 0], y[arm == 1], equal_var=False).pvalue)
    if fit is None:
        return -np.inf, np.inf, welch
    value, error, freedom = fit.contrast(np.array([1.0, -1.0]))
    reach = float(stats.t.ppf(0.975, freedom)) * error
    return value - reach, value + reach, welch


TABLES: dict[str, Callable[[int, int], Iterator[dict[str, Any]]]] = {
    "ratios": ratios,
    "wrong": wrong,
    "conditions": conditions,
    "null": null,
    "half_life": half_life,
    "mixed": mixed,
}

if __name__ == "__main__":
    main()
