"""Charts as SVG, in the colours of the page, which change with light and dark."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[tuple[Any, ...]]

MAX_LABEL_LENGTH = 32
POINTS = ("p50", "p95", "max")
_WIDTH = 8.2
PALETTE = {
    "ink": ("#1c2733", "#e3e9f0"),
    "faint": ("#c3ccd6", "#46525f"),
    "good": ("#2f855a", "#4caf7f"),
    "bad": ("#c53030", "#f0736f"),
    "idle": ("#b7791f", "#d9a441"),
    "heat": ("#dd6b20", "#b45309"),
    "series-0": ("#2b6cb0", "#63a4e8"),
    "series-1": ("#b83280", "#e37db9"),
    "series-2": ("#2c7a7b", "#4fc0c0"),
    "series-3": ("#975a16", "#d19a5b"),
    "series-4": ("#6b46c1", "#a78bf0"),
    "series-5": ("#4a7023", "#9bc26b"),
    "series-6": ("#9b2c2c", "#e08a8a"),
    "series-7": ("#718096", "#94a3b8"),
}
"""The colours of the page by name: in light and in dark."""
# Charts are drawn in colours that nothing else has, which become variables of the page's style sheet.
_DRAWN = {name: f"#0101{number:02x}" for number, name in enumerate(PALETTE)}
_COLOURS = {drawn: f"var(--{name}, {PALETTE[name][0]})" for name, drawn in _DRAWN.items()}
_OF_STATUS = {"completed": "good", "succeeded": "good", "failed": "bad", "pending": "idle"}
_SETTINGS = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "text.color": _DRAWN["ink"],
    "axes.labelcolor": _DRAWN["ink"],
    "axes.edgecolor": _DRAWN["faint"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": _DRAWN["ink"],
    "ytick.color": _DRAWN["ink"],
    "legend.frameon": False,
}


def stack(rows: Rows, times: Sequence[str], unit: str, name: str) -> str:
    """Bars across time, of which each is a stack.

    :param rows: when, of what, how much.
    :param times: the axis, with those of which there is nothing.
    :param unit: of the numbers.
    :param name: that no other chart of the page has.
    """
    amounts = {(time, of): amount for time, of, amount in rows}
    series = list(dict.fromkeys(row[1] for row in rows))

    def draw(axes: Axes) -> None:
        bottoms, bars = [0.0] * len(times), []
        for number, of in enumerate(series):
            heights = [amounts.get((label, of)) or 0 for label in times]
            colour = _DRAWN[_OF_STATUS.get(of, f"series-{number}")]
            bars.append(axes.bar(range(len(times)), heights, 0.8, bottoms, color=colour))
            bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
        _across(axes, times)
        axes.set_ylabel(unit)
        axes.legend(bars, list(map(_short, series)), loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)

    return _svg(draw, 2.9, name)


def spread(rows: Rows, times: Sequence[str], unit: str, name: str) -> str:
    """For each row a line from the first number to the last, with a dot for each.

    :param rows: a name, and three numbers that rise, which ``POINTS`` names.
    """

    def draw(axes: Axes) -> None:
        for place, (_, *points) in enumerate(rows):
            axes.plot([points[0], points[-1]], [place, place], color=_DRAWN["faint"], linewidth=2, zorder=1)
        for number, label in enumerate(POINTS):
            values = [row[number + 1] for row in rows]
            axes.scatter(
                values, range(len(rows)), s=34, color=_DRAWN[f"series-{number}"], label=label, zorder=2
            )
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)
        axes.set_yticks(range(len(rows)), [_short(row[0]) for row in rows])
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel(unit)
        axes.margins(y=0.2)

    return _svg(draw, 0.9 + 0.34 * len(rows), name)


def heat(rows: Rows, times: Sequence[str], unit: str, name: str) -> str:
    """A cell for each name and time, the stronger the larger its share.

    :param rows: when, of what, and a share of 0 to 1 or None.
    """
    names, times = list(dict.fromkeys(row[1] for row in rows)), list(times)
    has_room = len(times) <= 16

    def draw(axes: Axes) -> None:
        for across, of, share in rows:
            if share is None:
                continue
            x, y = times.index(across), names.index(of)
            # Never so strong that the number on it cannot be read.
            axes.add_patch(
                Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, color=_DRAWN["heat"], alpha=0.06 + 0.74 * share)
            )
            if has_room:
                axes.text(x, y, f"{share:.0%}", ha="center", va="center", fontsize=8)
        axes.set_xlim(-0.5, len(times) - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), list(map(_short, names)))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        _across(axes, times)

    return _svg(draw, 0.9 + 0.32 * len(names), name)


def _across(axes: Axes, labels: Sequence[str]) -> None:
    """As many labels as there is room for."""
    step = -(-len(labels) // 12)
    places = range(0, len(labels), step)
    axes.set_xticks(
        places, [labels[place] for place in places], rotation=35, ha="right", rotation_mode="anchor"
    )


def _svg(draw: Callable[[Axes], None], height: float, name: str) -> str:
    # The salt keeps the names within one chart apart from those of the others.
    settings: Any = _SETTINGS | {"svg.hashsalt": name}
    with mpl.rc_context(settings), warnings.catch_warnings():
        # The fonts of the reader draw what Matplotlib's own has no glyph for.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure((_WIDTH, height), layout="constrained")
        draw(figure.subplots())
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _inline(file.getvalue())


def _inline(text: str) -> str:
    """An SVG as a part of a page: no prologue, metadata and style, and no names that others have, too."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", text, flags=re.DOTALL)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", text))

    def tidy(tag: re.Match[str]) -> str:
        found = re.sub(r' id="([^"]+)"', lambda name: name[0] if name[1] in used else "", tag[0])
        found = re.sub(r"#01[0-9a-f]{4}\b", lambda colour: _COLOURS.get(colour[0], colour[0]), found)
        found = re.sub(r" font-family: [^;\"]*;", "", found)
        return re.sub(r"(\d\.\d\d)\d+", r"\1", found)

    return re.sub(r">\s+<", "><", re.sub(r"<[^>]+>", tidy, text)).strip()


def _short(name: object) -> str:
    text = str(name) or "none"
    return text if len(text) <= MAX_LABEL_LENGTH else f"{text[: MAX_LABEL_LENGTH - 1]}…"


DRAW: dict[str, Callable[[Rows, Sequence[str], str, str], str]] = {
    "stack": stack,
    "range": spread,
    "heat": heat,
}
