"""Pieces of one dead cell put together again, which tracking took for daughters or new cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.death.decoding import decode_cells, make_panel
from exovision.death.evidence import DARK, gather
from exovision.death.markov import DEAD, LIVE
from exovision.settings import DeathSettings

Floats = NDArray[np.float64]
Pair = tuple[int, int]

LOST_S = 3600.0
"""How long remains may go unseen."""
NEAR_RADII = 1.5
"""Distance of remains from where the cell was last, in its usual radii, at most."""
LARGEST_SHARE = 0.9
"""Of the cell's usual area that one piece has, at most."""
BREAKING_S = 2400.0
"""Pieces that break again within this time after the first parted are of one nucleus."""
SETTLING_S = (1200.0, 4800.0)
"""When daughters have grown and dimmed, and pieces have not, after they parted, s."""
BROKEN = -0.22
"""Half-way between divisions and broken nuclei of simulated movies (seeds 811 to 820)."""
LEAST_FRAMES = 3
"""In which a nucleus must have been seen whole to be compared with."""
WEIGHTED = ("y_um", "x_um", "eccentricity", "solidity")


class Rename(NamedTuple):
    """From `first_frame` on, what is called `old` is part of cell `new`."""

    first_frame: int
    old: int
    new: int


@dataclass(frozen=True)
class Rejoined:
    """Cells whose remains are one track.

    Attributes
    ----------
    tracks : DataFrame
        Columns of `exovision.schema.FATES`, without the pieces.
    renames : tuple of Rename
        In the order in which they apply.
    """

    tracks: pd.DataFrame
    renames: tuple[Rename, ...]


def rejoin_remains(
    cells: pd.DataFrame, tracks: pd.DataFrame, *, nuclei_only: bool, settings: DeathSettings
) -> Rejoined:
    """Find the tracks that are pieces of cells that died.

    Parameters
    ----------
    cells : DataFrame
        `exovision.schema.CELLS` and `mean_<role>`, a row per cell and frame.
    tracks : DataFrame
        `exovision.schema.FATES` as tracking and divisions left them.
    nuclei_only : bool
        The outlines are those of nuclei.
    settings : DeathSettings

    Returns
    -------
    Rejoined

    Notes
    -----
    A nucleus that breaks up looks like a division, but its pieces stay small and bright where daughters grow
    and dim. Where that cannot be seen, a cell and what begins where it was are followed through their states
    as if they were one: if it was dead before, and what is found looks dead, they are.
    """
    nuclei_only = nuclei_only and "mean_nucleus" in cells
    followed = [np.asarray(index) for index in cells.groupby("cell_id").indices.values()]
    cells = cells.reset_index(drop=True)
    if not make_panel(cells, followed, settings, nuclei_only=nuclei_only).tells_death:
        return Rejoined(tracks, ())
    renames: list[Rename] = []
    refused: set[Pair] = set()
    while families := _families(cells, tracks, refused):
        found = _remains(cells, tracks, families, nuclei_only=nuclei_only, settings=settings)
        refused |= {
            (cell, piece) for cell, pieces in families.items() if cell not in found for piece in pieces
        }
        if found:
            named = _named(tracks, found)
            renames += named
            cells, tracks = join_pieces(_renamed(cells, named)), _retold(tracks, found)
    return Rejoined(tracks, tuple(renames))


def join_pieces(cells: pd.DataFrame) -> pd.DataFrame:
    """Make one row of the rows that share cell and frame.

    Parameters
    ----------
    cells : DataFrame
        `exovision.schema.CELLS` and further numbers, a row per piece and frame.

    Returns
    -------
    DataFrame
        With `pieces`, their number. Areas and perimeters are summed, a cell touches the border if a piece
        does, other numbers are means weighted by area.
    """
    key = ["frame", "cell_id"]
    cells = cells if "pieces" in cells else cells.assign(pieces=1)
    several = cells.duplicated(key, keep=False)
    if not several.any():
        return cells
    pieces = cells[several]
    means = [
        name for name in cells.columns if name in WEIGHTED or name.split("_")[0] in ("mean", "trimmed", "p")
    ]
    share = pieces["area_um2"].astype("float64")
    sums = (
        pieces[means]
        .astype("float64")
        .mul(share, axis=0)
        .groupby([pieces[name] for name in key])
        .sum(min_count=1)
    )
    seen = pieces[means].notna().mul(share, axis=0).groupby([pieces[name] for name in key]).sum()
    grouped = pieces.groupby(key)
    joined = grouped.first()
    joined[means] = sums / seen.where(seen > 0)
    for name in ("area_um2", "perimeter_um"):
        joined[name] = grouped[name].sum()
    joined["touches_border"] = grouped["touches_border"].max()
    joined["pieces"] = grouped["pieces"].sum()
    together = pd.concat([cells[~several], joined.reset_index()[cells.columns]], ignore_index=True)
    return schema.conform(together.sort_values(key, kind="stable").reset_index(drop=True), schema.CELLS)


