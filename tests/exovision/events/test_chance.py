from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from exovision.events.chance import compare_cells, count_zones, pool_cells
from exovision.settings import EventSettings

RADIUS_UM, SIDE_UM = 8.0, 150.0
CENTRES = 25 + 33.0 * np.indices((4, 4)).reshape(2, -1).T


def zones(band_um=0.3):
    ring = np.pi * ((RADIUS_UM + 3) ** 2 - (RADIUS_UM + 1) ** 2)
    band = 2 * np.pi * RADIUS_UM * 2 * band_um
    return pd.DataFrame({"cell_id": range(1, 17), "band_um2": band, "ring_um2": ring})


def tracks_at(points):
    """Exosomes at points (N, 2), µm, that lie near a cell, with their signed distance to it."""
    away = np.linalg.norm(points[:, None] - CENTRES, axis=2)
    cell, distance = away.argmin(axis=1), away.min(axis=1) - RADIUS_UM
    return [
        SimpleNamespace(distance_um=np.full(3, d), nearest=np.full(3, c + 1))
        for d, c in zip(distance, cell)
        if -1 < d < 4
    ]


def p_of(points):
    return pool_cells(compare_cells(count_zones(tracks_at(points), EventSettings()), zones())).p


@pytest.mark.parametrize(("where", "least"), [("everywhere", 0.02), ("outside the cells", 0.0)])
def test_exosomes_placed_by_chance_are_called_enriched_in_about_one_of_twenty_movies(where, least):
    rng = np.random.default_rng(0)
    repeats, called = 300, 0
    for _ in range(repeats):
        points = rng.uniform(0, SIDE_UM, (400, 2))
        if where != "everywhere":
            inside = np.linalg.norm(points[:, None] - CENTRES, axis=2).min(axis=1) < RADIUS_UM
            points = points[~inside]
        called += p_of(points) < 0.05
    # three standard errors above 5 %
    assert least <= called / repeats <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


def test_exosomes_gathered_at_the_membrane_are_called_enriched():
    rng = np.random.default_rng(1)
    points = rng.uniform(0, SIDE_UM, (400, 2))
    angle, cell = rng.uniform(0, 2 * np.pi, 25), rng.integers(16, size=25)
    docked = CENTRES[cell] + RADIUS_UM * np.column_stack([np.sin(angle), np.cos(angle)])
    assert p_of(np.concatenate([points, docked])) < 0.001


def test_an_exosome_counts_once_in_the_zone_of_its_median_distance():
    settings = EventSettings()
    at = [0.0, 0.3, 0.31, -0.3, 1.0, 3.0, 3.1, -2.0]
    counted = count_zones(
        [SimpleNamespace(distance_um=np.array([d, d, d + 9]), nearest=np.full(3, 2)) for d in at], settings
    )
    assert counted.to_dict("records") == [{"cell_id": 2, "in_band": 3, "in_ring": 2}]


def test_each_cell_has_the_exact_binomial_p_and_its_corrected_q():
    areas = pd.DataFrame({"cell_id": [1, 2, 3], "band_um2": [10.0, 10.0, 0.0], "ring_um2": [30.0, 30.0, 5.0]})
    counts = pd.DataFrame({"cell_id": [1], "in_band": [4], "in_ring": [2]})
    tested = compare_cells(counts, areas)
    assert tested["cell_id"].to_list() == [1, 2]
    expected = sum(stats.binom.pmf(k, 6, 0.25) for k in (4, 5, 6))
    assert tested["p"].to_list() == pytest.approx([expected, 1.0])
    assert tested["q"].to_list() == pytest.approx([2 * expected, 1.0])


def test_areas_of_several_frames_are_averaged():
    areas = pd.DataFrame({"cell_id": [1, 1], "band_um2": [10.0, 20.0], "ring_um2": [30.0, 50.0]})
    counts = pd.DataFrame({"cell_id": [1], "in_band": [1], "in_ring": [0]})
    assert compare_cells(counts, areas)["p"].to_list() == pytest.approx([15 / 55])


def test_the_enrichment_is_the_ratio_of_densities():
    areas = pd.DataFrame({"cell_id": [1, 2], "band_um2": 10.0, "ring_um2": 40.0})
    counts = pd.DataFrame({"cell_id": [1, 2], "in_band": [6, 2], "in_ring": [8, 8]})
    pooled = pool_cells(compare_cells(counts, areas))
    assert pooled.enrichment == pytest.approx((8 / 20) / (16 / 80))
    assert pooled.p == pytest.approx(stats.binom.sf(7, 24, 0.2))
    assert pooled.lo < pooled.enrichment < pooled.hi


def test_without_exosomes_nothing_is_said():
    none = count_zones([], EventSettings())
    assert np.isnan(pool_cells(compare_cells(none, zones()))).all()
    assert compare_cells(none, zones().iloc[:0]).empty
