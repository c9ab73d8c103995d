import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import exovision
from exovision.events.chemistry import CHEMISTRIES
from exovision.events.judge import call_fate
from exovision.events.verdicts import FATES, Posterior
from exovision.records import ArrayLabels, Movie
from exovision.settings import EventSettings, Settings

SPEC = importlib.util.spec_from_file_location("patch_world", Path(__file__).with_name("patch_world.py"))
world = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(world)

FRAMES, SIZE, INTERVAL_S, END = 220, 72, 0.1, 190
EDGE_Y = 40
"""Below this row lies the cell; the exosomes sit on its straight upper outline."""


def make_movie(kind, *, seed=1, reverse=False, said_interval_s=INTERVAL_S):
    """Three exosomes on one outline, one of which meets its fate after frame 190."""
    rng = np.random.default_rng(seed)
    images = np.full((FRAMES, SIZE, SIZE), 8.0)
    left_at = rng.exponential(0.2, 4000)
    everywhere = np.arange(FRAMES)
    for x, fate in ((12, "stays"), (36, kind), (60, "stays")):
        walk = np.cumsum(rng.normal(0, np.sqrt(2 * 0.001 * INTERVAL_S) / world.PIXEL_UM, FRAMES))
        for t in everywhere:
            age = (t - END) * INTERVAL_S - 0.04 + (0.0 if t > END else -0.06)
            place = (EDGE_Y - 0.5, x + walk[min(t, END)])
            part = tuple(slice(round(c) - 8, round(c) + 9) for c in (EDGE_Y, x))
            rest = (place[0] - EDGE_Y, place[1] - x)
            images[(t, *part)] += world._light(
                rng, fate, age, 0.0, rest, 500.0, (left_at, np.ones(4000, bool)), 0.5, 2.0, False
            )
    return filmed(images, rng, reverse=reverse, said_interval_s=said_interval_s)


def filmed(images, rng, *, reverse=False, said_interval_s=INTERVAL_S):
    """The movie of expected photons, beside a cell channel, and the cell's labels."""
    counts = 100 + (rng.poisson(images) + rng.normal(0, 1.6, images.shape)) / 0.46
    cell = np.full((FRAMES, 1, SIZE, SIZE), 100.0)
    cell[:, :, EDGE_Y:] = 400.0
    pixels = np.concatenate([counts[:, None], cell], axis=1).round().astype(np.uint16)
    labels = np.zeros((FRAMES, SIZE, SIZE), dtype=np.int32)
    labels[:, EDGE_Y:] = 1
    if reverse:
        pixels, labels = pixels[::-1].copy(), labels[::-1].copy()
    movie = Movie.from_array(
        pixels,
        pixel_size_um=world.PIXEL_UM,
        frame_interval_s=said_interval_s,
        channels={"exosome": 0, "cell": 1},
    )
    return movie, ArrayLabels(labels)


def analyse(kind, chemistry="lipid_dye", **changed):
    return told(*make_movie(kind, **changed), chemistry)


def told(movie, labels, chemistry="lipid_dye"):
    settings = Settings.from_mapping(
        {
            "events": {"chemistry": chemistry},
            "camera": {"offset_counts": 100.0, "photons_per_count": 0.46},
            "exosomes": {"psf_sigma_um": 0.13},
            "correction": {"drift": False, "bleaching": False},
        }
    )
    return exovision.analyse(movie, settings, labels=labels, device="cpu")


@pytest.mark.slow
def test_a_vesicle_whose_dye_spreads_at_the_membrane_has_fused_and_is_counted():
    result = analyse("spreads")
    fusions = result.events[result.events["kind"] == "fusion"]
    assert len(fusions) == 1
    row = fusions.iloc[0]
    assert abs(row["start_frame"] - END) <= 2 and row["identifiable"] and row["p_fused"] > 0.9
    assert row[[name for name in result.events if name.startswith("p_")]].sum() == pytest.approx(1)
    assert row["diffusion_um2_s_lo"] <= 0.5 <= row["diffusion_um2_s_hi"]
    assert row["dequench_gain_lo"] <= 2.0 <= row["dequench_gain_hi"]
    outcome = result.exosomes.set_index("exosome_id")["outcome"]
    assert outcome[row["exosome_id"]] == "fused"
    assert result.fates["fusions"].sum() == 1
    assert result.cells.set_index("frame")["fusions_so_far"].loc[[END - 5, FRAMES - 1]].to_list() == [0, 1]
    assert result.summary["rates"]["fusion"]["count"] == 1
    assert result.summary["identifiability"]["fusion"]["identifiable"]


