"""Forms made from the settings models: types, bounds, meanings and defaults are theirs, none is here."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from exovision.settings import Settings, Stage

LARGEST, DECIMALS = 1e6, 9
LEAST_STEP = 10.0**-DECIMALS
OF_STUDIES = ("experiment",)
"""Stages that do nothing for a single movie: not shown, but kept as they were given."""


class Number(QDoubleSpinBox):
    """A number shown with the digits it needs, changed by a tenth of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.setDecimals(DECIMALS)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)

    def textFromValue(self, value: float) -> str:  # noqa: N802 (Qt's name)
        """Return the shortest text."""
        return f"{value:.{DECIMALS}g}"

    def valueFromText(self, text: str) -> float:  # noqa: N802 (Qt's name)
        """Return the number."""
        return float(text.replace(",", "."))


class Editor(QWidget):
    """One setting.

    Parameters
    ----------
    info : FieldInfo
        Of the settings model.
    """

    changed = Signal()

    def __init__(self, info: FieldInfo) -> None:
        super().__init__()
        kind, optional = _without_none(info.annotation)
        self._widget, self._get, self._set = _make(kind, info, self.changed.emit)
        self._given: QCheckBox | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        if optional:
            self._given = QCheckBox()
            self._given.setToolTip("unticked: not given")
            self._given.toggled.connect(self._widget.setEnabled)
            self._given.toggled.connect(lambda _: self.changed.emit())
            row.addWidget(self._given)
        row.addWidget(self._widget, 1)
        self.setToolTip(info.description or "")

    def value(self) -> Any:
        """Return the setting."""
        return None if self._given is not None and not self._given.isChecked() else self._get()

    def set_value(self, value: Any) -> None:
        """Show a setting."""
        if self._given is not None:
            self._given.setChecked(value is not None)
            self._widget.setEnabled(value is not None)
        if value is not None:
            self._set(value)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """Return the type that a setting has if it is given, and whether it may be missing."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    parts = [part for part in get_args(annotation) if part is not type(None)]
    kind = parts[0] if len(parts) == 1 else Union[tuple(parts)]  # noqa: UP007 (made at run time)
    return kind, len(parts) < len(get_args(annotation))


def _make(
    kind: Any, info: FieldInfo, changed: Callable[[], None]
) -> tuple[QWidget, Callable[[], Any], Callable[[Any], None]]:
    """Return a widget for a type, and how its value is read and shown."""
    choices = _choices(kind, info)
    if choices:
        return _choice(choices, kind, changed)
    if kind is bool:
        box = QCheckBox()
        box.toggled.connect(lambda _: changed())
        return box, box.isChecked, box.setChecked
    if kind in (int, float):
        spin = QSpinBox() if kind is int else Number()
        low, high = _bounds(info, 1.0 if kind is int else LEAST_STEP)
        spin.setRange(kind(low), kind(high))
        spin.valueChanged.connect(lambda _: changed())
        return spin, spin.value, lambda value: spin.setValue(kind(value))
    line = QLineEdit()
    line.textChanged.connect(lambda _: changed())
    return line, line.text, lambda value: line.setText(str(value))


def _choices(kind: Any, info: FieldInfo) -> list[str]:
    extra = info.json_schema_extra
    if isinstance(extra, dict) and isinstance(extra.get("enum"), list):
        return [str(choice) for choice in extra["enum"]]  # type: ignore[union-attr]
    for part in (kind, *get_args(kind)):
        if get_origin(part) is Literal:
            return [str(choice) for choice in get_args(part)]
    return []


def _choice(
    choices: list[str], kind: Any, changed: Callable[[], None]
) -> tuple[QWidget, Callable[[], Any], Callable[[Any], None]]:
    """Return a list to choose from; numbers can be typed where the type allows them."""
    box = QComboBox()
    box.addItems(choices)
    numbers = int in get_args(kind)
    box.setEditable(numbers)
    box.currentTextChanged.connect(lambda _: changed())

    def value() -> Any:
        text = box.currentText()
        return int(text) if numbers and text.strip().isdecimal() else text

    return box, value, lambda given: box.setCurrentText(str(given))


def _bounds(info: FieldInfo, step: float) -> tuple[float, float]:
    low, high = -LARGEST, LARGEST
    for bound in info.metadata:
        if isinstance(bound, Ge):
            low = float(bound.ge)  # type: ignore[arg-type]
        elif isinstance(bound, Gt):
            low = float(bound.gt) + step  # type: ignore[arg-type]
        elif isinstance(bound, Le):
            high = float(bound.le)  # type: ignore[arg-type]
        elif isinstance(bound, Lt):
            high = float(bound.lt) - step  # type: ignore[arg-type]
    return low, high


class SettingsForm(QWidget):
    """All settings of the analysis of a movie, a page per stage to choose from."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.editors: dict[str, dict[str, Editor]] = {}
        self.stage, pages = QComboBox(), QStackedWidget()
        for stage, info in Settings.model_fields.items():
            model = info.annotation
            if stage not in OF_STUDIES and isinstance(model, type) and issubclass(model, Stage):
                self.stage.addItem(stage)
                pages.addWidget(self._page(stage, model))
        self.stage.currentIndexChanged.connect(pages.setCurrentIndex)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.stage)
        layout.addWidget(pages)
        self.set_settings(Settings())

    def _page(self, stage: str, model: type[Stage]) -> QWidget:
        page = QWidget()
        form = QFormLayout(page)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self.editors[stage] = {}
        for name, info in model.model_fields.items():
            editor = Editor(info)
            editor.changed.connect(self.changed.emit)
            label = QLabel(name)
            label.setToolTip(info.description or "")
            form.addRow(label, editor)
            self.editors[stage][name] = editor
        return page

    def settings(self) -> Settings:
        """Return the settings as they stand.

        Raises
        ------
        SettingsError
            If one is wrong.
        """
        shown = {
            stage: {name: editor.value() for name, editor in editors.items()}
            for stage, editors in self.editors.items()
        }
        return Settings.from_mapping({**self._kept, **shown})

    def set_settings(self, settings: Settings) -> None:
        """Show settings."""
        given = settings.model_dump()
        self._kept = {stage: given.pop(stage) for stage in OF_STUDIES}
        for stage, values in given.items():
            for name, value in values.items():
                self.editors[stage][name].set_value(value)
