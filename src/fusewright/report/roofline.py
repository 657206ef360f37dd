"""Profile -> a roofline picture, as SVG text that needs nothing beside it.

Williams, Waterman, Patterson: Roofline, an insightful visual performance model (2009). Across: operations for each
byte; up: operations a second; both logarithmic. The roofs are what the machine gives; the area of a dot is its share of
the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from fusewright.profiling import KernelTime, Profile
from fusewright.report.tables import amount

WIDTH, HEIGHT = 960, 600
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 70, 60  # margins
LARGEST_DOT = 34.0  # radius of a kernel that takes all the time
SMALLEST_DOT = 2.5
LABELS = 8  # kernels that are named in the picture; all others by a tooltip
COLOURS = {"compute": "#c0392b", "memory": "#2471a3", "cache": "#148f77", "overhead": "#7f8c8d"}


class _Axes:
    """From operations a byte and 10^9 operations a second to places in the picture."""

    def __init__(self, profile: Profile, kernels: Sequence[KernelTime]) -> None:
        roofs = profile.roofs
        ridge = roofs.gflops / roofs.memory
        across = [_intensity(k) for k in kernels] + [ridge / 4, ridge * 4, roofs.gflops / roofs.cache]
        up = [k.rates.gflops for k in kernels] + [roofs.gflops]
        self.x = _decades(across)
        self.y = _decades(up)

    def at(self, intensity: float, gflops: float) -> tuple[float, float]:
        (x0, x1), (y0, y1) = self.x, self.y
        x = LEFT + (math.log10(intensity) - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - (math.log10(gflops) - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)
        return x, y


def roofline(profile: Profile) -> str:
    """The picture. Kernels without arithmetic have no place in it and are counted below."""
    drawn = sorted((k for k in profile.kernels if k.flop and k.bytes and k.ms), key=lambda k: -k.ms)
    axes = _Axes(profile, drawn)
    left_out = len(profile.kernels) - len(drawn)
    machine = profile.machine
    threads = f"{profile.threads} thread{'s' * (profile.threads != 1)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 24, f"{Path(profile.model).name}: {profile.run_ms:.2f} ms a run, {threads}", size=16),
        _text(LEFT, 44, f"{profile.target}, {machine.get('processor', '')}, {machine.get('date', '')}"),
        *_grid(axes),
        *_roofs(profile, axes),
        *_dots(drawn, axes),
        *_legend(profile),
        _text(
            LEFT, HEIGHT - 8, f"{left_out} kernels without arithmetic are not shown" if left_out else "", colour="#777"
        ),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _intensity(kernel: KernelTime) -> float:
    return kernel.flop / kernel.bytes


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten that hold all values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values) * 1.2))
    return low, max(high, low + 1)


def _grid(axes: _Axes) -> Iterator[str]:
    (x0, x1), (y0, y1) = axes.x, axes.y
    for power in range(x0, x1 + 1):
        (x, bottom), (_, top) = axes.at(10.0**power, 10.0**y0), axes.at(10.0**power, 10.0**y1)
        yield _line(x, bottom, x, top, "#ddd")
        yield _text(x, bottom + 16, f"{10.0**power:g}", anchor="middle", colour="#777")
    for power in range(y0, y1 + 1):
        (left, y), (right, _) = axes.at(10.0**x0, 10.0**power), axes.at(10.0**x1, 10.0**power)
        yield _line(left, y, right, y, "#ddd")
        yield _text(left - 6, y + 4, f"{10.0**power:g}", anchor="end", colour="#777")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 36, "FLOP for each byte", anchor="middle")
    yield _text(16, TOP - 10, "GFLOP/s")


def _roofs(profile: Profile, axes: _Axes) -> Iterator[str]:
    roofs = profile.roofs
    right = 10.0 ** axes.x[1]
    first = 10.0 ** axes.x[0]
    floor = 10.0 ** axes.y[0]
    ridge = roofs.gflops / max(roofs.memory, roofs.cache)
    flat = axes.at(min(max(ridge, first), right), roofs.gflops), axes.at(right, roofs.gflops)
    yield _line(*flat[0], *flat[1], COLOURS["compute"], 2)
    yield _text(flat[1][0], flat[1][1] - 6, f"multiply-adds {roofs.gflops:.0f} GFLOP/s", "end", COLOURS["compute"])
    for name, bandwidth in (("memory", roofs.memory), ("cache", roofs.cache)):
        start = max(first, floor / bandwidth)
        (x0, y0), (x1, y1) = axes.at(start, start * bandwidth), axes.at(roofs.gflops / bandwidth, roofs.gflops)
        yield _line(x0, y0, x1, y1, COLOURS[name], 2, dashed=name == "cache")
        angle = math.degrees(math.atan2(y1 - y0, x1 - x0))
        x, y = x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3
        said = _text(0, 0, f"{name} {bandwidth:.0f} GB/s", colour=COLOURS[name])
        yield f'<g transform="translate({x:.1f} {y - 6:.1f}) rotate({angle:.1f})">{said}</g>'


def _dots(kernels: Sequence[KernelTime], axes: _Axes) -> Iterator[str]:
    for k in kernels:  # the largest first, so that the small ones lie above them
        x, y = axes.at(_intensity(k), k.rates.gflops)
        radius = max(SMALLEST_DOT, LARGEST_DOT * math.sqrt(k.share))
        tip = (
            f"{k.index}: {k.title}\n{k.ms:.3f} ms, {100 * k.share:.1f} % of the time\n{amount(k.flop, 'FLOP')}, "
            f"{k.rates.gflops:.1f} GFLOP/s, {k.rates.gbytes:.1f} GB/s\n"
            f"limit: {k.rates.limit} ({100 * k.rates.reached:.0f} %)"
        )
        yield (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{COLOURS[k.rates.limit]}" fill-opacity="0.45" '
            f'stroke="{COLOURS[k.rates.limit]}"><title>{escape(tip)}</title></circle>'
        )
    for k in kernels[:LABELS]:
        x, y = axes.at(_intensity(k), k.rates.gflops)
        yield _text(x, y + 4, str(k.index), anchor="middle")


def _legend(profile: Profile) -> Iterator[str]:
    """The share of the time that each limit holds."""
    x = WIDTH - RIGHT
    for limit in reversed(COLOURS):
        share = sum(k.share for k in profile.kernels if k.rates.limit == limit)
        yield _text(x, TOP - 10, f"{limit} {100 * share:.0f} %", anchor="end", colour=COLOURS[limit])
        x -= 110


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = "#222", size: int = 12) -> str:
    if not text:
        return ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="{size}">{escape(text)}</text>'


def _line(x0: float, y0: float, x1: float, y1: float, colour: str, width: int = 1, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    ends = f'x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"{dash}/>'
