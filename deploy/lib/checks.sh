# shellcheck shell=bash
# What deploy/test needs on the machine, and what it checks beside the Rust tests. Sourced, never run.

# Tests run servers of their own, to kill and restart them: the programs have to be here, whoever
# runs the servers that answer.
need_server_programs() {
  local missing=()
  have rabbitmq-server || missing+=(rabbitmq-server)
  [[ -n $(newest_postgres) ]] || missing+=(postgresql)
  [[ ${#missing[@]} -eq 0 ]] || without_main_cluster install "tests run servers of their own" "${missing[@]}"
}

need_check_tools() {
  local missing=()
  have shellcheck || missing+=(shellcheck)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
  [[ ${#missing[@]} -eq 0 ]] || install "to check scripts and speak AMQP from Python" "${missing[@]}"
}

# An environment of its own for the Python that tests use, made again when its packages change.
need_python() {
  local lists=("$ROOT/deploy/check/requirements.txt") sum
  [[ ! -e $ROOT/tests/python/requirements.txt ]] || lists+=("$ROOT/tests/python/requirements.txt")
  sum=$(cat "${lists[@]}" | sha256sum)
  export E2E_PYTHON=$STATE/python/bin/python
  [[ -x $E2E_PYTHON && $(kept python/packages.sum) == "$sum" ]] && return
  say "making the Python environment"
  {
    rm -rf "$STATE/python" && python3 -m venv "$STATE/python" &&
      "$E2E_PYTHON" -m pip install --quiet "${lists[@]/#/--requirement=}" && keep python/packages.sum "$sum"
  } >>"$STATE/logs/python.log" 2>&1 || fail_with_log python "the Python environment could not be made"
}

check_scripts() { shellcheck -x deploy/{up,down,test} deploy/healthcheck deploy/lib/*.sh .ci/run; }

# By Compose itself where there is one, and by what it must say in any case.
check_containers() {
  if docker compose version >/dev/null 2>&1; then compose config --quiet || return 1; fi
  "$E2E_PYTHON" deploy/check/containers.py
}

run_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked --no-fail-fast && cargo test --workspace --locked --doc --quiet
  else
    cargo test --workspace --locked --no-fail-fast
  fi
}

# deploy/up from nothing, again on top, and down: beside whatever else runs on this machine.
check_up_and_down() (
  export POSTRIDER_BUILD_PROFILE=dev POSTRIDER_STATE=$STATE/smoke POSTRIDER_NAMESPACE=smoke$$
  export DATABASE_URL=${DATABASE_URL%/*}/postrider_smoke_$$
  unset POSTRIDER_MASTER_KEY POSTRIDER_SUPPORT_TOKEN POSTRIDER_ALLOW_NETWORKS POSTRIDER_EXTRA_CA_FILE
  local port
  port=$(free_ports 5)
  export POSTRIDER_API_LISTEN=127.0.0.1:$port POSTRIDER_OPS_LISTEN=127.0.0.1:$((port + 1))
  export POSTRIDER_DEMO_LISTEN=127.0.0.1:$((port + 4))
  trap 'deploy/down --purge' EXIT
  deploy/up && deploy/up | tee "$STATE/logs/second-up.log" &&
    [[ $(grep -c 'runs already' "$STATE/logs/second-up.log") -eq 4 ]]
)

# The first of $1 ports in a row that nobody listens on.
free_ports() {
  local first port
  for first in {21000..29000..10}; do
    for ((port = first; port < first + $1; port++)); do
      [[ $(port_state 127.0.0.1 "$port") == closed ]] || continue 2
    done
    printf '%s' "$first"
    return
  done
  fail "no $1 free ports in a row"
}
