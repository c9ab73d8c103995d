"""Scenes: what is in a simulated movie. A scene is a YAML file, not code."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PositiveFloat, ValidationError

from exovision.errors import SettingsError
from exovision.settings import Stage, first_problem, parse_yaml


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError("the lower limit comes first")
    return limits


Limits = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_ordered)]
Share = Annotated[float, Field(ge=0, lt=1)]
Shares = Annotated[tuple[Share, Share], AfterValidator(_ordered)]


class Imaging(Stage):
    """Field of view, timing and optics."""

    shape_px: tuple[int, int] = Field((512, 512), description="rows and columns")
    frames: int = Field(100, ge=1, description="number of frames")
    frame_interval_s: float = Field(2.0, gt=0, description="time between frames")
    exposure_s: float = Field(0.05, gt=0, description="time over which motion blurs")
    pixel_size_um: float = Field(0.108, gt=0, description="edge of a pixel")
    psf_sigma_um: float = Field(0.13, gt=0, description="lateral standard deviation of the PSF")
    psf_sigma_z_um: float = Field(0.35, gt=0, description="axial standard deviation of the PSF")
    background_photons: float = Field(10.0, ge=0, description="even light per pixel, exosome channel")
    haze: float = Field(0.25, ge=0, description="relative rms of cloudy out-of-focus light")
    shading: float = Field(0.2, ge=0, lt=1, description="uneven illumination, plus or minus")
    drift_um_min: float = Field(0.05, ge=0, description="speed of the stage")
    bleed: float = Field(
        0.02, ge=0, le=1, description="share of the cell channel seen in the exosome channel"
    )
    exosome_channel: bool = Field(True, description="whether the exosome channel is filmed")
    cell_channel: bool = Field(True, description="whether the cell channel is filmed, beside stained nuclei")


class Camera(Stage):
    """An sCMOS camera."""

    quantum_efficiency: float = Field(0.82, gt=0, le=1, description="electrons per photon")
    electrons_per_count: float = Field(0.46, gt=0, description="gain")
    offset_counts: float = Field(100.0, ge=0, description="counts without light")
    read_noise_electrons: float = Field(1.6, ge=0, description="rms per pixel and frame")
    hot_pixels: float = Field(1e-4, ge=0, le=0.1, description="share of pixels with a large dark current")
    hot_electrons: float = Field(60.0, ge=0, description="mean dark charge of a hot pixel per frame")


class Cells(Stage):
    """The target cells and how they are stained."""

    preset: Literal["tumour", "lymphocyte"] = Field("tumour", description="size, shape and motion")
    count: int = Field(9, ge=0, description="cells, those across the border included")
    radius_um: float | None = Field(None, gt=0, description="median radius; None: that of the preset")
    margin_radii: float = Field(
        0.5, description="how far beyond the border centres may lie; negative: inside"
    )
    look: Literal["membrane", "cytoplasm", "phase", "dic", "brightfield"] = Field(
        "membrane", description="dye or contrast of the cell channel"
    )
    photons: float = Field(60.0, gt=0, description="light per pixel of a membrane or a body")
    background_photons: float = Field(8.0, ge=0, description="even light per pixel, cell channel")
    nucleus_photons: float | None = Field(None, gt=0, description="light of nuclei; None: no nucleus channel")
    annexin_photons: float | None = Field(None, gt=0, description="light of annexin; None: no such channel")
    caspase_photons: float | None = Field(
        None, gt=0, description="light of the caspase reporter; None: no such channel"
    )
    pi_photons: float | None = Field(
        None, gt=0, description="light of propidium iodide; None: no such channel"
    )
    autofluorescence_photons: float = Field(2.0, ge=0, description="light of bodies in the exosome channel")
    lysosomes_per_cell: float = Field(5.0, ge=0, description="dim puncta inside cells, exosome channel")
    lysosome_photons: float = Field(60.0, ge=0, description="light of one lysosome")


class Fates(Stage):
    """How dockings end; the shares are relative."""

    detached: float = Field(0.6, ge=0, description="the exosome comes off")
    bleached: float = Field(0.1, ge=0, description="its dye goes out in one step")
    left_focus: float = Field(0.1, ge=0, description="it moves out of focus with a fold of the membrane")
    visible_detachment: float = Field(0.4, ge=0, le=1, description="share of detaching ones seen to leave")
    fused: float = Field(
        0.0, ge=0, description="full fusion: all label joins the cell membrane or the cytosol"
    )
    hemifused: float = Field(0.0, ge=0, description="the outer leaflet joins, the lumen stays shut")
    kiss_and_run: float = Field(0.0, ge=0, description="the lumen is lost, the vesicle stays")
    taken_up: float = Field(0.0, ge=0, description="it moves into the cell")
    aggregated: float = Field(0.0, ge=0, description="it merges with another docked exosome")


class Labels(Stage):
    """What is labelled, and how the labels behave; pairs are the limits between which vesicles differ."""

    chemistry: Literal["lipid_dye", "lumen", "phluorin", "protein_tag", "dual"] = Field(
        "lipid_dye", description="label of the exosome channel; dual: lipid dye, and lumen in `content`"
    )
    lipid_diffusion_um2_s: Limits = Field((1.0, 1.0), description="of lipid dye in the cell membrane")
    protein_diffusion_um2_s: Limits = Field((0.15, 0.15), description="of a tagged protein in it")
    lumen_diffusion_um2_s: Limits = Field((10.0, 10.0), description="of lumen label in the cytosol or medium")
    quench: Shares = Field((0.8, 0.8), description="share of light lost by crowded lipid dye")
    lumen_quench: Shares = Field((0.0, 0.0), description="share of light lost by crowded lumen label")
    phluorin_quench: Shares = Field((0.5, 0.5), description="share of pHluorin's light lost before fusion")
    release_tau_s: Limits = Field((1.0, 1.0), description="in which label leaves the vesicle by the pore")
    lumen_tau_s: Limits = Field((0.05, 0.05), description="in which lumen label leaves by the pore")
    remnant_s: float = Field(60.0, gt=0, description="mean stay after hemifusion or kiss-and-run, beyond 5 s")
    uptake_speed_um_s: Limits = Field((0.05, 0.2), description="inwards through the membrane")
    plateau_share: float = Field(0.3, ge=0, le=1, description="share of taken up lipid dye that dequenches")
    plateau_gain: Limits = Field((2.0, 10.0), description="by which it does, in a closed endosome")
    plateau_delay_s: float = Field(10.0, gt=0, description="mean time from uptake until it begins to")
    acid_dimming: float = Field(1 / 9, gt=0, le=1, description="light of pHluorin left in an endosome")
    acid_tau_s: float = Field(15.0, gt=0, description="in which an endosome turns acid")
    content_photons_median: float = Field(150.0, gt=0, description="light of one vesicle, content channel")
    content_background_photons: float = Field(5.0, ge=0, description="even light per pixel, content channel")
    content_bleed: float = Field(
        0.02, ge=0, le=1, description="share of exosome light in the content channel, and the reverse"
    )


class Exosomes(Stage):
    """The vesicles, what they do and for how long."""

    photons_median: float = Field(200.0, gt=0, description="light of one vesicle per frame before bleaching")
    photons_gsd: float = Field(1.6, ge=1, description="geometric standard deviation between vesicles")
    photons_min: float = Field(50.0, ge=0, description="dimmest vesicle")
    photons_max: float = Field(2000.0, gt=0, description="brightest vesicle")
    bleach_tau_frames: float = Field(300.0, gt=0, description="exposures until 1/e of the light is left")
    free_per_um2: float = Field(0.02, ge=0, description="fast vesicles in view, blurred to haze")
    free_diffusion_um2_s: float = Field(5.0, gt=0, description="of free vesicles")
    free_focus_s: float = Field(0.012, gt=0, description="time that a free vesicle stays in focus")
    stuck_per_um2: float = Field(0.006, ge=0, description="vesicles stuck to the glass")
    dye_per_um2: float = Field(0.002, ge=0, description="dye particles that are no vesicles")
    dockings_per_cell_hour: float = Field(3.0, ge=0, description="arrivals on the visible membrane")
    dwell_short_share: float = Field(0.6, ge=0, le=1, description="share of exponential dwell times")
    dwell_short_s: float = Field(5.0, gt=0, description="mean of the exponential dwell times")
    dwell_long_s: float = Field(120.0, gt=0, description="median of the lognormal dwell times")
    dwell_long_gsd: float = Field(3.0, ge=1, description="geometric standard deviation of the lognormal ones")
    docked_diffusion_um2_s: float = Field(0.01, ge=0, description="along the membrane")
    tethered_per_cell_hour: float = Field(3.0, ge=0, description="visits that are no dockings")
    tethered_mean_s: float = Field(8.0, gt=0, description="mean length of a visit")
    tethered_diffusion_um2_s: float = Field(0.1, gt=0, description="along the membrane")
    beneath_per_cell: float = Field(1.0, ge=0, description="vesicles under or over the cell body")
    beneath_diffusion_um2_s: float = Field(0.003, ge=0, description="of those")
    leaving_speed_um_s: float = Field(0.1, gt=0, description="of an exosome that is seen to leave")
    leaving_diffusion_um2_s: float = Field(0.02, ge=0, description="of an exosome that is seen to leave")
    leaving_s: float = Field(14.0, gt=0, description="how long it is seen to leave")
    surfing_share: float = Field(0.0, ge=0, le=1, description="share of dockings that surf to the cell first")
    surfing_speed_um_s: Limits = Field((0.02, 0.1), description="along a filopodium towards the body")
    surfing_path_um: Limits = Field((1.5, 4.0), description="length of the way")
    recycled_per_cell_hour: float = Field(0.0, ge=0, description="label that comes back from inside")
    flat_share: float = Field(0.0, ge=0, le=1, description="share on membrane that faces the camera")
    fates: Fates = Fates()
    labels: Labels = Labels()


class Deaths(Stage):
    """When cells die, and how that looks."""

    per_cell_hour: float = Field(0.005, ge=0, description="hazard of death of a cell without hits")
    sister_correlation: float = Field(0.7, ge=0, lt=1, description="of the times at which sisters die")
    docking_hr: float = Field(1.0, gt=0, description="hazard ratio per doubling of 1 + damage by dockings")
    fusion_hr: float = Field(1.0, gt=0, description="hazard ratio per doubling of 1 + damage by fusions")
    hit_lag_h: float = Field(0.5, ge=0, description="from a hit to its effect")
    hit_half_life_h: float = Field(3.0, gt=0, description="in which half the damage is repaired")
    binding_after_onset: float = Field(3.0, ge=1, description="factor on docking once a cell is dying")
    lytic_share: float = Field(0.2, ge=0, le=1, description="share of deaths by lysis")
    execution_min: float = Field(40.0, gt=0, description="median time of apoptotic execution (15 to 120)")
    area_loss: float = Field(0.4, ge=0, lt=1, description="share of its area that an apoptotic cell loses")
    nucleus_loss: float = Field(0.5, ge=0, lt=1, description="share of its area that its nucleus loses")
    nucleus_gain: float = Field(2.0, ge=1, description="brightness of its nucleus once condensed")
    annexin_delay_min: float = Field(20.0, ge=0, description="longest time from onset to annexin")
    annexin_half_min: float = Field(10.0, gt=0, description="in which annexin reaches half its level")
    caspase_delay_min: float = Field(6.0, ge=0, description="longest time from onset to caspase activity")
    pi_delay_h: float = Field(2.0, gt=0, description="median from apoptotic onset to permeability (.5 to 12)")
    swelling_min: float = Field(
        10.0, gt=0, description="median time that a lytic cell swells until it bursts"
    )
    swelling: float = Field(0.35, ge=0, description="share of its area that it gains")
    remains_h: float = Field(6.0, gt=0, description="mean time until remains come loose and float away")
    pi_pulses_per_cell_hour: float = Field(
        0.02, ge=0, description="perforin pores that are repaired at once, baseline"
    )
    pi_pulse_s: float = Field(80.0, gt=0, description="how long such a pore shows at most")
    annexin_vesicles_per_cell: float = Field(
        2.0, ge=0, description="vesicles on a cell that annexin stains, beside those filmed"
    )
    debris: float = Field(3.0, ge=0, description="drifting pieces of former cells in view")


class Divisions(Stage):
    """How often cells divide."""

    cycle_h: float = Field(20.0, gt=0, description="mean time from division to division")
    cycle_spread: float = Field(0.15, ge=0, description="its relative standard deviation")
    rounding_min: float = Field(
        45.0, gt=0, description="median time that a dividing cell is round (25 to 90)"
    )


class Scene(Stage):
    """All that defines a simulated movie but the seed."""

    name: str = Field(description="name of the scene")
    description: str = Field("", description="what it is for")
    imaging: Imaging = Imaging()
    camera: Camera = Camera()
    cells: Cells = Cells()
    exosomes: Exosomes = Exosomes()
    deaths: Deaths | None = Field(None, description="how cells die; None: none dies")
    divisions: Divisions | None = Field(None, description="how cells divide; None: none divides")


def scene_names() -> list[str]:
    """Return the names of the scenes that exovision brings along, sorted."""
    return sorted(
        path.name.removesuffix(".yaml") for path in _folder().iterdir() if path.name.endswith(".yaml")
    )


def load_scene(name_or_path: str | Path) -> Scene:
    """Load a scene by its name or from a YAML file.

    Raises
    ------
    SettingsError
        If there is no such scene (the message lists the known ones), or the file is not a valid scene.
    """
    name = str(name_or_path)
    if name in scene_names():
        return _parse((_folder() / f"{name}.yaml").read_text(encoding="utf-8"), name)
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        raise SettingsError(f"unknown scene {name!r}; known: {', '.join(scene_names())}, or give a YAML file")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: a scene must be a readable YAML file: {error}") from error
    return _parse(text, name)


def _folder() -> Any:
    return files("exovision.simulation") / "scenes"


def _parse(text: str, where: str) -> Scene:
    data = parse_yaml(text, f"{where}: a scene")
    if not isinstance(data, dict):
        raise SettingsError(f"{where}: a scene must be a mapping, got {type(data).__name__}")
    data.pop("seed", None)
    try:
        return Scene.model_validate(data)
    except ValidationError as error:
        names, problem = first_problem(error)
        raise SettingsError(f"{where}: {'.'.join(names)}: {problem}") from error
