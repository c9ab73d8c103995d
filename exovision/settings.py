"""One settings model per stage; the command line, the YAML file and the API take their defaults from here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from reprlib import Repr
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from exovision.errors import SettingsError
from exovision.methods import SEGMENTERS

_SHOWN = Repr()
_SHOWN.maxlevel, _SHOWN.maxstring, _SHOWN.maxother = 2, 80, 80


def parse_yaml(text: str, where: str) -> Any:
    """Return the content of a YAML text, of plain types only.

    Raises
    ------
    SettingsError
        If it is no YAML, asks for other types, or is nested deeper than Python can follow.
    """
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        reason = "it is nested too deeply" if deep else str(error).splitlines()[0]
        raise SettingsError(f"{where} must be valid YAML: {reason}") from error


def first_problem(error: ValidationError) -> tuple[list[str], str]:
    """Return the names that lead to the first wrong value, and what is wrong with it, cut to a line."""
    problem = error.errors()[0]
    return [str(part) for part in problem["loc"]], f"{problem['msg']}, got {_SHOWN.repr(problem['input'])}"


class Stage(BaseModel):
    """The base of every settings model: frozen, strict about unknown names, finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _check_weights(weights: str | None, network: str, name: str) -> None:
    """Raise `ValueError` if weights are named that the network, chosen by the setting `name`, never loads."""
    if weights is not None and network == "none":
        raise ValueError(f"weights are used with {name}: embedded alone; choose it, or leave weights out")


class ReadingSettings(Stage):
    """How movies are read."""

    projection: Literal["max", "mean"] | int = Field(
        "max", description="Z to one plane: max, mean or an index"
    )
    chunk_frames: int = Field(16, ge=1, description="frames held at once; does not change results")


class CameraSettings(Stage):
    """The camera of the exosome channel."""

    photons_per_count: float | None = Field(None, gt=0, description="gain; None: photons are not reported")
    offset_counts: float | None = Field(None, ge=0, description="counts without light; None: estimated")
    read_noise_photons: float = Field(1.6, ge=0, description="read noise, photo-electrons rms")
    exposure_s: float = Field(0.05, ge=0, description="exposure of one frame, for what happens during it")


class CorrectionSettings(Stage):
    """What is corrected before anything is placed or measured over time."""

    drift: bool = Field(True, description="estimate stage drift and remove it from motion")
    bleaching: bool = Field(True, description="estimate bleaching and report corrected brightness")


class CellSettings(Stage):
    """How cells are found and followed."""

    segmenter: str = Field(
        "embedded",
        description="how cells are found",
        json_schema_extra={"enum": [*sorted(SEGMENTERS.places)]},
    )
    weights: str | None = Field(
        None,
        description="weights file from `train cells`, or (cellpose) the name or file of a Cellpose model; "
        "None: those that come along, or cpsam_v2",
    )
    diameter_um: float | None = Field(None, gt=0, description="typical cell diameter; None: from the data")
    flow_threshold: float = Field(
        0.4, ge=0, description="largest flow error of a cell (cellpose alone); 0: no limit"
    )
    cellprob_threshold: float = Field(
        0.0, ge=-20, le=20, description="least logit of a pixel of a cell (cellpose alone)"
    )
    snap_to_membrane: bool = Field(
        True, description="move outlines onto a stained membrane, where there is one"
    )
    min_area_um2: float = Field(1.5, ge=0, description="smaller objects are dropped")
    min_overlap: float = Field(0.2, gt=0, le=1, description="IoU that links a cell to the next frame")
    max_gap_frames: int = Field(3, ge=0, description="frames that a cell may be missing")

    @field_validator("segmenter")
    @classmethod
    def _known_segmenter(cls, name: str) -> str:
        if name not in SEGMENTERS.places:
            raise ValueError(f"unknown segmenter {name!r}; known: {', '.join(sorted(SEGMENTERS.places))}")
        return name

    @model_validator(mode="after")
    def _thresholds_are_used(self) -> Self:
        for name in ("flow_threshold", "cellprob_threshold"):
            default = type(self).model_fields[name].default
            if self.segmenter == "embedded" and getattr(self, name) != default:
                raise ValueError(
                    f"{name} is used with segmenter: cellpose alone; choose it, or leave {name} out"
                )
        return self


class ExosomeSettings(Stage):
    """How exosomes are found, localised and linked."""

    psf_sigma_um: float | None = Field(None, gt=0, description="PSF standard deviation; None: from the data")
    fits: Literal["together", "alone"] = Field(
        "together", description="spots fitted with their neighbours, or alone: several times faster"
    )
    psf_sigma_z_um: float = Field(0.35, gt=0, description="PSF standard deviation along the optical axis")
    false_alarms_per_frame: float = Field(
        10.0, gt=0, description="expected noise peaks kept per 512 x 512 px"
    )
    min_probability: float = Field(
        0.5, ge=0, le=1, description="spots below are left out unless a track bears them out"
    )
    weights: str | None = Field(
        None, description="spot model from `train spots`; None: the one that comes along"
    )
    max_gap_frames: int = Field(8, ge=0, description="frames that an exosome may be missing")
    max_step_um: float = Field(0.9, gt=0, description="largest step between consecutive frames")
    min_track_spots: int = Field(3, ge=1, description="shorter tracks stay unlinked spots")


