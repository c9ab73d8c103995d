import pytest

from exovision.errors import SettingsError
from exovision.simulation.scene import load_scene, scene_names


def test_every_scene_that_comes_along_is_valid():
    named = {
        "tiny",
        "demo",
        "docking",
        "null",
        "spike",
        "fusion",
        "fates",
        "dual",
        "phluorin",
        "dye_only",
        "stuck",
    }
    assert named <= set(scene_names())
    assert [load_scene(name).name for name in scene_names()] == scene_names()


def test_an_unknown_scene_lists_the_known_ones():
    with pytest.raises(SettingsError, match=r"unknown scene 'teeny'; known: .*docking.*null.*tiny"):
        load_scene("teeny")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "name: a\nimaging: {pixel_size_um: 0}",
            "imaging.pixel_size_um: Input should be greater than 0, got 0",
        ),
        ("name: a\ncells: {colour: red}", "cells.colour: .*got 'red'"),
        ("name: a\nexosomes: {fates: {detached: -1}}", "exosomes.fates.detached: .*got -1"),
        ("name: a\ncells: {look: blurry}", "cells.look: .*'phase', 'dic' or 'brightfield'.*got 'blurry'"),
        ("cells: {count: 2}", "name: Field required"),
        ("- a\n- b", "must be a mapping, got list"),
        ("name: [", "must be valid YAML"),
    ],
)
def test_a_wrong_scene_file_gets_one_line_that_names_the_field(tmp_path, text, problem):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=rf"mine\.yaml: .*{problem}") as caught:
        load_scene(path)
    assert "\n" not in str(caught.value)


def test_a_scene_file_that_is_no_text_gets_one_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="readable YAML"):
        load_scene(path)
