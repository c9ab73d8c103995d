import numpy as np

from exovision.exosomes.probability import probability


def one(rise, ratio=1.0, se=0.05):
    return probability(np.array([rise]), np.array([ratio]), np.array([se]))[0]


def test_it_rises_with_the_height_above_a_ridge():
    found = [one(rise) for rise in (-1.0, 1.0, 3.0, 6.0)]
    assert found == sorted(found) and found[0] < 0.01 and found[-1] > 0.95


def test_spots_much_wider_or_narrower_than_the_psf_are_unlikely():
    assert one(20) > 0.95
    assert one(20, 1.6) < 0.1 and one(20, 0.6) < 0.1
    assert one(20, 1.25) > 0.5


def test_an_uncertain_width_speaks_less_against_a_spot():
    assert one(20, 1.5, se=0.3) > 0.9 > one(20, 1.5, se=0.05)


def test_a_hot_pixel_has_no_excuse():
    assert one(20, 0.2, se=500.0) < 0.01
