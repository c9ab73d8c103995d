import numpy as np

from exovision.cells.finishing import onto_membranes

ROWS, COLUMNS = np.indices((96, 96))
AWAY = np.hypot(ROWS - 48, COLUMNS - 48)


def test_an_outline_drawn_too_small_is_moved_onto_its_membrane():
    drawn = (AWAY <= 28).astype(np.int32)
    image = (100 + 800 * np.exp(-((AWAY - 30) ** 2) / 4)).astype(np.float32)
    image += np.random.default_rng(0).normal(0, 5, image.shape).astype(np.float32)
    moved = onto_membranes(drawn, image, diameter_px=60, pixel_size_um=0.1)
    radius = np.sqrt((moved == 1).sum() / np.pi)
    assert abs(radius - 30) < 0.6 < abs(np.sqrt((drawn == 1).sum() / np.pi) - 30)


def test_cells_too_small_for_it_keep_their_outlines():
    drawn = (AWAY <= 28).astype(np.int32)
    image = (100 + 800 * np.exp(-((AWAY - 30) ** 2) / 4)).astype(np.float32)
    assert np.array_equal(onto_membranes(drawn, image, diameter_px=20, pixel_size_um=0.1), drawn)
