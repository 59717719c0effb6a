"""Checks network policies: who may reach the pods, and which addresses outside the cluster pods may reach. The latter are
compared with the table by which the deliverer refuses addresses."""

import ipaddress
import re
from pathlib import Path

TABLE = Path("crates/domain/src/webhook/address/registry.rs")
V4_ROW = re.compile(r"v4\(\[([\d, ]+)\], (\d+), (Forbid|Accept),")
V6_ROW = re.compile(r"v6\(&\[([0-9a-fx, ]*)\], (\d+), (Forbid|Accept),")
# The services, and the pods that only they, producers, operators and Prometheus may reach.
SERVICES = {"app.kubernetes.io/part-of": "postrider"}
SERVERS = {"rabbitmq": {"app.kubernetes.io/name": "rabbitmq"}, "postgresql": {"cnpg.io/cluster": "postgresql"}}


def ranges():
    """Returns the networks of the table: forbidden and accepted ones."""
    text, found = TABLE.read_text(), {"Forbid": [], "Accept": []}
    for octets, prefix, verdict in V4_ROW.findall(text):
        address = ".".join(octets.split(", "))
        found[verdict].append(ipaddress.ip_network(f"{address}/{prefix}"))
    for segments, prefix, verdict in V6_ROW.findall(text):
        words = [int(word, 0) for word in segments.split(", ") if word]
        number = sum(word << (112 - 16 * place) for place, word in enumerate(words))
        found[verdict].append(ipaddress.IPv6Network((number, int(prefix))))
    rows = len(re.findall(r"^    v[46]\(", text, re.MULTILINE))
    assert rows == sum(map(len, found.values())) > 50, f"{TABLE}: {rows} rows are not all understood"
    return found["Forbid"], found["Accept"]


def without(networks, removed):
    """Returns the networks without the removed ones."""
    for gone in removed:
        left = []
        for network in networks:
            if network.version != gone.version or not network.overlaps(gone):
                left.append(network)
            elif network.supernet_of(gone):
                left += network.address_exclude(gone)
        networks = left
    return networks


def refused(forbidden, accepted):
    """Returns the networks that the deliverer refuses: an accepted network within a forbidden one is left out."""
    for network in forbidden:
        inner = [one for one in accepted if one.version == network.version and one != network and one.subnet_of(network)]
        yield from without([network], inner)


def common(networks, block):
    """Returns the parts of the networks inside a block."""
    for network in networks:
        if network.version == block.version and network.overlaps(block):
            yield network if network.subnet_of(block) else block


def compare_with_table(blocks):
    """Yields the differences between the blocks that a policy allows and the addresses that the deliverer calls."""
    forbidden, accepted = ranges()
    versions = set()
    for block in blocks:
        within = ipaddress.ip_network(block["cidr"])
        excepted = [ipaddress.ip_network(network) for network in block["except"]]
        versions.add(within.version)
        open_by_mistake = without(list(common(refused(forbidden, accepted), within)), excepted)
        for network in ipaddress.collapse_addresses(open_by_mistake):
            yield f"may reach {network}, which the deliverer refuses"
        for network in ipaddress.collapse_addresses(without(excepted, forbidden)):
            yield f"may not reach {network}, which the deliverer calls"
    if versions != {4, 6}:
        yield f"reaches endpoints by IP version {versions} only"


def selects(selector, labels):
    return (selector or {}).get("matchLabels", {}).items() <= labels.items()


def applying(policies, labels):
    return [policy["spec"] for policy in policies if selects(policy["spec"]["podSelector"], labels)]


def outside(specs):
    """Returns the networks outside the cluster that policies allow, and whether a rule allows everything."""
    rules = [rule for spec in specs for rule in spec.get("egress", [])]
    peers = [peer for rule in rules for peer in rule.get("to", [])]
    return [peer["ipBlock"] for peer in peers if "ipBlock" in peer], any(not rule.get("to") for rule in rules)


def check_entries(name, specs):
    """Yields the rules that let more in than pods and namespaces with certain labels, at certain ports."""
    for rule in (rule for spec in specs for rule in spec.get("ingress", [])):
        if not rule.get("from") or not rule.get("ports"):
            yield f"{name}: anyone may enter, or at any port: {rule}"
        for peer in rule.get("from", []):
            selectors = [selector for kind, selector in peer.items() if kind.endswith("Selector")]
            if "ipBlock" in peer or not all(selector.get("matchLabels") for selector in selectors):
                yield f"{name}: {peer} does not name who may enter"


def check_service(name, labels, policies):
    """Yields what is wrong with the policies of a service."""
    specs = applying(policies, labels | SERVICES)
    if not any(set(spec["policyTypes"]) == {"Ingress", "Egress"} and len(spec) == 2 for spec in specs):
        yield f"{name}: open to all that no policy names"
    yield from check_entries(name, specs)
    blocks, anywhere = outside(specs)
    if anywhere:
        yield f"{name}: may reach anything"
    if bool(blocks) != (name == "deliverer"):
        yield f"{name}: reaches {blocks}"
    if blocks:
        yield from (f"{name}: {problem}" for problem in compare_with_table(blocks))


def check_servers(policies):
    """Yields what is wrong with the policies of PostgreSQL and RabbitMQ."""
    for name, labels in SERVERS.items():
        specs = applying(policies, labels)
        if not any("Ingress" in spec["policyTypes"] for spec in specs):
            yield f"{name}: any pod may connect"
        yield from check_entries(name, specs)
        rules = [rule for spec in specs for rule in spec.get("ingress", [])]
        peers = [peer for rule in rules for peer in rule["from"]]
        if not any(peer == {"podSelector": {"matchLabels": SERVICES}} for peer in peers):
            yield f"{name}: the services may not connect"
