import numpy as np
import pandas as pd
import pytest

from exovision.scoring.linking import score_linking
from exovision.scoring.spots import match_spots


def tracks(n=2, frames=10, **columns):
    """Tracks that stand still 30 px apart."""
    ids, times = np.repeat(np.arange(1, n + 1), frames), np.tile(np.arange(frames), n)
    table = {"frame": times, "y_px": 30.0 * ids, "x_px": 0.0, "exosome_id": ids}
    return pd.DataFrame({**table, **columns})


def figures(truth, result):
    return score_linking(match_spots(truth, result))


def test_a_track_cut_in_two_loses_one_link_and_keeps_its_purity():
    truth = tracks()
    cut = truth["exosome_id"].where((truth["exosome_id"] != 1) | (truth["frame"] < 6), 9)
    found = figures(truth, truth.assign(exosome_id=cut))
    assert found["linking.pairs"].value == pytest.approx(17 / 18)
    assert found["linking.purity"].value == 1.0
    # the better part of the cut track counts, the other is spurious
    assert found["linking.alpha"].value == pytest.approx(16 / 20)
    assert found["linking.beta"].value == pytest.approx(16 / 24)


def test_swapped_tracks_are_impure():
    truth = tracks()
    swapped = truth["exosome_id"].where(truth["frame"] < 6, 3 - truth["exosome_id"])
    found = figures(truth, truth.assign(exosome_id=swapped))
    assert found["linking.purity"].value == pytest.approx(12 / 20)
    assert found["linking.pairs"].value == pytest.approx(16 / 18)


def test_links_at_missed_spots_count_only_where_both_were_found():
    truth = tracks(1)
    found = figures(truth, truth[truth["frame"] != 5])
    assert found["linking.pairs"].value == pytest.approx(7 / 9)
    assert found["linking.pairs_where_found"].value == 1.0


@pytest.mark.parametrize("linked", [True, False])
def test_spots_that_cannot_be_linked_count_neither_way(linked):
    truth = tracks(3, linkable=[True] * 20 + [False] * 10)
    result = truth.astype({"exosome_id": "Int64"})
    result.loc[result["exosome_id"] == 3, "exosome_id"] = 3 if linked else pd.NA
    found = figures(truth, result)
    for name in ("pairs", "alpha", "beta", "jsc"):
        assert found[f"linking.{name}"].value == 1.0, name


def test_the_challenge_falls_linearly_with_distance_up_to_its_gate():
    truth = tracks(2)
    assert figures(truth, truth.assign(x_px=1.0))["linking.alpha"].value == pytest.approx(0.8)


def test_a_spurious_track_lowers_beta_and_not_alpha():
    truth = tracks(2)
    extra = tracks(1).assign(y_px=500.0, exosome_id=7)
    found = figures(truth, pd.concat([truth, extra]))
    assert found["linking.alpha"].value == 1.0
    assert found["linking.beta"].value == found["linking.jsc"].value == pytest.approx(20 / 30)
