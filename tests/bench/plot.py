"""A chart as SVG: logarithmic axes, lines with their names beside them, readable on light and dark pages. Standard library only."""
import collections
import math
from html import escape

Line = collections.namedtuple("Line", "name points")           # points: (x, y), both above 0
Mark = collections.namedtuple("Mark", "name points")           # a limit or a slope to compare with: dashed, without dots
Axis = collections.namedtuple("Axis", "title tell")            # tell: a number as people read it

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 78, 190, 46, 52
LABEL_GAP, LABEL_INSET = 17, 16
LIGHT = ("#0072b2", "#d55e00", "#00805e", "#a8467c", "#6a5acd")
DARK = ("#5cb8f0", "#ff9a4d", "#3fcf9f", "#ee9cc8", "#b0a5ff")

STYLE = """
  svg { background: #ffffff; font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif }
  .paper { fill: #ffffff } .title { fill: #1a1d21; font-size: 15px; font-weight: 600 } .axis { fill: #454c54 }
  .tick { fill: #5b636c; font-size: 12px } .grid { stroke: #e3e6ea; stroke-width: 1 }
  .mark { stroke: #8a929b; stroke-width: 1.5; stroke-dasharray: 5 4; fill: none } .mark-name { fill: #5b636c }
  .line { fill: none; stroke-width: 2.25; stroke-linejoin: round } .leader { stroke-width: 1; stroke-opacity: .45; fill: none }
  .near-mark { stroke: #8a929b }
"""
DARK_STYLE = """
    svg { background: #0f1216 }
    .paper { fill: #0f1216 } .title { fill: #eceff2 } .axis { fill: #b9c0c8 } .tick { fill: #9aa3ad } .grid { stroke: #2a3037 }
    .mark { stroke: #7d8791 } .mark-name { fill: #9aa3ad }
"""


def thousands(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def bytes_told(value):
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} B"


def microseconds_told(value):
    return f"{value / 1000:,g} ms" if value >= 1000 else f"{value:g} µs"


def steps(low, high, factors):
    """All factor * 10^k from low to high."""
    found = []
    for power in range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1):
        found += [factor * 10 ** power for factor in factors]
    return [step for step in found if low * 0.999 <= step <= high * 1.001]


def around(values, factors):
    """The nearest steps below and above all values."""
    low, high = min(values), max(values)
    candidates = steps(low / 100, high * 100, factors)
    return max(step for step in candidates if step <= low), min(step for step in candidates if step >= high)


def apart(wanted, gap):
    """The same places, moved so that none is nearer to the next than `gap`; in the order given."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [wanted[i] for i in order]
    for _ in range(200):
        for k in range(1, len(placed)):
            lack = gap - (placed[k] - placed[k - 1])
            if lack > 0.01:
                placed[k - 1] -= lack / 2
                placed[k] += lack / 2
    return [place for _, place in sorted(zip(order, placed))]


class Chart:
    def __init__(self, title, x_axis, y_axis, lines, marks=()):
        self.title, self.x_axis, self.y_axis = title, x_axis, y_axis
        self.lines, self.marks = lines, marks
        drawn = [point for line in (*lines, *marks) for point in line.points]
        self.x_low, self.x_high = around([x for x, _ in drawn], (1, 2, 3, 5))
        self.y_low, self.y_high = around([y for _, y in drawn], (1, 2, 5))
        if self.y_high / self.y_low < 30:  # less would make a molehill a mountain
            self.y_low, self.y_high = around([math.sqrt(self.y_low * self.y_high) * f for f in (30 ** -.5, 30 ** .5)], (1, 2, 5))

    def x(self, value):
        share = math.log(value / self.x_low) / math.log(self.x_high / self.x_low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        share = math.log(value / self.y_low) / math.log(self.y_high / self.y_low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def path(self, points):
        return "M" + " L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)

    def grid(self):
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        for step in steps(self.x_low, self.x_high, (1,)):
            at = self.x(step)
            yield f'<path class="grid" d="M{at:.1f} {TOP} V{bottom}"/>'
            yield f'<text class="tick" x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(self.x_axis.tell(step))}</text>'
        for step in steps(self.y_low, self.y_high, (1,) if self.y_high / self.y_low > 300 else (1, 2, 5)):
            at = self.y(step)
            yield f'<path class="grid" d="M{LEFT} {at:.1f} H{right}"/>'
            yield f'<text class="tick" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{escape(self.y_axis.tell(step))}</text>'

    def drawing(self):
        everything = (*self.lines, *self.marks)
        for mark in self.marks:
            yield f'<path class="mark" d="{self.path(mark.points)}"/>'
        for i, line in enumerate(self.lines):
            yield f'<path class="line s{i}" d="{self.path(line.points)}"/>'
            for x, y in line.points:
                yield (f'<circle class="d{i}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3"><title>'
                       f'{escape(line.name)}: {escape(self.x_axis.tell(x))}, {escape(self.y_axis.tell(float(f"{y:.3g}")))}</title></circle>')
        ends = [line.points[-1] for line in everything]
        for i, (line, (x, y), at) in enumerate(zip(everything, ends, apart([self.y(y) for _, y in ends], LABEL_GAP))):
            label = WIDTH - RIGHT + LABEL_INSET
            is_line = i < len(self.lines)
            yield (f'<path class="leader {f"s{i}" if is_line else "near-mark"}" d="M{self.x(x) + 5:.1f} {self.y(y):.1f} '
                   f'L{WIDTH - RIGHT + 2} {self.y(y):.1f} L{label - 3} {at:.1f}"/>')
            yield f'<text class="{f"d{i}" if is_line else "mark-name"}" x="{label}" y="{at + 4:.1f}">{escape(line.name)}</text>'

    def svg(self):
        def colours(palette):
            return " ".join(f".s{i} {{ stroke: {c} }} .d{i} {{ fill: {c} }}" for i, c in enumerate(palette[:len(self.lines)]))

        middle, height = LEFT + (WIDTH - LEFT - RIGHT) / 2, TOP + (HEIGHT - TOP - BOTTOM) / 2
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
            f'aria-label="{escape(self.title)}">',
            f"<style>{STYLE}  {colours(LIGHT)}", f"  @media (prefers-color-scheme: dark) {{{DARK_STYLE}    {colours(DARK)}", "  }", "</style>",
            f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
            f'<text class="title" x="{LEFT}" y="26">{escape(self.title)}</text>',
            *self.grid(), *self.drawing(),
            f'<text class="axis" x="{middle:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(self.x_axis.title)}</text>',
            f'<text class="axis" transform="translate(16 {height:.0f}) rotate(-90)" text-anchor="middle">{escape(self.y_axis.title)}</text>',
            "</svg>", ""])
