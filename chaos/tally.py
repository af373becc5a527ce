"""What the run has found, from the journal and from what the stack has afterwards."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from chaos.journal import FailedRead, Journal, Window

# A read that began this long after a fault is no longer excused by it: connections return within this time.
AFTERMATH_SECONDS = 3.0


@dataclass(frozen=True)
class Remains:
    """What the stack has after the run."""

    prices: Mapping[str, Sequence[int]]
    """The prices of all products of the run, by name."""
    missing_events: Sequence[str]
    """Acknowledged events that were not recorded."""
    missing_accounts: Sequence[str]
    """Acknowledged accounts that cannot sign in."""
    job_ids: Sequence[str]
    """Of all jobs."""
    successes: Mapping[str, int]
    """How many applications have succeeded for each job."""


@dataclass(frozen=True)
class Tally:
    """Errors by kind; all empty if the stack has held."""

    lost_writes: list[str] = field(default_factory=list)
    doubled_writes: list[str] = field(default_factory=list)
    wrong_answers: list[str] = field(default_factory=list)
    doubled_jobs: list[str] = field(default_factory=list)
    failed_reads: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not any(vars(self).values())


def tally(journal: Journal, windows: Sequence[Window], remains: Remains) -> Tally:
    return Tally(
        lost_writes=[
            *_lost_products(journal, remains),
            *_named("event", remains.missing_events),
            *_named("account", remains.missing_accounts),
        ],
        doubled_writes=[f"{name} exists {len(prices)} times" for name, prices in remains.prices.items() if len(prices) > 1],
        wrong_answers=list(journal.wrong),
        doubled_jobs=_doubled_jobs(journal, remains),
        failed_reads=[_describe(read, windows) for read in journal.failed_reads if not is_excused(read, windows)],
    )


def is_excused(read: FailedRead, windows: Iterable[Window]) -> bool:
    """Whether a fault that takes away something that has no replica overlaps with the read, and explains its reason."""
    return any(
        read.reason in window.excused and read.ended >= window.began and read.began <= window.ended + AFTERMATH_SECONDS
        for window in windows
    )


def _lost_products(journal: Journal, remains: Remains) -> list[str]:
    lost = []
    for name, product in journal.products.items():
        prices = remains.prices.get(name, ())
        if product.id and not prices:
            lost.append(f"product {name} was created and is missing")
        # A write that was never acknowledged may have been done or not.
        elif any(not product.confirmed <= price <= product.attempted for price in prices):
            lost.append(f"product {name} has price {prices[0]}, and {product.confirmed} was acknowledged")
    return lost


def _doubled_jobs(journal: Journal, remains: Remains) -> list[str]:
    several = [f"{request} became the jobs {', '.join(sorted(ids))}" for request, ids in journal.jobs.items() if len(ids) > 1]
    known = {id for ids in journal.jobs.values() for id in ids}
    # A submission that was never acknowledged may have become a job.
    silent = sum(not ids for ids in journal.jobs.values())
    unknown = [id for id in remains.job_ids if id not in known]
    strange = [f"nobody has submitted the jobs {', '.join(unknown)}"] if len(unknown) > silent else []
    done = [f"job {id} was done {count} times" for id, count in remains.successes.items() if count > 1]
    return [*several, *strange, *done]


def _named(kind: str, names: Iterable[str]) -> list[str]:
    return [f"{kind} {name} was acknowledged and is missing" for name in names]


def _describe(read: FailedRead, windows: Iterable[Window]) -> str:
    latest = max((window for window in windows if window.began <= read.ended), key=lambda window: window.began, default=None)
    cause = f", {read.ended - latest.began:.0f} s after the beginning of {latest.fault}" if latest else ""
    return f"{read.kind} failed after {read.ended - read.began:.1f} s: {read.reason}{cause}"


def render(found: Tally, journal: Journal, recoveries: Mapping[str, Sequence[float]], excused: int) -> str:
    """The tally as a text, worst errors first."""
    lines = ["", "calls: " + ", ".join(f"{count} {kind}" for kind, count in sorted(journal.calls.items()))]
    if journal.retries:
        lines.append("repeated writes: " + ", ".join(f"{count} {what}" for what, count in sorted(journal.retries.items())))
    lines += [f"{name:18}{_longest(times)}" for name, times in sorted(recoveries.items())]
    for name, errors in vars(found).items():
        lines.append(f"{name.replace('_', ' '):18}{len(errors)}")
        lines += [f"    {text}{f' ({count} times)' if count > 1 else ''}" for text, count in Counter(errors).most_common(10)]
    return "\n".join([*lines, f"{'excused reads':18}{excused}  failed while something without a replica was away"])


def _longest(times: Sequence[float]) -> str:
    return f"ready {max(times):.1f} s after kill -9" + (f" (the longest of {len(times)})" if len(times) > 1 else "")
