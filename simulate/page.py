"""The report of a simulation as one page of HTML, for light and dark screens, that loads nothing."""

from datetime import UTC, datetime
from html import escape

from simulate.charts import Bar, Range, bar_chart, range_chart, week_chart
from stack.demo.client import Json

_STYLE = """
:root { color-scheme: light dark; --text: #1c2430; --muted: #5b6675; --ground: #fff; --panel: #f4f6f9; --own: #1f6feb; --base: #9aa5b4;
  --truth: #c2410c; --new: #15803d }
@media (prefers-color-scheme: dark) { :root { --text: #e6eaf0; --muted: #9aa5b4; --ground: #12161c; --panel: #1b212a; --own: #6aa5ff;
  --base: #6b7686; --truth: #fb923c; --new: #4ade80 } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--ground) }
body { max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
section { background: var(--panel); border-radius: 10px; padding: 1rem 1.25rem; margin: 1.25rem 0 }
h2 { margin: 0 0 .25rem; font-size: 1.15rem } p { margin: .4rem 0 } .muted { color: var(--muted) }
svg { display: block; width: 100%; height: auto; font-size: 13px } svg text { fill: var(--text) }
.base { fill: var(--base); stroke: var(--base) } .own { fill: var(--own); stroke: var(--own) } .new { fill: var(--new); stroke: var(--new) }
.axis { stroke: var(--muted) } .interval { stroke: var(--own); stroke-width: 3 } .estimate { fill: var(--own) }
.truth { stroke: var(--truth); stroke-width: 3 } .line { fill: none; stroke: var(--truth); stroke-width: 2 }
.level { stroke-dasharray: 5 4 } .mark { stroke: var(--new); stroke-width: 2; stroke-dasharray: 2 4 }
table { border-collapse: collapse; width: 100% }
td, th { padding: .3rem .5rem; text-align: right } td:first-child, th:first-child { text-align: left }
"""
_VERDICTS = {
    "treatment_better": "the treatment is better",
    "treatment_worse": "the treatment is worse",
    "undecided": "not decided",
}


def write_page(report: Json) -> str:
    """The page of a report."""
    sections = [_retraining(report)] if "retraining" in report else []
    sections += [_weeks(report), _experiment(report["experiment"]), _estimates(report)]
    body = "".join(f"<section>{section}</section>" for section in sections)
    size = f"{report['shoppers']:,} shoppers with hidden tastes, {len(report['weeks'])} weeks"
    subtitle = f"{size}, {report['products']:,} products, seed {report['seed']}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Simulation of the closed loop</title><style>{_STYLE}</style></head><body><h1>Simulation of the closed loop</h1>"
        f'<p class="muted">{escape(subtitle)}. {_time(report["create_time"])}. Amounts are hundredths of {escape(report["currency"])} '
        "a visit; what shoppers like is known here, so that each figure stands beside the truth.</p>"
        f"{body}</body></html>\n"
    )


def _retraining(report: Json) -> str:
    retraining = report["retraining"]
    before, after = retraining["before"], retraining["after"]
    bars = [
        Bar("random products", report["baselines"]["random"], "base"),
        Bar("popular, before", before["popular"], "base"),
        Bar("popular, after", after["popular"], "base"),
        Bar(f"model {retraining['version_before']}, before", before["personal"], "own"),
        Bar(f"model {retraining['version_after']}, retrained", after["personal"], "new"),
    ]
    change = after["personal"] / before["personal"] - 1 if before["personal"] else 0
    return (
        "<h2>Retraining on what the loop has recorded</h2>"
        f"<p>The retrained model earns {change:+.1%} a visit, for the same shoppers at the same moment.</p>"
        + bar_chart("Revenue of a visit, by how the list is made", bars, "")
        + f'<p class="muted">With all tastes known, the best lists would earn {report["baselines"]["best"]:,.0f}.</p>'
    )


def _weeks(report: Json) -> str:
    weeks = report["weeks"]
    marked = next((week["week"] for week in weeks if week["phase"] == "after"), None) if "retraining" in report else None
    levels = [Bar("random", report["baselines"]["random"], "base")]
    spent, expected = ([week[name] for week in weeks] for name in ("revenue_cents_per_visit", "true_revenue_cents_per_visit"))
    chart = week_chart("Revenue of a visit, by week", spent, expected, levels, marked)
    mark = " The dotted line is the retraining." if marked else ""
    return f"<h2>Week by week</h2><p>Points: what was spent. Line: what the same lists earn in the mean of chance.{mark}</p>{chart}"


def _experiment(experiment: Json) -> str:
    lift, truth = experiment["lift"], experiment["true_lift"]
    rows = "".join(
        f"<tr><td>{escape(experiment[arm])}, {arm}</td><td>{experiment['shoppers'][arm]:,}</td>"
        f"<td>{experiment['revenue_cents_per_visit'][arm]:,.0f}</td><td>{experiment['true_revenue_cents_per_visit'][arm]:,.0f}</td></tr>"
        for arm in ("control", "treatment")
    )
    chart = ""
    if lift["value"] is not None:
        chart = range_chart(
            "The lift and the true lift", [Range("lift in revenue", lift["value"], lift["lower"], lift["upper"], truth)], "+.1%"
        )
    return (
        f"<h2>The experiment: {_VERDICTS[experiment['verdict']]}</h2>"
        f"<p>{_lift(lift)} In truth, the treatment earns {truth:+.1%}.</p>{chart}"
        f"<table><tr><th>arm</th><th>shoppers</th><th>reported a visit</th><th>in truth</th></tr>{rows}</table>"
    )


def _lift(lift: Json) -> str:
    if lift["value"] is None:
        return "The report has no interval: too little was spent."
    return f"The report says {lift['value']:+.1%}, between {lift['lower']:+.1%} and {lift['upper']:+.1%}."


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%-d %B %Y, %H:%M} UTC"


def _estimates(report: Json) -> str:
    ranges = [
        Range(f"{each['policy']}, {name}", each[key]["value"], each[key]["lower"], each[key]["upper"], each["truth"])
        for each in report["estimates"]
        for name, key in (("SNIPS", "self_normalised"), ("DR", "doubly_robust"))
    ]
    return (
        "<h2>Estimates from the exposure log</h2>"
        "<p>What lists would earn that nobody was shown. Points with intervals of 95 %: estimates; without one, there are too few lists. "
        "Strokes: the truth.</p>" + range_chart("Off-policy estimates and the truth", ranges, ",.0f")
    )
