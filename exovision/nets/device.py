"""Where networks run, and batches that shrink when memory runs out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from exovision.errors import SettingsError

CHOICES = "auto, cpu, cuda, cuda:N, mps"
BYTES_PER_PX = 600
"""GPU memory of one pixel of a batch: twice the peak of the activations of the larger network, 288 bytes."""
SHARE = 0.5
"""Of the free GPU memory, what a batch may take."""
MOST_PX = 1 << 24


def resolve_device(name: str = "auto") -> torch.device:
    """Return the torch device for a name; "auto" takes CUDA, then MPS, then the CPU.

    Raises
    ------
    SettingsError
        If the name is unknown or this machine has no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (":" in name and not (kind == "cuda" and index.isdigit())):
        raise SettingsError(f"unknown device {name!r}; known: {CHOICES}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            f"device {name!r} needs an NVIDIA GPU with CUDA, and torch finds none; use auto or cpu"
        )
    if kind == "cuda" and index and int(index) >= torch.cuda.device_count():
        raise SettingsError(f"device {name!r} does not exist: torch finds {torch.cuda.device_count()} GPU(s)")
    if kind == "mps" and not _has_mps():
        raise SettingsError("device 'mps' needs Apple silicon, and torch finds none; use auto or cpu")
    return torch.device(name)


def spread_over_devices(name: str, count: int) -> list[str]:
    """Return the device of each of `count` processes: one GPU after the other where there are several."""
    if resolve_device(name).type != "cuda" or ":" in name:
        return [name] * count
    return [f"cuda:{i % torch.cuda.device_count()}" for i in range(count)]


def limit_threads(count: int) -> None:
    """Let this process use `count` threads, so that several do not fight for the cores."""
    import cv2
    import numba

    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    numba.set_num_threads(min(count, numba.get_num_threads()))


def fitting_px(device: torch.device, bytes_per_px: int = BYTES_PER_PX) -> int:
    """Return how many pixels a batch on this device may have, by the memory that is free there now."""
    if device.type != "cuda":
        return MOST_PX
    free, _ = torch.cuda.mem_get_info(device)
    return min(MOST_PX, int(SHARE * free) // bytes_per_px)


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())


def ignore(note: str) -> None:
    """Drop a note: the default when nobody listens."""


class BatchRunner:
    """Runs a network over images in batches; out of memory means half the batch, and in the end the CPU.

    Arithmetic is float32 throughout, on GPUs as well, where torch would round the factors of convolutions to
    the ten bits of TF32: every device has to find the same cells (`benchmarks/precision.py`).

    Parameters
    ----------
    network : Module
        In evaluation mode; maps (N, C, Y, X) to outputs of N rows.
    device : torch.device
        Where to start.
    batch_px : int, optional
        Pixels in one batch on a GPU; None: as many as fit into the free memory, at most `MOST_PX`.
    bytes_per_px : int
        GPU memory of one pixel of a batch.
    cpu_images : int
        Images in one batch on a CPU: large ones go one by one, which is as fast and needs least memory.
    note : callable
        Told in one sentence when the batch shrinks or the device changes.
    """

    def __init__(
        self,
        network: nn.Module,
        device: torch.device,
        *,
        batch_px: int | None = None,
        bytes_per_px: int = BYTES_PER_PX,
        cpu_images: int = 1,
        note: Callable[[str], None] = ignore,
    ) -> None:
        self._cpu_images = cpu_images
        self._note = note
        self._network = network
        self.device = self._settle(device)
        self.batch_px = fitting_px(self.device, bytes_per_px) if batch_px is None else batch_px

    def run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map images of shape (N, Y, X) or (N, C, Y, X) to the network's outputs of N rows, both float32.

        Raises
        ------
        RuntimeError
            If the network fails for another reason than memory.
        """
        images = images[:, None] if images.ndim == 3 else images
        image_px = images.shape[2] * images.shape[3]
        outputs: list[NDArray[np.float32]] = []
        done = 0
        while done < len(images):
            size = min(self._batch(image_px), len(images) - done)
            try:
                outputs.append(self._forward(images[done : done + size]))
            except RuntimeError as error:
                if self.device.type == "cpu" or not _is_out_of_memory(error):
                    raise
                self._retreat(size, image_px)
            else:
                done += size
        return np.concatenate(outputs)

    def _settle(self, device: torch.device) -> torch.device:
        """Put the network on the device, or on the CPU if its memory does not hold it; return which."""
        try:
            self._network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        except RuntimeError as error:
            if device.type == "cpu" or not _is_out_of_memory(error):
                raise
            self._note(f"{device}: out of memory for the network, going on with the CPU")
            return self._settle(torch.device("cpu"))
        return device

    def _batch(self, image_px: int) -> int:
        return self._cpu_images if self.device.type == "cpu" else max(1, self.batch_px // image_px)

    def _forward(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            output = self._network(self._sent(images).contiguous(memory_format=torch.channels_last))
            result: NDArray[np.float32] = output.float().cpu().contiguous().numpy()
        return result

    def _sent(self, images: NDArray[np.float32]) -> torch.Tensor:
        """Return images on the device; to a GPU they go from pinned memory, which it fetches by itself."""
        batch = torch.from_numpy(np.ascontiguousarray(images))
        if self.device.type == "cuda":
            batch = batch.pin_memory()
        return batch.to(self.device, non_blocking=True)

    def _retreat(self, size: int, image_px: int) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if size > 1:
            self.batch_px = image_px * (size // 2)
            self._note(f"{self.device}: out of memory with {size} images, going on with {size // 2}")
            return
        self._note(f"{self.device}: out of memory with one image, going on with the CPU")
        self.device = torch.device("cpu")
        self._network.to(self.device)


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower()
