"""Checks docker-compose.yml and deploy/Dockerfile without a Docker engine: they parse, fit together, and keep the
promises of deploy/README.md. Run from the repository's top."""

import json
import re
import sys
import tomllib
from pathlib import Path

import yaml
from dockerfile_parse import DockerfileParser

SERVICES = {"subscription-api", "router", "deliverer"}
SERVERS = {"postgres": r"postgres:17", "rabbitmq": r"rabbitmq:4(-management)?"}
DIGEST = "@sha256:[0-9a-f]{64}"
VARIABLE = re.compile(r"\$\{(\w+)")
# Settings that the API and the deliverer must have alike, beside those of AGREED_SOURCES (ADR 0034).
AGREED = {"POSTRIDER_ALLOW_NETWORKS", "POSTRIDER_DNS_SERVERS"}
AGREED_SOURCES = ("crates/domain/src/settings.rs", "crates/store/src/secrets/keyring.rs")
MIN_FILES = 65536
MIN_GRACE_SECONDS = 25

problems = []


def need(holds, problem):
    if not holds:
        problems.append(problem)


def check_server(name, server, volumes):
    image = server["image"]
    need(re.fullmatch(SERVERS[name] + DIGEST, image), f"{name}: {image} is another version, or has no digest")
    kept = [v.split(":")[0] for v in server["volumes"]]
    need(any(v in volumes for v in kept), f"{name}: no named volume")
    for source in (v for v in kept if v.startswith("./")):
        need(Path(source).is_file(), f"{name}: {source} does not exist")


def check_service(name, service):
    need(service["command"] == [name], f"{name}: runs {service['command']}")
    need(int(service["stop_grace_period"].removesuffix("s")) >= MIN_GRACE_SECONDS, f"{name}: killed too early")
    need(service["read_only"] and service["cap_drop"] == ["ALL"], f"{name}: may write or has capabilities")
    need("no-new-privileges:true" in service["security_opt"], f"{name}: may gain privileges")
    need("container_name" not in service, f"{name}: a fixed name cannot be scaled")
    need(name == "subscription-api" or "ports" not in service, f"{name}: a fixed port cannot be scaled")
    needed = {server: wait["condition"] for server, wait in service["depends_on"].items()}
    need(needed == dict.fromkeys(SERVERS, "service_healthy"), f"{name}: does not wait for {sorted(SERVERS)}")
    need(service["healthcheck"]["test"][:3] == ["CMD", "postrider", "health-check"], f"{name}: the image has no shell")
    keyed = "POSTRIDER_MASTER_KEY" in service["environment"]
    need(keyed == (name != "router"), f"{name}: the master key")


def declared(paths):
    """Returns the environment variables that source files declare."""
    return {name for path in paths for name in re.findall(r'env = "(\w+)"', Path(path).read_text())}


def check_settings(services):
    """Checks that services get known settings, and that settings on which they have to agree are the same."""
    given = {name: services[name]["environment"] for name in sorted(SERVICES)}
    known = declared(Path("crates").glob("*/src/**/*.rs"))
    for name, environment in given.items():
        need(set(environment) <= known, f"{name}: no setting is called {set(environment) - known}")
    groups = ((("subscription-api", "deliverer"), AGREED | declared(AGREED_SOURCES)), (given, {"POSTRIDER_RETENTION"}))
    for names, settings in groups:
        for setting in sorted(settings):
            need(all(setting in given[name] for name in names), f"{setting}: not passed to all of {sorted(names)}")
            values = {given[name].get(setting) for name in names}
            need(len(values) == 1, f"{setting}: {sorted(names)} get different values")


def check_passwords(text, services):
    """Checks that each service has an account of its own, and that all passwords are variables of deploy/secrets."""
    written = set(re.findall(r"^(\w+)=", Path("deploy/lib/secrets.sh").read_text(), re.MULTILINE))
    required = set(re.findall(r"\$\{(\w+):\?", text))
    need(required <= written, f"deploy/secrets does not write {required - written}")
    need(not re.search(r"\btrust\b|guest", text), "a server lets in who has no password, or has a known one")
    for name in sorted(SERVICES):
        for url, user in (("DATABASE_URL", "postrider"), ("AMQP_URL", f"postrider-{name}")):
            account = re.match(r"\w+://([^:@]*):([^@]*)@", services[name]["environment"][url])
            drawn = account and VARIABLE.match(account[2])
            need(drawn and account[1] == user, f"{name}: {url} has another account or a fixed password")
    urls = {services[name]["environment"]["AMQP_URL"] for name in SERVICES}
    need(len(urls) == len(SERVICES), "two services share a password of RabbitMQ")
    for name, value in services["postgres"]["environment"].items():
        need("PASSWORD" not in name or VARIABLE.match(value), f"postgres: {name} is fixed")