@pytest.mark.slow
def test_a_vesicle_that_disappears_is_a_loss_with_a_whole_posterior():
    events = analyse("gone").events
    row = events[events["kind"] == "loss_unresolved"].iloc[0]
    assert not (events["kind"] == "fusion").any()
    assert row["p_unresolved"] > 0.9 and row["fusion_log_likelihood_ratio"] < 0 and not row["identifiable"]


@pytest.mark.slow
def test_two_exosomes_that_become_one_with_the_light_of_both_have_merged():
    meets, (y, x), rng = 120, np.mgrid[:SIZE, :SIZE], np.random.default_rng(3)
    images = np.full((FRAMES, SIZE, SIZE), 8.0)
    walks = np.cumsum(rng.normal(0, np.sqrt(2 * 0.012 * INTERVAL_S) / world.PIXEL_UM, (2, FRAMES)), axis=1)
    for t, (walk, other) in enumerate(walks.T):
        apart = np.interp(t, [meets - 50, meets], [12, 0])
        for column, photons in ((24 + walk, 900.0), (24 + walk + apart, 350.0), (56 + other, 600.0)):
            distance = (y - EDGE_Y + 0.5) ** 2 + (x - column) ** 2
            images[t] += photons / (2 * np.pi * 1.2**2) * np.exp(-distance / (2 * 1.2**2))
    result = told(*filmed(images, rng))
    mergers = result.events[result.events["kind"] == "aggregation"]
    assert len(mergers) == 1 and not (result.events["kind"] == "fusion").any()
    row = mergers.iloc[0]
    assert abs(row["start_frame"] - meets) <= 8 and row["identifiable"] and row["p_aggregated"] > 0.8
    exosomes = result.exosomes.set_index("exosome_id")
    assert exosomes["outcome"][row["exosome_id"]] == "aggregated"
    partner = exosomes["aggregate_probability"].dropna()
    assert len(partner) == 1 and partner.index[0] != row["exosome_id"]
    assert partner.iloc[0] == row["p_aggregated"]
    assert result.summary["identifiability"]["aggregation"]["identifiable"]


@pytest.mark.slow
def test_a_reversed_movie_yields_no_fusion():
    events = analyse("spreads", reverse=True).events
    assert not events["kind"].isin(["fusion", "hemifusion"]).any()


@pytest.mark.slow
def test_fusions_are_not_counted_where_a_movie_cannot_tell_them():
    result = analyse("spreads", said_interval_s=5.0)
    assert not result.summary["identifiability"]["fusion"]["identifiable"]
    assert not result.events["kind"].isin(["fusion", "hemifusion"]).any()
    assert result.fates["fusions"].isna().all() and result.cells["fusions_so_far"].isna().all()


@pytest.mark.parametrize(
    ("interval_s", "photons", "call"),
    [(0.1, 300.0, ("fused", True)), (2.0, 300.0, (None, False)), (0.1, 20.0, (None, False))],
)
def test_a_sure_fusion_is_called_only_where_light_and_timing_can_tell_it(interval_s, photons, call):
    fates = dict.fromkeys(FATES, 0.0) | {"fused": 1.0}
    patch = SimpleNamespace(
        before=3, read_noise=1.6, sigma_px=1.2, sigma_z_px=3.2, interval_s=interval_s, exposure_s=0.05
    )
    scenery = SimpleNamespace(n=photons, levels=np.full(9, 10.0))
    found = call_fate(
        Posterior(fates, 50.0, "spreads", "gone"),
        patch,
        scenery,
        CHEMISTRIES["lipid_dye"],
        pixel_size_um=0.108,
        settings=EventSettings(),
    )
    assert found == call


@pytest.mark.slow
def test_a_label_that_cannot_show_fusion_is_not_asked_for_it():
    result = analyse("spreads", "lumen")
    assert not (result.events["kind"] == "fusion").any()
    assert "cannot show it" in result.summary["identifiability"]["fusion"]["reason"]
    assert result.fates["fusions"].isna().all()
