# shellcheck shell=bash
# What deploy/up, deploy/down and deploy/test share: words to the user, the state folder, addresses,
# and processes that outlive the script. Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly ROOT
export LC_ALL=C.UTF-8

# Seconds that a service gets to end after SIGTERM: the request timeout, 5 s, and a margin.
readonly STOP_SECONDS=25

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
warn() { printf '%s: %s\n' "$0" "$*" >&2; }
fail() { warn "$*" && exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

readonly DEFAULT_DATABASE_URL=postgres://postgres@127.0.0.1:5432/postrider
readonly DEFAULT_AMQP_URL=amqp://guest:guest@127.0.0.1:5672/%2f
readonly DEFAULT_NAMESPACE=postrider

# Settings as §7 of the contract has them, so that this script, the services and the demo agree.
use_settings() {
  export DATABASE_URL=${DATABASE_URL:-$DEFAULT_DATABASE_URL}
  export AMQP_URL=${AMQP_URL:-$DEFAULT_AMQP_URL}
  export POSTRIDER_NAMESPACE=${POSTRIDER_NAMESPACE:-$DEFAULT_NAMESPACE}
}

# The folder for keys, process numbers, logs and notes of what was started; nobody else reads it.
open_state() {
  STATE=${POSTRIDER_STATE:-.postrider}
  [[ $STATE == /* ]] || STATE=$ROOT/$STATE
  (umask 077 && mkdir -p "$STATE/logs" "$STATE/run" "$STATE/demo")
}

# Only what was made here goes: POSTRIDER_STATE may be a folder that holds more.
remove_state() {
  rm -rf "${STATE:?}"/{run,logs,demo,python,previous,trixie,trixie.new} "$STATE"/{master.key,support.token,brand.token,webhook.id}
  rmdir "$STATE" 2>/dev/null || true
}

# --- addresses ---------------------------------------------------------------------------------

decode() { printf '%b' "$(sed 's/\\/\\\\/g; s/%\([0-9A-Fa-f][0-9A-Fa-f]\)/\\x\1/g' <<<"$1")"; }

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

# The address at which a listener on $1 is reached from this machine: host, blank, port.
reachable() {
  local host=${1%:*} port=${1##*:}
  host=${host//[\[\]]/}
  case $host in 0.0.0.0) host=127.0.0.1 ;; ::) host=::1 ;; esac
  printf '%s %s' "$host" "$port"
}

# The base URL of a listener on $1, with the scheme $2.
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

# port_state HOST PORT: open, closed (refused: nobody listens), or stuck (a listener that takes no
# connection, or a machine that does not answer).
port_state() {
  local code=0
  # shellcheck disable=SC2016 # the inner shell expands these
  timeout 3 bash -c 'exec 3<>"/dev/tcp/$1/$2"' _ "$1" "$2" 2>/dev/null || code=$?
  case $code in 0) printf open ;; 124) printf stuck ;; *) printf closed ;; esac
}

port_is_open() { [[ $(port_state "$1" "$2") == open ]]; }

# http_status URL: the status of a GET, or 000. No proxy from the environment stands in between.
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
# run/NAME.pid holds the process number and its start time, so that a number which the system has
# given to another process since is never signalled; run/NAME.sum, what it was started with.

started_at() {
  local stat fields
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  # The name in brackets may hold blanks; the 22nd field is the 20th after it.
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} != Z ]] && printf '%s' "${fields[19]}"
}

# The process number of NAME, when the process that we started still runs.
running() {
  local pid born
  { read -r pid born <"$STATE/run/$1.pid"; } 2>/dev/null || return 1
  [[ $(started_at "$pid") == "$born" ]] && printf '%s' "$pid"
}

is_running() { running "$1" >/dev/null; }
is_stopped() { ! is_running "$1"; }

# What a process would be started with: its command, its settings, its program.
fingerprint() {
  { printf '%s\n' "$@" && env | grep -E '^(POSTRIDER_|DATABASE_URL=|AMQP_URL=|RUST_LOG=)' | sort && cat "$1"; } |
    sha256sum | cut -d ' ' -f 1
}

# start_process NAME PROGRAM ARGUMENT...: in a session of its own, so that it outlives this script
# and its terminal. One log a start, and the one before.
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

# ensure_process NAME PROGRAM ARGUMENT...: leaves it running when it is as it would be started now.
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

# fail_with_log NAME MESSAGE: ends with the last lines that NAME wrote.
fail_with_log() {
  { printf '%s\n' "--- the end of $STATE/logs/$1.log" && tail -n 20 "$STATE/logs/$1.log" && echo ---; } >&2 || true
  fail "$2"
}
