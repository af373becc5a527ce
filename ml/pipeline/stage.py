"""Runs a stage that belongs to a model, and reports its progress: `python -m ml.pipeline.stage train recommender`."""

import argparse
from importlib import import_module

from ml.pipeline import progress
from ml.pipeline.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ml.pipeline.stage", description=__doc__)
    parser.add_argument("stage", choices=("train", "evaluate"))
    parser.add_argument("model", choices=("recommender", "forecaster"))
    arguments = parser.parse_args()
    report = progress.reporter(f"{arguments.stage}_{arguments.model}", Settings())
    import_module(f"ml.{arguments.model}.{arguments.stage}").run_stage(report)


if __name__ == "__main__":
    main()
