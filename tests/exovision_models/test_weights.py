import json
import shutil
from pathlib import Path

import exovision_models
import pytest
from exovision_models import WeightsError, card, names, seal, verify, weights

PLACE = Path(exovision_models.__file__).parent


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the shipped weights that may be damaged."""
    shutil.copytree(PLACE, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(exovision_models, "_folder", lambda: tmp_path / "copy")
    exovision_models.seal()
    return tmp_path / "copy"


def test_every_weights_file_is_in_the_manifest_with_its_facts_and_a_card():
    assert names() == sorted(path.stem for path in PLACE.glob("*.safetensors"))
    for name in names():
        assert json.loads((PLACE / f"{name}.json").read_text())["architecture"]
        assert card(name).startswith("# ")


def test_checked_weights_have_a_path(copied):
    assert weights("cells_embedded") == copied / "cells_embedded.safetensors"
    assert verify() == {
        "cells_embedded": "ok",
        "death_embedded": "ok",
        "events_embedded": "ok",
        "spots_embedded": "ok",
    }


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
@pytest.mark.parametrize("damage", ["one byte", "gone"])
def test_a_damaged_file_is_refused(copied, suffix, damage):
    path = copied / f"cells_embedded{suffix}"
    if damage == "gone":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"cells_embedded{suffix}.*install exovision anew"):
        weights("cells_embedded")
    assert "anew" in verify()["cells_embedded"]


def test_an_unknown_name_lists_the_known_ones(copied):
    for ask in (weights, card):
        with pytest.raises(WeightsError, match="known: cells_embedded"):
            ask("cells_giant")


def test_sealing_writes_the_same_manifest_again(copied):
    before = (copied / "manifest.json").read_text()
    assert seal().read_text() == before


def test_a_missing_card_is_named(copied):
    (copied / "cells_embedded.md").unlink()
    with pytest.raises(WeightsError, match=r"cells_embedded\.md"):
        card("cells_embedded")
