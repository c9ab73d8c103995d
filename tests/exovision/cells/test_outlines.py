import numpy as np
import pandas as pd
import pytest

from exovision.cells.outlines import SMOOTHING_PX, Outlines, labels_distance_um, zone_areas_um2

PIXEL = 0.108


def discs(shape, *cells):
    """Paint (id, y, x, radius[, stretch in x])."""
    y, x = np.indices(shape)
    labels = np.zeros(shape, dtype=np.int32)
    for cell_id, cy, cx, radius, *stretch in cells:
        labels[np.hypot(y - cy, (x - cx) / (stretch[0] if stretch else 1)) <= radius] = cell_id
    return labels


def around(y, x, radius, n=90):
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([y + radius * np.sin(angle), x + radius * np.cos(angle)], axis=1), angle


@pytest.mark.parametrize("radius", [10, 20, 40, 74])
def test_distances_to_a_disc_are_right_within_a_tenth_of_a_pixel(radius):
    rng = np.random.default_rng(radius)
    errors = []
    for _ in range(12):
        y, x = radius + 12 + rng.random(2)
        size = 2 * radius + 26
        outlines = Outlines.from_labels(discs((size, size), (3, y, x, radius)), pixel_size_um=PIXEL)
        for offset in (-3.0, 0.0, 4.0):
            cell_id, distance, *_ = outlines.place(around(y, x, radius + offset)[0])
            assert (cell_id == 3).all()
            errors.append(distance / PIXEL - offset)
    assert abs(np.mean(errors)) < 0.05
    assert np.sqrt(np.mean(np.square(errors))) < 0.1


def test_distances_to_an_ellipse_have_no_bias():
    errors = []
    for shift in np.linspace(0, 1, 8):
        cy, cx = 50 + shift, 70 + 0.6 * shift
        outlines = Outlines.from_labels(discs((100, 140), (1, cy, cx, 30, 1.7)), pixel_size_um=1.0)
        angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        normal = np.stack([np.sin(angle), np.cos(angle) / 1.7], axis=1)
        normal /= np.hypot(*normal.T)[:, None]
        points = [cy, cx] + np.stack([30 * np.sin(angle), 51 * np.cos(angle)], axis=1) + 2 * normal
        errors.append(outlines.place(points)[1] - 2)
    assert abs(np.mean(errors)) < 0.05
    assert np.std(errors) < 0.1


def test_position_on_the_outline_is_the_arc_from_plus_x_towards_plus_y():
    outlines = Outlines.from_labels(discs((120, 120), (1, 60.3, 59.6, 40)), pixel_size_um=PIXEL)
    points, angle = around(60.3, 59.6, 42, n=16)
    along = outlines.place(points)[2]
    assert along[1:] == pytest.approx(angle[1:] * 40 * PIXEL, abs=0.5 * PIXEL)
    origin = min(along[0], 2 * np.pi * 40 * PIXEL - along[0])
    assert origin < 0.5 * PIXEL


def test_a_cell_that_shifts_and_wobbles_keeps_the_position_of_a_docked_spot():
    positions = []
    for t in range(20):
        y, x = 60 + 0.37 * t, 60 - 0.21 * t
        labels = discs((130, 130), (1, y, x, 38 + np.sin(t)))
        outlines = Outlines.from_labels(labels, pixel_size_um=PIXEL)
        positions.append(outlines.place(np.array([[y + 38 * np.sin(2), x + 38 * np.cos(2)]]))[2][0])
    assert np.std(positions) < 0.15


def test_a_point_between_two_cells_belongs_to_the_nearer_membrane():
    labels = discs((80, 160), (5, 40, 40, 20), (9, 40, 110, 30))
    outlines = Outlines.from_labels(labels, pixel_size_um=0.5)
    cell_id, distance, *_ = outlines.place(np.array([[40.0, 65], [40, 77], [40, 40], [40, 110]]))
    assert cell_id.tolist() == [5, 9, 5, 9]
    assert distance == pytest.approx([2.5, 1.5, -10, -15], abs=0.15)


@pytest.mark.parametrize("half_px", [20, 30, 45])
def test_a_point_inside_a_cell_that_touches_another_belongs_to_its_own(half_px):
    labels = np.zeros((2 * half_px + 20, 80), dtype=np.int32)
    labels[10:-10, 10:40] = 1
    labels[10:-10, 40:70] = 2
    outlines = Outlines.from_labels(labels, pixel_size_um=1.0)
    middle = half_px + 9.5
    cell_id, distance, *_ = outlines.place(np.array([[middle, 37.5], [middle, 41.5]]))
    assert cell_id.tolist() == [1, 2]
    ringing = 2 * SMOOTHING_PX / (6 * np.pi) * np.exp(-np.pi * half_px / SMOOTHING_PX)
    assert distance == pytest.approx([-2, -2], abs=ringing + 0.005)


def test_the_image_edge_is_no_membrane():
    labels = discs((100, 100), (1, 50, 0, 30))
    outlines = Outlines.from_labels(labels, pixel_size_um=1.0)
    assert outlines.place(np.array([[50.0, 0.0]]))[1] == pytest.approx([-30], abs=0.3)
    edge = outlines.vertices_px[~outlines.membrane]
    assert len(edge) > 0 and (edge[:, 1] == -0.5).all()
    assert np.ptp(edge[:, 0]) > 50
    assert outlines.vertices_px[outlines.membrane][:, 1].max() == pytest.approx(30, abs=0.3)


