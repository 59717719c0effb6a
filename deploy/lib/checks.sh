# shellcheck shell=bash
# Tools that deploy/test needs, and its checks beside the Rust tests. Sourced, never run.

# Tests kill and restart servers of their own and change the clocks of processes, so the programs have to be installed even if
# other servers answer.
need_server_programs() {
  local missing=()
  have rabbitmq-server || missing+=(rabbitmq-server)
  [[ -n $(newest_postgres) ]] || missing+=(postgresql)
  [[ -x /usr/sbin/pgbouncer ]] || missing+=(pgbouncer)
  compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || missing+=(libfaketime)
  [[ ${#missing[@]} -eq 0 ]] || without_main_cluster install "tests run servers of their own" "${missing[@]}"
}

need_check_tools() {
  local missing=()
  have shellcheck || missing+=(shellcheck)
  have chromium || missing+=(chromium)
  have promtool || missing+=(prometheus)
  have php || missing+=(php-cli)
  [[ -e /usr/share/php/Illuminate/Http/autoload.php ]] || missing+=(php-illuminate-http)
  have puma || missing+=(puma)
  have ruby && ruby -e 'require "logger"; require "action_controller"' 2>/dev/null || missing+=(ruby ruby-actionpack)
  have go || missing+=(golang-go)
  have openssl || missing+=(openssl)
  have ip || missing+=(iproute2)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
  [[ ${#missing[@]} -eq 0 ]] || install "to check scripts and alerts, look at the console and run the snippets of the docs" "${missing[@]}"
}

# Creates a Python environment for the tests, and creates it again if its packages change.
need_python() {
  local lists=("$ROOT/deploy/check/requirements.txt") sum
  [[ ! -e $ROOT/tests/python/requirements.txt ]] || lists+=("$ROOT/tests/python/requirements.txt")
  sum=$(cat "${lists[@]}" | sha256sum)
  export E2E_PYTHON=$STATE/python/bin/python
  [[ -x $E2E_PYTHON && $(kept python/packages.sum) == "$sum" ]] && return
  say "creating the Python environment"
  {
    rm -rf "$STATE/python" && python3 -m venv "$STATE/python" &&
      "$E2E_PYTHON" -m pip install --quiet "${lists[@]/#/--requirement=}" && keep python/packages.sum "$sum"
  } >>"$STATE/logs/python.log" 2>&1 || fail_with_log python "the Python environment could not be created"
}

# Installs packages that the snippets of the docs and the check of the manifests import.
need_snippet_packages() { (cd tests/docs && npm ci --ignore-scripts --no-progress >>"$STATE/logs/packages.log" 2>&1); }

check_scripts() { shellcheck -x deploy/{up,down,test,bench,audit,sbom,secrets,image-root} deploy/rabbitmq/accounts deploy/check/own_servers deploy/lib/*.sh .ci/run crates/subscription-api/docs/snippets/*.sh; }

# Checks the files with Compose if it is installed, and always with our own script.
check_containers() {
  if docker compose version >/dev/null 2>&1; then compose config --quiet || return 1; fi
  "$E2E_PYTHON" deploy/check/containers.py
}

# Compares alerts, boards, runbook and the page of metrics; tests/it/metrics.rs compares the page with running services.
check_observability() { "$E2E_PYTHON" deploy/check/observability.py; }

check_kubernetes() { "$E2E_PYTHON" deploy/check/kubernetes.py; }

# Tests on RabbitMQ 4 and on a recent PgBouncer are marked as ignored, because not every machine can create the root that they need.
run_tests() {
  # The same order of faults in each run. Set the variable to try another order (tests/README.md).
  export E2E_FAULTS_SEED=${E2E_FAULTS_SEED:-18615}
  local nextest=() plain=()
  if [[ -n ${E2E_RABBITMQ_4_ROOT:-} ]]; then nextest=(--run-ignored all) plain=(-- --include-ignored); fi
  if cargo nextest --version >/dev/null 2>&1; then
    rm -f "${CARGO_TARGET_DIR:-target}/nextest/default/junit.xml"
    cargo nextest run --workspace --locked --no-fail-fast "${nextest[@]}" &&
      cargo test --workspace --locked --doc --quiet
  else
    cargo test --workspace --locked --no-fail-fast "${plain[@]}"
  fi
}

# Repeats why tests failed, which thousands of lines separate from the end by then.
say_why_tests_failed() {
  local report=${CARGO_TARGET_DIR:-target}/nextest/default/junit.xml
  [[ ! -f $report ]] || "$E2E_PYTHON" deploy/check/failed_tests.py "$report"
}

# Provides RabbitMQ 4 and PgBouncer 1.24 in a Debian 13 root: E2E_RABBITMQ_4_ROOT. Says why if it cannot.
need_rabbitmq_4() {
  [[ -z ${E2E_RABBITMQ_4_ROOT:-} ]] || return 0
  local root=$STATE/trixie
  [[ -x $root/usr/lib/rabbitmq/bin/rabbitmq-server && -x $root/usr/sbin/pgbouncer ]] || make_rabbitmq_4_root "$root" || return 1
  export E2E_RABBITMQ_4_ROOT=$root
}

# make_rabbitmq_4_root ROOT: creates it from the mirror of this machine's own packages, in a mount namespace, so that no mount
# is left behind, however it ends.
make_rabbitmq_4_root() {
  local mirror log=$STATE/logs/trixie.log
  can_install || { say "no RabbitMQ 4: creating a Debian root needs root and apt-get" && return 1; }
  unshare --mount true 2>>"$log" || { say "no RabbitMQ 4: no mount namespaces on this machine" && return 1; }
  have debootstrap || (install "RabbitMQ 4 comes from a Debian 13 root" debootstrap) || return 1
  mirror=$(debian_mirror)
  [[ -n $mirror ]] || { say "no RabbitMQ 4: this machine's packages do not come from Debian" && return 1; }
  say "creating a Debian 13 root with RabbitMQ 4 and a PgBouncer with prepared statements (two minutes, 250 MB)"
  rm -rf "$1.new"
  unshare --mount debootstrap --variant=minbase --force-check-gpg --include=rabbitmq-server,pgbouncer \
    trixie "$1.new" "$mirror" >>"$log" 2>&1 </dev/null ||
    { say "no RabbitMQ 4: debootstrap failed ($log)" && return 1; }
  rm -rf "$1.new"/var/cache/apt/archives/*.deb "$1.new"/var/lib/apt/lists/*
  rm -rf "$1"
  mv "$1.new" "$1"
}

# Prints the mirror of Debian's own packages that apt uses here, if it uses one.
debian_mirror() {
  # shellcheck disable=SC2016 # apt-get expands it
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' |
    sort -u | head -n 1
}

readonly PREVIOUS_PROGRAMS=(subscription-api router deliverer)
# The version from which the tests upgrade while no release has a tag: the last whose routers consume {namespace}.router.
readonly PREVIOUS_COMMIT=977eb9427045d36d94c70d544f7d11f25df0f5d5

# Prints the tag of the release before this commit, or the commit that stands in for it. Fails if the clone has neither.
previous_version() {
  git describe --tags --abbrev=0 --match 'v*' HEAD^ 2>/dev/null && return
  git cat-file -e "$PREVIOUS_COMMIT^{commit}" 2>/dev/null && printf '%s\n' "$PREVIOUS_COMMIT"
}

# build_previous_version REVISION: builds its services for tests/it/upgrade.rs. They are kept between runs.
build_previous_version() {
  local tree=$STATE/previous commit
  commit=$(git rev-parse "$1^{commit}") || return 1
  if [[ $(kept previous/built) != "$commit" ]]; then
    # The files get the current time, so that cargo compiles the crates of that version although it finds artifacts of this one.
    rm -rf "$tree" && mkdir -p "$tree/target/debug" && git archive "$commit" | tar -x -m -C "$tree" &&
      copy_dependencies "$tree/target/debug" &&
      cargo build --manifest-path "$tree/Cargo.toml" --target-dir "$tree/target" --workspace --locked \
        "${PREVIOUS_PROGRAMS[@]/#/--bin=}" &&
      (cd "$tree/target/debug" && mkdir "$tree/bin" && mv "${PREVIOUS_PROGRAMS[@]}" "$tree/bin") &&
      rm -rf "$tree/target" && keep previous/built "$commit" || return 1
  fi
  export E2E_PREVIOUS_BIN_DIR=$tree/bin
}

# copy_dependencies FOLDER: copies the libraries that cargo compiled for this version, so that it compiles dependencies once.
# It does not share the folder, because cargo gives the crates of both versions the same file names.
copy_dependencies() {
  local built=${CARGO_TARGET_DIR:-$ROOT/target}/debug
  [[ -d $built/deps ]] || return 0
  (cd "$built" && {
    printf '%s\0' build .fingerprint
    find deps -name '*.rlib' -print0 -o -name '*.rmeta' -print0 -o -name '*.so' -print0 -o -name '*.d' -print0
  } | xargs -0 cp -a --parents -t "$1")
}

# apart NAME: prepares a platform of its own, beside any other instance on this machine.
apart() {
  export POSTRIDER_BUILD_PROFILE=dev POSTRIDER_STATE=$STATE/$1 POSTRIDER_NAMESPACE=$1$$
  export DATABASE_URL=${DATABASE_URL%/*}/postrider_$1_$$ AMQP_URL
  unset POSTRIDER_MASTER_KEY POSTRIDER_SUPPORT_TOKEN POSTRIDER_ALLOW_NETWORKS POSTRIDER_EXTRA_CA_FILE
  local port
  port=$(free_ports 5)
  export POSTRIDER_API_LISTEN=127.0.0.1:$port POSTRIDER_OPS_LISTEN=127.0.0.1:$((port + 1))
  export POSTRIDER_DEMO_LISTEN=127.0.0.1:$((port + 4))
}

# Runs deploy/up from nothing, deploy/up again, and deploy/down. A key of the caller's environment reaches neither the build nor
# the processes that do not need it.
check_up_and_down() (
  logs=$STATE/logs
  apart smoke
  trap 'deploy/down --purge' EXIT
  POSTRIDER_MASTER_KEY=$(head -c 32 /dev/urandom | base64)
  # Before the folder is in the path: an earlier run has left it there, and its programs would call themselves for good.
  watch_builders "$logs/watched"
  export POSTRIDER_MASTER_KEY PATH=$logs/watched:$PATH
  deploy/up && deploy/up | tee "$logs/second-up.log" &&
    [[ $(grep -c 'runs already' "$logs/second-up.log") -eq 4 ]] && keys_stay_apart "$POSTRIDER_STATE"
)

# watch_builders FOLDER: puts programs there that stand in for cargo and npm, and fail if they see a key or a password.
watch_builders() {
  local program
  mkdir -p "$1"
  for program in cargo npm; do
    cat >"$1/$program" <<SCRIPT
#!/bin/sh
if env | grep -E '^(POSTRIDER_(MASTER_KEY|OLD_MASTER_KEYS|SUPPORT_TOKEN)|DATABASE_URL|AMQP_URL)=' >&2; then exit 1; fi
exec $(command -v "$program") "\$@"
SCRIPT
    chmod 755 "$1/$program"
  done
}

# Runs deploy/up with servers that it starts itself, in namespaces, because this machine's servers may run.
can_hide_servers() { can_install && unshare --mount --net --pid --fork true 2>/dev/null && have ip; }

check_own_servers() {
  POSTRIDER_MASTER_KEY='' POSTRIDER_SUPPORT_TOKEN='' \
    unshare --mount --net --pid --fork --kill-child --mount-proc deploy/check/own_servers "$STATE/own"
}

# Fills the root of the image, and runs its programs there, where nothing else is: no shell, no other library.
check_image() (
  local root=$STATE/image bin=${CARGO_TARGET_DIR:-$ROOT/target}/debug pid port program
  rm -rf "$root"
  deploy/image-root "$root" "$bin"/{subscription-api,router,deliverer,postrider} || return 1
  [[ $(find "$root" -type f | grep -cvE '^.*/(usr/local/bin/[a-z-]+|lib(64)?/.*\.so[.0-9]*|etc/nsswitch.conf)$') -eq 0 ]] || return 1
  for program in subscription-api router deliverer postrider; do in_image "$root" "$program" --version || return 1; done
  port=$(free_ports 1)
  export POSTRIDER_OPS_LISTEN=0.0.0.0:$port AMQP_URL=amqp://nobody:x@localhost:1 DATABASE_URL=postgres://nobody@localhost:1/none
  chroot --userspec=10001:10001 "$root" /usr/local/bin/router 2>"$STATE/logs/image.log" &
  pid=$!
  trap 'kill $pid' EXIT
  wait_until 60 in_image "$root" postrider health-check && ! in_image "$root" postrider health-check /readyz
)

in_image() { chroot --userspec=10001:10001 "$1" "/usr/local/bin/$2" "${@:3}"; }

check_console() {
  build_console
  (cd crates/subscription-api/console && { [[ -d node_modules ]] || npm ci --ignore-scripts --no-progress; } && npm test)
}

# Visits every page of the console in a browser. Webhooks are disabled within seconds, so that the tests can see it.
check_console_in_browser() (
  export CONSOLE_PICTURES=$STATE/logs/console
  apart console
  export POSTRIDER_RETRY_DELAYS=1s,1s POSTRIDER_HEALTH_FAILED_DELIVERIES=3 POSTRIDER_TOKEN_RATE=1000
  trap 'deploy/down --purge' EXIT
  open_state
  use_keys
  use_ports
  use_demo_settings
  prepare_servers
  build
  make_authority
  start_services
  export CONSOLE_CERTIFICATES=$STATE/demo
  CONSOLE_URL=$(base_url "$POSTRIDER_API_LISTEN")
  export CONSOLE_URL
  (cd tests/console && npm ci --ignore-scripts --no-progress && export POSTRIDER_SUPPORT_TOKEN && npm test)
)

# Prints the first of $1 consecutive free ports.
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
