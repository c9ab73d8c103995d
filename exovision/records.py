"""Frozen records that flow between the stages: the movie, its frames and the label images of its cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from exovision.calibration import median_interval_s, regular_times
from exovision.errors import InputError, SettingsError

if TYPE_CHECKING:
    import pandas as pd

FIXED_ROLES = ("exosome", "content", "cell", "nucleus", "annexin", "caspase", "pi")
Projection = str | int
"""How a Z stack becomes one image: "max", "mean" or the index of a plane."""


def check_role(role: str) -> str:
    """Return `role` if it is a channel role.

    Raises
    ------
    SettingsError
        If it is neither a fixed role nor `marker:NAME`.
    """
    if role in FIXED_ROLES or (role.startswith("marker:") and len(role) > len("marker:")):
        return role
    raise SettingsError(f"unknown channel role {role!r}; known: {', '.join(FIXED_ROLES)}, marker:NAME")


class FrameSource(Protocol):
    """Where the pixels of a movie come from, one plane at a time."""

    def plane(self, t: int, c: int, z: int) -> NDArray[Any]:
        """Return one plane of shape (Y, X) in the file's type; raises `InputError` if unreadable."""

    def close(self) -> None:
        """Release the files."""


class LabelStack(Protocol):
    """Label images over time, read one frame at a time; a value is the `cell_id`, 0 is background."""

    def __len__(self) -> int: ...

    def __getitem__(self, t: int) -> NDArray[np.int32]:
        """Return the labels of frame `t`, shape (Y, X)."""


@dataclass(frozen=True)
class ArraySource:
    """Pixels held in memory.

    Attributes
    ----------
    pixels : ndarray of shape (T, C, Z, Y, X)
    """

    pixels: NDArray[Any]

    def plane(self, t: int, c: int, z: int) -> NDArray[Any]:
        """Return one plane of shape (Y, X)."""
        plane: NDArray[Any] = self.pixels[t, c, z]
        return plane

    def close(self) -> None:
        """Do nothing: there is no file."""


@dataclass(frozen=True)
class Ruling:
    """What a person decided of one interval of one exosome.

    Attributes
    ----------
    exosome_id : int
    kind : str
        "docking" or "surfing".
    start_frame, end_frame : int
        Both included.
    holds : bool
        True: it is one, whatever was computed; False: it is none.
    ending : str or None
        The outcome of a docking that holds, such as "detached" or "fused"; None as computed.
    """

    exosome_id: int
    kind: str
    start_frame: int
    end_frame: int
    holds: bool
    ending: str | None = None


@dataclass(frozen=True)
class StateRuling:
    """What a person decided a cell was in some frames.

    Attributes
    ----------
    cell_id : int
    first_frame, last_frame : int
        Both included.
    state : str
        A state of cells.
    """

    cell_id: int
    first_frame: int
    last_frame: int
    state: str


