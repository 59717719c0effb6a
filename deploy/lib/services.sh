# shellcheck shell=bash
# Building and running the three services. Sourced, never run.

# Seconds within which a service must be ready. It may migrate the database first.
readonly READY_SECONDS=60
readonly SERVICES=(subscription-api router deliverer)

# Keeps a 32-byte key in $1, drawn once. The folder and the file are private.
draw_once() { [[ -s $1 ]] || (umask 077 && head -c 32 /dev/urandom | base64 >"$1"); }

use_keys() {
  draw_once "$STATE/master.key"
  draw_once "$STATE/support.token"
  export POSTRIDER_MASTER_KEY=${POSTRIDER_MASTER_KEY:-$(<"$STATE/master.key")}
  export POSTRIDER_SUPPORT_TOKEN=${POSTRIDER_SUPPORT_TOKEN:-$(<"$STATE/support.token")}
}

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
  (cd "$console" && npm ci --no-progress && npm run build) >>"$STATE/logs/console.log" 2>&1 ||
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
  for service in "${SERVICES[@]}"; do
    POSTRIDER_OPS_LISTEN=${OPS_LISTEN[$service]} ensure_process "$service" "$BIN/$service"
  done
  for service in "${SERVICES[@]}"; do wait_ready "$service"; done
}

wait_ready() {
  local readiness
  readiness=$(base_url "${OPS_LISTEN[$1]}")/readyz
  wait_until "$READY_SECONDS" ready_or_ended "$1" "$readiness" ||
    fail_with_log "$1" "$1 is not ready after $READY_SECONDS s: $(curl -s --noproxy '*' --max-time 3 "$readiness" || true)"
  is_running "$1" || fail_with_log "$1" "$1 ended"
  say "$1 is ready"
}

ready_or_ended() { [[ $(http_status "$2") == 200 ]] || is_stopped "$1"; }

stop_services() {
  local service
  for service in "${SERVICES[@]}"; do stop_process "$service" & done
  wait
}
