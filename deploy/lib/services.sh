# shellcheck shell=bash
# Building and running the three services. Sourced, never run.

# Seconds within which a service must be ready. It may migrate the database first.
readonly READY_SECONDS=60
readonly SERVICES=(subscription-api router deliverer)

# Assigns each service an operations port, counted up from the API's.
use_ports() {
  export POSTRIDER_API_LISTEN=${POSTRIDER_API_LISTEN:-127.0.0.1:8080}
  local first=${POSTRIDER_OPS_LISTEN:-127.0.0.1:9100} number=0 service
  declare -gA OPS_LISTEN=()
  for service in "${SERVICES[@]}"; do
    OPS_LISTEN[$service]=${first%:*}:$((${first##*:} + number++))
  done
}

# The profile quick is release without link-time optimisation, because that takes 60 % of the time on a machine that has
# built nothing yet (measured: 8 against 13 minutes of processor).
readonly QUICK_PROFILE=(
  --config 'profile.quick.inherits="release"'
  --config 'profile.quick.lto=false'
  --config 'profile.quick.codegen-units=16'
  --config 'profile.quick.debug=false'
)

# Builds the console before the API, whose binary contains it, and only if its sources changed.
build_console() {
  local console=$ROOT/crates/subscription-api/console sum
  sum=$(cd "$console" && find src static package.json package-lock.json tsconfig.json build.mjs -type f -print0 |
    sort -z | xargs -0 sha256sum | sha256sum) || return 1
  [[ -e $console/dist/index.html && $(cat "$console/dist/.sources" 2>/dev/null) == "$sum" ]] && return
  (cd "$console" && npm ci --ignore-scripts --no-progress && npm run build) >>"$STATE/logs/console.log" 2>&1 ||
    fail_with_log console "the console could not be built"
  printf '%s\n' "$sum" >"$console/dist/.sources"
}

build() {
  build_console
  local profile=${POSTRIDER_BUILD_PROFILE:-quick}
  cargo build --locked "${QUICK_PROFILE[@]}" --profile "$profile" --manifest-path "$ROOT/Cargo.toml" \
    -p subscription-api -p router -p deliverer -p cli -p e2e \
    --bin subscription-api --bin router --bin deliverer --bin postrider --bin demo || fail "the build failed"
  BIN=$(cargo metadata --no-deps --format-version 1 --manifest-path "$ROOT/Cargo.toml" |
    grep -o '"target_directory":"[^"]*"' | cut -d '"' -f 4)/${profile/#dev/debug}
}

# need_port NAME ADDRESS VARIABLE: fails if another program listens at NAME's address.
need_port() {
  local host port
  is_running "$1" && return
  read -r host port <<<"$(reachable "$2")"
  [[ $(port_state "$host" "$port") == closed ]] || fail "another program listens on port $port: stop it, or set $3"
}

need_ports() {
  local service
  for service in "${SERVICES[@]}"; do
    need_port "$service" "${OPS_LISTEN[$service]}" POSTRIDER_OPS_LISTEN
  done
  need_port subscription-api "$POSTRIDER_API_LISTEN" POSTRIDER_API_LISTEN
}

start_services() {
  local service
  for service in "${SERVICES[@]}"; do start_service "$service"; done
  for service in "${SERVICES[@]}"; do wait_ready "$service"; done
}

# Starts a service with its own account of RabbitMQ, if it has one, and with the keys that it needs. The subshell keeps them from
# every other process.
start_service() (
  export DATABASE_URL AMQP_URL=${AMQP_URLS[$1]:-$AMQP_URL} POSTRIDER_OPS_LISTEN=${OPS_LISTEN[$1]}
  case $1 in
    subscription-api) export POSTRIDER_MASTER_KEY POSTRIDER_OLD_MASTER_KEYS POSTRIDER_SUPPORT_TOKEN ;;
    deliverer) export POSTRIDER_MASTER_KEY POSTRIDER_OLD_MASTER_KEYS ;;
  esac
  ensure_process "$1" "$BIN/$1"
)

wait_ready() {
  local readiness
  readiness=$(base_url "${OPS_LISTEN[$1]}")/readyz
  wait_until "$READY_SECONDS" ready_or_ended "$1" "$readiness" ||
    fail_with_log "$1" "$1 is not ready after $READY_SECONDS s: $(curl -s --noproxy '*' --max-time 3 "$readiness" || true)"
  is_running "$1" || fail_with_log "$1" "$1 ended"
  say "$1 is ready"
}

ready_or_ended() { [[ $(http_status "$2") == 200 ]] || is_stopped "$1"; }

# Prints the environment of a process that we started.
environment_of() { tr '\0' '\n' <"/proc/$(running "$1")/environ"; }

# keys_stay_apart STATE: fails if a process of deploy/up has a key or an account that it does not need.
keys_stay_apart() {
  local STATE=$1 keys='^POSTRIDER_(MASTER_KEY|OLD_MASTER_KEYS|SUPPORT_TOKEN)='
  if environment_of router | grep -E "$keys"; then fail "the router has a key"; fi
  if environment_of receiver | grep -E "$keys|^(DATABASE|AMQP)_URL="; then fail "the demo receiver has a key or an account"; fi
  if environment_of deliverer | grep '^POSTRIDER_SUPPORT_TOKEN='; then fail "the deliverer has the support token"; fi
  [[ $(environment_of deliverer | grep -c '^POSTRIDER_MASTER_KEY=') -eq 1 ]] || fail "the deliverer has no master key"
  [[ $(environment_of subscription-api | grep -Ec "$keys") -eq 2 ]] || fail "the API lacks a key"
}

stop_services() {
  local service
  for service in "${SERVICES[@]}"; do stop_process "$service" & done
  wait
}