def check_compose(path):
    compose = yaml.safe_load(path.read_text())
    check_passwords(re.sub(r"^ *#.*$", "", path.read_text(), flags=re.MULTILINE), compose["services"])
    services = compose["services"]
    need(set(services) == SERVICES | set(SERVERS), f"services: {sorted(services)}")
    for name, service in services.items():
        need("test" in service["healthcheck"], f"{name}: no health check")
        for port in service.get("ports", []):
            need(port.startswith("127.0.0.1:"), f"{name}: {port} is open to other machines")
        if name in SERVERS:
            check_server(name, service, compose["volumes"])
        else:
            check_service(name, service)
    check_settings(services)
    for name in ("rabbitmq", "deliverer"):
        files = re.fullmatch(r"\$\{\w+:-(\d+)\}", services[name]["ulimits"]["nofile"])
        need(files and int(files[1]) >= MIN_FILES, f"{name}: too few file handles")


def stages(path):
    """Returns the instructions of each stage: [[(instruction, value), …], …]."""
    parser = DockerfileParser(path=str(path))
    found = []
    for line in parser.structure:
        if line["instruction"] == "FROM":
            found.append([])
        if line["instruction"] != "COMMENT":
            found[-1].append((line["instruction"], line["value"]))
    return found


def check_copies(found):
    names = []
    for stage in found:
        for source in (re.match(r"--from=(\S+)", value) for word, value in stage if word == "COPY"):
            need(not source or source[1] in names, f"Dockerfile: no stage {source and source[1]}")
        for sources in (value.split()[:-1] for word, value in stage if word == "COPY" and "--from" not in value):
            need(all(Path(s).exists() for s in sources), f"Dockerfile: {sources} does not exist")
        names += re.findall(r" AS (\S+)", stage[0][1])


def exec_form(value):
    """Returns the words of an instruction that runs without a shell, or None."""
    try:
        return json.loads(value)
    except ValueError:
        return None


def check_dockerfile(path):
    found = stages(path)
    need(len(found) == 2, "Dockerfile: not built in one stage and run in another")
    check_copies(found)
    rust = re.fullmatch(f"rust:1\\.(\\d+)-trixie{DIGEST} AS build", found[0][0][1])
    wanted = tomllib.loads(Path("Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
    need(rust and int(rust[1]) >= int(wanted.split(".")[1]), f"Dockerfile: Rust is older than {wanted}, or has no digest")
    installs = [value for word, value in found[0] if word == "RUN" and "npm ci" in value]
    need(all("npm ci --ignore-scripts" in value for value in installs), "Dockerfile: packages run scripts")
    last = dict(found[-1])
    need(last["FROM"] == "scratch", "Dockerfile: the image contains more than we put there, such as a shell")
    need("RUN" not in last, "Dockerfile: there is no shell to run anything")
    need(re.fullmatch(r"[1-9]\d*:[1-9]\d*", last.get("USER", "")), "Dockerfile: runs as root, or as a name")
    health = re.search(r"CMD (.*)", last.get("HEALTHCHECK", "CMD"))
    need(health and exec_form(health[1]), "Dockerfile: no health check, or one that needs a shell")
    need(exec_form(last["CMD"]) == ["subscription-api"], "Dockerfile: the command needs a shell")


def check_context(path):
    """Checks that .dockerignore excludes no page that is rendered into the API's binary."""
    sources = re.findall(r'"\.\./\.\./(deploy/[\w.]+)"', Path("crates/subscription-api/build/docs.rs").read_text())
    shown = [line[1:] for line in path.read_text().splitlines() if line.startswith("!")]
    for source in sources:
        need(any(Path(source).match(pattern) for pattern in shown), f".dockerignore: {source} is a page of /docs")


check_compose(Path("docker-compose.yml"))
check_context(Path(".dockerignore"))
check_dockerfile(Path("deploy/Dockerfile"))
sys.exit("\n".join(problems) if problems else 0)
