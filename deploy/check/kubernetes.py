"""Checks the manifests of deploy/kubernetes without a cluster: each against the published schema of its kind, and all
against the promises of deploy/README.md. Run from the repository's top."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import kubernetes_validate
import network
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as prometheus

TOP = Path("deploy/kubernetes")
SERVICES = {"subscription-api", "router", "deliverer"}
# The oldest version that has all features we use, and the newest with published schemas.
VERSIONS = ("1.30", kubernetes_validate.latest_version())
MODELS = {"ScaledObject": keda.ScaledObject, "PodMonitor": prometheus.PodMonitor}
# No registry has its schema; `kubectl apply --dry-run=server` checks it.
UNCHECKED = {"RabbitmqCluster"}
POSTGRESQL = Path(__file__).with_name("cloudnative_pg.mjs")
REQUEST_SECONDS, MARGIN_SECONDS = 15, 5

problems = []


def need(holds, problem):
    if not holds:
        problems.append(problem)


def resources(folder, seen=()):
    """Returns all documents of a kustomization and of its bases."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    need(folder not in seen, f"{folder}: builds on itself")
    found = []
    for name in kustomization["resources"]:
        path = (folder / name).resolve()
        if path.is_dir():
            found += resources(path, (*seen, folder))
        else:
            found += [(path.name, document) for document in yaml.safe_load_all(path.read_text())]
    return found


def unread(given, read, at=""):
    """Returns the fields that a model ignored."""
    if isinstance(given, dict):
        for key, value in given.items():
            yield from unread(value, read[key], f"{at}/{key}") if key in read else [f"{at}/{key}"]
    elif isinstance(given, list):
        for place, (value, other) in enumerate(zip(given, read)):
            yield from unread(value, other, f"{at}/{place}")


def check_schema(where, document):
    kind = document["kind"]
    try:
        if kind == "Cluster":
            told = subprocess.run(["node", POSTGRESQL], input=json.dumps(document), capture_output=True, text=True)
            need(told.returncode == 0, f"{where}: {told.stderr}")
        elif kind in MODELS:
            read = MODELS[kind].model_validate(document).model_dump(by_alias=True, exclude_unset=True, mode="json")
            for field in unread(document, read):
                problems.append(f"{where}: {kind} has no field {field}")
        elif kind not in UNCHECKED:
            for version in VERSIONS:
                kubernetes_validate.validate(document, version, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError, ValueError) as error:
        problems.append(f"{where}: {kind} {document['metadata']['name']}: {str(error)[:300]}")


def of_kind(documents, kind):
    return {document["metadata"]["name"]: document for _, document in documents if document["kind"] == kind}


def known_settings():
    """Returns the environment variables that the services declare."""
    sources = Path("crates").glob("*/src/**/*.rs")
    return {name for source in sources for name in re.findall(r'env = "(\w+)"', source.read_text())}


