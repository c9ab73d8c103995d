"""Do hits raise the hazard of death? Time-varying exposures, lags, routes, fading damage, and a null."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.experiment.cox import HazardFit, RiskPairs, fit_hazard, pair_at_risk
from exovision.experiment.damage import profile_half_life
from exovision.experiment.exposures import Cohort, confounders, exposure
from exovision.numerics.trains import Trains, make_trains
from exovision.settings import ExperimentSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXPOSURES = ("docked", "fused", "taken_up")
ROUTES = ("docked_only", "fused", "unresolved")
CONTRAST = "fused_over_docked_only"
ALL = "all conditions"


@dataclass(frozen=True)
class Group:
    """Cells whose hits and deaths are looked at together, each well with its own baseline hazard.

    Attributes
    ----------
    name : str
        The condition, or `ALL`.
    rows : ndarray of shape (n,)
        Its cells in the cohort.
    pairs : RiskPairs
    cluster : ndarray of shape (N,)
        What counts as independent, by cell.
    level : str
        "well", "donor", or "cell" where there is only one of either.
    """

    name: str
    rows: Ints
    pairs: RiskPairs
    cluster: Ints
    level: str


def make_groups(cohort: Cohort, settings: ExperimentSettings) -> list[Group]:
    """Return each condition, and all that are no controls together where there are several."""
    arms = cohort.cells["arm"]
    real = cohort.cells["control"].fillna("none") == "none"
    several = arms[real].nunique() > 1
    masks = {ALL: real} if several else {}
    masks |= {str(arm): arms == arm for arm in arms.unique()}
    return [
        _make_group(cohort, name, mask.to_numpy(dtype=bool), settings.cluster) for name, mask in masks.items()
    ]


def _make_group(cohort: Cohort, name: str, mask: NDArray[np.bool_], wanted: str) -> Group:
    entry = np.where(mask, cohort.entry_s, np.inf)
    pairs = pair_at_risk(entry, cohort.end_s, cohort.died & mask, cohort.unit)
    rows = np.flatnonzero(mask)
    donor = pd.factorize(cohort.cells["donor"])[0].astype(np.int64)
    known = wanted == "donor" and len(np.unique(donor[rows])) > 1 and (donor[rows] >= 0).all()
    level, cluster = ("donor", donor) if known else ("well", cohort.unit)
    if len(np.unique(cluster[rows])) < 2:
        level, cluster = "cell", np.arange(len(mask))
    return Group(name, rows, pairs, cluster, level)


def hazard_table(cohort: Cohort, settings: ExperimentSettings) -> pd.DataFrame:
    """Estimate how hits change the hazard of death, in each condition and in all together.

    Parameters
    ----------
    cohort : Cohort
    settings : ExperimentSettings

    Returns
    -------
    DataFrame
        Columns of `exovision.schema.HAZARD`. `analysis` is hits (the main one), unadjusted, lag_sweep, route
        (docking without fusion and fusion side by side), route_bound (the same with every unresolved loss
        taken for one or the other) or damage (fading hits, with the half-life of the best fit).
    """
    rows = [row for group in make_groups(cohort, settings) for row in _rows(cohort, group, settings)]
    return schema.conform(pd.DataFrame(rows), schema.HAZARD)


def _rows(cohort: Cohort, group: Group, settings: ExperimentSettings) -> Iterator[dict[str, Any]]:
    lag_s = settings.lag_h * 3600
    default = find_adjusters(cohort, group, lag_s)
    swept = {lag_h * 3600: find_adjusters(cohort, group, lag_h * 3600) for lag_h in settings.lag_sweep_h}
    for name in EXPOSURES:
        if not _count(cohort, group, name):
            continue
        terms = (name,)
        fit, adjusted = estimate(cohort, group, terms, lag_s=lag_s, settings=settings, adjusters=default)
        row = _row(cohort, group, "hits", terms, fit, adjusted, settings)
        row["p_time_shift"] = time_shift_p(cohort, group, name, fit, settings)
        yield row
        fit, _ = estimate(cohort, group, terms, lag_s=lag_s, settings=settings, adjusters={})
        yield _row(cohort, group, "unadjusted", terms, fit, [], settings)
        for sweep_s, extra in swept.items():
            fit, adjusted = estimate(cohort, group, terms, lag_s=sweep_s, settings=settings, adjusters=extra)
            yield _row(cohort, group, "lag_sweep", terms, fit, adjusted, settings) | {"lag_s": sweep_s}
        yield _damage_row(cohort, group, name, settings)
    if _count(cohort, group, "fused"):
        yield from _routes(cohort, group, settings)


def _count(cohort: Cohort, group: Group, name: str) -> int:
    start = cohort.hits[name].start
    return int((start[group.rows + 1] - start[group.rows]).sum())


def estimate(
    cohort: Cohort,
    group: Group,
    terms: Sequence[str],
    *,
    lag_s: float,
    settings: ExperimentSettings,
    adjusters: Mapping[str, Floats] | None = None,
    hits: Trains | None = None,
) -> tuple[HazardFit, list[str]]:
    """Fit the hazard on one or more exposures together, adjusted for confounders.

    Parameters
    ----------
    cohort : Cohort
    group : Group
    terms : sequence of str
        The exposures.
    lag_s : float
    settings : ExperimentSettings
        `scale`.
    adjusters : mapping of str to ndarray of shape (M,), optional
        Confounders by name; None: those of `find_adjusters` at this lag.
    hits : Trains, optional
        Instead of the cohort's own, for a null.

    Returns
    -------
    HazardFit
        The exposures come first.
    list of str
        The confounders that were adjusted for.
    """
    pairs = group.pairs
    at_s = pairs.time_s - lag_s
    columns = [
        exposure(cohort, name, cell=pairs.cell, at_s=at_s, scale=settings.scale, hits=hits) for name in terms
    ]
    extra = find_adjusters(cohort, group, lag_s) if adjusters is None else adjusters
    return fit_hazard(np.stack([*columns, *extra.values()], axis=1), pairs, group.cluster), list(extra)


def find_adjusters(cohort: Cohort, group: Group, lag_s: float) -> dict[str, Floats]:
    """Return the confounders that are known of all, vary, and do not part the dying from the others alone.

    One that does, such as division where no daughter died, has no finite coefficient and would leave the
    exposure without an estimate.
    """
    pairs = group.pairs
    found = confounders(cohort, cell=pairs.cell, at_s=pairs.time_s - lag_s)
    return {
        name: x
        for name, x in found.items()
        if np.isfinite(fit_hazard(x[:, None], pairs, group.cluster).beta).all()
    }


def _row(
    cohort: Cohort,
    group: Group,
    analysis: str,
    terms: Sequence[str],
    fit: HazardFit,
    adjusted: list[str],
    settings: ExperimentSettings,
    *,
    which: int = 0,
) -> dict[str, Any]:
    """Return one line of the table: the hazard ratio of the exposure numbered `which`."""
    contrast = np.zeros(len(fit.beta))
    contrast[which] = 1.0
    return {
        "analysis": analysis,
        "condition": group.name,
        "exposure": terms[which],
        "scale": settings.scale,
        "lag_s": settings.lag_h * 3600,
        **_ratio(fit, contrast),
        "deaths": fit.deaths,
        "cells": len(group.rows),
        "hits": _count(cohort, group, terms[which]),
        "clusters": fit.clusters,
        "cluster_level": group.level,
        "adjusted_for": ", ".join(adjusted) or None,
        "descriptive": fit.deaths < settings.min_deaths or group.level == "cell",
        "note": _why(fit, group, settings),
    }


def _ratio(fit: HazardFit, contrast: Floats) -> dict[str, float]:
    value, lo, hi, p = fit.interval(contrast)
    ratios = np.exp([value, lo, hi])
    return dict(zip(("hazard_ratio", "hazard_ratio_lo", "hazard_ratio_hi", "p"), [*ratios.tolist(), p]))


def _why(fit: HazardFit, group: Group, settings: ExperimentSettings) -> str | None:
    if not fit.deaths:
        return "no deaths at which another cell of the same well was watched"
    if not np.isfinite(fit.beta[0]):
        return "no estimate: the exposure does not vary, or parts the dying from the others without overlap"
    if group.level == "cell":
        return "descriptive only, one well: the interval knows nothing of differences between wells"
    if fit.deaths < settings.min_deaths:
        return f"descriptive only, fewer than {settings.min_deaths} deaths"
    return None


def _damage_row(cohort: Cohort, group: Group, name: str, settings: ExperimentSettings) -> dict[str, Any]:
    """Return the hazard ratio per fresh hit whose damage fades, with the half-life of the best fit."""
    lag_s = settings.lag_h * 3600
    pairs = group.pairs
    at_s = pairs.time_s - lag_s
    extra = find_adjusters(cohort, group, lag_s)

    def fit_at(half_life_s: float) -> HazardFit:
        damage = exposure(cohort, name, cell=pairs.cell, at_s=at_s, scale="hit", half_life_s=half_life_s)
        return fit_hazard(np.stack([damage, *extra.values()], axis=1), pairs, group.cluster)

    found = profile_half_life(fit_at, longest_s=float(np.max(cohort.end_s, initial=0.0)))
    row = _row(cohort, group, "damage", (name,), found.fit, list(extra), settings)
    row |= {"scale": "hit", "half_life_s": found.half_life_s, "p": np.nan}
    row |= {"half_life_s_lo": found.lo_s, "half_life_s_hi": found.hi_s}
    return row | {"note": "; ".join(note for note in (row["note"], found.note) if note) or None}


def _routes(cohort: Cohort, group: Group, settings: ExperimentSettings) -> Iterator[dict[str, Any]]:
    """Yield docking without fusion, fusion and their contrast; bounds where endings are unresolved."""
    lag_s = settings.lag_h * 3600
    terms = tuple(name for name in ROUTES if _count(cohort, group, name))
    fit, adjusted = estimate(cohort, group, terms, lag_s=lag_s, settings=settings)
    for which in range(len(terms)):
        yield _row(cohort, group, "route", terms, fit, adjusted, settings, which=which)
    if "docked_only" not in terms:
        return
    base = _row(cohort, group, "route", terms, fit, adjusted, settings, which=terms.index("fused"))
    yield base | {"exposure": CONTRAST} | _ratio(fit, _contrast(fit, terms))
    if "unresolved" in terms:
        for taken_for in ("docked_only", "fused"):
            moved = _taking(cohort, taken_for)
            pair = ("docked_only", "fused")
            fit, adjusted = estimate(moved, group, pair, lag_s=lag_s, settings=settings)
            row = _row(moved, group, "route_bound", pair, fit, adjusted, settings, which=1)
            note = f"every unresolved loss taken for {'fusion' if taken_for == 'fused' else 'no fusion'}"
            yield row | {"exposure": CONTRAST, "note": note} | _ratio(fit, _contrast(fit, pair))


def _contrast(fit: HazardFit, terms: Sequence[str]) -> Floats:
    contrast = np.zeros(len(fit.beta))
    contrast[terms.index("fused")], contrast[terms.index("docked_only")] = 1.0, -1.0
    return contrast


def _taking(cohort: Cohort, name: str) -> Cohort:
    """Return the cohort with every unresolved docking counted as another kind."""
    n = len(cohort.cells)
    both = [cohort.hits[name], cohort.hits["unresolved"]]
    unit, time = (np.concatenate(parts) for parts in zip(*((_owners(t), t.time_s) for t in both)))
    merged = make_trains(unit, time, np.ones(len(unit)), n)
    rates = cohort.rate_s[name] + cohort.rate_s["unresolved"]
    return Cohort(
        **{
            **cohort.__dict__,
            "hits": {**cohort.hits, name: merged},
            "rate_s": {**cohort.rate_s, name: rates},
        }
    )


def _owners(trains: Trains) -> Ints:
    owners: Ints = np.repeat(np.arange(len(trains.start) - 1), np.diff(trains.start))
    return owners


def time_shift_p(
    cohort: Cohort, group: Group, name: str, fit: HazardFit, settings: ExperimentSettings
) -> float:
    """Return how often hits dealt anew within their field go with death as closely as the real ones.

    In each draw the trains of hits of a field are dealt to its cells at random and all shifted in time,
    around the end of the movie, by the same random span: number, bunching and common fluctuations of hits
    stay, what ties them to one cell and its death goes.

    Returns
    -------
    float
        Two-sided, by the size of the coefficient over its model standard error; NaN without an estimate.
    """
    if not np.isfinite(fit.beta[0]) or not settings.null_draws:
        return float("nan")
    rng = np.random.default_rng(settings.seed)
    extra = find_adjusters(cohort, group, settings.lag_h * 3600)
    observed = abs(fit.beta[0]) / np.sqrt(fit.model_variance[0])
    larger = 0
    for _ in range(settings.null_draws):
        dealt = _deal(cohort, name, rng)
        null, _ = estimate(
            cohort,
            group,
            (name,),
            lag_s=settings.lag_h * 3600,
            settings=settings,
            adjusters=extra,
            hits=dealt,
        )
        size = abs(null.beta[0]) / np.sqrt(null.model_variance[0])
        larger += not size < observed
    return (1 + larger) / (1 + settings.null_draws)


def _deal(cohort: Cohort, name: str, rng: np.random.Generator) -> Trains:
    trains, field, n = cohort.hits[name], cohort.field, len(cohort.field)
    order = np.lexsort((rng.random(n), field))
    plain = np.argsort(field, kind="stable")
    to = np.empty(n, dtype=np.int64)
    to[plain] = order
    fields = int(field.max()) + 1
    first, last = np.full(fields, np.inf), np.full(fields, -np.inf)
    np.minimum.at(first, field, cohort.entry_s)
    np.maximum.at(last, field, cohort.cells["last_s"].to_numpy(dtype=np.float64))
    owner = _owners(trains)
    home = field[owner]
    span = last[home] - first[home]
    shift = rng.random(fields)[home] * span
    time = first[home] + (trains.time_s - first[home] + shift) % np.maximum(span, 1e-9)
    return make_trains(to[owner], time, trains.value, n)
