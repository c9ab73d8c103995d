import numpy as np
import pandas as pd
import pytest

from exovision.numerics.psf import render
from exovision.records import ArrayLabels, Movie
from exovision.report.fate_strips import disc_light, draw_fates, model_light, pick_fates
from exovision.report.strips import Strip

FRAMES, AT = 40, 20


def given():
    images = np.stack(
        [
            render((64, 64), np.array([30.0]), np.array([32.0]), np.array([900.0 * (t <= AT)]), 1.2) + 100
            for t in range(FRAMES)
        ]
    )
    movie = Movie.from_array(
        images[:, None], pixel_size_um=0.1, frame_interval_s=0.5, channels={"exosome": 0}
    )
    labels = np.zeros((FRAMES, 64, 64), dtype=np.int32)
    labels[:, 30:] = 1
    spots = pd.DataFrame(
        {
            "exosome_id": 1,
            "frame": range(AT + 1),
            "time_s": 0.5 * np.arange(AT + 1),
            "y_px": 30.0,
            "x_px": 32.0,
            "membrane_distance_um": 0.0,
            "counts": 900.0,
            "sigma_px": 1.2,
        }
    )
    event = {"event_id": 1, "kind": "fusion", "exosome_id": 1, "cell_id": 1, "start_frame": AT}
    event |= {"end_frame": AT, "start_s": 0.5 * AT, "end_s": 0.5 * AT, "censored": "none", "probability": 0.9}
    event |= {"diffusion_um2_s": 0.5, "dequench_gain": 2.0, "release_tau_s": 0.3, "spread_fraction": 1.0}
    event |= {"p_fused": 0.9, "p_unresolved": 0.1}
    return movie, ArrayLabels(labels), pd.DataFrame([event]), spots


def test_a_strip_goes_on_after_the_exosome_is_gone():
    movie, _, events, spots = given()
    strip = pick_fates(movie, events, spots, 3)[0]
    assert strip.frames[0] < AT < strip.frames[-1] - 10
    assert strip.at(AT + 10, "y_px", "time_s") == [30.0, 0.5 * (AT + 10)]


def test_no_fates_no_figure_and_one_fate_one_figure():
    movie, labels, events, spots = given()
    figure = draw_fates(movie, labels, events, spots, n=2, sigma_z_um=0.35)
    assert figure is not None and len(figure.subfigs) == 1
    lines = [line.get_label() for axes in figure.subfigs[0].axes for line in axes.lines]
    assert {"measured", "disappearance", "fusion, fitted"} <= set(lines)
    other = events.assign(kind="docking")
    assert draw_fates(movie, labels, other, spots, n=2, sigma_z_um=0.35) is None


def test_the_light_in_the_disc_is_that_of_the_spot():
    image = render((41, 41), np.array([20.0]), np.array([20.0]), np.array([700.0]), 1.2) + 50
    assert disc_light(image.astype(np.float32)) == pytest.approx(700, rel=0.01)


def test_the_fitted_light_is_one_before_and_follows_gain_and_spread_after():
    movie, _, events, spots = given()
    strip = pick_fates(movie, events, spots, 1)[0]
    times = 0.5 * np.arange(FRAMES)
    light = model_light(strip.event, times, strip, 0.35, edge=False)
    assert isinstance(strip, Strip)
    assert light[: AT + 1] == pytest.approx(1.0)
    assert light[-1] < 0.1 < light[AT + 1]