def check_container(name, container, settings):
    security = container["securityContext"]
    need(container["args"] == [name], f"{name}: runs {container['args']}")
    need(security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"], f"{name}: may write")
    need(security["capabilities"]["drop"] == ["ALL"], f"{name}: has capabilities")
    need(container["livenessProbe"]["httpGet"]["path"] == "/healthz", f"{name}: killed when it is not ready")
    need(container["readinessProbe"]["httpGet"]["path"] == "/readyz", f"{name}: ready before it is")
    limits = container["resources"]
    need("memory" in limits["limits"] and {"cpu", "memory"} <= set(limits["requests"]), f"{name}: resources")
    given = {variable["name"] for variable in container["env"]}
    need(given <= settings, f"{name}: no setting is called {given - settings}")
    need(("POSTRIDER_MASTER_KEY" in given) == (name != "router"), f"{name}: the master key")
    need(("POSTRIDER_SUPPORT_TOKEN" in given) == (name == "subscription-api"), f"{name}: the support token")
    urls = [variable["valueFrom"]["secretKeyRef"]["name"] for variable in container["env"] if variable["name"].endswith("_URL")]
    need(urls == [f"postrider-{name}"] * 2, f"{name}: its accounts are not in a secret of its own: {urls}")


def check_deployment(name, deployment, settings):
    template = deployment["spec"]["template"]
    pod, labels = template["spec"], template["metadata"]["labels"]
    need(deployment["spec"]["selector"]["matchLabels"].items() <= labels.items(), f"{name}: selects others")
    need(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0, f"{name}: a gap in upgrades")
    need(pod["terminationGracePeriodSeconds"] >= REQUEST_SECONDS + MARGIN_SECONDS, f"{name}: killed too early")
    need(pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"], f"{name}: rights")
    need(pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, f"{name}: system calls")
    for container in pod["containers"]:
        check_container(name, container, settings)


def check_budgets(documents, deployments):
    budgets = of_kind(documents, "PodDisruptionBudget")
    for name, deployment in deployments.items():
        budget = budgets.get(name, {"spec": {}})["spec"]
        need(budget.get("selector") == deployment["spec"]["selector"], f"{name}: no disruption budget")
        need(deployment["spec"]["replicas"] > budget.get("maxUnavailable", 0), f"{name}: a budget of everything")


def check_network(documents, deployments):
    policies = list(of_kind(documents, "NetworkPolicy").values())
    for name, deployment in deployments.items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        problems.extend(network.check_service(name, labels, policies))


def check_agreed(documents, deployments):
    """Checks that the API and the deliverer get the rules and keys on which they have to agree (ADR 0034)."""
    shared = of_kind(documents, "ConfigMap")["postrider-settings"]["data"]
    rules = set(re.findall(r'env = "(\w+)"', Path("crates/domain/src/settings.rs").read_text()))
    missing = (rules | {"POSTRIDER_RETENTION"}) - set(shared)
    need(not missing, f"postrider-settings: misses {sorted(missing)}")
    keys = []
    for name in ("subscription-api", "deliverer"):
        container = deployments[name]["spec"]["template"]["spec"]["containers"][0]
        need({"configMapRef": {"name": "postrider-settings"}} in container["envFrom"], f"{name}: no shared settings")
        own = {variable["name"]: variable for variable in container["env"]}
        need(not set(own) & set(shared), f"{name}: has its own {sorted(set(own) & set(shared))}")
        keys.append([own.get(key) for key in ("POSTRIDER_MASTER_KEY", "POSTRIDER_OLD_MASTER_KEYS")])
    need(keys[0] == keys[1] and None not in keys[0], "subscription-api and deliverer: not the same master keys")


def check_base(documents):
    settings, deployments = known_settings(), of_kind(documents, "Deployment")
    need(set(deployments) == SERVICES, f"deployments: {sorted(deployments)}")
    for name, deployment in deployments.items():
        check_deployment(name, deployment, settings)
    check_budgets(documents, deployments)
    check_network(documents, deployments)
    check_agreed(documents, deployments)
    shared = set(of_kind(documents, "ConfigMap")["postrider-settings"]["data"])
    need(shared <= settings, f"no setting is called {shared - settings}")


def check_scaling(documents):
    scaled = of_kind(documents, "ScaledObject")["deliverer"]["spec"]
    need(scaled["scaleTargetRef"]["name"] == "deliverer", "keda: scales something else")
    need("deliverer" not in of_kind(documents, "HorizontalPodAutoscaler"), "keda: two scale the deliverer")
    page = Path("deploy/metrics.md").read_text()
    for trigger in scaled["triggers"]:
        for metric in re.findall(r"postrider_\w+", trigger["metadata"]["query"]):
            need(f"| `{metric}` |" in page, f"keda: there is no metric {metric}")


def check_versions():
    workspace = tomllib.loads(Path("Cargo.toml").read_text())["workspace"]["package"]["version"]
    images = yaml.safe_load((TOP / "base/kustomization.yaml").read_text())["images"]
    need(images == [{"name": "postrider", "newTag": workspace}], f"the image is not {workspace}: {images}")


# Settings without which a node that hangs or loses the others takes the queues with it: deploy/rabbitmq/*.conf say why.
BROKER_SETTINGS = {
    "cluster_partition_handling = pause_minority",
    "net_ticktime = 15",
    "quorum_queue.continuous_membership_reconciliation.enabled = true",
    "quorum_queue.continuous_membership_reconciliation.target_group_size = 3",
}


def check_broker():
    wanted = re.sub(r"%.*\n", "", Path("deploy/rabbitmq/advanced.config").read_text()).split()
    documents = resources(TOP / "servers")
    problems.extend(network.check_servers(of_kind(documents, "NetworkPolicy").values()))
    broker = of_kind(documents, "RabbitmqCluster")["rabbitmq"]["spec"]
    need(broker["rabbitmq"]["advancedConfig"].split() == wanted, "rabbitmq: not as advanced.config says")
    given = set(broker["rabbitmq"]["additionalConfig"].splitlines())
    for name in ("accounts.conf", "cluster.conf", "members.conf"):
        lines = Path("deploy/rabbitmq", name).read_text().splitlines()
        missing = {line for line in lines if not line.startswith("#")} - given
        need(not missing, f"rabbitmq: {name} also says {missing}")
    need(not BROKER_SETTINGS - given, f"rabbitmq: the manifest lacks {BROKER_SETTINGS - given}")
    loaded = next((line.split(" = ")[1] for line in given if line.startswith("load_definitions = ")), "")
    pod = broker["override"]["statefulSet"]["spec"]["template"]["spec"]
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    secrets = {volume["name"] for volume in pod["volumes"] if "secret" in volume}
    need(mounts.get(str(Path(loaded).parent)) in secrets, "rabbitmq: loads no accounts from a secret")
    need(re.fullmatch(r"rabbitmq:[\w.-]+@sha256:[0-9a-f]{64}", broker["image"]), f"rabbitmq: {broker['image']} has no digest")
    need(broker["replicas"] == 3, "rabbitmq: quorum queues need three nodes")


def main():
    folders = sorted(path.parent for path in TOP.glob("*/kustomization.yaml"))
    checked = 0
    for folder in folders:
        for where, document in resources(folder):
            check_schema(where, document)
            checked += 1
    check_base(resources(TOP / "base"))
    check_scaling(resources(TOP / "keda"))
    check_versions()
    check_broker()
    if not problems:
        print(f"{checked} manifests of {len(folders)} kustomizations, Kubernetes {' and '.join(VERSIONS)}")
    return "\n".join(problems) if problems else 0


if __name__ == "__main__":
    sys.exit(main())
