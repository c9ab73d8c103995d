from dataclasses import replace

import numpy as np
import pytest

from exovision.numerics.distance import outline_distance
from exovision.simulation.cells import LYMPHOCYTE, TUMOUR, CellField, rasterise


def _field(seed, *, preset=TUMOUR, n_cells=9, shape=(256, 256), margin=0.5):
    rng = np.random.default_rng(seed)
    return CellField(rng, shape, pixel_size_um=0.25, preset=preset, n_cells=n_cells, margin=margin)


@pytest.mark.parametrize("preset", [TUMOUR, LYMPHOCYTE])
def test_crowded_cells_never_overlap(preset):
    field = _field(1, preset=preset, n_cells=25)
    for _ in range(5):
        field.advance(60)
        outlines = field.outlines()
        covered = sum(
            (rasterise(outlines[i : i + 1], field.ids[i : i + 1], field.shape) > 0) for i in range(25)
        )
        assert covered.max() == 1


def test_a_label_is_the_id_of_the_outline_around_the_pixel():
    field = _field(2)
    field.advance(1000)
    outlines, labels = field.outlines(), field.labels()
    points = np.argwhere(np.ones(field.shape)).astype(float)
    starts = np.arange(10) * outlines.shape[1]
    owner, distance, _, _ = outline_distance(
        points, outlines.reshape(-1, 2), starts, np.ones(outlines.shape[0] * outlines.shape[1], dtype=bool)
    )
    expected = np.where(distance < 0, field.ids[owner], 0).reshape(field.shape)
    assert (labels != expected).sum() <= 2
    assert set(np.unique(labels)) - {0} <= set(field.ids)


def test_a_cell_keeps_its_id_while_it_moves():
    field = _field(3, n_cells=4, margin=-1.2)
    before = field.labels()
    for _ in range(10):
        field.advance(5)
    after = field.labels()
    for cell in field.ids:
        assert (before[after == cell] == cell).mean() > 0.8


@pytest.mark.parametrize("preset", [TUMOUR, LYMPHOCYTE])
def test_a_lone_cell_moves_at_the_stated_speed(preset):
    field = _field(4, preset=preset, n_cells=1, shape=(2000, 2000))
    places = [field.centres[0].copy()]
    for _ in range(20):
        field.advance(30)
        places.append(field.centres[0].copy())
    steps_um = np.hypot(*np.diff(places, axis=0).T) * 0.25
    np.testing.assert_allclose(steps_um / 0.5, preset.speed_um_min)


def test_cells_stay_about_the_field():
    field = _field(5, preset=replace(TUMOUR, speed_um_min=5.0), n_cells=3)
    for _ in range(300):
        field.advance(60)
        assert (np.abs(field.centres - 127.5) < 127.5 + 0.5 * 32 + 60).all()


def test_outlines_fluctuate_as_much_as_stated():
    round_cell = replace(TUMOUR, irregularity=0.0, elongation=0.0, radius_spread=0.0, fluctuation_um=0.3)
    field = _field(6, preset=round_cell, n_cells=1)
    radii = []
    for _ in range(400):
        field.advance(100)
        radii.append(np.hypot(*(field.outlines()[0] - field.centres[0]).T))
    assert np.std(radii) * 0.25 == pytest.approx(0.3, rel=0.1)
    assert np.mean(radii) * 0.25 == pytest.approx(8.0, rel=0.01)


def test_a_vertex_keeps_its_place_on_the_membrane():
    field = _field(7, n_cells=1)
    before = field.outlines()[0] - field.centres[0]
    field.advance(2)
    after = field.outlines()[0] - field.centres[0]
    moved_um = np.hypot(*(after - before).T) * 0.25
    assert 0 < moved_um.max() < 0.5


def test_the_same_seed_gives_the_same_cells():
    fields = [_field(seed) for seed in (8, 8, 9)]
    for field in fields:
        field.advance(100)
    one, same, other = (field.outlines() for field in fields)
    assert (one == same).all()
    assert not (one == other).all()


def test_nuclei_lie_inside_their_cells():
    field = _field(10, n_cells=5, margin=-1.2)
    labels = field.labels()
    inner = rasterise(field.nuclei(0.4), field.ids, field.shape)
    assert set(np.unique(inner)) == {0, *field.ids}
    assert (labels[inner > 0] == inner[inner > 0]).mean() > 0.99
