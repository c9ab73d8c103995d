import numpy as np
import pytest

from exovision.simulation.lives import Life, draw_deaths, draw_pedigree
from exovision.simulation.particles import Particle
from exovision.simulation.scene import Cells, Deaths, Divisions, Imaging, Scene


def make_scene(*, hours=10.0, cells=40, **living):
    imaging = Imaging(frames=int(hours * 12), frame_interval_s=300.0)
    return Scene(name="lives", imaging=imaging, cells=Cells(count=cells), **living)


def test_each_division_leaves_two_daughters_and_a_parent_that_is_gone():
    lives = draw_pedigree(np.random.default_rng(1), make_scene(divisions=Divisions(cycle_h=5.0)))
    parents = [life.parent for life in lives if life.parent >= 0]
    assert len(parents) > 60 and all(parents.count(parent) == 2 for parent in parents)
    for life in lives:
        if life.parent >= 0:
            assert life.born_s == lives[life.parent].divides_s
            assert lives[life.parent].state(life.born_s) is None
            assert life.state(life.born_s) == "mitotic"
            assert lives[life.parent].state(life.born_s - 1) == "mitotic"


def test_cells_die_at_the_given_hazard():
    scene = make_scene(hours=20, cells=3000, deaths=Deaths(per_cell_hour=0.02))
    lives = draw_deaths(np.random.default_rng(2), scene, draw_pedigree(np.random.default_rng(1), scene), [])
    died = np.mean([np.isfinite(life.onset_s) for life in lives])
    assert died == pytest.approx(1 - np.exp(-0.4), abs=0.03)
    modes = [life.mode for life in lives if life.mode]
    assert np.mean([mode == "lytic" for mode in modes]) == pytest.approx(0.2, abs=0.04)


def test_a_hit_raises_the_hazard_after_its_lag_and_fades():
    deaths = Deaths(per_cell_hour=0.02, docking_hr=8.0, hit_lag_h=2.0, hit_half_life_h=1.0)
    scene = make_scene(hours=10, cells=4000, deaths=deaths)
    hits = [Particle("docked", 100.0, start_s=3600.0, end_s=3700.0, cell=row) for row in range(4000)]
    lives = draw_deaths(np.random.default_rng(3), scene, draw_pedigree(np.random.default_rng(1), scene), hits)
    onset_h = np.array([life.onset_s for life in lives]) / 3600
    before, after, late = (((lo <= onset_h) & (onset_h < hi)).sum() for lo, hi in ((1, 3), (3, 4), (9, 10)))
    assert after / (before / 2) == pytest.approx(5.5, rel=0.35)
    assert late / (before / 2) < 1.6


def test_sisters_die_alike():
    scene = make_scene(
        hours=20, cells=1500, deaths=Deaths(per_cell_hour=0.05), divisions=Divisions(cycle_h=30.0)
    )
    lives = draw_deaths(np.random.default_rng(4), scene, draw_pedigree(np.random.default_rng(1), scene), [])
    born = {}
    for life in lives:
        if life.parent >= 0 and np.isfinite(life.born_s):
            born.setdefault(life.parent, []).append(np.isfinite(life.onset_s))
    pairs = np.array([pair for pair in born.values() if len(pair) == 2])
    assert len(pairs) > 300 and np.corrcoef(pairs.T)[0, 1] > 0.2


def test_a_cell_that_dies_first_has_no_daughters():
    scene = make_scene(deaths=Deaths(per_cell_hour=1.0), divisions=Divisions(cycle_h=5.0))
    lives = draw_deaths(np.random.default_rng(5), scene, draw_pedigree(np.random.default_rng(1), scene), [])
    unborn = [life for life in lives if life.born_s == np.inf]
    assert unborn and all(life.state(time) is None for life in unborn for time in (0.0, 1e4, 1e9))
    assert all(lives[life.parent].mode or lives[life.parent] in unborn for life in unborn)


def test_dying_goes_one_way():
    life = Life(
        onset_s=100, mode="apoptotic", execution_s=50, permeable_s=300, loose_s=500, gone_s=600, annexin_s=110
    )
    states = [life.state(time) for time in (99, 100, 150, 300, 500, 600)]
    assert states == ["live", "early_apoptotic", "late_apoptotic", "secondary_necrotic", "debris", None]
