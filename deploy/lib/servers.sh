# shellcheck shell=bash
# PostgreSQL and RabbitMQ: uses servers that answer, else Docker Compose, else the distribution's packages.
# Sourced, never run. run/postgres.by and run/rabbitmq.by record how we started a server. A server that we started gets accounts
# with drawn passwords; a server that answers already is used with the account of its URL.

readonly CLUSTER=postrider
readonly RABBIT_CONFIG=/etc/rabbitmq

# File handles for RabbitMQ, which reserves three for each quorum queue.
readonly BROKER_FILES=65536

# Marks the configuration of a broker that we installed, from which we remove guest.
readonly OUR_BROKER='# Written by deploy/up.'
# The accounts of a broker that we started, beside the producer's.
ACCOUNTS=(subscription-api router deliverer)

prepare_servers() {
  prepare_postgres
  prepare_rabbitmq
}

# Succeeds if the first byte of the answer is among the given ones.
speaks() {
  local byte
  byte=$(first_byte "$URL_HOST" "$URL_PORT" "$1") || true
  shift
  [[ -n $byte && " $* " == *" $byte "* ]]
}

# PostgreSQL answers an SSLRequest with S or N; RabbitMQ answers a protocol header with a method frame.
postgres_speaks() { speaks '\0\0\0\010\004\322\026\057' 53 4e; }
rabbitmq_speaks() { speaks 'AMQP\0\0\011\001' 01; }
rabbitmq_answers() { if [[ $AMQP_URL == amqps:* ]]; then port_is_open "$URL_HOST" "$URL_PORT"; else rabbitmq_speaks; fi; }

# fail_unless_free VARIABLE: we start a server only on this machine and only if nobody listens. A server that hangs (out of
# file handles, stopped) must not get a second one beside it.
fail_unless_free() {
  case $(port_state "$URL_HOST" "$URL_PORT") in
    open) fail "the listener at $URL_HOST:$URL_PORT ($1) does not answer as expected: fix or stop it, or set $1" ;;
    stuck) fail "$URL_HOST:$URL_PORT ($1) accepts no connections: fix its server, or set $1" ;;
  esac
  is_loopback "$URL_HOST" || fail "nothing answers at $URL_HOST:$URL_PORT ($1)"
}

# --- PostgreSQL --------------------------------------------------------------------------------

prepare_postgres() {
  split_url "$DATABASE_URL" 5432 || fail "DATABASE_URL is not postgres://USER@HOST:PORT/DATABASE"
  if postgres_speaks; then
    say "PostgreSQL answers at $URL_HOST:$URL_PORT"
  else
    fail_unless_free DATABASE_URL
    start_with_compose postgres "$URL_PORT" || start_cluster
    wait_until 60 postgres_speaks || fail "PostgreSQL does not answer at $URL_HOST:$URL_PORT"
  fi
  use_own_role
  ensure_database
}

# Uses the role with the drawn password, at a server that we started, instead of the default account.
use_own_role() {
  [[ -n $(started_by postgres) && -e $STATE/run/postgres.role && ${URL_USER:-postgres} == postgres && -z $URL_PASSWORD ]] || return 0
  DATABASE_URL=postgres://postrider:$(<"$STATE/postgres.password")@$URL_HOST:$URL_PORT/${URL_PATH:-postrider}
  split_url "$DATABASE_URL" 5432
}

# Creates a cluster of our own, because the package's cluster belongs to the machine's owner.
start_cluster() {
  [[ ${URL_USER:-postgres} == postgres && -z $URL_PASSWORD ]] || fail "nothing answers at $URL_HOST:$URL_PORT (DATABASE_URL)"
  if [[ -z $(newest_postgres) ]] || ! have pg_createcluster; then install_postgres; fi
  can_install || fail "PostgreSQL has to be started, which this script does as root"
  local version
  version=$(newest_postgres)
  [[ -e /etc/postgresql/$version/$CLUSTER/postgresql.conf ]] || make_cluster "$version"
  pg_conftool "$version" "$CLUSTER" set port "$URL_PORT"
  pg_ctlcluster --skip-systemctl-redirect "$version" "$CLUSTER" start \
    >>"$STATE/logs/postgres.log" 2>&1 </dev/null || fail_with_log postgres "PostgreSQL did not start"
  printf 'cluster %s' "$version" >"$STATE/run/postgres.by"
  ensure_role "$version"
  say "PostgreSQL $version started (cluster $CLUSTER, port $URL_PORT)"
}

