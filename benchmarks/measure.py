"""Measures servers under load, in turns of a few seconds, so that disturbances of the machine affect all of them."""

import json
import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.servers import cpu_seconds

CONNECTIONS = 16
ROUNDS = 7
ROUND_SECONDS = 2.0
WARM_UP_SECONDS = 2.0


class Contender(NamedTuple):
    """A server under load."""

    address: str
    paths: Sequence[str]
    parts: Mapping[str, int]
    """The process ids of its parts, by name."""
    token: str = ""
    """The access token of the requests, or empty."""


class Sample(NamedTuple):
    """The measurements of one round."""

    cpu_us: dict[str, float]
    """CPU time per request, by part."""
    per_second: float
    p50_ms: float
    p99_ms: float


class Load:
    """The load generator, which runs on one core."""

    def __init__(self, program: Path, core: int) -> None:
        self._command = ["taskset", "--cpu-list", str(core), str(program), f"-connections={CONNECTIONS}"]

    def compare(self, contenders: Mapping[str, Contender]) -> dict[str, list[Sample]]:
        """The samples of each contender from the same rounds."""
        for contender in contenders.values():
            self._run(contender, WARM_UP_SECONDS)
        samples: dict[str, list[Sample]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, contender in contenders.items():
                samples[name].append(self._sample(contender, ROUND_SECONDS))
        return samples

    def steady(self, contender: Contender, per_second: float, seconds: float) -> Sample:
        """A sample at a constant rate of requests, whether the server keeps up or not."""
        self._run(contender, WARM_UP_SECONDS, per_second)
        return self._sample(contender, seconds, per_second)

    def _sample(self, contender: Contender, seconds: float, per_second: float = 0) -> Sample:
        before = {part: cpu_seconds(pid) for part, pid in contender.parts.items()}
        result = self._run(contender, seconds, per_second)
        used = {part: cpu_seconds(pid) - before[part] for part, pid in contender.parts.items()}
        cpu_us = {part: seconds / result["requests"] * 1e6 for part, seconds in used.items()}
        return Sample(cpu_us, result["per_second"], result["p50_ms"], result["p99_ms"])

    def _run(self, contender: Contender, seconds: float, per_second: float = 0) -> dict[str, float]:
        command = [*self._command, f"-address={contender.address}", f"-duration={seconds}s", f"-rate={per_second}", *contender.paths]
        environment = os.environ | {"TOKEN": contender.token}
        result: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout)
        return result


def typical(samples: Sequence[Sample]) -> Sample:
    """The median of each figure."""
    return Sample(
        {part: statistics.median(sample.cpu_us[part] for sample in samples) for part in samples[0].cpu_us},
        statistics.median(sample.per_second for sample in samples),
        statistics.median(sample.p50_ms for sample in samples),
        statistics.median(sample.p99_ms for sample in samples),
    )


def cpu_ratio(samples: Sequence[Sample], others: Sequence[Sample]) -> float:
    """The ratio of CPU times per request, as the median over rounds."""
    return statistics.median(sum(one.cpu_us.values()) / sum(two.cpu_us.values()) for one, two in zip(samples, others, strict=True))


def throughput_ratio(samples: Sequence[Sample], others: Sequence[Sample]) -> float:
    """The ratio of throughputs, as the median over rounds."""
    return statistics.median(one.per_second / two.per_second for one, two in zip(samples, others, strict=True))


def get(address: str, path: str) -> Any:
    """The JSON that a server returns for a path."""
    connection = HTTPConnection(address, timeout=30)
    connection.request("GET", path)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"GET {path} failed with {response.status}: {content!r}")
    return json.loads(content)