def _families(cells: pd.DataFrame, tracks: pd.DataFrame, refused: set[Pair]) -> dict[int, list[int]]:
    """Return the pieces that each cell may have left; a piece is one cell's, daughters stay together."""
    paths = _paths(cells)
    found: dict[int, list[int]] = {}
    fresh = tracks[~tracks["entry"].eq("start")].sort_values("first_frame", kind="stable")
    for piece, parent in zip(fresh["cell_id"].astype(int), fresh["parent_id"]):
        owners = paths if pd.isna(parent) else [int(parent)]
        near = {cell: _nearness(paths[cell], paths[piece]) for cell in owners if (cell, piece) not in refused}
        cell = max(near, key=lambda one: near[one], default=piece)
        if near and (near[cell] > 0 or not pd.isna(parent)):
            found.setdefault(cell, []).append(piece)
    owned = {piece for pieces in found.values() for piece in pieces}
    return {cell: _all_of(cell, found, paths) for cell in found if cell not in owned}


def _all_of(cell: int, found: dict[int, list[int]], paths: dict[int, Floats]) -> list[int]:
    """Return the pieces of a cell and those into which they soon broke again."""
    pieces = list(found[cell])
    latest_s = min(paths[piece][0, 0] for piece in pieces) + BREAKING_S
    for piece in pieces:
        pieces += [one for one in found.get(piece, []) if paths[one][0, 0] <= latest_s]
    return pieces


def _paths(cells: pd.DataFrame) -> dict[int, Floats]:
    """Return time, place and area of each cell, shape (T, 4); the first row of one cut at first is NaN."""
    ordered = cells.sort_values("frame", kind="stable")
    values = ordered[["time_s", "y_um", "x_um", "area_um2"]].to_numpy(dtype=np.float64)
    cut = ordered["touches_border"].fillna(False).to_numpy(dtype=bool)
    paths = {}
    for cell, rows in ordered.reset_index(drop=True).groupby("cell_id").indices.items():
        path = values[rows]
        path[0, 1:3] = np.nan if cut[rows[0]] else path[0, 1:3]
        paths[int(str(cell))] = path
    return paths


def _nearness(cell: Floats, piece: Floats) -> float:
    """Return 1 where a piece began in the middle of a cell, 0 if too far from it, too late or too large."""
    before = int(np.searchsorted(cell[:, 0], piece[0, 0]))
    if not before or piece[0, 0] - cell[before - 1, 0] > LOST_S:
        return 0.0
    apart = float(np.hypot(*(piece[0, 1:3] - cell[before - 1, 1:3])))
    size = float(np.quantile(cell[:before, 3], 0.75))
    reach = NEAR_RADII * float(np.sqrt(size / np.pi))
    return 1 - apart / reach if apart < reach and np.median(piece[:, 3]) <= LARGEST_SHARE * size else 0.0


def _remains(
    cells: pd.DataFrame,
    tracks: pd.DataFrame,
    families: dict[int, list[int]],
    *,
    nuclei_only: bool,
    settings: DeathSettings,
) -> dict[int, list[int]]:
    """Return the families that are one dead cell: broken up, or dead before it was lost and found again."""
    shrunk = {cell: _shrinkage(cells, cell, pieces) for cell, pieces in families.items() if nuclei_only}
    broken = {cell for cell, change in shrunk.items() if change < BROKEN}
    unclear = {c: pieces for c, pieces in families.items() if not np.isfinite(shrunk.get(c, np.nan))}
    dead = _dead(cells, tracks, unclear, nuclei_only=nuclei_only, settings=settings) if unclear else set()
    return {cell: pieces for cell, pieces in families.items() if cell in broken | dead}


