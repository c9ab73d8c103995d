"""A small movie's truth in which every kind of row occurs, and ways to spoil a copy of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import tifffile

from exovision import schema
from exovision.scoring.cells import CellMatch, match_cells
from exovision.scoring.pooling import Pool
from exovision.scoring.score import score_pool

FRAMES, SIZE, INTERVAL_S = 40, 100, 2.0
DISKS = {1: (30, 30, 14, 0, 40), 2: (64, 66, 14, 0, 40), 3: (78, 22, 9, 0, 20)}
DISKS |= {4: (78, 14, 6, 20, 40), 5: (78, 30, 6, 20, 40)}
"""Cell: y, x, radius in px, first frame, frame after the last; 3 divides into 4 and 5."""


def disk_labels():
    y, x = np.indices((SIZE, SIZE))
    labels = np.zeros((FRAMES, SIZE, SIZE), dtype=np.int32)
    for cell, (cy, cx, r, first, stop) in DISKS.items():
        labels[first:stop, (y - cy) ** 2 + (x - cx) ** 2 <= r**2] = cell
    return labels


def spots_of(exosome_id, frames, at, cell_id, state, **more):
    y, x = at
    row = {"y_px": y, "x_px": x, "exosome_id": exosome_id, "cell_id": cell_id, "state": state}
    common = {"snr": 4.0, "crlb_px": 0.1, "ignore": False, "linkable": True, "isolated": True}
    errors = {"y_se_px": 0.1, "x_se_px": 0.1, "probability": 1.0}
    return pd.DataFrame({"frame": list(frames), **row, **common, **errors, **more})


def true_spots():
    parts = [
        spots_of(1, range(5, 26), (30, 44), 1, "docked"),
        spots_of(1, range(26, 32), (30, 54), 1, "free"),
        spots_of(2, range(40), (64, 80), 2, "docked", snr=7.0),
        spots_of(3, range(3, 26), (50, 66), 2, "docked", snr=2.0),
        spots_of(4, range(12, 31), (16, 30), 1, "docked", snr=9.0),
        spots_of(5, range(10, 14), (30, 16), 1, "docked"),
        spots_of(6, range(10, 30), (10, 90), pd.NA, "stuck"),
        spots_of(7, range(10), (90, 60), pd.NA, "free", ignore=True, snr=1.0),
        spots_of(8, range(20, 30), (90, 90), pd.NA, "free", linkable=False),
    ]
    return pd.concat([part.astype({"cell_id": "Int64"}) for part in parts], ignore_index=True)


def true_events():
    docking = {"kind": "docking", "censored": "none", "optional": False, "identifiable": True}
    rows = [
        docking | {"exosome_id": 1, "cell_id": 1, "start_frame": 5, "end_frame": 25, "alt_end_frame": 30},
        docking | {"exosome_id": 2, "cell_id": 2, "start_frame": 0, "end_frame": 39, "censored": "both"},
        docking | {"exosome_id": 3, "cell_id": 2, "start_frame": 3, "end_frame": 25},
        docking | {"exosome_id": 4, "cell_id": 1, "start_frame": 12, "end_frame": 30},
        docking | {"exosome_id": 5, "cell_id": 1, "start_frame": 10, "end_frame": 13, "optional": True},
        {"kind": "detachment", "exosome_id": 1, "cell_id": 1, "start_frame": 25, "identifiable": True},
        {"kind": "loss_unresolved", "exosome_id": 3, "cell_id": 2, "start_frame": 25, "identifiable": False},
        {"kind": "fusion", "exosome_id": 4, "cell_id": 1, "start_frame": 30, "identifiable": True},
    ]
    table = pd.DataFrame(rows)
    return table.assign(
        event_id=range(1, len(table) + 1),
        optional=table["optional"].fillna(False).astype(bool),
        end_frame=table["end_frame"].fillna(table["start_frame"]),
    )


def true_tables():
    spots = true_spots()
    spots["time_s"] = spots["frame"] * INTERVAL_S
    cells = pd.concat(
        [pd.DataFrame({"frame": range(first, stop), "cell_id": c}) for c, (*_, first, stop) in DISKS.items()]
    )
    fates = pd.DataFrame(
        [
            {"cell_id": 1, "first_frame": 0, "last_frame": 39},
            {"cell_id": 2, "first_frame": 0, "last_frame": 39, "death_mode": "apoptotic", "onset_s": 40.0},
            {"cell_id": 3, "first_frame": 0, "last_frame": 19},
            {"cell_id": 4, "first_frame": 20, "last_frame": 39, "parent_id": 3},
            {"cell_id": 5, "first_frame": 20, "last_frame": 39, "parent_id": 3},
        ]
    )
    decoys = pd.DataFrame({"frame": range(FRAMES), "y_px": 5.0, "x_px": 5.0, "kind": "dye"})
    return {
        "spots": schema.conform(spots, schema.TRUTH_SPOTS),
        "events": schema.conform(true_events(), schema.TRUTH_EVENTS),
        "cells": schema.conform(cells.assign(time_s=cells["frame"] * INTERVAL_S), schema.CELLS),
        "fates": schema.conform(fates, schema.FATES),
        "decoys": schema.conform(decoys, schema.DECOYS),
    }


FILES = {"spots": "spots.parquet", "events": "events.csv", "cells": "cells.parquet"}
FILES |= {"fates": "fates.csv", "decoys": "decoys.parquet"}


@dataclass(frozen=True)
class Example:
    """The truth, and comparison with whatever is given instead of a perfect result."""

    tables: dict
    labels: np.ndarray
    perfect: CellMatch

    def score(self, *, labels=None, truth=None, **changed):
        """Score the truth as its own result, with some of its tables or the labels exchanged."""
        true = self.tables | (truth or {})
        result = {name: table for name, table in self.tables.items() if name != "decoys"} | changed
        result, true = (
            side | {"fates": side["fates"].assign(frame_interval_s=INTERVAL_S)} for side in (result, true)
        )
        cells = self.perfect if labels is None else match_cells(labels, self.labels)
        hours = len(self.tables["cells"]) * INTERVAL_S / 3600
        return score_pool(Pool(result, true, cells, hours))

    def spots(self, exosome_id=None):
        """Return a copy of the spots, and which rows belong to an exosome."""
        table = self.tables["spots"].copy()
        return table, (table["exosome_id"] == exosome_id).fillna(False).to_numpy(dtype=bool)

    def with_event(self, exosome_id, kind="docking", /, **values):
        """Return the events with some values of one row exchanged."""
        table = self.tables["events"].copy()
        row = (table["exosome_id"] == exosome_id) & (table["kind"] == kind)
        for name, value in values.items():
            table.loc[row, name] = value
        return table

    def without_event(self, exosome_id, kind="docking"):
        """Return the events without one row."""
        table = self.tables["events"]
        return table[~((table["exosome_id"] == exosome_id) & (table["kind"] == kind))].reset_index(drop=True)

    def add_event(self, **values):
        """Return the events with one row more."""
        extra = schema.conform(pd.DataFrame([values]), schema.TRUTH_EVENTS)
        both = [self.tables["events"].astype(object), extra.astype(object)]
        return schema.conform(pd.concat(both, ignore_index=True), schema.TRUTH_EVENTS)

    def save(self, folder, *, finished=True, labels=None, **changed):
        """Write a folder of tables and labels; None leaves a table out."""
        folder.mkdir(parents=True)
        for name, table in (self.tables | changed).items():
            if table is None:
                continue
            path = folder / FILES[name]
            table.to_parquet(path) if path.suffix == ".parquet" else table.to_csv(path, index=False)
        images = self.labels if labels is None else labels
        tifffile.imwrite(
            folder / "cell_labels.ome.tif",
            images.astype(np.uint16),
            metadata={"axes": "TYX", "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2},
        )
        if finished:
            (folder / "run.json").write_text("{}")
        return folder


@pytest.fixture(scope="session")
def example():
    labels = disk_labels()
    return Example(true_tables(), labels, match_cells(labels, labels))