class EventSettings(Stage):
    """Where docking, stuck and under-projection begin; every threshold a setting."""

    band_um: float = Field(0.3, gt=0, description="least half-width of the membrane band")
    band_sigmas: float = Field(2.0, ge=0, description="band in standard errors of the signed distance")
    membrane_sigma_um: float = Field(0.1, ge=0, description="standard error of the segmented outline")
    docked_max_diffusion_um2_s: float = Field(
        0.05, gt=0, description="docked exosomes diffuse less, cell frame"
    )
    docked_min_s: float = Field(10.0, ge=0, description="shortest docking")
    docked_min_probability: float = Field(
        0.6, ge=0, le=1, description="least probability of resting on the membrane, mean over a docking"
    )
    docked_min_frames: int = Field(3, ge=2, description="shortest docking, frames")
    docked_max_gap_frames: int = Field(8, ge=0, description="gap inside one docking that is bridged")
    free_diffusion_um2_s: float = Field(5.0, gt=0, description="freely diffusing vesicle, for chance dwell")
    stuck_sigmas: float = Field(
        3.0, gt=0, description="membrane motion that shows a spot is fixed to the glass"
    )
    surfing_min_speed_um_s: float = Field(0.01, gt=0, description="slowest directed motion called surfing")
    surfing_max_speed_um_s: float = Field(0.1, gt=0, description="fastest directed motion called surfing")
    surfing_min_alpha: float = Field(1.3, gt=0, description="least anomalous exponent of surfing")
    surfing_min_path_um: float = Field(1.0, gt=0, description="least net path of surfing")
    inside_min_frames: int = Field(
        3, ge=1, description="frames below the band before a spot counts as inside"
    )
    inside_min_depth_um: float = Field(
        1.0, gt=0, description="depth from which an exosome comes that is recycled, not docking"
    )
    intensity_tolerance: float = Field(0.3, gt=0, lt=1, description="kept intensity of a detaching exosome")
    chemistry: Literal["lipid_dye", "lumen", "phluorin", "dual", "protein_tag", "unknown"] = Field(
        "unknown", description="what is labelled; the sample sheet's column of that name wins"
    )
    network: Literal["embedded", "none"] = Field(
        "none",
        description="network that weighs fates beside the models of the light (embedded), or none",
    )
    weights: str | None = Field(
        None, description="weights file from `train events`; None: those that come along"
    )
    fusion_prior: float = Field(
        0.01, gt=0, lt=0.33, description="share of docked exosomes expected to fuse (positive control: 0.3)"
    )
    fate_min_probability: float = Field(
        0.7, gt=0, le=1, description="least probability of a fate that is called"
    )
    identifiable_min_auc: float = Field(
        0.98, ge=0.5, le=1, description="least ideal AUC, fusion against disappearance, of a called fusion"
    )
    ring_inner_um: float = Field(1.0, gt=0, description="local ring of the chance test, inner distance")
    ring_outer_um: float = Field(3.0, gt=0, description="local ring of the chance test, outer distance")

    @model_validator(mode="after")
    def _weights_are_used(self) -> Self:
        _check_weights(self.weights, self.network, "network")
        return self


class DeathSettings(Stage):
    """How the state of each cell is told in time."""

    morphology: Literal["embedded", "none"] = Field(
        "none", description="network that judges what each cell looks like (embedded), or none"
    )
    weights: str | None = Field(
        None, description="weights file from `train death`; None: those that come along"
    )
    min_probability: float = Field(0.8, ge=0, le=1, description="least probability of a death that is called")
    mode_min_probability: float = Field(
        0.8, ge=0, le=1, description="least probability of a mode; below: unresolved"
    )
    min_frames: int = Field(3, ge=1, description="frames that a death must be seen in")
    debris_area_share: float = Field(
        0.3, ge=0, lt=1, description="things smaller than this share of a typical cell are likely debris"
    )
    state_min_probability: float = Field(
        0.5, ge=0, le=1, description="least probability of a cell's state in a frame"
    )
    deaths_per_h: float = Field(0.01, gt=0, description="expected deaths per cell and hour")
    divisions_per_h: float = Field(0.05, gt=0, description="expected divisions per cell and hour")
    lytic_share: float = Field(0.2, gt=0, lt=1, description="expected share of deaths by lysis")
    mitosis_min: float = Field(45.0, gt=0, description="mean time that a dividing cell is round")
    execution_min: float = Field(40.0, gt=0, description="mean time from onset to a condensed cell")
    appearance_min: float = Field(
        6.0, gt=0, description="time over which what a cell looks like counts as one observation"
    )
    stain_sigmas: float = Field(
        8.0, gt=0, description="annexin, caspase or PI this far above a live cell is stain"
    )
    pi_pulse_s: float = Field(80.0, ge=0, description="PI that is gone again after this time is no death")
    onset_window_h: float = Field(2.0, gt=0, description="how long before the call the onset is sought")

    @model_validator(mode="after")
    def _weights_are_used(self) -> Self:
        _check_weights(self.weights, self.morphology, "morphology")
        return self


