"""What each label can show of an exosome's fate: the capability table of chemistries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exovision.errors import InputError


@dataclass(frozen=True)
class Dye:
    """How a label spreads and brightens, as priors.

    Attributes
    ----------
    diffusion_um2_s, diffusion_sd : float
        Median of D in the membrane, µm²/s, and standard deviation of its logarithm.
    gain, gain_sd : float
        Brightness after full dequenching over that before; standard deviation of its logarithm.
    release_s, release_sd : float
        Median release time through the pore, s; standard deviation of its logarithm.
    at_once : bool
        Whether the gain comes with the opening (a change of pH) and not with dilution.
    """

    diffusion_um2_s: float
    diffusion_sd: float
    gain: float
    gain_sd: float
    release_s: float = 0.3
    release_sd: float = 1.6
    at_once: bool = False


@dataclass(frozen=True)
class Chemistry:
    """What a labelling can show.

    Attributes
    ----------
    shows : tuple of str
        Kinds of event that can be told from their look-alikes where light and timing allow it.
    dye : Dye
        Of the exosome channel.
    uptake : str
        What shows an uptake besides the way inwards: "dims" in acid, "brightens" by dequenching, or nothing.
    limits : str
        What cannot be told, and why, in one sentence.
    """

    shows: tuple[str, ...]
    dye: Dye
    uptake: str
    limits: str


LIPID = Dye(0.7, 0.65, 2.0, 0.7)
PROTEIN = Dye(0.2, 0.7, 1.0, 0.25)
PH = Dye(0.2, 0.7, 2.0, 0.5, at_once=True)
EITHER = Dye(0.5, 0.8, 1.7, 0.7)
ALWAYS = ("docking", "detachment", "surfing")

CHEMISTRIES: Mapping[str, Chemistry] = {
    "lipid_dye": Chemistry(
        (*ALWAYS, "fusion", "uptake"),
        LIPID,
        "brightens",
        "a lipid dye alone does not show whether the lumen opened, so it tells no hemifusion: fusion means "
        "that all dye spread",
    ),
    "lumen": Chemistry(
        ALWAYS, PROTEIN, "", "a lumen label alone cannot part fusion from leakage, bleaching or leaving"
    ),
    "phluorin": Chemistry(
        (*ALWAYS, "fusion", "uptake"), PH, "dims", "exterior pHluorin does not show the lumen or hemifusion"
    ),
    "dual": Chemistry(
        (*ALWAYS, "fusion", "hemifusion", "kiss_and_run", "uptake"),
        LIPID,
        "brightens",
        "both labels gone at once may be leaving out of sight",
    ),
    "protein_tag": Chemistry(
        (*ALWAYS, "fusion"), PROTEIN, "", "a tagged protein shows neither hemifusion nor the lumen"
    ),
    "unknown": Chemistry(
        (*ALWAYS, "fusion"),
        EITHER,
        "",
        "the label is not known: fusion means that all of it spread in the membrane",
    ),
}
"""By the name in the sample sheet's column `chemistry`; SCIENCE: a lipid dye diffuses with .2 to 2 µm²/s and
dequenches up to tenfold, an acid lumen dims pHluorin ninefold."""


def find_chemistry(name: str, *, content: bool) -> tuple[str, Chemistry, list[str]]:
    """Return the chemistry of a movie, and what must be said of it.

    Parameters
    ----------
    name : str
        From the settings or the sample sheet; unknown is told from the channels.
    content : bool
        Whether there is a content channel.

    Returns
    -------
    str, Chemistry, list of str
        Its name; what it can show; warnings.

    Raises
    ------
    InputError
        If the name is not in the table.
    """
    if name not in CHEMISTRIES:
        raise InputError(
            f"chemistry must be one of {', '.join(CHEMISTRIES)}, got {name!r}; correct the sample sheet's "
            "column `chemistry` or the setting events.chemistry"
        )
    if name == "unknown" and content:
        name = "dual"
    warnings = []
    if name == "dual" and not content:
        warnings.append(
            "the chemistry is dual but no channel has the role content: judged as a lipid dye alone; "
            "name it with --channels"
        )
        name = "lipid_dye"
    return name, CHEMISTRIES[name], warnings
