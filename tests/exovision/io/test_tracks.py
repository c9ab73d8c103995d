"""Tracks for other programs, parsed back: TrackMate's XML and napari's table."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import geff
import numpy as np
import pandas as pd
import pytest
from geff.validate.data import ValidationConfig

from exovision import schema
from exovision.errors import OutputError
from exovision.io.geff_tracks import write_geff
from exovision.io.tracks import write_napari_tracks, write_trackmate
from exovision.records import Movie


def movie(name: str = "m & <x>.tif") -> Movie:
    made = Movie.from_array(
        np.ones((5, 2, 20, 30)), pixel_size_um=0.1, frame_interval_s=2, channels={"exosome": 1, "cell": 0}
    )
    return Movie(**{**made.__dict__, "path": f"/data/{name}"})


def spots() -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "frame": [0, 0, 1, 3, 1, 2],
            "time_s": [0.0, 0, 2, 6, 2, 4],
            "y_px": [1.0, 11, 2, 4, 12, 9],
            "x_px": [5.0, 15, 6, 8, 16, 9],
            "exosome_id": [7, 2, 7, 7, 2, None],
            "cell_id": [1, None, 1, 1, None, None],
            "probability": [0.9] * 6,
            "counts": [100.0] * 6,
            "sigma_px": [1.5] * 5 + [np.nan],
            "membrane_distance_um": [-0.1, np.nan, 0, 0.1, np.nan, np.nan],
            "state": ["docked", "free", "docked", "docked", "free", "unresolved"],
        }
    )
    table["y_um"], table["x_um"] = table["y_px"] * 0.1, table["x_px"] * 0.1
    return schema.conform(table, schema.SPOTS)


def parsed(path: Path, table: pd.DataFrame) -> ElementTree.Element:
    write_trackmate(path, table, movie())
    return ElementTree.parse(path).getroot()


def test_every_spot_is_in_its_frame_with_its_features(tmp_path: Path) -> None:
    root = parsed(tmp_path / "t.xml", spots())
    found = {
        int(spot.get("ID", "")): (int(frame.get("frame", "")), spot)
        for frame in root.iter("SpotsInFrame")
        for spot in frame
    }
    assert root.find("Model/AllSpots").get("nspots") == "6"  # type: ignore[union-attr]
    assert {row: frame for row, (frame, _) in found.items()} == dict(enumerate(spots()["frame"]))
    for row, (_, spot) in found.items():
        truth = spots().loc[row]
        assert float(spot.get("POSITION_X", "")) == pytest.approx(truth["x_um"])
        assert float(spot.get("POSITION_Y", "")) == pytest.approx(truth["y_um"])
        assert float(spot.get("POSITION_T", "")) == truth["time_s"]
        assert int(spot.get("STATE", "")) == schema.SPOT_STATES.index(truth["state"])
        assert (spot.get("CELL_ID") is None) == pd.isna(truth["cell_id"])
    declared = {feature.get("feature") for feature in root.iter("Feature")}
    used = {name for _, spot in found.values() for name in spot.attrib} - {"ID", "name"}
    assert used <= declared


def test_every_track_links_its_spots_in_time(tmp_path: Path) -> None:
    root = parsed(tmp_path / "t.xml", spots())
    edges = {
        int(track.get("TRACK_ID", "")): [
            (int(edge.get("SPOT_SOURCE_ID", "")), int(edge.get("SPOT_TARGET_ID", ""))) for edge in track
        ]
        for track in root.iter("Track")
    }
    assert edges == {7: [(0, 2), (2, 3)], 2: [(1, 4)]}
    assert {int(track.get("TRACK_ID", "")) for track in root.iter("TrackID")} == {2, 7}


def test_the_image_is_described_and_odd_names_are_escaped(tmp_path: Path) -> None:
    image = parsed(tmp_path / "t.xml", spots()).find("Settings/ImageData")
    assert image is not None
    assert image.get("filename") == "m & <x>.tif"
    assert [image.get(name) for name in ("width", "height", "nframes", "pixelwidth", "timeinterval")] == [
        *("30", "20", "5", "0.1", "2.0")
    ]


def test_napari_gets_linked_spots_by_track_and_time(tmp_path: Path) -> None:
    write_napari_tracks(tmp_path / "n.csv", spots())
    table = pd.read_csv(tmp_path / "n.csv")
    assert list(table.columns) == ["track_id", "t", "y", "x", "state"]
    expected = [[2, 0, 11, 15], [2, 1, 12, 16], [7, 0, 1, 5], [7, 1, 2, 6], [7, 3, 4, 8]]
    np.testing.assert_array_equal(table[["track_id", "t", "y", "x"]], expected)


def test_no_spots_are_valid_files(tmp_path: Path) -> None:
    empty = schema.empty(schema.SPOTS)
    root = parsed(tmp_path / "t.xml", empty)
    assert list(root.iter("Spot")) == list(root.iter("Track")) == []
    write_napari_tracks(tmp_path / "n.csv", empty)
    assert (tmp_path / "n.csv").read_text() == "track_id,t,y,x,state\n"


def test_geff_reads_every_spot_and_link_back(tmp_path: Path) -> None:
    table = spots().assign(marker_CD56=np.arange(6.0))
    write_geff(tmp_path / "t.geff", table, movie())
    write_geff(tmp_path / "t.geff", table, movie())
    graph, metadata = geff.read(
        tmp_path / "t.geff", data_validation=ValidationConfig(graph=True, tracklet=False), backend="networkx"
    )
    assert graph.is_directed()
    assert set(graph.edges) == {(0, 2), (2, 3), (1, 4)}
    assert [(axis.name, axis.unit, axis.scale, axis.scaled_unit) for axis in metadata.axes] == [
        ("t", "frame", 2.0, "second"),
        ("y", "pixel", 0.1, "micrometer"),
        ("x", "pixel", 0.1, "micrometer"),
    ]
    assert metadata.track_node_props == {"tracklet": "exosome_id"}
    for row, truth in table.iterrows():
        node = graph.nodes[row]
        assert [node["t"], node["y"], node["x"]] == [truth["frame"], truth["y_px"], truth["x_px"]]
        assert node["state"] == truth["state"]
        assert node["marker_CD56"] == row
        assert node.get("exosome_id") == (None if pd.isna(truth["exosome_id"]) else truth["exosome_id"])
        assert ("sigma_px" in node) == (row != 5)
        assert "photons" not in node


def test_no_spots_are_a_valid_geff(tmp_path: Path) -> None:
    write_geff(tmp_path / "t.geff", schema.empty(schema.SPOTS), movie())
    graph, _ = geff.read(tmp_path / "t.geff")
    assert len(graph) == 0


def test_geff_without_its_package_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("geff.core_io", "geff"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(OutputError, match=r"pip install 'exovision\[geff\]'"):
        write_geff(tmp_path / "t.geff", spots(), movie())
    assert not (tmp_path / "t.geff").exists()