# Creates the role of the services as the server's administrator, whom only the operating system identifies.
ensure_role() {
  if grep -q '^host.*trust$' "/etc/postgresql/$1/$CLUSTER/pg_hba.conf"; then
    rm -f "$STATE/run/postgres.role"
    warn "the cluster $CLUSTER asks for no password, because an earlier version made it: 'deploy/down --purge' makes room for a new one"
    return
  fi
  draw_password "$STATE/postgres.password"
  wait_until 60 postgres_speaks || fail_with_log postgres "PostgreSQL does not answer at $URL_HOST:$URL_PORT"
  POSTRIDER_POSTGRES_PASSWORD=$(<"$STATE/postgres.password") \
    setpriv --reuid=postgres --regid=postgres --init-groups psql -Xq -h /var/run/postgresql -p "$URL_PORT" -d postgres \
    <"$ROOT/deploy/postgresql/role.sql" >>"$STATE/logs/postgres.log" 2>&1 ||
    fail_with_log postgres "the role postrider could not be made"
  : >"$STATE/run/postgres.role"
}

# Prints the newest installed version of the server. A client alone has a folder of its version, too.
newest_postgres() {
  find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | cut -d / -f 5 | sort -V | tail -n 1
}

install_postgres() { without_main_cluster install "PostgreSQL is needed" postgresql; }

# Runs a command and keeps the package from creating a cluster of its own, which would take a port in use.
without_main_cluster() {
  local defaults=/etc/postgresql-common/createcluster.d/postrider.conf
  can_install && mkdir -p "${defaults%/*}" && printf 'create_main_cluster = false\n' >"$defaults"
  "$@"
  rm -f "$defaults"
}

make_cluster() {
  pg_createcluster "$1" "$CLUSTER" --port "$URL_PORT" --start-conf manual --locale C.UTF-8 --encoding UTF8 \
    -- --auth-local peer --auth-host scram-sha-256 >>"$STATE/logs/postgres.log" 2>&1 </dev/null ||
    fail_with_log postgres "the PostgreSQL cluster $CLUSTER could not be made"
  printf '%s\n' "listen_addresses = '127.0.0.1'" "max_connections = 300" \
    >"/etc/postgresql/$1/$CLUSTER/conf.d/postrider.conf"
}

# sql DATABASE: runs SQL from standard input, as the user and at the server of DATABASE_URL.
sql() {
  PGHOST=$URL_HOST PGPORT=$URL_PORT PGUSER=${URL_USER:-postgres} PGPASSWORD=$URL_PASSWORD \
    PGDATABASE=$1 PGCONNECT_TIMEOUT=5 psql -XqAt -v ON_ERROR_STOP=1 -v name="$URL_PATH"
}

database_answers() { sql "$URL_PATH" <<<'select' >/dev/null 2>&1; }

# Compose creates the database with the server. Otherwise this function creates it, in a collation that is the same on every
# machine; deploy/down --purge drops only a database that this function created.
ensure_database() {
  URL_PATH=${URL_PATH:-postgres}
  [[ $(started_by postgres) != compose ]] || return 0
  have psql || install "to look for the database $URL_PATH" postgresql-client
  database_answers && return
  sql postgres 2>"$STATE/logs/database.log" <<'SQL' || fail_with_log database "the database could not be made"
select format('create database %I template template0 encoding %L lc_collate %L lc_ctype %L', :'name', 'UTF8', 'C', 'C')
where not exists (select from pg_database where datname = :'name') \gexec
SQL
  sql "$URL_PATH" <<<'select' 2>"$STATE/logs/database.log" ||
    fail_with_log database "PostgreSQL at $URL_HOST:$URL_PORT refuses DATABASE_URL"
  printf '%s' "$URL_PATH" >"$STATE/run/database.made"
  say "database $URL_PATH created"
}

# --- RabbitMQ ----------------------------------------------------------------------------------

prepare_rabbitmq() {
  split_url "$AMQP_URL" "$([[ $AMQP_URL == amqps:* ]] && echo 5671 || echo 5672)" ||
    fail "AMQP_URL is not amqp://USER:PASSWORD@HOST:PORT/VHOST"
  if rabbitmq_answers; then
    say "RabbitMQ answers at $URL_HOST:$URL_PORT"
  else
    fail_unless_free AMQP_URL
    start_with_compose rabbitmq "$URL_PORT" || start_broker
    wait_until 120 rabbitmq_answers || fail_with_log rabbitmq "RabbitMQ does not answer at $URL_HOST:$URL_PORT"
    : >"$STATE/run/rabbitmq.accounts"
  fi
  use_own_accounts
}

# Gives each service the account with the drawn password, at a broker that we started, instead of guest. The accounts are
# imported each time, because their permissions depend on the namespace and on this version.
use_own_accounts() {
  local account
  [[ -n $(started_by rabbitmq) && -e $STATE/run/rabbitmq.accounts && ${URL_USER:-guest} == guest ]] || return 0
  draw_accounts "${URL_PATH:=/}"
  wait_until 60 import_accounts || fail_with_log rabbitmq "RabbitMQ does not take the accounts"
  [[ $(started_by rabbitmq) != new ]] || wait_until 60 delete_guest || fail_with_log rabbitmq "RabbitMQ keeps the account guest"
  for account in producer "${ACCOUNTS[@]}"; do AMQP_URLS["$account"]=$(account_url "$account"); done
  AMQP_URL=${AMQP_URLS[producer]}
}

