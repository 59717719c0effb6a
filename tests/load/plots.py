"""Draws the reports of open loops (`deploy/bench latency --rate N --webhooks N --json FILE`).

One plot shows the cost of a delivery by the number of webhooks, at the rate of most reports. The other shows its
latency by the load, at the number of webhooks of most reports.

    tests/load/plots.py REPORT.json... [--to DIR]

Needs matplotlib (deploy/check/requirements.txt).
"""

import argparse
import json
import statistics
from collections import Counter, defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

PARTS = ("broker", "postgres", "deliverer", "router", "load", "api")


def medians(reports, key):
    """Groups the open loops of the reports by `key` of the settings; the result maps a measure `of` to its medians."""
    found = defaultdict(list)
    for report in reports:
        found[report["settings"][key]] += [one for one in report["measured"] if one["name"] == "latency"]
    return lambda of: {at: statistics.median(of(one) for one in ones) for at, ones in sorted(found.items()) if ones}


def usual(reports, key):
    return Counter(report["settings"][key] for report in reports).most_common(1)[0][0]


def cost(reports, path):
    rate = usual([report for report in reports if report["settings"]["webhooks"] > 10] or reports, "rate")
    by_webhooks = medians([report for report in reports if report["settings"]["rate"] == rate], "webhooks")
    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    parts = [by_webhooks(lambda one, part=part: one["cpu_s_per_1000"].get(part, 0)) for part in PARTS]
    axes.stackplot(list(parts[0]), *(list(part.values()) for part in parts), labels=PARTS)
    axes.set(xscale="log", xlabel="webhooks", ylabel="s of processor for 1,000 deliveries", ylim=(0, None))
    axes.set_title(f"Cost at {rate} events a second", fontsize=10)
    axes.legend(fontsize=7, loc="lower right")
    figure.savefig(path)


def latency(reports, path):
    webhooks = usual(reports, "webhooks")
    by_rate = medians([report for report in reports if report["settings"]["webhooks"] == webhooks], "rate")
    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    for name in ("p50_ms", "p99_ms"):
        shown = by_rate(lambda one, name=name: one["latency"][name])
        axes.plot(list(shown), list(shown.values()), marker="o", label=name.removesuffix("_ms"))
    axes.set(xlabel="events a second", ylabel="ms from publish to arrival", yscale="log")
    axes.set_title(f"Latency with {webhooks} webhooks", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description="Draws what open loops cost and how long they take.")
    parser.add_argument("reports", nargs="+", type=Path)
    parser.add_argument("--to", type=Path, default=Path("."))
    asked = parser.parse_args()
    reports = [json.loads(path.read_text()) for path in asked.reports]
    cost(reports, asked.to / "cost.svg")
    latency(reports, asked.to / "latency.svg")


if __name__ == "__main__":
    main()
