# shellcheck shell=bash
# Shared by deploy/up, deploy/down and deploy/test: messages to the user, the state folder, addresses, and processes
# that outlive the script. Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly ROOT
export LC_ALL=C.UTF-8

# Seconds that a service may take to end after SIGTERM: the request timeout, 5 s, and a margin.
readonly STOP_SECONDS=25

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
warn() { printf '%s: %s\n' "$0" "$*" >&2; }
fail() { warn "$*" && exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

readonly DEFAULT_DATABASE_URL=postgres://postgres@127.0.0.1:5432/postrider
readonly DEFAULT_AMQP_URL=amqp://guest:guest@127.0.0.1:5672/%2f
readonly DEFAULT_NAMESPACE=postrider

# The defaults of crates/docs/contract.md, §7, so that this script, the services and the demo agree. The URLs are not exported,
# because they may contain passwords: each process gets its own.
use_settings() {
  DATABASE_URL=${DATABASE_URL:-$DEFAULT_DATABASE_URL}
  AMQP_URL=${AMQP_URL:-$DEFAULT_AMQP_URL}
  export -n DATABASE_URL AMQP_URL
  export POSTRIDER_NAMESPACE=${POSTRIDER_NAMESPACE:-$DEFAULT_NAMESPACE}
  # The URL of each account of RabbitMQ, if the services have different ones.
  # shellcheck disable=SC2034 # servers.sh fills it
  declare -gA AMQP_URLS=()
}

# The folder for keys, process ids, logs and notes about started servers; only its owner can read it.
open_state() {
  STATE=${POSTRIDER_STATE:-.postrider}
  [[ $STATE == /* ]] || STATE=$ROOT/$STATE
  (umask 077 && mkdir -p "$STATE/logs" "$STATE/run" "$STATE/demo")
}

# Removes only the files of these scripts, because POSTRIDER_STATE may contain others.
remove_state() {
  rm -rf "${STATE:?}"/{run,logs,demo,python,previous,rabbitmq,image,trixie,trixie.new} "$STATE"/{master.key,support.token,brand.token,webhook.id} \
    "$STATE"/{compose.env,postgres.password,postgres-admin.password,producer.url}
  rmdir "$STATE" 2>/dev/null || true
}

# --- addresses ---------------------------------------------------------------------------------

decode() { printf '%b' "$(sed 's/\\/\\\\/g; s/%\([0-9A-Fa-f][0-9A-Fa-f]\)/\\x\1/g' <<<"$1")"; }

# Encodes the path of a URL.
encode() { sed 's/%/%25/g; s|/|%2f|g' <<<"$1"; }

# shellcheck disable=SC2034 # the other parts use these
# Splits scheme://user:password@host:port/path into URL_*; the default port comes second.
split_url() {
  local form='^[a-z]+://(([^:@/]*)(:([^@/]*))?@)?(\[[0-9a-fA-F:.]+\]|[^]:/?[]*)(:([0-9]+))?(/([^?]*))?(\?.*)?$'
  [[ $1 =~ $form ]] || return 1
  URL_USER=$(decode "${BASH_REMATCH[2]}")
  URL_PASSWORD=$(decode "${BASH_REMATCH[4]}")
  URL_HOST=${BASH_REMATCH[5]:-127.0.0.1}
  URL_HOST=${URL_HOST//[\[\]]/}
  URL_PORT=${BASH_REMATCH[7]:-$2}
  URL_PATH=$(decode "${BASH_REMATCH[9]}")
}

is_loopback() { [[ $1 == 127.* || $1 == localhost || $1 == ::1 ]]; }

# Prints the address of a listener on $1 as seen from this machine: host, blank, port.
reachable() {
  local host=${1%:*} port=${1##*:}
  host=${host//[\[\]]/}
  case $host in 0.0.0.0) host=127.0.0.1 ;; ::) host=::1 ;; esac
  printf '%s %s' "$host" "$port"
}

# Prints the base URL of a listener on $1, with the scheme $2.
base_url() {
  local host port
  read -r host port <<<"$(reachable "$1")"
  [[ $host != *:* ]] || host="[$host]"
  printf '%s://%s:%s' "${2:-http}" "$host" "$port"
}

# Sends the bytes $3 (printf escapes) to a port and prints, in hex, the first byte of the answer.
first_byte() {
  # shellcheck disable=SC2016 # the inner shell expands these
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2" && printf "$3" >&3 && head -c 1 <&3 | od -An -tx1' \
    _ "$1" "$2" "$3" 2>/dev/null | tr -d ' '
}

# port_state HOST PORT: prints open, closed (the connection was refused), or stuck (the listener accepts no connection, or
# the machine does not answer).
port_state() {
  local code=0
  # shellcheck disable=SC2016 # the inner shell expands these
  timeout 10 bash -c 'exec 3<>"/dev/tcp/$1/$2"' _ "$1" "$2" 2>/dev/null || code=$?
  case $code in 0) printf open ;; 124) printf stuck ;; *) printf closed ;; esac
}

port_is_open() { [[ $(port_state "$1" "$2") == open ]]; }

# http_status URL: prints the status of a GET, or 000. It ignores proxies from the environment.
http_status() { curl -s --noproxy '*' --max-time 3 -o /dev/null -w '%{http_code}' "$1" || true; }

# wait_until SECONDS COMMAND...: tries four times a second until the command succeeds.
wait_until() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.25
  done
}

# --- processes ---------------------------------------------------------------------------------
# run/NAME.pid contains the process id and the start time, so that a script never signals another process that got the same
# id later. run/NAME.sum contains a fingerprint of the command, the settings and the program.

started_at() {
  local stat fields
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  # The name in brackets may contain blanks; the 22nd field is the 20th after it.
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} != Z ]] && printf '%s' "${fields[19]}"
}

# Prints the process id of NAME if the process that we started still runs.
running() {
  local pid born
  { read -r pid born <"$STATE/run/$1.pid"; } 2>/dev/null || return 1
  [[ $(started_at "$pid") == "$born" ]] && printf '%s' "$pid"
}

is_running() { running "$1" >/dev/null; }
is_stopped() { ! is_running "$1"; }

# Prints a fingerprint of a process: its command, its settings and its program.
fingerprint() {
  { printf '%s\n' "$@" && env | grep -E '^(POSTRIDER_|DATABASE_URL=|AMQP_URL=|RUST_LOG=)' | sort && cat "$1"; } |
    sha256sum | cut -d ' ' -f 1
}

# start_process NAME PROGRAM ARGUMENT...: starts it in a session of its own, so that it outlives this script and its
# terminal. Keeps the log of this start and of the one before.
start_process() {
  local name=$1 log=$STATE/logs/$1.log
  shift
  [[ ! -e $log ]] || mv -f "$log" "$log.old"
  (umask 077 && : >"$log")
  setsid "$@" >>"$log" 2>&1 </dev/null &
  local pid=$!
  printf '%s %s\n' "$pid" "$(started_at "$pid" || true)" >"$STATE/run/$name.pid"
  fingerprint "$@" >"$STATE/run/$name.sum"
}

# ensure_process NAME PROGRAM ARGUMENT...: restarts it unless it already runs with the same fingerprint.
ensure_process() {
  local name=$1
  shift
  if is_running "$name"; then
    [[ $(fingerprint "$@") != "$(cat "$STATE/run/$name.sum")" ]] || { say "$name runs already" && return; }
    stop_process "$name"
  fi
  start_process "$name" "$@"
  say "$name started"
}

stop_process() {
  local pid
  if pid=$(running "$1"); then
    kill -TERM "$pid" 2>/dev/null || true
    if ! wait_until "$STOP_SECONDS" is_stopped "$1"; then
      warn "$1 did not stop within $STOP_SECONDS s and was killed"
      kill -KILL "$pid" 2>/dev/null || true
    fi
    say "$1 stopped"
  fi
  rm -f "$STATE/run/$1.pid" "$STATE/run/$1.sum"
}

# fail_with_log NAME MESSAGE: fails with the last lines of NAME's log.
fail_with_log() {
  { printf '%s\n' "--- the end of $STATE/logs/$1.log" && tail -n 20 "$STATE/logs/$1.log" && echo ---; } >&2 || true
  fail "$2"
}
