"""Lay out the controls of the walks: kernel and its options, steps, seed, target class."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from nicegui import ui

from reinject.base.errors import ArgumentError
from reinject.explorer.session import Choice, World
from reinject.sampling.presets import Settings, settings_of
from reinject.walks.kernel_options import default_of, flag, options_of
from reinject.walks.kernels import KERNELS

REGIONS = {
    "": "nothing",
    ":{h},:": "upper half",
    "{h}:,:": "lower half",
    ":,:{w}": "left half",
    ":,{w}:": "right half",
}
_SPREAD = 3.0  # a slider reaches from 1/8 of the default to 8 times the default


def rows_and_columns(kind: str, shape: tuple[int, ...]) -> str:
    """Write a region for ``--mask``; "" for no region.

    Example:
        >>> rows_and_columns(":{h},:", (1, 28, 28))
        ':14,:'
    """
    return kind.format(h=shape[1] // 2, w=shape[2] // 2)


class Controls:
    """Hold selects, sliders and fields, and the choice that they make.

    Arguments:
        world: networks.
        initial: first settings of the page, and of their kernel whenever a visitor chooses it.
        kept: result of :meth:`kept` before a reload; empty: use ``initial``.
        changed: function called when a visitor changes something.
    """

    def __init__(
        self, world: World, initial: Settings, kept: Mapping[str, Any], changed: Callable[[], Awaitable[None]]
    ) -> None:
        self.world, self.initial, self.changed = world, initial, changed
        self.values: dict[str, Any] = {}
        begun = kept.get("kernel", initial.kernel)
        self.kernel = ui.select(list(KERNELS), value=begun, label="kernel").classes("w-full")
        self.summary = ui.label().classes("text-xs opacity-80")
        self.box = ui.column().classes("w-full gap-1")
        with ui.row().classes("w-full no-wrap"):
            self.steps = ui.number("steps", min=1, max=1000, precision=0).classes("w-1/2")
            self.walks = ui.select([1, 16, 64, 144, 256], value=64, label="walks").classes("w-1/2")
        with ui.row().classes("w-full no-wrap items-center"):
            self.seed = ui.number("seed", value=0, min=0, max=2**31 - 1, precision=0).classes("w-1/2")
            ui.button("next seed", on_click=self._next_seed).props("flat dense no-caps")
        self.emit = ui.select(["state", "reconstruction"], label="show").classes("w-full")
        names = {"": "no guidance", "all": "all classes in turn"}
        names |= {str(k): name for k, name in enumerate(world.inputs.class_names)}
        asked = asked_of(initial.classes, len(world.inputs.class_names))
        self.asked = ui.select(names, value=asked, label="target class").classes("w-full")
        with ui.column().classes("w-full gap-0").bind_visibility_from(self.asked, "value", bool):
            ui.label("guidance weight").classes("text-sm")
            self.guidance = ui.slider(min=0, max=10, step=0.1, value=initial.guidance).props(
                'label aria-label="guidance weight"'
            )
        self.asked.set_visibility(world.C is not None)
        self._fill(kept.get("options", {}))
        for name in _NAMES:
            getattr(self, name).set_value(kept.get(name, getattr(self, name).value))
        self.kernel.on_value_change(self._other_kernel)  # last, so that filling does not call it
        for name in _NAMES:
            getattr(self, name).on_value_change(changed)

    @property
    def _base(self) -> Settings:
        """Return the chosen kernel's default settings."""
        kernel = self.kernel.value
        return self.initial if kernel == self.initial.kernel else settings_of(kernel)

    def _fill(self, options: Mapping[str, str]) -> None:
        """Make the fields of the chosen kernel, with these values or its defaults."""
        settings = self._base
        self.summary.set_text((KERNELS[settings.kernel].__doc__ or "").splitlines()[0])
        self.steps.set_value(settings.steps)
        self.emit.set_value(settings.emit)
        self.box.clear()
        self.values = {}
        with self.box:
            for item in options_of(settings.kernel):
                default = settings.options.get(item.name, default_of(settings.kernel, item))
                field = _field(item.name, item.metadata["help"], default, options.get(item.name, default))
                field.on_value_change(self.changed)
                self.values[item.name] = field

    async def _other_kernel(self) -> None:
        self._fill({})
        await self.changed()

    def _next_seed(self) -> None:
        self.seed.set_value(int(self.seed.value or 0) + 1)

    def choice(self) -> Choice:
        """Return the visitor's choice; raise ArgumentError if a field is empty."""
        usual = self._base
        options = {name: str(field.value).strip() for name, field in self.values.items() if str(field.value).strip()}
        for name, field in (("steps", self.steps), ("seed", self.seed)):
            if field.value is None:
                raise ArgumentError(name, "is empty", "Give a whole number")
        asked, names = self.asked.value, self.world.inputs.class_names
        classes = tuple(range(len(names))) if asked == "all" else (int(asked),) if asked else ()
        settings = replace(
            usual,
            options=options,
            steps=int(self.steps.value),
            burn_in=min(usual.burn_in, int(self.steps.value)),
            emit=self.emit.value,
            classes=classes,
            guidance=float(self.guidance.value),
        )
        return Choice(settings, int(self.walks.value), int(self.seed.value))

    def kept(self) -> dict[str, Any]:
        """Return the values that a reload restores."""
        return {
            "kernel": self.kernel.value,
            "options": {name: field.value for name, field in self.values.items()},
            **{name: getattr(self, name).value for name in _NAMES},
        }


_NAMES = ("steps", "walks", "seed", "emit", "asked", "guidance")


def asked_of(classes: tuple[int, ...], count: int) -> str:
    """Return the value of the select "target class" for these classes.

    Example:
        >>> asked_of((), 3), asked_of((1,), 3), asked_of((0, 1, 2), 3)
        ('', '1', 'all')
    """
    return str(classes[0]) if len(classes) == 1 else "all" if classes and len(classes) == count else ""


def _field(name: str, text: str, default: str, value: str) -> Any:
    """Make a field for an option, and a slider for a number; the suffix r is the data's radius."""
    field = ui.input(f"{flag(name)}: {text}", value=value).classes("w-full").props("dense debounce=400")
    _slider(name, text, default, field.set_value)
    return field


def _slider(name: str, text: str, default: str, put: Callable[[str], object]) -> None:
    """Make a slider if the default is a number: factors for noises and similar options, else shares from 0 to 1."""
    number, unit = (default[:-1], "r") if default.endswith("r") else (default, "")
    try:
        base = float(number)
    except ValueError:
        return
    if "units" in text and base > 0:
        ends = (-_SPREAD, _SPREAD, 0.05, 0.0)

        def meant(at: float) -> str:
            return f"{base * 2**at:.4g}{unit}"
    elif "." in number and 0 <= base <= 1:
        ends = (0.0, 1.0, 0.01, base)

        def meant(at: float) -> str:
            return f"{at:.4g}"
    else:
        return
    low, high, step, value = ends
    slider = ui.slider(min=low, max=high, step=step, value=value).props(f'aria-label="{flag(name)}"')
    slider.on("update:model-value", lambda event: put(meant(float(event.args))))
