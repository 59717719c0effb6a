"""Runs the queries of every panel of the boards against a Prometheus, and names the queries without a result:

    deploy/check/boards_live.py http://127.0.0.1:9090 [--interval 2m] [--pictures DIR]

With --pictures it also draws each board as a PNG, from the start of Prometheus on (an hour at most). No package registry has
Grafana, so Grafana does not draw these pictures; layout, queries, legends and units are the boards' own.
"""

import argparse
import json
import re
import sys
import time
import urllib.parse
import urllib.request
from datetime import datetime
from pathlib import Path

BOARDS = Path(__file__).resolve().parents[1] / "grafana"
MOST_SECONDS = 3600
POINTS = 240
# A board's grid has 24 columns; this is the size of one cell, in inches.
COLUMNS, CELL = 24, (0.62, 0.34)


class Prometheus:
    def __init__(self, url, interval):
        self.url, self.interval = url.rstrip("/"), interval

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=30) as answer:
            return json.load(answer)["data"]

    def expression(self, target):
        # Grafana chooses the interval by the visible time and the scrape interval.
        return target["expr"].replace("$__rate_interval", self.interval)

    def shows_data(self, target):
        samples = self.get("query", query=self.expression(target))["result"]
        return any(sample["value"][1] != "NaN" for sample in samples)

    def series(self, target, start, end):
        """Returns the result of a range query: for each legend, the times and the values."""
        step = max((end - start) / POINTS, 1)
        found = self.get("query_range", query=self.expression(target), start=start, end=end, step=step)
        for series in found["result"]:
            points = [(datetime.fromtimestamp(at), float(number)) for at, number in series["values"]]
            points = [(at, number) for at, number in points if number == number]
            if points:
                yield legend(target, series["metric"]), *zip(*points)

    def started(self):
        started = self.get("status/runtimeinfo")["startTime"]
        return datetime.fromisoformat(re.sub(r"\.\d+", "", started).replace("Z", "+00:00")).timestamp()


def legend(target, labels):
    return re.sub(r"{{\s*(\w+)\s*}}", lambda name: labels.get(name[1], ""), target["legendFormat"])


def number_text(number, unit):
    if unit == "s":
        small = next(((scale, name) for scale, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")) if number >= scale), (1, "s"))
        return f"{number / small[0]:.3g} {small[1]}"
    return f"{number:,.4g}{ {'reqps': ' /s', 'ops': ' /s'}.get(unit, '')}"


def draw(prometheus, board, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import dates, pyplot, ticker

    pyplot.style.use("dark_background")
    end = time.time()
    start = max(prometheus.started(), end - MOST_SECONDS)
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    figure = pyplot.figure(figsize=(COLUMNS * CELL[0], (rows + 1) * CELL[1]))
    grid = figure.add_gridspec(rows, COLUMNS, left=0.03, right=0.995, bottom=0.02, top=0.965, wspace=0, hspace=0)
    figure.suptitle(board["title"], x=0.005, y=0.995, ha="left", fontsize=13)
    for panel in board["panels"]:
        at = panel["gridPos"]
        unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "short")
        # Leaves room for titles and scales inside the panel's own cells.
        cells = grid[at["y"] : at["y"] + at["h"], at["x"] : at["x"] + at["w"]].get_position(figure)
        inner = [cells.x0 + 0.018, cells.y0 + 0.28 / rows, cells.width - 0.028, cells.height - 1.6 / rows]
        if panel["type"] == "row":
            figure.text(0.005, (cells.y0 + cells.y1) / 2, panel["title"], fontsize=11, weight="bold", va="center")
            continue
        figure.text(cells.x0 + 0.004, cells.y1 - 0.9 / rows, panel["title"], fontsize=9, va="center", color="#ccccdc")
        shown = [one for target in panel["targets"] for one in prometheus.series(target, start, end)]
        axes = figure.add_axes(inner)
        if panel["type"] == "stat":
            axes.axis("off")
            texts = [(f"{name}: " if len(shown) > 1 else "") + number_text(numbers[-1], unit) for name, _, numbers in shown]
            size = 20 if len(texts) == 1 else 12
            axes.text(0.5, 0.5, "\n".join(texts), ha="center", va="center", fontsize=size, color="#73bf69")
            continue
        for name, times, numbers in shown:
            axes.plot(times, numbers, linewidth=1.2, label=name)
        axes.set_xlim(datetime.fromtimestamp(start), datetime.fromtimestamp(end))
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
        axes.xaxis.set_major_locator(ticker.MaxNLocator(5))
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda number, _, unit=unit: number_text(number, unit)))
        axes.tick_params(labelsize=6, length=2)
        axes.grid(alpha=0.2)
        axes.legend(fontsize=6, loc="upper left", ncols=2, framealpha=0.4)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(description="What the boards show of a running Prometheus.")
    parser.add_argument("url", help="such as http://127.0.0.1:9090")
    parser.add_argument("--interval", default="2m", help="over what rates are taken: four scrapes at least")
    parser.add_argument("--pictures", type=Path, help="the directory for a PNG of each board")
    asked = parser.parse_args()
    prometheus = Prometheus(asked.url, asked.interval)
    boards = {path.stem: json.loads(path.read_text()) for path in sorted(BOARDS.glob("*.json"))}
    targets = [
        (f"{name}: {panel['title']} ({target['legendFormat']})", target)
        for name, board in boards.items()
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]
    empty = [title for title, target in targets if not prometheus.shows_data(target)]
    print(f"{len(targets) - len(empty)} of {len(targets)} queries show data")
    if asked.pictures:
        asked.pictures.mkdir(parents=True, exist_ok=True)
        for name, board in boards.items():
            draw(prometheus, board, asked.pictures / f"{name}.png")
    return "\n".join(empty) if empty else 0


if __name__ == "__main__":
    sys.exit(main())
