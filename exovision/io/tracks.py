"""Exosome tracks for TrackMate and napari."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TextIO
from xml.sax.saxutils import quoteattr

import numpy as np
import pandas as pd

from exovision.files import replacing
from exovision.io.tables import write_csv
from exovision.records import Movie
from exovision.schema import SPOT_STATES

DEFAULT_RADIUS_PX = 3.0
"""Where a spot's width is unknown; TrackMate draws every spot as a circle."""
_SPOT_FEATURES = {
    # TrackMate's name: (our column, its title there, dimension, integer)
    "QUALITY": ("probability", "Probability", "QUALITY", False),
    "POSITION_X": ("x_um", "X", "POSITION", False),
    "POSITION_Y": ("y_um", "Y", "POSITION", False),
    "POSITION_Z": (None, "Z", "POSITION", False),
    "POSITION_T": ("time_s", "T", "TIME", False),
    "FRAME": ("frame", "Frame", "NONE", True),
    "RADIUS": (None, "Radius", "LENGTH", False),
    "VISIBILITY": (None, "Visibility", "NONE", True),
    "COUNTS": ("counts", "Counts", "INTENSITY", False),
    "SNR": ("snr", "Signal/noise", "NONE", False),
    "MEMBRANE_DISTANCE": ("membrane_distance_um", "Distance to membrane", "LENGTH", False),
    "CELL_ID": ("cell_id", "Cell", "NONE", True),
    "STATE": (None, "State", "NONE", True),
}
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_EDGE_FEATURES = {
    "SPOT_SOURCE_ID": ("Source spot ID", "NONE", True),
    "SPOT_TARGET_ID": ("Target spot ID", "NONE", True),
    "LINK_COST": ("Link cost", "COST", False),
}
_TRACK_FEATURES = {
    "TRACK_INDEX": ("Track index", "NONE", True),
    "TRACK_ID": ("Track ID", "NONE", True),
    "NUMBER_SPOTS": ("Number of spots in track", "NONE", True),
}
NAPARI_COLUMNS = {"track_id": "Int64", "t": "Int64", "y": "float64", "x": "float64", "state": "string"}


def napari_tracks(spots: pd.DataFrame) -> pd.DataFrame:
    """Return the linked spots as napari's tracks, `track_id t y x` in px and `state`, by track and time."""
    linked = spots[spots["exosome_id"].notna()].sort_values(["exosome_id", "frame"], kind="stable")
    return pd.DataFrame(
        {
            "track_id": linked["exosome_id"],
            "t": linked["frame"],
            "y": linked["y_px"],
            "x": linked["x_px"],
            "state": linked["state"],
        }
    ).reset_index(drop=True)


def write_napari_tracks(path: Path, spots: pd.DataFrame) -> None:
    """Write `napari_tracks(spots)` as CSV; the first four columns are what a Tracks layer takes.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    write_csv(napari_tracks(spots), path, NAPARI_COLUMNS)


def write_trackmate(path: Path, spots: pd.DataFrame, movie: Movie) -> None:
    """Write all spots and tracks as a TrackMate 7 file, unlinked spots included.

    Parameters
    ----------
    path : Path
    spots : DataFrame
        Columns as in `schema.SPOTS`.
    movie : Movie
        Gives pixel size, interval, size and where the image lies.

    Raises
    ------
    OutputError
        If the file cannot be written.

    Notes
    -----
    Positions are in µm from the centre of the first pixel, as TrackMate counts. TrackMate's ids: a spot is
    its row in `spots`, a track its `exosome_id`. STATE counts from 0 in the order of `schema.SPOT_STATES`.
    What is missing is left out.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<TrackMate version="7.11.1">\n')
        states = ", ".join(f"{code} {state}" for code, state in enumerate(SPOT_STATES))
        file.write(f"  <Log>Written by exovision. STATE: {states}.</Log>\n")
        file.write('  <Model spatialunits="µm" timeunits="sec">\n')
        _write_declarations(file)
        _write_spots(file, spots, movie)
        _write_tracks(file, spots)
        file.write("  </Model>\n")
        _write_settings(file, movie)
        file.write('  <GUIState state="ConfigureViews" />\n</TrackMate>\n')


def _element(name: str, attributes: Mapping[str, object], *, closed: bool = True) -> str:
    given = {key: _NOT_IN_XML.sub("", str(value)) for key, value in attributes.items()}
    text = "".join(f" {key}={quoteattr(value)}" for key, value in given.items())
    return f"<{name}{text}{' />' if closed else '>'}\n"


def _write_declarations(file: TextIO) -> None:
    file.write("    <FeatureDeclarations>\n")
    spot = {key: (title, dimension, whole) for key, (_, title, dimension, whole) in _SPOT_FEATURES.items()}
    for group, features in (
        ("SpotFeatures", spot),
        ("EdgeFeatures", _EDGE_FEATURES),
        ("TrackFeatures", _TRACK_FEATURES),
    ):
        file.write(f"      <{group}>\n")
        for key, (title, dimension, whole) in features.items():
            declared = {"feature": key, "name": title, "shortname": title, "dimension": dimension}
            file.write("        " + _element("Feature", {**declared, "isint": str(whole).lower()}))
        file.write(f"      </{group}>\n")
    file.write("    </FeatureDeclarations>\n")


