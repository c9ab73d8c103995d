"""What a first preview needs is made ready beforehand: the scale is that of an analysis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from napari_exovision.plan import Plan
from napari_exovision.warm_up import WarmUp

import exovision
from exovision.errors import Cancelled
from exovision.settings import Settings


def plan_of(path: Path, out: Path, **settings: object) -> Plan:
    return Plan(Settings.from_mapping(settings), out, path=path, name="movie", device="cpu")


def test_the_scale_is_that_of_an_analysis_and_holds_for_the_same_cells(scene: Path, tmp_path: Path) -> None:
    plan = plan_of(scene / "movie.ome.tif", tmp_path)
    ready = WarmUp(plan)
    diameter_um = ready.diameter_um(lambda *_: None)
    found = exovision.analyse(exovision.read(scene / "movie.ome.tif"), device="cpu")
    assert diameter_um == found.summary["cell_diameter_um"]
    assert plan.at_scale(diameter_um).settings.cells.diameter_um == diameter_um
    other = plan_of(scene / "movie.ome.tif", tmp_path, exosomes={"min_probability": 0.9})
    assert ready.fits(other)
    assert not ready.fits(plan_of(scene / "movie.ome.tif", tmp_path, cells={"min_area_um2": 9.0}))
    assert not ready.fits(replace(plan, name="another"))


def test_a_diameter_that_the_user_gave_stays(scene: Path, tmp_path: Path) -> None:
    plan = plan_of(scene / "movie.ome.tif", tmp_path, cells={"diameter_um": 12.0})
    assert plan.at_scale(7.0) is plan and plan.at_scale(None) is plan


def test_what_goes_wrong_beforehand_is_left_for_the_preview_to_tell(tmp_path: Path) -> None:
    assert WarmUp(plan_of(tmp_path / "none.tif", tmp_path)).diameter_um(lambda *_: None) is None


def test_waiting_can_be_stopped(scene: Path, tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise Cancelled("stopped")

    ready = WarmUp(plan_of(scene / "movie.ome.tif", tmp_path))
    with pytest.raises(Cancelled):
        ready.diameter_um(stop)
    ready.diameter_um(lambda *_: None)


def test_a_second_llvm_is_kept_out_before_torch_is_loaded(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("napari_exovision.warm_up.keep_triton_out", lambda: said.append("kept out"))
    monkeypatch.setattr(Plan, "preview", lambda self, frame: (said.append("preview"), None))
    WarmUp(plan_of(scene / "movie.ome.tif", tmp_path)).diameter_um(lambda *_: None)
    assert said == ["kept out", "preview"]
