"""Places on and in the outline of a cell; a place keeps its part of the vertices while the cell deforms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exovision.numerics.distance import outline_distance
from exovision.numerics.polygons import signed_area
from exovision.simulation.release import Curve

Floats = NDArray[np.float64]


def along_outline(outline: Floats, part: float, length_px: float) -> float:
    """Return the place, as a part of the vertices, that lies `length_px` farther along an outline."""
    closed = np.vstack([outline, outline[:1]])
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    vertices = np.arange(len(closed))
    here = np.interp((part % 1.0) * len(outline), vertices, arc)
    return float(np.interp((here + length_px) % arc[-1], arc, vertices)) / len(outline)


def within(outline: Floats, part: float, depth: float) -> Floats:
    """Return the point at `depth` (0: centre, 1: outline) of the way to the place at `part` of an outline."""
    centre = outline.mean(axis=0)
    return np.asarray(centre + depth * (on_outline(outline, part, 0.0) - centre))


def on_outline(outline: Floats, part: float, outside_px: float) -> Floats:
    """Return the point at `part` (0–1) of the vertices of an outline (K, 2), moved outwards, px."""
    count = len(outline)
    position = (part % 1.0) * count
    first = int(position) % count
    here, after = outline[first], outline[(first + 1) % count]
    along = after - here
    point = here + (position - int(position)) * along
    normal = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9)
    return np.asarray(point + outside_px * np.sign(signed_area(outline)) * normal)


def curve_at(outline: Floats, part: float) -> Curve:
    """Return the outline (K, 2) as a curve that starts at `part` (0–1) of its vertices, lengths in px."""
    closed = np.vstack([outline, outline[:1]])
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    here = np.interp((part % 1.0) * len(outline), np.arange(len(closed)), arc)

    def curve(lengths_px: Floats) -> Floats:
        along = (here + lengths_px) % arc[-1]
        return np.stack([np.interp(along, arc, closed[:, axis]) for axis in (0, 1)], axis=1)

    return curve


def deep_inside(outline: Floats, place: Floats, margin_px: float) -> Floats:
    """Return the place moved towards the centre until it lies inside an outline (K, 2) by `margin_px`."""
    centre = outline.mean(axis=0)
    for _ in range(8):
        inward = signed_distance(outline, place)
        if inward < -margin_px:
            break
        place = centre + 0.8 * (place - centre)
    return place


def signed_distance(outline: Floats, place: Floats) -> float:
    """Return the distance of a point from an outline (K, 2), px, negative inside."""
    start = np.array([0, len(outline)], dtype=np.int64)
    _, distance, _, _ = outline_distance(place[None], outline, start, np.ones(len(outline), dtype=bool))
    return float(distance[0])