# Succeeds once the account is gone. rabbitmqctl may fail on a busy machine.
delete_guest() {
  rabbitmqctl -q delete_user guest >>"$STATE/logs/rabbitmq.log" 2>&1 || true
  local users
  users=$(rabbitmqctl -q --no-table-headers list_users 2>>"$STATE/logs/rabbitmq.log") && ! grep -q '^guest\s' <<<"$users"
}

# Prints the URL of an account, at the host and vhost in URL_*.
account_url() {
  printf 'amqp://%s-%s:%s@%s:%s/%s' "$POSTRIDER_NAMESPACE" "$1" "$(account_password "$1")" "$URL_HOST" "$URL_PORT" "$(encode "$URL_PATH")"
}

# Imports the accounts from a file that RabbitMQ's own account can read, because rabbitmqctl of RabbitMQ 4 does not read a
# redirected file. The file contains hashes only.
import_accounts() {
  local definitions=$STATE/rabbitmq/definitions.json file=/var/lib/rabbitmq/postrider-accounts.json
  if [[ $(started_by rabbitmq) == compose ]]; then
    compose exec -T rabbitmq rabbitmqctl -q import_definitions /etc/rabbitmq/accounts/definitions.json
  else
    command install -m 600 -o rabbitmq "$definitions" "$file" && rabbitmqctl -q import_definitions "$file" && rm -f "$file"
  fi >>"$STATE/logs/rabbitmq.log" 2>&1
}

