"""The design of an experiment: how many of what, which controls are missing, what can be tested at all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations

import pandas as pd

from exovision.experiment.study import label_movies
from exovision.settings import ExperimentSettings

CONTROL_ORDER = ("no_exosome", "dye_only", "fixed", "detergent")
"""Which control the conditions are compared with where there are several: the first of these."""
LEVEL = 0.05
BLOOD_PH = 7.4


@dataclass(frozen=True)
class Contrast:
    """Two conditions to compare.

    Attributes
    ----------
    kind : str
        "control" (against the reference), "treatment" (blocked or treated against untreated) or "pair".
    condition, reference : str
    target_type : str, optional
    """

    kind: str
    condition: str
    reference: str
    target_type: str | None


@dataclass(frozen=True)
class Interaction:
    """The same contrast on two target types: does it differ between them."""

    treated: str
    reference: str
    target: str
    treated_other: str
    reference_other: str
    target_other: str


@dataclass(frozen=True)
class Design:
    """What an experiment can show.

    Attributes
    ----------
    arms : DataFrame
        `condition source target_type treatment ph dose control movies wells donors`, a row per condition.
    contrasts : list of Contrast
    interactions : list of Interaction
    warnings : list of str
        What is missing or mixed up, one plain sentence each.
    testable : list of str
        What can be tested, and the least p that a permutation of wells could give.
    """

    arms: pd.DataFrame
    contrasts: list[Contrast] = field(default_factory=list)
    interactions: list[Interaction] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    testable: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the design as lines of text, for the command line."""
        shown = [
            f"{row['condition']}: {row['wells']} well(s), {row['donors'] or 'no'} donor(s), "
            f"{row['movies']} movie(s)" + (f", control: {row['control']}" if row["control"] != "none" else "")
            for row in self.arms.to_dict("records")
        ]
        return [*shown, *self.testable, *(f"note: {line}" for line in self.warnings)]


def check_design(movies: pd.DataFrame, settings: ExperimentSettings) -> Design:
    """Say what a sample sheet allows, before anything is analysed.

    Parameters
    ----------
    movies : DataFrame
        `movie` and the facts of the sample sheet; movies without a condition are left out, and said.
    settings : ExperimentSettings
        `reference`.

    Returns
    -------
    Design
        Without any condition it has no arms, and one warning that says so.
    """
    labelled = label_movies(movies)
    named = labelled[labelled["arm"].notna()]
    if named.empty:
        return Design(_arms(named), warnings=["the sheet names no condition: nothing can be compared"])
    arms = _arms(named)
    contrasts = _contrasts(arms, settings)
    interactions = _interactions(arms, contrasts)
    wells = dict(zip(arms["condition"], arms["wells"]))
    return Design(
        arms,
        contrasts,
        interactions,
        [*_missing(labelled, arms, settings), *_mixed_up(named, arms, contrasts)],
        _testable(contrasts, wells),
    )


def _arms(named: pd.DataFrame) -> pd.DataFrame:
    facts = ["source", "target_type", "treatment", "ph", "dose"]
    groups = named.groupby("arm", sort=False)
    table = groups[facts].first()
    table["control"] = groups["control"].first().fillna("none")
    table["movies"], table["wells"], table["donors"] = (
        groups.size(),
        groups["unit"].nunique(),
        groups["donor"].nunique(),
    )
    return table.reset_index(names="condition").astype({"condition": "string"})


def _contrasts(arms: pd.DataFrame, settings: ExperimentSettings) -> list[Contrast]:
    found: list[Contrast] = []
    for target, group in arms.groupby(arms["target_type"].fillna(""), sort=False):
        name = str(target) or None
        reference = _reference(group, settings)
        others = [str(c) for c in group["condition"] if c != reference]
        if reference is not None:
            found += [Contrast("control", other, reference, name) for other in others]
        treated = [Contrast("treatment", a, b, name) for a, b in _treatments(group)]
        found += [
            c
            for c in treated
            if (c.condition, c.reference) not in {(f.condition, f.reference) for f in found}
        ]
        if reference is None:
            known = {frozenset((c.condition, c.reference)) for c in found}
            pairs = combinations(map(str, group["condition"]), 2)
            found += [Contrast("pair", a, b, name) for a, b in pairs if frozenset((a, b)) not in known]
    return found


def _reference(group: pd.DataFrame, settings: ExperimentSettings) -> str | None:
    """Return the condition that the others of a target type are compared with, None if there is none."""
    if settings.reference is not None:
        wanted = settings.reference
        for name in group["condition"]:
            if name == wanted or str(name).startswith(f"{wanted}, "):
                return str(name)
    for control in CONTROL_ORDER:
        chosen = group["condition"][group["control"] == control]
        if len(chosen):
            return str(chosen.iloc[0])
    return None


