"""What a first preview needs, made ready while the user still looks at the movie; no Qt."""

from __future__ import annotations

from threading import Thread

from exovision.pipeline import Preview
from exovision.progress import Progress
from napari_exovision.graphics import keep_triton_out
from napari_exovision.plan import Plan

HEARTBEAT_S = 0.1


class WarmUp:
    """Loads the networks and finds the scale of the cells in the first frame, in a thread of its own.

    Parameters
    ----------
    plan : Plan
        What would be previewed.
    """

    def __init__(self, plan: Plan) -> None:
        keep_triton_out()
        self.plan = plan
        self._found: Preview | None = None
        self._thread = Thread(target=self._run, name="exovision warm-up", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found = self.plan.preview(0)[1]
        except Exception:
            # What is wrong is told when the user asks for a preview.
            return

    def fits(self, plan: Plan) -> bool:
        """Whether the scale that was looked for holds for another plan."""
        same = (self.plan.path, self.plan.name, self.plan.options, self.plan.labels)
        other = (plan.path, plan.name, plan.options, plan.labels)
        return same == other and self.plan.settings.cells == plan.settings.cells

    def diameter_um(self, progress: Progress) -> float | None:
        """Return the diameter of the cells in the first frame, once it is known; None if there are none.

        Parameters
        ----------
        progress : Progress
            Called while waiting; may raise `Cancelled`.
        """
        while self._thread.is_alive():
            progress("getting ready", 0, 0)
            self._thread.join(HEARTBEAT_S)
        return None if self._found is None else self._found.cell_diameter_um