def _write_spots(file: TextIO, spots: pd.DataFrame, movie: Movie) -> None:
    file.write(f'    <AllSpots nspots="{len(spots)}">\n')
    features = _spot_features(spots, movie)
    for frame, rows in features.groupby("FRAME", sort=True):
        file.write(f'      <SpotsInFrame frame="{frame}">\n')
        file.writelines(_spot_elements(rows))
        file.write("      </SpotsInFrame>\n")
    file.write("    </AllSpots>\n")


def _spot_features(spots: pd.DataFrame, movie: Movie) -> pd.DataFrame:
    """Return TrackMate's features of each spot; the index is the spot's id."""
    features = pd.DataFrame(
        {key: spots[column] for key, (column, *_) in _SPOT_FEATURES.items() if column}
    ).reset_index(drop=True)
    width_px = spots["sigma_px"].to_numpy(dtype=np.float64)
    radius_px = np.where(np.isfinite(width_px), 2 * width_px, DEFAULT_RADIUS_PX)
    codes = pd.Series({state: code for code, state in enumerate(SPOT_STATES)})
    return features.assign(
        POSITION_Z=0.0,
        RADIUS=radius_px * movie.pixel_size_um,
        VISIBILITY=1,
        STATE=spots["state"].map(codes).reset_index(drop=True).astype("Int64"),
    )


def _spot_elements(features: pd.DataFrame) -> Iterator[str]:
    """Yield the element of each spot, without what is missing; numbers need no quoting."""
    columns = [
        [f' {name}="{value}"' if known else "" for value, known in zip(column.astype(object), column.notna())]
        for name, column in features.items()
    ]
    for spot_id, *given in zip(features.index, *columns):
        yield f'        <Spot ID="{spot_id}" name="spot_{spot_id}"{"".join(given)} />\n'


def _write_tracks(file: TextIO, spots: pd.DataFrame) -> None:
    placed = spots[["exosome_id", "frame"]].reset_index(drop=True).dropna().astype(np.int64)
    placed = placed.sort_values(["exosome_id", "frame"], kind="stable")
    rows = placed.groupby("exosome_id").indices
    tracks = {exosome_id: placed.index[at].tolist() for exosome_id, at in rows.items() if len(at) > 1}
    file.write("    <AllTracks>\n")
    for index, (exosome_id, ids) in enumerate(tracks.items()):
        about = {"name": f"exosome_{exosome_id}", "TRACK_ID": exosome_id, "TRACK_INDEX": index}
        file.write("      " + _element("Track", {**about, "NUMBER_SPOTS": len(ids)}, closed=False))
        for source, target in pairwise(ids):
            edge = {"SPOT_SOURCE_ID": source, "SPOT_TARGET_ID": target, "LINK_COST": -1.0}
            file.write("        " + _element("Edge", edge))
        file.write("      </Track>\n")
    file.write("    </AllTracks>\n    <FilteredTracks>\n")
    file.writelines(f'      <TrackID TRACK_ID="{exosome_id}" />\n' for exosome_id in tracks)
    file.write("    </FilteredTracks>\n")


def _write_settings(file: TextIO, movie: Movie) -> None:
    n_frames, _, _, height, width = movie.shape
    interval_s = movie.interval_s("exosome") if "exosome" in movie.roles else math.nan
    place = Path(movie.path) if movie.path else Path()
    image: dict[str, object] = {"filename": place.name}
    image |= {"folder": f"{place.parent.as_posix()}/" if movie.path else ""}
    image |= {"width": width, "height": height, "nslices": 1, "nframes": n_frames}
    image |= {"pixelwidth": movie.pixel_size_um, "pixelheight": movie.pixel_size_um, "voxeldepth": 1.0}
    image |= {"timeinterval": interval_s if math.isfinite(interval_s) else 1.0}
    ends = {"xstart": 0, "xend": width - 1, "ystart": 0, "yend": height - 1}
    ends |= {"zstart": 0, "zend": 0, "tstart": 0, "tend": n_frames - 1}
    channel = movie.roles.get("exosome", 0) + 1
    radius = DEFAULT_RADIUS_PX * movie.pixel_size_um
    detector = {"DETECTOR_NAME": "MANUAL_DETECTOR", "RADIUS": radius, "TARGET_CHANNEL": channel}
    file.write("  <Settings>\n")
    for line in (
        _element("ImageData", image),
        _element("BasicSettings", ends),
        _element("DetectorSettings", detector),
        _element("InitialSpotFilter", {"feature": "QUALITY", "value": 0.0, "above": "true"}),
        "<SpotFilterCollection />\n",
        _element("TrackerSettings", {"TRACKER_NAME": "MANUAL_TRACKER"}),
        "<TrackFilterCollection />\n",
        "<AnalyzerCollection />\n",
    ):
        file.write("    " + line)
    file.write("  </Settings>\n")