@dataclass(frozen=True)
class Given:
    """What an analysis need not find because it is given.

    Attributes
    ----------
    labels : LabelStack, optional
        Label images; replace the segmentation and keep their ids.
    every_frame : bool
        Whether the labels count in frames in which the cell channel was not acquired.
    spots : DataFrame, optional
        Columns of `exovision.schema.SPOTS`; replace detection and, by their `exosome_id`, linking.
    rulings : tuple of Ruling
        Events decided by a person; they win over what is computed.
    witness : callable, optional
        Told of every moment at which a fate is judged, see `exovision.events.judge.Judge`; so examples are
        gathered to train on.
    states : tuple of StateRuling
        States of cells decided by a person; they win over what is computed.
    """

    labels: LabelStack | None = None
    every_frame: bool = True
    spots: pd.DataFrame | None = None
    rulings: tuple[Ruling, ...] = ()
    witness: Callable[..., None] | None = None
    states: tuple[StateRuling, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return what the record of a run says of tables corrected by hand; nothing if there were none."""
        if self.spots is None:
            return {}
        states = {"states": len(self.states)} if self.states else {}
        return {"by_hand": {"spots_and_tracks": True, "rulings": len(self.rulings), **states}}


@dataclass(frozen=True)
class Movie:
    """A time-lapse movie whose planes are read when they are asked for.

    Attributes
    ----------
    name : str
        The movie's name in the output, unique in one run.
    shape : tuple of int
        (T, C, Z, Y, X).
    pixel_size_um : float
        Edge of a pixel, µm; equal in y and x.
    times_s : ndarray of shape (T, C)
        Seconds; NaN where a channel was not acquired.
    channel_names : tuple of str
        One per channel.
    roles : mapping of str to int
        Role to channel index.
    source : FrameSource
        Gives the planes.
    projection : str or int
        How Z becomes one plane: "max", "mean" or a plane's index.
    path : str
        Where the movie came from, empty for arrays.
    notes : tuple of str
        What was assumed or overridden while reading, for the user.
    facts : mapping
        The movie's row of the sample sheet.
    reading : mapping
        The arguments with which `exovision.read` opens it again; empty for arrays.
    """

    name: str
    shape: tuple[int, int, int, int, int]
    pixel_size_um: float
    times_s: NDArray[np.float64]
    channel_names: tuple[str, ...]
    roles: Mapping[str, int]
    source: FrameSource
    projection: Projection = "max"
    path: str = ""
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_array(
        cls,
        pixels: NDArray[Any],
        *,
        pixel_size_um: float,
        frame_interval_s: float,
        channels: Mapping[str, int],
        name: str = "movie",
    ) -> Movie:
        """Make a movie from an array of shape (T, C, Y, X) or (T, C, Z, Y, X), sizes in µm and s.

        Raises
        ------
        InputError
            If the array has another number of axes, or a size or interval is not positive.
        """
        if pixels.ndim == 4:
            pixels = pixels[:, :, None]
        if pixels.ndim != 5:
            raise InputError(f"pixels must be (T, C, Y, X) or (T, C, Z, Y, X), got shape {pixels.shape}")
        t, c, z, y, x = pixels.shape
        return cls(
            name=name,
            shape=(t, c, z, y, x),
            pixel_size_um=check_pixel_size(pixel_size_um),
            times_s=regular_times(t, c, frame_interval_s),
            channel_names=tuple(f"channel {i}" for i in range(c)),
            roles=check_channels(channels, c),
            source=ArraySource(pixels),
        )

    @property
    def n_frames(self) -> int:
        """The number of frames T."""
        return self.shape[0]

    @property
    def image_shape(self) -> tuple[int, int]:
        """(Y, X)."""
        return self.shape[3], self.shape[4]

    @property
    def cell_role(self) -> str | None:
        """The role that cells are segmented from: `cell`, else `nucleus`, else None."""
        return next((role for role in ("cell", "nucleus") if role in self.roles), None)

    def role_times_s(self, role: str) -> NDArray[np.float64]:
        """Return the times of one channel, shape (T,), s; NaN where it was not acquired."""
        times: NDArray[np.float64] = self.times_s[:, self.roles[role]]
        return times

    def interval_s(self, role: str) -> float:
        """Return the median interval of one channel in s; NaN with fewer than two frames."""
        return median_interval_s(self.role_times_s(role))

    def acquired(self, t: int, role: str) -> bool:
        """Tell whether the channel with this role was acquired in frame `t`."""
        return bool(np.isfinite(self.times_s[t, self.roles[role]]))

    def image(self, t: int, role: str) -> NDArray[np.float32]:
        """Return one channel of one frame, projected over Z.

        Returns
        -------
        ndarray of shape (Y, X)
            Camera counts, float32.

        Raises
        ------
        InputError
            If a plane cannot be read or holds NaN or infinite values.
        """
        return self.channel_image(t, self.roles[role])

    def channel_image(self, t: int, c: int) -> NDArray[np.float32]:
        """Return channel number `c` of one frame, as `image` does of a role; raises as it does."""
        with np.errstate(over="ignore"):  # What is beyond float32 becomes infinite and is refused below.
            if isinstance(self.projection, int):
                image = self.source.plane(t, c, self.projection).astype(np.float32)
            else:
                planes = [self.source.plane(t, c, z) for z in range(self.shape[2])]
                combine = np.max if self.projection == "max" else np.mean
                image = (planes[0] if len(planes) == 1 else combine(planes, axis=0)).astype(np.float32)
        if not np.isfinite(image).all():
            role = next((role for role, index in self.roles.items() if index == c), self.channel_names[c])
            raise InputError(
                f"{self.path or self.name}: pixels must be finite numbers, got NaN or infinity in frame {t}, "
                f"channel {c} ({role}); replace or cut out these frames"
            )
        return image

    def chunks(self, size: int) -> Iterator[range]:
        """Yield consecutive ranges of at most `size` frames that cover the movie."""
        for start in range(0, self.n_frames, size):
            yield range(start, min(start + size, self.n_frames))

    def with_notes(self, *notes: str) -> Movie:
        """Return the same movie with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def check_pixel_size(pixel_size_um: float) -> float:
    """Return the pixel size in µm.

    Raises
    ------
    InputError
        If it is not a positive number.
    """
    if not (np.isfinite(pixel_size_um) and pixel_size_um > 0):
        raise InputError(
            f"the pixel size must be a positive number of µm, got {pixel_size_um}; "
            "give it with --pixel-size-um"
        )
    return float(pixel_size_um)


def check_channels(channels: Mapping[str, int], n_channels: int) -> dict[str, int]:
    """Return the channel roles as a plain dict.

    Raises
    ------
    SettingsError
        If a role is unknown or an index is outside the movie.
    """
    for role, index in channels.items():
        check_role(role)
        if not 0 <= index < n_channels:
            raise SettingsError(
                f"channel {role}={index} does not exist: the movie has {n_channels} channel(s), "
                f"numbered 0 to {n_channels - 1}; correct --channels"
            )
    return dict(channels)


@dataclass(frozen=True)
class ArrayLabels:
    """Label images held in memory.

    Attributes
    ----------
    labels : ndarray of shape (T, Y, X) or sequence of (Y, X)
    """

    labels: Sequence[NDArray[np.int32]] | NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, t: int) -> NDArray[np.int32]:
        frame: NDArray[np.int32] = np.asarray(self.labels[t], dtype=np.int32)
        return frame