class ExperimentSettings(Stage):
    """How hits are related to deaths, and conditions compared, once the movies are analysed."""

    reference: str | None = Field(
        None, description="condition that the others are compared with; None: the sheet's control"
    )
    lag_h: float = Field(1.0, ge=0, description="hits count for a death only if they came this long before")
    lag_sweep_h: tuple[float, ...] = Field(
        (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0), description="lags tried beside the default"
    )
    scale: Literal["doubling", "hit"] = Field(
        "doubling", description="hazard ratio per doubling of 1 + hits, or per hit"
    )
    cluster: Literal["well", "donor"] = Field("well", description="what counts as independent")
    docking_recall: float = Field(1.0, gt=0, le=1, description="share of dockings that are found")
    docking_precision: float = Field(1.0, gt=0, le=1, description="share of found dockings that are true")
    neighbour_radius_um: float = Field(30.0, gt=0, description="other cells within this make the density")
    horizon_h: float | None = Field(
        None, gt=0, description="time up to which survival is compared; None: the shortest condition's"
    )
    landmarks: int = Field(4, ge=1, description="hits after which survival is shown, one by one")
    min_deaths: int = Field(50, ge=1, description="with fewer deaths hazards are descriptive only")
    null_draws: int = Field(199, ge=0, description="times that hits are dealt anew within their field")
    seed: int = Field(0, ge=0, description="seed of the draws")


class ReportSettings(Stage):
    """What the report shows."""

    overlay_frames: int = Field(6, ge=1, description="frames in the overlay sheet")
    kymographs: int = Field(6, ge=0, description="docked exosomes shown as strip and kymograph")
    fates: int = Field(6, ge=0, description="fusions and other fates shown with fitted models and posterior")
    deaths: int = Field(6, ge=0, description="deaths shown as strips of crops")


class SavingSettings(Stage):
    """What is saved beside the usual files."""

    zarr_labels: Literal["none", "0.4", "0.5"] = Field(
        "none", description="version of OME-Zarr in which label images are saved too (cell_labels.ome.zarr)"
    )
    geff: bool = Field(False, description="exosome tracks also as GEFF (exosome_tracks.geff; extra [geff])")

    @field_validator("geff")
    @classmethod
    def _has_package(cls, wanted: bool) -> bool:
        if wanted and find_spec("geff") is None:
            raise ValueError("GEFF needs the package geff: run pip install 'exovision[geff]'")
        return wanted


class Settings(Stage):
    """All settings of an analysis."""

    reading: ReadingSettings = ReadingSettings()
    camera: CameraSettings = CameraSettings()
    correction: CorrectionSettings = CorrectionSettings()
    cells: CellSettings = CellSettings()
    exosomes: ExosomeSettings = ExosomeSettings()
    events: EventSettings = EventSettings()
    death: DeathSettings = DeathSettings()
    experiment: ExperimentSettings = ExperimentSettings()
    report: ReportSettings = ReportSettings()
    saving: SavingSettings = SavingSettings()

    @classmethod
    def from_yaml(cls, path: str | Path) -> Settings:
        """Read settings from a YAML file; what it does not name keeps its default.

        Raises
        ------
        SettingsError
            If the file cannot be read, is not a mapping, or names an unknown or wrong setting.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: settings must be a readable YAML file: {error}") from error
        data = parse_yaml(text, f"{path}: settings")
        return cls.from_mapping({} if data is None else data, where=str(path))

    @classmethod
    def from_mapping(cls, data: Any, *, where: str = "settings") -> Settings:
        """Validate a nested mapping.

        Raises
        ------
        SettingsError
            One line that names the first wrong setting, what came and what is known.
        """
        if not isinstance(data, dict):
            raise SettingsError(f"{where}: settings must be a mapping of stages, got {type(data).__name__}")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise SettingsError(f"{where}: {_first_problem(cls, error)}") from error

    def to_yaml(self) -> str:
        """Return all settings as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _first_problem(model: type[BaseModel], error: ValidationError) -> str:
    names, text = first_problem(error)
    if error.errors()[0]["type"] != "extra_forbidden":
        return f"{'.'.join(names)}: {text}"
    fields = model.model_fields
    for name in names[:-1]:
        annotation = fields[name].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            fields = annotation.model_fields
    return f"unknown setting {'.'.join(names)}; known: {', '.join(fields)}"


def annotated_yaml() -> str:
    """Return the default settings as YAML with the meaning of each as a comment."""
    lines = ["# exovision settings: every stage and its defaults; delete what you do not change"]
    for stage, stage_field in Settings.model_fields.items():
        lines.append(f"{stage}:")
        defaults = stage_field.default
        for name, field in type(defaults).model_fields.items():
            value = yaml.safe_dump(getattr(defaults, name), default_flow_style=True, allow_unicode=True)
            lines.append(f"  {name}: {value.splitlines()[0]}  # {field.description}")
    return "\n".join(lines) + "\n"