# Gives the tests, which create namespaces and databases of their own, an account with all permissions in the broker.
use_tests_account() {
  if [[ -n ${AMQP_URLS[producer]:-} ]]; then
    split_url "$AMQP_URL" 5672
    POSTRIDER_TESTS_ACCOUNT=yes draw_accounts "$URL_PATH"
    wait_until 60 import_accounts || fail_with_log rabbitmq "RabbitMQ does not take the accounts"
    AMQP_URL=$(account_url tests)
    AMQP_URLS=()
  fi
  export E2E_AMQP_URL=${E2E_AMQP_URL:-$AMQP_URL} E2E_DATABASE_URL=${E2E_DATABASE_URL:-${DATABASE_URL%/*}/postgres}
}

start_broker() {
  local by=package
  [[ ${URL_USER:-guest} == guest && $AMQP_URL == amqp:* ]] || fail "nothing answers at $URL_HOST:$URL_PORT (AMQP_URL)"
  if ! have rabbitmq-server; then
    install "RabbitMQ is needed" rabbitmq-server
    configure_new_broker
  fi
  grep -qs "$OUR_BROKER" "$RABBIT_CONFIG/rabbitmq.conf" && by=new
  can_install || fail "RabbitMQ has to be started, which this script does as root"
  [[ -e $RABBIT_CONFIG/advanced.config ]] || cp "$ROOT/deploy/rabbitmq/advanced.config" "$RABBIT_CONFIG/"
  (raise_files && as_rabbitmq rabbitmq-server -detached) >>"$STATE/logs/rabbitmq.log" 2>&1 </dev/null ||
    fail_with_log rabbitmq "RabbitMQ did not start"
  printf '%s' "$by" >"$STATE/run/rabbitmq.by"
  say "RabbitMQ started (port $URL_PORT)"
}

# Configures a node that is not reachable from outside, with a name that does not depend on the machine's name.
configure_new_broker() {
  cat >>"$RABBIT_CONFIG/rabbitmq-env.conf" <<'CONF'
NODENAME=rabbit@localhost
export ERL_EPMD_ADDRESS=127.0.0.1
export ERL_FLAGS="-kernel inet_dist_use_interface {127,0,0,1}"
CONF
  printf '%s\nlisteners.tcp.local = 127.0.0.1:%s\n' "$OUR_BROKER" "$URL_PORT" >>"$RABBIT_CONFIG/rabbitmq.conf"
}

# Raises the limit to the wanted number, or to the machine's maximum; in a subshell, otherwise every later command has it, too.
raise_files() { ulimit -n "$BROKER_FILES" 2>/dev/null || ulimit -n "$(ulimit -Hn)"; }

# The package's own start, through su, resets the limit to the first process's one.
as_rabbitmq() {
  HOME=/var/lib/rabbitmq setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups "$@"
}

# --- Docker Compose ----------------------------------------------------------------------------

compose() {
  # The file requires the secrets of all services for every command.
  [[ -s $STATE/compose.env ]] || write_compose_env
  docker compose --project-directory "$ROOT" --env-file "$STATE/compose.env" "$@"
}

start_with_compose() {
  local postgres_port=5432 rabbitmq_port=5672
  if ! docker info >/dev/null 2>&1 || ! docker compose version >/dev/null 2>&1; then return 1; fi
  if [[ $1 == postgres ]]; then postgres_port=$2; else rabbitmq_port=$2; fi
  say "starting $1 with Docker Compose"
  write_compose_env
  if ! POSTRIDER_POSTGRES_PORT=$postgres_port POSTRIDER_RABBITMQ_PORT=$rabbitmq_port \
    compose up -d --wait "$1" >>"$STATE/logs/$1.log" 2>&1 </dev/null; then
    warn "Docker Compose could not start $1 ($STATE/logs/$1.log); trying the distribution's package"
    compose rm -fs "$1" >/dev/null 2>&1 || true
    return 1
  fi
  printf compose >"$STATE/run/$1.by"
  [[ $1 != postgres ]] || : >"$STATE/run/postgres.role"
}

# --- stopping ----------------------------------------------------------------------------------

started_by() { cat "$STATE/run/$1.by" 2>/dev/null || true; }

# stop_servers [purge]: stops the servers that we started. Their data stays unless it is purged.
stop_servers() {
  stop_postgres "${1:-}"
  stop_rabbitmq "${1:-}"
}

stop_postgres() {
  local by
  by=$(started_by postgres)
  case $by in
    '') return ;;
    compose) stop_with_compose postgres "$1" ;;
    *) stop_cluster "${by#cluster }" "$1" ;;
  esac
  rm -f "$STATE/run/postgres.by"
  say "PostgreSQL stopped"
}

stop_cluster() {
  pg_ctlcluster --skip-systemctl-redirect "$1" "$CLUSTER" stop -m fast || true
  [[ $2 != purge ]] || { rm -f "/etc/postgresql/$1/$CLUSTER/conf.d/postrider.conf" && pg_dropcluster "$1" "$CLUSTER"; }
}

stop_rabbitmq() {
  case $(started_by rabbitmq) in
    '') return ;;
    compose) stop_with_compose rabbitmq "$1" ;;
    *) stop_broker "$1" ;;
  esac
  rm -f "$STATE/run/rabbitmq.by"
  say "RabbitMQ stopped"
}

stop_broker() {
  [[ $1 != purge ]] || { delete_namespace && delete_accounts; }
  rabbitmqctl -q shutdown >/dev/null || warn "RabbitMQ did not stop"
}

# Removes only queues and exchanges of our namespace, because the broker may contain others. rabbitmqctl can delete queues
# but not exchanges, so one Erlang expression deletes both.
delete_namespace() {
  split_url "$AMQP_URL" 5672 || return 0
  [[ $POSTRIDER_NAMESPACE =~ ^[A-Za-z0-9_.-]+$ && ${URL_PATH:=/} != *[\"\\]* ]] || return 0
  rabbitmqctl -q eval "
    VHost = <<\"$URL_PATH\">>, By = <<\"deploy/down\">>,
    Ours = fun({resource, _, _, Name}) -> string:prefix(Name, <<\"$POSTRIDER_NAMESPACE.\">>) =/= nomatch end,
    [rabbit_amqqueue:with(Queue, fun(Q) -> rabbit_amqqueue:delete(Q, false, false, By) end)
      || Queue <- rabbit_amqqueue:list_names(VHost), Ours(Queue)],
    [rabbit_exchange:delete(element(2, Exchange), false, By)
      || Exchange <- rabbit_exchange:list(VHost), Ours(element(2, Exchange))], ok." >/dev/null ||
    warn "the queues and exchanges of $POSTRIDER_NAMESPACE could not be deleted"
}

delete_accounts() {
  local account
  for account in producer tests "${ACCOUNTS[@]}"; do
    [[ ! -e $STATE/rabbitmq/$account.password ]] || rabbitmqctl -q delete_user "$POSTRIDER_NAMESPACE-$account" >/dev/null || true
  done
}

stop_with_compose() {
  compose stop "$1" >/dev/null 2>&1 || warn "Docker Compose did not stop $1"
  [[ $2 != purge ]] || { compose rm -fs "$1" && docker volume rm "postrider-$1"; } >/dev/null 2>&1
}

# Removes the objects of deploy/up from servers that keep running: the database, and with it the queues that belong to it.
purge_shared_servers() {
  [[ -e $STATE/run/database.made && -z $(started_by postgres) ]] || return 0
  split_url "$DATABASE_URL" 5432 && [[ $URL_PATH == "$(cat "$STATE/run/database.made")" ]] || return 0
  sql postgres <<<'drop database if exists :"name" with (force)'
  say "database $URL_PATH dropped"
  [[ -n $(started_by rabbitmq) ]] || ! have rabbitmqctl || delete_namespace
}
