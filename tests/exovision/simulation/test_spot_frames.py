from dataclasses import replace

import numpy as np
import pytest

from exovision.numerics.psf import localisation_bound_px
from exovision.simulation.spot_frames import SpotConditions, spot_frames

FEW = SpotConditions(shape_px=(128, 128), spots=20)


def test_the_same_seed_gives_the_same_frames_and_a_longer_series_begins_alike():
    short, long = spot_frames(FEW, 2, seed=3), spot_frames(FEW, 3, seed=3)
    assert np.array_equal(short.images[0], long.images[0])
    assert short.truth.equals(long.truth[long.truth["frame"] < 2])
    assert not np.array_equal(short.images, spot_frames(FEW, 2, seed=4).images)


def test_spots_have_the_signal_to_noise_asked_for_and_their_light_is_in_the_picture():
    made = spot_frames(FEW, 1, seed=1)
    assert made.truth["snr"].to_numpy(dtype=float) == pytest.approx(4)
    empty = spot_frames(replace(FEW, spots=0), 1, seed=1)
    extra = made.images.sum(dtype=float) - empty.images.sum(dtype=float)
    assert extra == pytest.approx(made.truth["counts"].sum(), rel=0.1)


def test_the_bound_is_that_of_the_spot_in_its_background():
    row = spot_frames(FEW, 1, seed=1).truth.iloc[0]
    bounds = [
        localisation_bound_px(row["photons"], sigma_px=1.5, background=6.1, read_noise=1.6, phase=phase)
        for phase in (0.0, 0.5)
    ]
    assert min(bounds) <= row["crlb_px"] <= max(bounds)


def test_on_membranes_every_spot_lies_on_the_crest_and_outshines_it_as_asked():
    conditions = replace(FEW, shape_px=(256, 256), membranes=4, snr=2.0, spots=40)
    truth = spot_frames(conditions, 2, seed=5).truth
    assert truth["snr"].to_numpy(dtype=float) == pytest.approx(2)
    background = truth["background"] * conditions.camera.electrons_per_count
    assert (background > 6.1 + 5).all() and background.median() == pytest.approx(26, rel=0.25)


def test_look_alikes_are_listed_apart():
    made = spot_frames(replace(FEW, blobs=7, haze=0.3), 2, seed=2)
    assert len(made.decoys) == 14 and len(made.truth) == 40
    assert (made.decoys["kind"] == "blob").all()
