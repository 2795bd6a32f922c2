"""A chart as inline SVG: scales, axes, lines, marks. Colours are CSS classes of the page.

Everything is in units of the view box, which the page scales to its column; a chart keeps its
text readable by being no wider than a phone.
"""

import math
from collections.abc import Sequence as Several
from dataclasses import dataclass, field
from html import escape

Point = tuple[float, float]

MARKS = ("circle", "square", "triangle", "diamond", "down", "pentagon", "left", "right")


@dataclass(frozen=True)
class Scale:
    """Values from ``low`` to ``high`` onto positions from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self._of(self.low), self._of(self.high)
        return self.start + (self._of(value) - low) / (high - low) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values within the range."""
        if not self.log:
            return even_ticks(self.low, self.high, about)
        few = [m * 10.0**e for e in range(-6, 7) for m in (1, 2, 5)]
        found = [tick for tick in few if self.low <= tick <= self.high]
        decades = [tick for tick in found if abs(math.log10(tick) % 1) < 1e-9]
        return decades if len(found) > 8 and len(decades) > 2 else found

    def _of(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.log else value


def even_ticks(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between ``low`` and ``high``.

    >>> even_ticks(30.2, 41, 5)
    [32.0, 34.0, 36.0, 38.0, 40.0]
    """
    if high <= low:
        return [low]
    rough = (high - low) / max(1, about)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 9) for n in range(first, last + 1)]


@dataclass
class Plot:
    """A frame with two axes, filled from below: what is added later lies on top.

    Args:
        title: what a screen reader says.
        x: its scale, in positions from left to right.
        y: its scale, in positions from bottom to top.
        width: of the view box.
        height: of the view box.
    """

    title: str
    x: Scale
    y: Scale
    width: float
    height: float
    parts: list[str] = field(default_factory=list)
    clipped: list[str] = field(default_factory=list)

    def axes(
        self, x_label: str, y_label: str, about: tuple[int, int] = (5, 5), room: float = 10
    ) -> None:
        """Grid, numbers and names; ``room`` is between the frame and the name of the y axis."""
        left, right, bottom, top = self.x.start, self.x.end, self.y.start, self.y.end
        for tick in self.x.ticks(about[0]):
            at = self.x(tick)
            self.parts.append(_line(at, bottom, at, top, "grid"))
            self.text(at, bottom + 17, f"{tick:g}", "tick", "middle")
        for tick in self.y.ticks(about[1]):
            at = self.y(tick)
            self.parts.append(_line(left, at, right, at, "grid"))
            self.text(left - 6, at + 4, f"{tick:g}", "tick", "end")
        self.parts.append(_line(left, bottom, right, bottom, "axis"))
        if x_label:
            self.text((left + right) / 2, bottom + 36, x_label, "name", "middle")
        self.text(left, top - room, y_label, "name", "start")

    def line(self, points: Several[Point], css: str, dashed: bool = False) -> None:
        """Straight pieces through ``points``, cut at the frame."""
        places = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        self.clipped.append(f'<polyline class="line {css}" points="{places}"{dash}/>')

    def mark(self, point: Point, shape: str, css: str, said: str, size: float = 4.5) -> None:
        """A mark with a text that shows when pointed at; nothing outside the frame."""
        x, y = self.x(point[0]), self.y(point[1])
        inside = self.x.start - 1 <= x <= self.x.end + 1 and self.y.end - 1 <= y <= self.y.start + 1
        if inside:
            self.parts.append(mark(x, y, shape, css, said, size))

    def bar(self, x: float, wide: float, low: float, high: float, css: str, said: str) -> None:
        """A box between two values, ``wide`` units around position ``x``; cut at the frame."""
        top, bottom = self.y(high), self.y(low)
        title = f"<title>{escape(said)}</title>" if said else ""
        self.clipped.append(
            f'<rect class="bar {css}" x="{x - wide / 2:.2f}" y="{top:.2f}" width="{wide:.2f}" '
            f'height="{max(0, bottom - top):.2f}">{title}</rect>'
        )

    def text(self, x: float, y: float, said: str, css: str = "", anchor: str = "start") -> None:
        """At a position, not a value."""
        self.parts.append(
            f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(said)}</text>"
        )

    def inside(self, name: str) -> str:
        """The group that a document puts into an <svg>; ``name`` is the document's alone."""
        x, y = self.x.start, self.y.end
        wide, high = self.x.end - x, self.y.start - y
        box = f'<rect x="{x}" y="{y}" width="{wide}" height="{high}"/>'
        clip = f'<clipPath id="{name}">{box}</clipPath>'
        cut = f'<g clip-path="url(#{name})">{"".join(self.clipped)}</g>'
        first = [part for part in self.parts if part.startswith("<line")]
        rest = [part for part in self.parts if not part.startswith("<line")]
        return f"{clip}{''.join(first)}{cut}{''.join(rest)}"


def document(plots: Several[Plot], name: str) -> str:
    """Plots that share one view box, as one <svg>; ``name`` is the page's alone."""
    width, height = plots[0].width, max(plot.height for plot in plots)
    title = escape("; ".join(plot.title for plot in plots))
    inside = "".join(plot.inside(f"{name}-{n}") for n, plot in enumerate(plots))
    return f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{title}">{inside}</svg>'


def mark(x: float, y: float, shape: str, css: str, said: str = "", size: float = 4.5) -> str:
    """One mark of MARKS around a position."""
    title = f"<title>{escape(said)}</title>" if said else ""
    r = size
    if shape == "circle":
        return f'<circle class="mark {css}" cx="{x:.1f}" cy="{y:.1f}" r="{r}">{title}</circle>'
    corners = {
        "square": ((-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)),
        "triangle": ((0, -1.15), (1.1, 0.85), (-1.1, 0.85)),
        "down": ((0, 1.15), (1.1, -0.85), (-1.1, -0.85)),
        "left": ((-1.15, 0), (0.85, 1.1), (0.85, -1.1)),
        "right": ((1.15, 0), (-0.85, 1.1), (-0.85, -1.1)),
        "pentagon": ((0, -1.15), (1.1, -0.36), (0.68, 0.93), (-0.68, 0.93), (-1.1, -0.36)),
        "diamond": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    }[shape]
    places = " ".join(f"{x + a * r:.1f},{y + b * r:.1f}" for a, b in corners)
    return f'<polygon class="mark {css}" points="{places}">{title}</polygon>'


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
