"""Pictures drawn in the background; only the latest one asked for is shown."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QSize, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy

from napari_exovision.say import complain


class Pool:
    """One thread that draws; only the latest picture asked for counts."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="exovision-pictures")
        self._waiting: Future[Any] | None = None
        self._latest = 0

    def ask(self, draw: Callable[[], Any], drawn: Callable[[int, Any], None]) -> None:
        """Draw in the thread and hand number and picture over there; one not begun yet is dropped."""
        self._latest += 1
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self._thread.submit(self._draw, self._latest, draw, drawn)

    def is_latest(self, number: int) -> bool:
        """Tell whether no later picture was asked for."""
        return number == self._latest

    def stop(self) -> None:
        """Wait for the picture under way and draw no more."""
        self._latest = -1
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _draw(self, number: int, draw: Callable[[], Any], drawn: Callable[[int, Any], None]) -> None:
        try:
            found: Any = draw()
        except Exception as error:
            found = error
        if self.is_latest(number):
            drawn(number, found)


class Painter(QObject):
    """Draws in another thread and hands the latest picture over in the main thread.

    Parameters
    ----------
    shown : callable
        Gets what the drawing returned.
    parent : QObject
    """

    drawn = Signal(int, object)

    def __init__(self, shown: Callable[[Any], None], parent: QObject) -> None:
        super().__init__(parent)
        self._shown = shown
        self.pool = Pool()
        self.drawn.connect(self._hand_over)

    def ask(self, draw: Callable[[], Any]) -> None:
        """Draw; a picture that was asked for before and has not begun is dropped."""
        self.pool.ask(draw, self.drawn.emit)

    def _hand_over(self, number: int, found: Any) -> None:
        if not self.pool.is_latest(number):
            return
        if isinstance(found, Exception):
            complain(found)
        else:
            self._shown(found)


class PictureLabel(QLabel):
    """A picture as large as there is room, or, if it is to be `tall`, as wide as there is room.

    Parameters
    ----------
    text : str
        Shown without a picture.
    tall : bool
        Take the height that the picture needs at the full width.
    """

    def __init__(self, text: str, *, tall: bool = False) -> None:
        super().__init__(text)
        self._whole: QPixmap | None = None
        self._tall = tall
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setWordWrap(True)
        self.setMinimumHeight(60)
        high = QSizePolicy.Policy.Fixed if tall else QSizePolicy.Policy.Ignored
        self.setSizePolicy(QSizePolicy.Policy.Ignored, high)

    def show_picture(self, pixels: NDArray[np.uint8] | None, otherwise: str = "") -> None:
        """Show pixels of shape (Y, X, 4), or a text if there are none."""
        if pixels is None:
            self._whole = None
            self.setText(otherwise)
            return
        height, width = pixels.shape[:2]
        image = QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888)
        self._whole = QPixmap.fromImage(image.copy())
        self._fit()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Fit the picture to the new width."""
        super().resizeEvent(event)
        self._fit()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return the picture's own size."""
        return super().sizeHint() if self._whole is None else self._whole.size()

    def _fit(self) -> None:
        if self._whole is None or self.width() < 2:
            return
        smooth = Qt.TransformationMode.SmoothTransformation
        width = min(self.width(), self._whole.width())
        if self._tall:
            fitted = self._whole.scaledToWidth(width, smooth)
            self.setFixedHeight(fitted.height())
        else:
            room = QSize(width, max(self.height(), 1))
            fitted = self._whole.scaled(room, Qt.AspectRatioMode.KeepAspectRatio, smooth)
        self.setPixmap(fitted)
