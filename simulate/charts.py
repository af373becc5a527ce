"""Charts as SVG, in the colours of the page that they stand on."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _LEFT, _RIGHT = 770, 190, 165
_ROW = 34
_PLOT_HEIGHT, _TOP, _BOTTOM = 220, 16, 40


class Bar(NamedTuple):
    """A bar of a chart."""

    label: str
    value: float
    style: str
    """A class of the page's style."""


class Range(NamedTuple):
    """An estimate with its interval, beside the truth. The interval may be unknown."""

    label: str
    value: float
    lower: float | None
    upper: float | None
    truth: float


def bar_chart(title: str, bars: Sequence[Bar], unit: str) -> str:
    """Horizontal bars from 0, each with its value."""
    largest = max(bar.value for bar in bars) or 1
    parts = []
    for row, bar in enumerate(bars):
        y, width = row * _ROW + 6, (_WIDTH - _LEFT - _RIGHT) * bar.value / largest
        parts.append(_label(bar.label, y + 16))
        parts.append(f'<rect class="{bar.style}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="22" rx="3"/>')
        parts.append(f'<text x="{_LEFT + width + 6:.1f}" y="{y + 16}">{bar.value:,.0f} {escape(unit)}</text>')
    return _svg(title, len(bars) * _ROW + 10, parts)


def range_chart(title: str, ranges: Sequence[Range], digits: str) -> str:
    """Intervals as lines, their values as points, the truths as strokes. digits: how values are written, as in a format string"""
    ends = [end for each in ranges for end in (each.value, each.truth, each.lower, each.upper, 0.0) if end is not None]
    low, high = min(ends), max(ends)
    scale = (_WIDTH - _LEFT - _RIGHT) / ((high - low) or 1)

    def x(value: float) -> float:
        return _LEFT + (value - low) * scale

    bottom = len(ranges) * _ROW
    parts = [
        f'<line class="axis" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="0" y2="{bottom}"/>',
        f'<text x="{x(0):.1f}" y="{bottom + 18}" text-anchor="middle">0</text>',
    ]
    for row, each in enumerate(ranges):
        y = row * _ROW + 16
        parts.append(_label(each.label, y + 5))
        if each.lower is not None and each.upper is not None:
            parts.append(f'<line class="interval" x1="{x(each.lower):.1f}" x2="{x(each.upper):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="estimate" cx="{x(each.value):.1f}" cy="{y}" r="5"/>')
        parts.append(f'<line class="truth" x1="{x(each.truth):.1f}" x2="{x(each.truth):.1f}" y1="{y - 12}" y2="{y + 12}"/>')
        parts.append(f'<text x="{_WIDTH - _RIGHT + 10}" y="{y + 5}">{each.value:{digits}}, truth {each.truth:{digits}}</text>')
    return _svg(title, bottom + 26, parts)


def week_chart(title: str, spent: Sequence[float], expected: Sequence[float], levels: Sequence[Bar], marked_week: int | None) -> str:
    """What was earned in each week as points, its mean as a line, and levels as horizontal lines.

    marked_week: the number of the week before which a mark stands
    """
    largest = max(*spent, *expected, *(level.value for level in levels)) * 1.05 or 1
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(spent), 1)

    def x(index: float) -> float:
        return _LEFT + (index + 0.5) * step

    def y(value: float) -> float:
        return _TOP + _PLOT_HEIGHT * (1 - value / largest)

    parts = [f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(0):.1f}" y2="{y(0):.1f}"/>']
    for level in levels:
        parts.append(
            f'<line class="level {level.style}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(level.value):.1f}" y2="{y(level.value):.1f}"/>'
        )
        parts.append(_label(f"{level.label}: {level.value:,.0f}", y(level.value) + 5))
    if marked_week is not None:
        parts.append(f'<line class="mark" x1="{x(marked_week - 1.5):.1f}" x2="{x(marked_week - 1.5):.1f}" y1="{_TOP}" y2="{y(0):.1f}"/>')
    parts.append(f'<polyline class="line" points="{" ".join(f"{x(index):.1f},{y(value):.1f}" for index, value in enumerate(expected))}"/>')
    for index in {0, len(expected) - 1}:
        above = y(max(spent[index], expected[index])) - 9
        parts.append(f'<text x="{x(index):.1f}" y="{above:.1f}" text-anchor="middle">{expected[index]:,.0f}</text>')
    for index, value in enumerate(spent):
        parts.append(f'<circle class="estimate" cx="{x(index):.1f}" cy="{y(value):.1f}" r="4"/>')
        parts.append(f'<text x="{x(index):.1f}" y="{y(0) + 20:.1f}" text-anchor="middle">{index + 1}</text>')
    return _svg(title, _TOP + _PLOT_HEIGHT + _BOTTOM, parts)


def _label(text: str, y: float) -> str:
    return f'<text x="{_LEFT - 10}" y="{y:.1f}" text-anchor="end">{escape(text)}</text>'


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
