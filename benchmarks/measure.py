"""Servers under load: each alone for a moment, in turns, so that what disturbs the machine disturbs all of them."""

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
    """A server and the paths that it is asked for. `parts` are the ids of the processes that an answer costs, by what they are."""

    address: str
    paths: Sequence[str]
    parts: Mapping[str, int]
    # Of whoever asks; empty for anybody.
    token: str = ""


class Sample(NamedTuple):
    """What one round of load showed. `cpu_us` is per request, for each part."""

    cpu_us: dict[str, float]
    per_second: float
    p50_ms: float
    p99_ms: float


class Load:
    """What asks: a program that runs on one core."""

    def __init__(self, program: Path, core: int) -> None:
        self._command = ["taskset", "--cpu-list", str(core), str(program), f"-connections={CONNECTIONS}"]

    def compare(self, contenders: Mapping[str, Contender]) -> dict[str, list[Sample]]:
        """The samples of each, of the same rounds."""
        for contender in contenders.values():
            self._ask(contender, WARM_UP_SECONDS)
        samples: dict[str, list[Sample]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, contender in contenders.items():
                samples[name].append(self._sample(contender, ROUND_SECONDS))
        return samples

    def steady(self, contender: Contender, per_second: float, seconds: float) -> Sample:
        """A sample of a server that is asked so many times a second, whether it keeps up or not."""
        self._ask(contender, WARM_UP_SECONDS, per_second)
        return self._sample(contender, seconds, per_second)

    def _sample(self, contender: Contender, seconds: float, per_second: float = 0) -> Sample:
        before = {part: cpu_seconds(pid) for part, pid in contender.parts.items()}
        answer = self._ask(contender, seconds, per_second)
        used = {part: cpu_seconds(pid) - before[part] for part, pid in contender.parts.items()}
        cpu_us = {part: seconds / answer["requests"] * 1e6 for part, seconds in used.items()}
        return Sample(cpu_us, answer["per_second"], answer["p50_ms"], answer["p99_ms"])

    def _ask(self, contender: Contender, seconds: float, per_second: float = 0) -> dict[str, float]:
        command = [*self._command, f"-address={contender.address}", f"-duration={seconds}s", f"-rate={per_second}", *contender.paths]
        environment = os.environ | {"TOKEN": contender.token}
        answer: dict[str, float] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout)
        return answer


def typical(samples: Sequence[Sample]) -> Sample:
    """The median of each figure."""
    return Sample(
        {part: statistics.median(sample.cpu_us[part] for sample in samples) for part in samples[0].cpu_us},
        statistics.median(sample.per_second for sample in samples),
        statistics.median(sample.p50_ms for sample in samples),
        statistics.median(sample.p99_ms for sample in samples),
    )


def cpu_ratio(samples: Sequence[Sample], others: Sequence[Sample]) -> float:
    """How many times the CPU of the others, as the median over rounds."""
    return statistics.median(sum(one.cpu_us.values()) / sum(two.cpu_us.values()) for one, two in zip(samples, others, strict=True))


def throughput_ratio(samples: Sequence[Sample], others: Sequence[Sample]) -> float:
    """How many times the throughput of the others, as the median over rounds."""
    return statistics.median(one.per_second / two.per_second for one, two in zip(samples, others, strict=True))


def answer(address: str, path: str) -> Any:
    """What a server answers to one request."""
    connection = HTTPConnection(address, timeout=30)
    connection.request("GET", path)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"GET {path} answered {response.status}: {content!r}")
    return json.loads(content)