def test_a_cell_that_fills_the_image_holds_its_spots_without_a_distance():
    outlines = Outlines.from_labels(np.full((40, 50), 2, dtype=np.int32), pixel_size_um=1.0)
    cell_id, distance, along, *_ = outlines.place(np.array([[20.0, 20]]))
    assert cell_id.tolist() == [2]
    assert np.isnan(distance).all() and np.isnan(along).all()


def test_without_cells_every_placement_is_null():
    outlines = Outlines.from_labels(np.zeros((30, 30), dtype=np.int32), pixel_size_um=1.0)
    cell_id, distance, along, *_ = outlines.place(np.array([[1.0, 2], [3, 4]]))
    assert pd.isna(cell_id).all()
    assert np.isnan(distance).all() and np.isnan(along).all()


def test_small_cells_and_single_pixels_have_an_outline_that_holds_their_centre():
    labels = discs((40, 40), (1, 10, 10, 0.4), (2, 25, 25, 2))
    outlines = Outlines.from_labels(labels, pixel_size_um=1.0)
    cell_id, distance, *_ = outlines.place(np.array([[25.0, 25], [10, 13]]))
    assert cell_id.tolist() == [2, 1]
    assert distance[0] < 0 < distance[1]


def test_the_outline_of_one_cell_can_be_taken_out():
    outlines = Outlines.from_labels(discs((60, 60), (4, 30, 30, 15)), pixel_size_um=1.0)
    assert np.hypot(*(outlines.vertices_of(4) - 30).T) == pytest.approx(15, abs=0.6)
    with pytest.raises(KeyError):
        outlines.vertices_of(5)


def test_the_distance_image_is_signed_and_sees_touching_neighbours():
    labels = np.zeros((21, 40), dtype=np.int32)
    labels[5:16, 5:20] = 1
    labels[5:16, 20:35] = 2
    distance = labels_distance_um(labels, pixel_size_um=0.2)
    assert distance.dtype == np.float32
    assert distance[10, [3, 4, 5, 6, 19, 20, 18]] == pytest.approx([0.3, 0.1, -0.1, -0.3, -0.1, -0.1, -0.3])


@pytest.mark.parametrize("radius_um", [3.0, 8.0])
def test_zone_areas_of_a_lonely_cell_are_those_of_annuli(radius_um):
    labels = discs((320, 320), (6, 160.2, 159.7, radius_um / PIXEL))
    zones = zone_areas_um2(labels, pixel_size_um=PIXEL, band_um=0.3, ring_inner_um=1, ring_outer_um=3)
    assert zones["cell_id"].tolist() == [6]
    assert zones["band_um2"][0] == pytest.approx(4 * np.pi * radius_um * 0.3, rel=0.025)
    ring = np.pi * ((radius_um + 3) ** 2 - (radius_um + 1) ** 2)
    assert zones["ring_um2"][0] == pytest.approx(ring, rel=0.01)


def test_zones_of_neighbours_do_not_overlap_and_leave_out_the_insides():
    labels = discs((150, 300), (1, 75, 100, 40), (2, 75, 200, 40))
    far = discs((150, 300), (1, 75, 100, 40))
    limits = {"pixel_size_um": 1.0, "band_um": 3.0, "ring_inner_um": 5.0, "ring_outer_um": 30.0}
    both, alone = zone_areas_um2(labels, **limits), zone_areas_um2(far, **limits)
    assert both["ring_um2"][0] == pytest.approx(both["ring_um2"][1], rel=0.02)
    assert both["ring_um2"][0] < 0.95 * alone["ring_um2"][0]
    assert both["band_um2"][0] == pytest.approx(alone["band_um2"][0], rel=0.01)


def test_zones_without_cells_are_an_empty_table():
    zones = zone_areas_um2(
        np.zeros((20, 20), dtype=np.int32), pixel_size_um=1.0, band_um=1.0, ring_inner_um=1, ring_outer_um=3
    )
    assert list(zones.columns) == ["cell_id", "band_um2", "ring_um2"] and zones.empty


def test_a_sliver_at_the_edge_of_the_image_has_an_outline() -> None:
    labels = np.zeros((20, 30), dtype=np.int32)
    labels[0, 5:7], labels[10, 29], labels[8:12, 8:12] = 1, 2, 3
    outlines = Outlines.from_labels(labels, pixel_size_um=0.1)
    cell, distance, *_ = outlines.place(np.array([[0.0, 5.5], [10.0, 29.0], [9.5, 9.5]]))
    assert list(cell) == [1, 2, 3]
    assert (distance < 0).all()


def test_between_two_cells_the_next_one_is_known_too():
    labels = np.zeros((60, 100), dtype=np.int32)
    labels[20:40, 10:48], labels[20:40, 52:90] = 4, 9
    there = Outlines.from_labels(labels, pixel_size_um=0.5).place(np.array([[30.0, 49.0], [30.0, 40.0]]))
    assert there.cell_id.tolist() == [4, 4]
    assert there.next_id.tolist() == [9, 9]
    assert there.next_distance_um == pytest.approx([0.5 * 2.5, 0.5 * 11.5], abs=0.15)


def test_a_lone_cell_has_no_next_one():
    labels = np.zeros((40, 40), dtype=np.int32)
    labels[10:30, 10:30] = 2
    there = Outlines.from_labels(labels, pixel_size_um=0.5).place(np.array([[20.0, 32.0]]))
    assert there.next_id.isna().all()
    assert np.isnan(there.next_distance_um).all()
