"""Pictures are drawn for every kind of event and cell, with and without the movie."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from napari_exovision.pictures import chart_pictures, lifeline_picture, strip_picture
from napari_exovision.session import Session

from exovision.errors import InputError


def inked(picture: np.ndarray) -> bool:
    """Tell whether a picture is more than an empty page."""
    return picture.ndim == 3 and picture.shape[2] == 4 and float(np.std(picture[..., :3])) > 5


def test_every_event_has_a_strip(session: Session) -> None:
    for _, event in session.events.iterrows():
        picture = strip_picture(session, event.to_dict())
        assert picture is not None and inked(picture)


def test_a_fate_has_a_strip_with_fit_and_posterior(session: Session) -> None:
    event = session.events[session.events["kind"] == "docking"].iloc[0].to_dict()
    plain = strip_picture(session, event)
    shares = {name: 0.0 for name in event if name.startswith("p_")} | {"p_fused": 0.9, "p_unresolved": 0.1}
    fitted = {"diffusion_um2_s": 0.5, "dequench_gain": 2.0, "release_tau_s": 0.3, "spread_fraction": 1.0}
    fate = strip_picture(session, event | {"kind": "fusion"} | shares | fitted)
    assert plain is not None and fate is not None and inked(fate) and fate.shape != plain.shape


def test_without_the_movie_the_strip_shows_distance_and_brightness(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    record["reading"]["path"] = "gone.tif"
    (folder / "run.json").write_text(json.dumps(record))
    session = Session.open(folder)
    picture = strip_picture(session, session.events.iloc[0].to_dict())
    assert picture is not None and inked(picture) and picture.shape[0] < 300


def test_every_cell_has_a_lifeline(session: Session) -> None:
    for cell in session.fates["cell_id"]:
        assert inked(lifeline_picture(session, int(cell)))
    with pytest.raises(InputError, match="none of this id"):
        lifeline_picture(session, 999)


def test_a_death_shows_in_the_lifeline(folder: Path) -> None:
    cells, fates = pd.read_parquet(folder / "cells.parquet"), pd.read_csv(folder / "fates.csv")
    dying = int(fates["cell_id"].iloc[0])
    late = (cells["cell_id"] == dying) & (cells["frame"] >= 8)
    cells.loc[late, "state"] = "late_apoptotic"
    cells.to_parquet(folder / "cells.parquet", index=False)
    alive = lifeline_picture(Session.open(folder), int(fates["cell_id"].iloc[1]))
    fates.loc[0, ["onset_s", "onset_s_lo", "onset_s_hi", "death_probability"]] = [16.0, 14.0, 18.0, 0.9]
    fates["death_mode"] = fates["death_mode"].astype("string")
    fates.loc[0, "death_mode"] = "apoptotic"
    fates.to_csv(folder / "fates.csv", index=False)
    dead = lifeline_picture(Session.open(folder), dying)
    colour = np.array([0xD5, 0x5E, 0x00])
    share = [
        (np.abs(picture[..., :3].astype(int) - colour) < 8).all(axis=2).mean() for picture in (alive, dead)
    ]
    assert share[0] < 0.01 < share[1]


def test_the_charts_are_those_of_the_report(session: Session) -> None:
    pictures = chart_pictures(session)
    assert "Dockings per cell" in pictures and all(inked(picture) for picture in pictures.values())
    assert "Cells that have begun to die" not in pictures


def test_deaths_have_a_curve_of_their_own(folder: Path) -> None:
    fates = pd.read_csv(folder / "fates.csv")
    fates["exit"] = fates["exit"].astype(object)
    fates.loc[0, ["exit", "onset_s"]] = ["died", 16.0]
    fates.to_csv(folder / "fates.csv", index=False)
    assert inked(chart_pictures(Session.open(folder))["Cells that have begun to die"])