def _treatments(group: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield treated and untreated conditions of one source and dose that are no controls.

    Another pH is a treatment too: the untreated condition is the one nearest the blood's.
    """
    real = group[group["control"] == "none"]
    for _, same in real.groupby([real["source"].fillna(""), real["dose"].fillna("")], sort=False):
        plain = same[same["treatment"].fillna("none").str.lower().isin(["none", ""])]
        away = (pd.to_numeric(plain["ph"], errors="coerce").fillna(BLOOD_PH) - BLOOD_PH).abs()
        nearest = plain[away == away.min()]
        if len(nearest) == 1:
            base = str(nearest["condition"].iloc[0])
            yield from ((str(name), base) for name in same["condition"] if name != base)


def _interactions(arms: pd.DataFrame, contrasts: list[Contrast]) -> list[Interaction]:
    """Pair the same contrast on two target types: sources and treatments must agree."""
    key = {
        row.condition: (str(row.source), str(row.treatment), str(row.ph), str(row.dose), str(row.control))
        for row in arms.itertuples()
    }
    told = [c for c in contrasts if c.target_type is not None]
    return [
        Interaction(
            a.condition, a.reference, str(a.target_type), b.condition, b.reference, str(b.target_type)
        )
        for a, b in combinations(told, 2)
        if a.kind == b.kind
        and a.target_type != b.target_type
        and (key[a.condition], key[a.reference]) == (key[b.condition], key[b.reference])
    ]


def _missing(labelled: pd.DataFrame, arms: pd.DataFrame, settings: ExperimentSettings) -> Iterator[str]:
    unnamed = int(labelled["arm"].isna().sum())
    if unnamed:
        yield f"{unnamed} of {len(labelled)} movie(s) have no condition in the sheet and are not compared"
    if settings.reference is not None and not any(
        name == settings.reference or str(name).startswith(f"{settings.reference}, ")
        for name in arms["condition"]
    ):
        known = ", ".join(arms["condition"])
        yield f"the reference {settings.reference!r} is no condition of the sheet; known: {known}"
    if len(arms) == 1:
        yield "one condition only: hits can be related to deaths, but nothing can be compared"
    if not (arms["control"] != "none").any() and settings.reference is None:
        yield "no control is named (column control: no_exosome, dye_only …): conditions are compared in pairs"
    elif not (arms["control"] == "dye_only").any():
        yield "no dye_only control: dye particles cannot be told from an effect of exosomes"
    single = [str(name) for name, wells in zip(arms["condition"], arms["wells"]) if wells == 1]
    if single:
        yield f"one well only: {', '.join(single)}; its differences are described, not tested"
    if (arms["donors"] == 0).all():
        yield "no donor is named: whether another donor would show the same cannot be said"
    elif arms["donors"].max() < 3:
        yield "fewer than three donors: differences between donors cannot be judged"


def _mixed_up(named: pd.DataFrame, arms: pd.DataFrame, contrasts: list[Contrast]) -> Iterator[str]:
    """Say which conditions cannot be told from their donor or replicate."""
    for fact in ("donor", "replicate"):
        levels = {str(arm): set(rows[fact].dropna()) for arm, rows in named.groupby("arm")}
        for c in contrasts:
            a, b = levels[c.condition], levels[c.reference]
            if a and b and not a & b:
                yield (
                    f"{c.condition} and {c.reference} share no {fact}: their difference cannot be told from "
                    f"that of the {fact}s"
                )


def smallest_p(n: int, m: int) -> float:
    """Return the least two-sided p that dealing n + m wells to two conditions could give."""
    return min(1.0, (2 if n == m else 1) / math.comb(n + m, n))


def _testable(contrasts: list[Contrast], wells: dict[str, int]) -> list[str]:
    """Return what can be tested, contrasts with the same numbers of wells in one line."""
    lines: dict[str, list[str]] = {}
    for contrast in contrasts:
        n, m = int(wells[contrast.condition]), int(wells[contrast.reference])
        least = smallest_p(n, m)
        known = f"smallest attainable p of a permutation {least:.2g}"
        known += "" if least <= LEVEL else ", never below .05: only the t-test can be"
        verdict = "described only" if min(n, m) < 2 else known
        lines.setdefault(f"{n} and {m} wells ({verdict})", []).append(
            f"{contrast.condition} against {contrast.reference}"
        )
    return [f"{numbers}: {'; '.join(names)}" for numbers, names in lines.items()]