def _shrinkage(cells: pd.DataFrame, cell: int, pieces: list[int]) -> float:
    """Return how small and bright nuclei are, seen together some time after they parted.

    The logarithm of their area, relative to that of the nucleus that they came from, less half that of their
    light; NaN where no two are seen whole then.
    """
    whole = cells[~cells["touches_border"].fillna(False).astype(bool)]
    parted = cells.loc[cells["cell_id"].isin(pieces)].sort_values("frame").iloc[0]
    before = whole[(whole["cell_id"] == cell) & (whole["frame"] < parted["frame"])]
    then = (cells["time_s"] - parted["time_s"]).between(*SETTLING_S)
    after = cells[cells["cell_id"].isin([cell, *pieces]) & then].groupby("frame")
    counted = (after["area_um2"].size() > 1) & ~after["touches_border"].max().fillna(False).astype(bool)
    if len(before) < LEAST_FRAMES or not counted.any():
        return float("nan")
    dark = DARK * float(cells["mean_nucleus"].min())
    grown = after["area_um2"].sum()[counted].median() / before["area_um2"].quantile(0.75)
    lit = (after["mean_nucleus"].mean()[counted].median() - dark) / (before["mean_nucleus"].median() - dark)
    return float(np.log(grown) - np.log(lit) / 2)


def _dead(
    cells: pd.DataFrame,
    tracks: pd.DataFrame,
    families: dict[int, list[int]],
    *,
    nuclei_only: bool,
    settings: DeathSettings,
) -> set[int]:
    """Return the cells that were dead before the first of their pieces, which look dead as well.

    One piece may be something else: then the cell's own frames must tell that it was dead.
    """
    merged = join_pieces(_renamed(cells, _named(tracks, families))).drop(columns="pieces")
    rows = {int(str(cell)): np.asarray(index) for cell, index in merged.groupby("cell_id").indices.items()}
    followed = list(rows.values())
    panel = make_panel(merged, followed, settings, nuclei_only=nuclei_only)
    if not panel.tells_death:
        return set()
    first = tracks.set_index("cell_id")["first_frame"]
    starts = [int(first[pieces].min()) for pieces in families.values()]
    appearance_s = 60 * settings.appearance_min
    evidence = gather(merged, panel.stains, followed, nuclei_only=nuclei_only, appearance_s=appearance_s)
    seen = evidence.log_likelihood
    looks_dead = np.logaddexp.reduce(seen[:, list(DEAD)], axis=1) - np.log(len(DEAD)) > seen[:, LIVE]
    frames = merged["frame"].to_numpy(dtype=np.int64)
    before = [frames[rows[cell]] < start for cell, start in zip(families, starts)]
    told_by = [
        rows[cell] if len(families[cell]) > 1 else rows[cell][early] for cell, early in zip(families, before)
    ]
    entries = tracks.set_index("cell_id")["entry"][list(families)].tolist()
    unruled = np.full(len(merged), "", dtype=object)
    decoded = decode_cells(merged, told_by, entries, panel, settings, ruled=unruled)
    return {
        cell
        for cell, early, one in zip(families, before, decoded)
        if one.dying[early.sum() - 1] >= 0.5
        and one.dying[-1] >= settings.min_probability
        and looks_dead[rows[cell][~early]].mean() > 0.5
    }


def _named(tracks: pd.DataFrame, families: dict[int, list[int]]) -> list[Rename]:
    first = tracks.set_index("cell_id")["first_frame"]
    return [Rename(int(first[p]), p, cell) for cell, pieces in families.items() for p in pieces]


def _renamed(cells: pd.DataFrame, renames: list[Rename]) -> pd.DataFrame:
    new = {one.old: one.new for one in renames}
    return cells.assign(cell_id=cells["cell_id"].map(lambda cell: new.get(cell, cell)).astype("Int64"))


def _retold(tracks: pd.DataFrame, families: dict[int, list[int]]) -> pd.DataFrame:
    """Return the tracks without the pieces: the cell ends as the last of them, and has their daughters."""
    owner = {piece: cell for cell, pieces in families.items() for piece in pieces}
    rows = {int(row["cell_id"]): dict(row) for row in tracks.to_dict("records")}
    for cell, pieces in families.items():
        ends = [rows[piece] for piece in pieces]
        divided = [end for end in ends if end["exit"] == "divided"]
        final = max(divided or ends, key=lambda end: int(end["last_frame"]))
        latest = max(int(end["last_frame"]) for end in [rows[cell], *ends])
        rows[cell] |= {"exit": final["exit"], "last_frame": latest}
    kept = [row for cell, row in rows.items() if cell not in owner]
    for row in kept:
        if not pd.isna(row["parent_id"]):
            row["parent_id"] = owner.get(int(row["parent_id"]), row["parent_id"])
    return schema.conform(pd.DataFrame(kept), schema.FATES)
