"""The pooled tables of an experiment, and its cells with the time that each was watched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.errors import InputError

Ints = NDArray[np.int64]

ARM_FACTS = ("source", "target_type", "treatment", "ph", "dose")
"""Facts that part the movies of one condition into arms, where they differ within it."""
UNIT_FACTS = ("replicate", "donor", "well")
"""Facts that together name a well; without any, every movie is its own."""
MOVIES = {
    "movie": schema.TEXT,
    **dict.fromkeys(("condition", *ARM_FACTS[:3], "ph", "dose", "donor", "well", "replicate"), schema.TEXT),
    **dict.fromkeys(("control", "chemistry"), schema.TEXT),
    **dict.fromkeys(("tracer_fraction", "cell_hours"), schema.FLOAT),
}


@dataclass(frozen=True)
class Study:
    """The tables of all movies of an experiment, each with a column `movie`.

    Attributes
    ----------
    movies : DataFrame
        A row per movie: `movie`, the facts of the sample sheet (at least `condition`, or one of `source`,
        `target_type`, `treatment`: a movie without any is left out), and `cell_hours` (observed in the
        exosome channel) where known.
    fates, events, cells : DataFrame
        As in `exovision.schema`. Times of entry and exit are those of the frames in `cells`; fates may carry
        them instead as `first_s` and `last_s`.
    """

    movies: pd.DataFrame
    fates: pd.DataFrame
    events: pd.DataFrame
    cells: pd.DataFrame


def make_study(
    movies: pd.DataFrame, *, fates: pd.DataFrame, events: pd.DataFrame, cells: pd.DataFrame
) -> Study:
    """Check the tables of an experiment and give them the contract's columns and types.

    Parameters
    ----------
    movies, fates, events, cells : DataFrame
        As in `Study`; columns that are missing are null.

    Raises
    ------
    InputError
        If a table has no `movie` column, a movie is there twice, or none has a condition.
    """
    for name, table in (("movies", movies), ("fates", fates), ("events", events), ("cells", cells)):
        if len(table) and "movie" not in table:
            raise InputError(f"{name}: a column `movie` is needed, got {', '.join(map(str, table.columns))}")
    labelled = label_movies(movies)
    if labelled["arm"].isna().all():
        raise InputError(
            "the sample sheet must name conditions, got none; fill in `condition` (or source, target_type, "
            "treatment)"
        )
    return Study(
        labelled,
        schema.conform(fates, {"movie": schema.TEXT, **schema.FATES}),
        schema.conform(events, {"movie": schema.TEXT, **schema.EVENTS}),
        schema.conform(cells, {"movie": schema.TEXT, **schema.CELLS}),
    )


def label_movies(movies: pd.DataFrame) -> pd.DataFrame:
    """Return the movies with their facts in the contract's types, `arm` and `unit`.

    Raises
    ------
    InputError
        If a movie is there twice.
    """
    checked = schema.conform(_plain_texts(movies), MOVIES)
    twice = checked["movie"][checked["movie"].duplicated()]
    if len(twice):
        raise InputError(f"movies: each movie may have one row, got several of {twice.iloc[0]}")
    checked["arm"] = _name_arms(checked)
    checked["unit"] = _name_units(checked)
    return checked


def _plain_texts(movies: pd.DataFrame) -> pd.DataFrame:
    """Return the facts as texts, so that donor 1 read as a number and as a text are the same."""
    named = [name for name in MOVIES if name in movies and MOVIES[name] == schema.TEXT]
    return movies.assign(**{name: movies[name].map(_as_text) for name in named})


def _as_text(value: object) -> object:
    if isinstance(value, float | np.floating):
        return pd.NA if np.isnan(value) else f"{value:g}"
    return pd.NA if value is None or value is pd.NA else str(value)


def _name_arms(movies: pd.DataFrame) -> pd.Series:
    """Name the arm of each movie: its condition, and those of its facts that differ within the condition.

    Returns
    -------
    Series
        Null where neither a condition nor a source, target type or treatment is given.
    """
    condition = movies["condition"].copy()
    parts = movies[["source", "target_type", "treatment"]]
    joined = parts.apply(lambda row: " on ".join(row.dropna().iloc[:2]).replace("_", " ") or pd.NA, axis=1)
    condition = condition.fillna(joined.astype("string"))
    names = condition.copy()
    for fact in ARM_FACTS:
        differs = movies.groupby(condition.fillna(""))[fact].transform("nunique") > 1
        values = movies[fact].str.replace("_", " ")
        told = np.array(
            [
                pd.isna(value) or value == "none" or str(value).lower() in str(name).lower()
                for value, name in zip(values, names)
            ],
            dtype=bool,
        )
        shown = (f"{fact} " if fact in ("ph", "dose") else "") + values
        names = names.where(~differs.to_numpy(dtype=bool) | told, names + ", " + shown)
    return names.astype("string")


def _name_units(movies: pd.DataFrame) -> pd.Series:
    """Name the well of each movie, unique within its arm; the movie itself where the sheet names none."""
    named = movies["well"].notna() | movies["replicate"].notna()
    parts = movies[[*UNIT_FACTS]].apply(lambda row: " / ".join(row.dropna()), axis=1).astype("string")
    return parts.where(named, movies["movie"]).astype("string")


def follow_cells(study: Study) -> pd.DataFrame:
    """Return every cell with the time that it was watched and how that ended.

    Parameters
    ----------
    study : Study

    Returns
    -------
    DataFrame
        A row per cell of a movie with a condition: `movie cell_id arm unit donor control entry exit
        death_mode`, `entry_s last_s` (first and last sight), `died`, `onset_s onset_s_lo onset_s_hi` (NaN
        unless died; the limits are never missing then), and `end_s` (onset or last sight).

    Notes
    -----
    A cell that was dying when first seen (onset at or before its entry) was never at risk: `end_s` is then
    not after `entry_s`, and every estimate leaves it out.
    """
    facts = study.movies[["movie", "arm", "unit", "donor", "control"]].dropna(subset="arm")
    cells = _sight_times(study).merge(facts, on="movie", how="inner", sort=False)
    died = (cells["exit"] == "died").fillna(False).to_numpy(dtype=bool)
    onset = cells["onset_s"].fillna(cells["last_s"]).to_numpy(dtype=np.float64)
    cells["died"] = died
    cells["onset_s"] = np.where(died, onset, np.nan)
    for name, better in (("onset_s_lo", np.minimum), ("onset_s_hi", np.maximum)):
        limit = cells[name].fillna(cells["onset_s"]).to_numpy(dtype=np.float64)
        cells[name] = np.where(died, better(limit, onset), np.nan)
    cells["end_s"] = np.where(died, onset, cells["last_s"])
    return cells.reset_index(drop=True)


def _sight_times(study: Study) -> pd.DataFrame:
    """Return the fates with `entry_s` and `last_s`."""
    fates = study.fates
    if {"first_s", "last_s"} <= set(fates.columns):
        return fates.rename(columns={"first_s": "entry_s"})
    clock = study.cells.groupby(["movie", "frame"])[["time_s"]].min().reset_index()
    for frame, time in (("first_frame", "entry_s"), ("last_frame", "last_s")):
        renamed = clock.set_axis(["movie", frame, time], axis="columns")
        fates = fates.merge(renamed, on=["movie", frame], how="left", sort=False)
    return fates[fates["entry_s"].notna() & fates["last_s"].notna()]


def code_cells(cells: pd.DataFrame, table: pd.DataFrame) -> Ints:
    """Return the row in `cells` of the cell that each row of `table` is about, −1 where there is none."""
    names = pd.Index(cells["movie"].unique())
    keys, wanted = (
        names.get_indexer(t["movie"]).astype(np.int64) * 2**32 + t["cell_id"].fillna(-1).to_numpy(np.int64)
        for t in (cells, table)
    )
    rows: Ints = pd.Index(keys).get_indexer(pd.Index(wanted)).astype(np.int64)
    return np.where(table["cell_id"].notna().to_numpy(dtype=bool), rows, -1)
