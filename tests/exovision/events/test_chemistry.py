import typing

import pytest

from exovision.errors import InputError
from exovision.events.chemistry import CHEMISTRIES, find_chemistry
from exovision.schema import EVENT_KINDS
from exovision.settings import EventSettings


def test_the_settings_and_the_table_know_the_same_chemistries():
    named = typing.get_args(EventSettings.model_fields["chemistry"].annotation)
    assert set(named) == set(CHEMISTRIES)
    assert all(set(chemistry.shows) <= set(EVENT_KINDS) for chemistry in CHEMISTRIES.values())


def test_a_lipid_dye_shows_no_lumen_and_a_lumen_label_no_fusion():
    assert "kiss_and_run" not in CHEMISTRIES["lipid_dye"].shows
    assert "fusion" not in CHEMISTRIES["lumen"].shows
    assert {"fusion", "hemifusion", "kiss_and_run"} <= set(CHEMISTRIES["dual"].shows)


def test_an_unknown_chemistry_with_a_content_channel_is_dual_and_dual_without_one_warns():
    assert find_chemistry("unknown", content=True)[0] == "dual"
    name, _, warnings = find_chemistry("dual", content=False)
    assert name == "lipid_dye" and "no channel has the role content" in warnings[0]


def test_a_chemistry_that_is_not_in_the_table_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="lipid_dye, lumen"):
        find_chemistry("PKH26", content=False)
