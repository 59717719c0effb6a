"""Compares alerts, boards, runbook and the page of metrics: Prometheus can parse each query, each query names existing
metrics and labels, each alert is tested and has its section in the runbook. Run from the repository's top; needs promtool
(in PATH, or named by PROMTOOL)."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

DEPLOY = Path("deploy")
PROMTOOL = os.environ.get("PROMTOOL", "promtool")
# Labels that Prometheus adds to every series.
TARGET = {"job", "instance"}
# Replaces Grafana's variable, so that promtool can parse the query.
INTERVAL = ("$__rate_interval", "1m")
KEYWORD_LABELS = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
SERIES = re.compile(r"\b(postrider_\w+)(?:\{([^}]*)\})?")

problems = []


def need(holds, problem):
    if not holds:
        problems.append(problem)


def known_metrics():
    """Returns each metric of the page with its kind and labels."""
    metrics = {}
    for line in (DEPLOY / "metrics.md").read_text().splitlines():
        if line.startswith("| `postrider_"):
            name, kind, labels = (cell.strip(" `") for cell in line.strip("|").split("|")[:3])
            metrics[name] = (kind, set(re.findall(r"\w+", labels)))
    return metrics


def labels_of(series, metrics):
    """Returns the labels of a series, or None if there is no such series."""
    if series in metrics and metrics[series][0] != "histogram":
        return metrics[series][1]
    base, _, suffix = series.rpartition("_")
    kind, labels = metrics.get(base, (None, set()))
    if kind != "histogram" or suffix not in {"bucket", "sum", "count"}:
        return None
    return labels | {"le"} if suffix == "bucket" else labels


def check_query(where, query, metrics, used):
    allowed = set(TARGET)
    for series, matchers in SERIES.findall(query):
        labels = labels_of(series, metrics)
        if labels is None:
            problems.append(f"{where}: there is no series {series}")
            continue
        used.add(series if series in metrics else series.rpartition("_")[0])
        allowed |= labels
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
            need(label in labels | TARGET, f"{where}: {series} has no label {label}")
    for group in KEYWORD_LABELS.findall(query):
        for label in re.findall(r"\w+", group):
            need(label in allowed, f"{where}: no series of the query has the label {label}")


def panels(board):
    for panel in board["panels"]:
        if panel["type"] != "row":
            yield panel


def check_boards(metrics, used):
    """Checks every panel, and returns the queries for a check of their syntax."""
    queries, uids = [], set()
    for path in sorted((DEPLOY / "grafana").glob("*.json")):
        board = json.loads(path.read_text())
        need(board["uid"] not in uids, f"{path}: the uid is taken")
        uids.add(board["uid"])
        ids = [panel["id"] for panel in board["panels"]]
        need(len(ids) == len(set(ids)), f"{path}: two panels have the same id")
        for panel in panels(board):
            where = f"{path.name}: {panel['title']}"
            need(panel["targets"], f"{where}: asks nothing")
            need(panel["datasource"]["uid"] == "${datasource}", f"{where}: is bound to one data source")
            for target in panel["targets"]:
                check_query(where, target["expr"], metrics, used)
                legend = re.findall(r"{{(\w+)}}", target["legendFormat"])
                for label in legend:
                    need(label in TARGET or label in target["expr"], f"{where}: the legend has no {label}")
                queries.append(target["expr"].replace(*INTERVAL))
    need(queries, "there is no board")
    return queries


def alerts():
    groups = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def check_alerts(metrics, used):
    tests = yaml.safe_load((DEPLOY / "prometheus/alerts.test.yml").read_text())["tests"]
    tested = {test["name"] for test in tests}
    sections = set(re.findall(r"^### (\w+)$", (DEPLOY / "runbook.md").read_text(), re.MULTILINE))
    names = {rule["alert"] for rule in alerts()}
    for rule in alerts():
        name = rule["alert"]
        check_query(name, rule["expr"], metrics, used)
        need(name in tested, f"{name}: no test makes it fire")
        need(name in sections, f"{name}: the runbook has no section for it")
        url = f"deploy/runbook.md#{name.lower()}"
        need(rule["annotations"].get("runbook_url") == url, f"{name}: runbook_url is not {url}")
        need(rule["labels"]["severity"] in {"critical", "warning", "info"}, f"{name}: severity")
    for section in sections - names:
        need(not section.startswith("Postrider"), f"runbook: there is no alert {section}")


def promtool(*arguments):
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    need(done.returncode == 0, f"promtool {' '.join(arguments)}: {done.stdout}{done.stderr}")


def check_syntax(queries):
    rules = [{"record": f"board:query{n}", "expr": query} for n, query in enumerate(queries)]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        yaml.safe_dump({"groups": [{"name": "boards", "rules": rules}]}, file)
        file.flush()
        promtool("check", "rules", "--lint=none", file.name)


def main():
    metrics, used = known_metrics(), set()
    need(metrics, "metrics.md lists no metric")
    check_alerts(metrics, used)
    queries = check_boards(metrics, used)
    for name in sorted(set(metrics) - used):
        problems.append(f"{name}: neither a board nor an alert shows it")
    promtool("check", "config", "deploy/prometheus/prometheus.yml")
    promtool("check", "rules", "deploy/prometheus/alerts.yml")
    promtool("test", "rules", "deploy/prometheus/alerts.test.yml")
    check_syntax(queries)
    if not problems:
        print(f"{len(metrics)} metrics, {len(alerts())} alerts, {len(queries)} queries of boards")
    return "\n".join(problems) if problems else 0


if __name__ == "__main__":
    sys.exit(main())
