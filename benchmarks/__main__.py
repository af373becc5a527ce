"""Measures HashiraMart: `make bench`. What came out is printed, and kept in `.local/bench/`."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from benchmarks import answering, end_to_end, etl, gateways, learning, programs
from benchmarks.measure import Sample, cpu_ratio, throughput_ratio, typical

RESULTS = programs.ROOT / ".local" / "bench"


@dataclass(frozen=True)
class Comparison:
    """The samples of each contender, for each kind of request. `ratio` says how many times the yardstick one of them is."""

    title: str
    yardstick: str
    ratio: Callable[[Sequence[Sample], Sequence[Sample]], float]
    samples: Mapping[str, Mapping[str, Sequence[Sample]]]


def main() -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("a benchmark needs two cores: one for what is measured, one for what it stands on and what asks")
    began = datetime.now(UTC)
    machine = f"{processor()}, {len(cores)} cores, commit {commit()}, {began:%Y-%m-%d %H:%M} UTC"
    print(machine, flush=True)
    built, (core, other_core) = programs.built(), cores[:2]
    comparisons = [
        Comparison(
            "REST before a backend in memory, the gateway alone on a core; ratio: CPU a request",
            "Go grpc-gateway",
            cpu_ratio,
            gateways.compare(built, core, other_core),
        ),
        Comparison(
            "REST to PostgreSQL and back, all Python on one core; ratio: throughput",
            "monolith",
            throughput_ratio,
            end_to_end.compare(built, core, other_core),
        ),
    ]
    for comparison in comparisons:
        show(comparison)
    cleanings = etl.compare()
    etl.show(cleanings)
    with answering.running() as demo:
        answers = answering.compare(demo, built, core, other_core)
        answering.show(answers)
        learnt = learning.compare(demo.clean)
        learning.show(learnt)
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / f"{began:%Y%m%dT%H%M%SZ}.json"
    requests = {comparison.title: comparison.samples for comparison in comparisons}
    models = {answering.TITLE: asdict(answers), learning.TITLE: learnt}
    file.write_text(json.dumps(named({"machine": machine, **requests, etl.TITLE: cleanings, **models})))
    print(f"\nevery sample: {file}")


def show(comparison: Comparison) -> None:
    print(f"\n{comparison.title}\n")
    print(f"{'':14}{'':28}{'CPU us':>8}{'ratio':>8}{'a second':>10}{'p50 ms':>8}{'p99 ms':>8}")
    for kind, samples in comparison.samples.items():
        for name, own in samples.items():
            sample = typical(own)
            ratio = comparison.ratio(own, samples[comparison.yardstick])
            figures = f"{sum(sample.cpu_us.values()):8.0f}{ratio:8.2f}{sample.per_second:10.0f}{sample.p50_ms:8.1f}{sample.p99_ms:8.1f}"
            parts = ", ".join(f"{part} {cpu:.0f}" for part, cpu in sample.cpu_us.items()) if len(sample.cpu_us) > 1 else ""
            print(f"{kind:14}{name:28}{figures}  {parts}", flush=True)


def named(found: object) -> object:
    """The same with samples as objects: JSON alone would take a named tuple for a list."""
    if isinstance(found, Mapping):
        return {name: named(each) for name, each in found.items()}
    if isinstance(found, list):
        return [named(each) for each in found]
    return found._asdict() if isinstance(found, (Sample, etl.EtlSample, learning.TrainingResult)) else found


def processor() -> str:
    with open("/proc/cpuinfo") as lines:  # noqa: PTH123 - a file of the kernel's
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "a processor without a name")


def commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=programs.ROOT).stdout.strip()


if __name__ == "__main__":
    main()
