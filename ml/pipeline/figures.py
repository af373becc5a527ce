"""The plots that `dvc.yaml` describes for DVC, as pictures, which MLflow shows."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from ruamel.yaml import YAML

# How the names of DVC's templates of bars begin.
BARS = "bar_horizontal"
WIDTH, HEIGHT, BAR_HEIGHT = 9.0, 5.0, 0.2


class Picture(NamedTuple):
    """A plot, drawn."""

    name: str
    figure: Figure


def pictures(folder: Path, model: str) -> Iterator[Picture]:
    """The plots of a model, in a folder where it was evaluated."""
    content = YAML(typ="safe", pure=True).load(folder / "dvc.yaml")
    for plot in content["plots"]:
        [(title, how)] = plot.items()
        for file, columns in how["y"].items():
            # There may be less to plot: with little data not every part of a model is fitted.
            if Path(file).parent.name == model and (folder / file).exists():
                yield Picture(Path(file).stem, _drawn(title, how, pyarrow.csv.read_csv(folder / file), columns))


def _drawn(title: str, how: Mapping[str, Any], table: pa.Table, columns: str | list[str]) -> Figure:
    bars = how.get("template", "").startswith(BARS)
    # In inches.
    height = max(HEIGHT, BAR_HEIGHT * table.num_rows) if bars else HEIGHT
    figure = Figure((WIDTH, height), layout="constrained")
    axes: Axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(how.get("x_label", how["x"]))
    axes.set_ylabel(how.get("y_label", ""))
    x = table[how["x"]].to_numpy()
    if bars:
        axes.barh([str(label) for label in table[columns].to_pylist()], x)
        axes.invert_yaxis()
    else:
        for column in columns:
            axes.plot(x, table[column].to_numpy(), label=column.replace("_", " "))
        axes.legend()
    return figure
