"""Asks a running Prometheus what each panel of the boards would show, and names those that show nothing:
    deploy/check/boards_live.py http://127.0.0.1:9090"""

import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path

# Grafana chooses it by what is visible; here it spans what a short run has to show.
INTERVAL = ("$__rate_interval", "2m")


def value(prometheus, query):
    """What an instant query gives: the numbers, without those that are none."""
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        result = json.load(answer)["data"]["result"]
    return [sample["value"][1] for sample in result if sample["value"][1] != "NaN"]


def main(prometheus):
    asked, empty = 0, []
    for path in sorted(Path("deploy/grafana").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                asked += 1
                if not value(prometheus, target["expr"].replace(*INTERVAL)):
                    empty.append(f"{path.name}: {panel['title']} ({target['legendFormat']})")
    print(f"{asked - len(empty)} of {asked} queries show data")
    return "\n".join(empty) if empty else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].rstrip("/")))
