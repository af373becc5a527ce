"""Runs all benchmarks, prints the results, and writes every sample to `.local/bench/`: `make bench`."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from benchmarks import answering, end_to_end, etl, gateways, learning, programs, strangers
from benchmarks.measure import Sample, cpu_ratio, throughput_ratio, typical

RESULTS = programs.ROOT / ".local" / "bench"


@dataclass(frozen=True)
class Comparison:
    """The samples of several contenders."""

    title: str
    baseline: str
    """The contender that the others are compared with."""
    ratio: Callable[[Sequence[Sample], Sequence[Sample]], float]
    """The ratio of a contender to the baseline."""
    samples: Mapping[str, Mapping[str, Sequence[Sample]]]
    """By kind of request and contender."""


def main() -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("The benchmarks need two cores: one for the measured program, one for its backends and the load generator.")
    began = datetime.now(UTC)
    machine = f"{_processor()}, {len(cores)} cores, commit {_commit()}, {began:%Y-%m-%d %H:%M} UTC"
    print(machine, flush=True)
    built, (core, other_core) = programs.build(), cores[:2]
    comparisons = [
        Comparison(
            "REST gateways in front of an in-memory backend, each alone on a core; ratio: CPU per request",
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
        _show(comparison)
    waits = strangers.compare(built, core, other_core)
    strangers.show(waits)
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
    file.write_text(json.dumps(_with_names({"machine": machine, **requests, strangers.TITLE: waits, etl.TITLE: cleanings, **models})))
    print(f"\nsamples: {file}")


def _show(comparison: Comparison) -> None:
    print(f"\n{comparison.title}\n")
    print(f"{'':14}{'':28}{'CPU us':>8}{'ratio':>8}{'per second':>12}{'p50 ms':>8}{'p99 ms':>8}")
    for kind, samples in comparison.samples.items():
        for name, own in samples.items():
            sample = typical(own)
            ratio = comparison.ratio(own, samples[comparison.baseline])
            figures = f"{sum(sample.cpu_us.values()):8.0f}{ratio:8.2f}{sample.per_second:12.0f}{sample.p50_ms:8.1f}{sample.p99_ms:8.1f}"
            parts = ", ".join(f"{part} {cpu:.0f}" for part, cpu in sample.cpu_us.items()) if len(sample.cpu_us) > 1 else ""
            print(f"{kind:14}{name:28}{figures}  {parts}", flush=True)


def _with_names(found: object) -> object:
    """Converts named tuples to dicts, as JSON would make lists of them."""
    if isinstance(found, Mapping):
        return {name: _with_names(each) for name, each in found.items()}
    if isinstance(found, list):
        return [_with_names(each) for each in found]
    return found._asdict() if isinstance(found, (Sample, etl.EtlSample, learning.TrainingResult)) else found


def _processor() -> str:
    with open("/proc/cpuinfo") as lines:  # noqa: PTH123 (a pseudo file of the kernel)
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor")


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=programs.ROOT).stdout.strip()


if __name__ == "__main__":
    main()
