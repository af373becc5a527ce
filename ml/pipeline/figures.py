"""The plots of `dvc.yaml`, drawn as figures for MLflow."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from ruamel.yaml import YAML

# The prefix of the names of DVC's bar templates.
BARS = "bar_horizontal"
# In inches.
WIDTH, HEIGHT, BAR_HEIGHT = 9.0, 5.0, 0.2


class PlotFigure(NamedTuple):
    """A drawn plot."""

    name: str
    figure: Figure


def draw_plots(folder: Path, model: str) -> Iterator[PlotFigure]:
    """Draws the plots of a model, from the tables that its evaluation has left in a folder."""
    content = YAML(typ="safe", pure=True).load(folder / "dvc.yaml")
    for plot in content["plots"]:
        [(title, options)] = plot.items()
        for file, columns in options["y"].items():
            # With little data not every part of a model is fitted, and its table is missing.
            if Path(file).parent.name == model and (folder / file).exists():
                yield PlotFigure(Path(file).stem, _draw(title, options, pyarrow.csv.read_csv(folder / file), columns))


def _draw(title: str, options: Mapping[str, Any], table: pa.Table, columns: str | list[str]) -> Figure:
    bars = options.get("template", "").startswith(BARS)
    height = max(HEIGHT, BAR_HEIGHT * table.num_rows) if bars else HEIGHT
    figure = Figure((WIDTH, height), layout="constrained")
    axes: Axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(options.get("x_label", options["x"]))
    axes.set_ylabel(options.get("y_label", ""))
    x = table[options["x"]].to_numpy()
    if bars:
        axes.barh([str(label) for label in table[columns].to_pylist()], x)
        axes.invert_yaxis()
    else:
        for column in columns:
            axes.plot(x, table[column].to_numpy(), label=column.replace("_", " "))
        axes.legend()
    return figure
