# shellcheck shell=bash
# PostgreSQL and RabbitMQ: those that answer, else Docker Compose, else the distribution's packages.
# Sourced, never run. run/postgres.by and run/rabbitmq.by say which server we started, and how.

readonly CLUSTER=postrider
readonly RABBIT_CONFIG=/etc/rabbitmq

# File handles that RabbitMQ should have: it reserves three for each quorum queue.
readonly BROKER_FILES=65536

prepare_servers() {
  prepare_postgres
  prepare_rabbitmq
}

# True when the first byte of the answer is one of those that follow.
speaks() {
  local byte
  byte=$(first_byte "$URL_HOST" "$URL_PORT" "$1") || true
  shift
  [[ -n $byte && " $* " == *" $byte "* ]]
}

# PostgreSQL answers an SSLRequest with S or N; RabbitMQ a protocol header with a method frame.
postgres_speaks() { speaks '\0\0\0\010\004\322\026\057' 53 4e; }
rabbitmq_speaks() { speaks 'AMQP\0\0\011\001' 01; }
rabbitmq_answers() { if [[ $AMQP_URL == amqps:* ]]; then port_is_open "$URL_HOST" "$URL_PORT"; else rabbitmq_speaks; fi; }

# fail_unless_free VARIABLE: a server of ours is started only where nobody listens, and only here. One
# that is there but hangs (out of file handles, stopped) must not get a second one beside it.
fail_unless_free() {
  case $(port_state "$URL_HOST" "$URL_PORT") in
    open) fail "what listens at $URL_HOST:$URL_PORT ($1) does not answer as it should: mend or stop it, or set $1" ;;
    stuck) fail "$URL_HOST:$URL_PORT ($1) takes no connections: mend what runs there, or set $1" ;;
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
  ensure_database
}

# A cluster of our own: the one that the package would make belongs to the machine's owner, and the
# access without a password, which the default DATABASE_URL asks for, is opened here alone and for
# loopback addresses alone.
start_cluster() {
  [[ $URL_USER == postgres ]] || fail "nothing answers at $URL_HOST:$URL_PORT (DATABASE_URL)"
  if [[ -z $(newest_postgres) ]] || ! have pg_createcluster; then install_postgres; fi
  can_install || fail "PostgreSQL has to be started, which this script does as root"
  local version
  version=$(newest_postgres)
  [[ -e /etc/postgresql/$version/$CLUSTER/postgresql.conf ]] || make_cluster "$version"
  pg_conftool "$version" "$CLUSTER" set port "$URL_PORT"
  pg_ctlcluster --skip-systemctl-redirect "$version" "$CLUSTER" start \
    >>"$STATE/logs/postgres.log" 2>&1 </dev/null || fail_with_log postgres "PostgreSQL did not start"
  printf 'cluster %s' "$version" >"$STATE/run/postgres.by"
  say "PostgreSQL $version started (cluster $CLUSTER, port $URL_PORT)"
}

# The newest installed version of the server: a client alone has a folder of its version too.
newest_postgres() {
  find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | cut -d / -f 5 | sort -V | tail -n 1
}

install_postgres() { without_main_cluster install "PostgreSQL is needed" postgresql; }

# Runs a command while the package makes no cluster of its own, with a port that is in use here.
without_main_cluster() {
  local defaults=/etc/postgresql-common/createcluster.d/postrider.conf
  can_install && mkdir -p "${defaults%/*}" && printf 'create_main_cluster = false\n' >"$defaults"
  "$@"
  rm -f "$defaults"
}

make_cluster() {
  pg_createcluster "$1" "$CLUSTER" --port "$URL_PORT" --start-conf manual --locale C.UTF-8 --encoding UTF8 \
    -- --auth-local peer --auth-host trust >>"$STATE/logs/postgres.log" 2>&1 </dev/null ||
    fail_with_log postgres "the PostgreSQL cluster $CLUSTER could not be made"
  printf '%s\n' "listen_addresses = '127.0.0.1'" "max_connections = 300" \
    >"/etc/postgresql/$1/$CLUSTER/conf.d/postrider.conf"
}

# sql DATABASE: runs what it reads, as the user and at the server of DATABASE_URL.
sql() {
  PGHOST=$URL_HOST PGPORT=$URL_PORT PGUSER=${URL_USER:-postgres} PGPASSWORD=$URL_PASSWORD \
    PGDATABASE=$1 PGCONNECT_TIMEOUT=5 psql -XqAt -v ON_ERROR_STOP=1 -v name="$URL_PATH"
}

database_answers() { sql "$URL_PATH" <<<'select' >/dev/null 2>&1; }

# Compose makes the database with the server. Elsewhere it is made here, in a collation that is the
# same on every machine; deploy/down --purge drops only a database that was.
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
  say "database $URL_PATH made"
}

# --- RabbitMQ ----------------------------------------------------------------------------------

prepare_rabbitmq() {
  split_url "$AMQP_URL" "$([[ $AMQP_URL == amqps:* ]] && echo 5671 || echo 5672)" ||
    fail "AMQP_URL is not amqp://USER:PASSWORD@HOST:PORT/VHOST"
  if rabbitmq_answers; then
    say "RabbitMQ answers at $URL_HOST:$URL_PORT"
    return
  fi
  fail_unless_free AMQP_URL
  start_with_compose rabbitmq "$URL_PORT" || start_broker
  wait_until 120 rabbitmq_answers || fail_with_log rabbitmq "RabbitMQ does not answer at $URL_HOST:$URL_PORT"
}

start_broker() {
  [[ ${URL_USER:-guest} == guest && $AMQP_URL == amqp:* ]] || fail "nothing answers at $URL_HOST:$URL_PORT (AMQP_URL)"
  if ! have rabbitmq-server; then
    install "RabbitMQ is needed" rabbitmq-server
    configure_new_broker
  fi
  can_install || fail "RabbitMQ has to be started, which this script does as root"
  [[ -e $RABBIT_CONFIG/advanced.config ]] || cp "$ROOT/deploy/rabbitmq/advanced.config" "$RABBIT_CONFIG/"
  (raise_files && as_rabbitmq rabbitmq-server -detached) >>"$STATE/logs/rabbitmq.log" 2>&1 </dev/null ||
    fail_with_log rabbitmq "RabbitMQ did not start"
  printf package >"$STATE/run/rabbitmq.by"
  say "RabbitMQ started (port $URL_PORT)"
}

# A node that nobody reaches from outside, and whose name does not hang on the machine's.
configure_new_broker() {
  cat >>"$RABBIT_CONFIG/rabbitmq-env.conf" <<'CONF'
NODENAME=rabbit@localhost
export ERL_EPMD_ADDRESS=127.0.0.1
export ERL_FLAGS="-kernel inet_dist_use_interface {127,0,0,1}"
CONF
  printf 'listeners.tcp.local = 127.0.0.1:%s\n' "$URL_PORT" >>"$RABBIT_CONFIG/rabbitmq.conf"
}

# As many as wanted, or as the machine allows; in a subshell, or everything after it has them too.
raise_files() { ulimit -n "$BROKER_FILES" 2>/dev/null || ulimit -n "$(ulimit -Hn)"; }

# The package's own way, su, sets the limit back to that of the machine's first process.
as_rabbitmq() {
  HOME=/var/lib/rabbitmq setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups "$@"
}

# --- Docker Compose ----------------------------------------------------------------------------

compose() {
  # The file asks for the services' key whatever is started; a server has no use for it.
  POSTRIDER_MASTER_KEY=${POSTRIDER_MASTER_KEY:-unused} docker compose --project-directory "$ROOT" "$@"
}

start_with_compose() {
  local postgres_port=5432 rabbitmq_port=5672
  if ! docker info >/dev/null 2>&1 || ! docker compose version >/dev/null 2>&1; then return 1; fi
  if [[ $1 == postgres ]]; then postgres_port=$2; else rabbitmq_port=$2; fi
  say "starting $1 with Docker Compose"
  if ! POSTRIDER_POSTGRES_PORT=$postgres_port POSTRIDER_RABBITMQ_PORT=$rabbitmq_port \
    compose up -d --wait "$1" >>"$STATE/logs/$1.log" 2>&1 </dev/null; then
    warn "Docker Compose could not start $1 ($STATE/logs/$1.log); trying the distribution's package"
    compose rm -fs "$1" >/dev/null 2>&1 || true
    return 1
  fi
  printf compose >"$STATE/run/$1.by"
}

# --- stopping ----------------------------------------------------------------------------------

started_by() { cat "$STATE/run/$1.by" 2>/dev/null || true; }

# stop_servers [purge]: those that we started; what they hold stays unless it is to be purged.
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
  [[ $1 != purge ]] || delete_namespace
  rabbitmqctl -q shutdown >/dev/null || warn "RabbitMQ did not stop"
}

# The broker may hold what belongs to others: only what our namespace begins goes. There is a command
# for queues but none for exchanges, so both are said in the broker's own language, in one call.
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

stop_with_compose() {
  compose stop "$1" >/dev/null 2>&1 || warn "Docker Compose did not stop $1"
  [[ $2 != purge ]] || { compose rm -fs "$1" && docker volume rm "postrider-$1"; } >/dev/null 2>&1
}

# What deploy/up made on servers that go on: the database, and with it the queues that belong to it.
purge_shared_servers() {
  [[ -e $STATE/run/database.made && -z $(started_by postgres) ]] || return 0
  split_url "$DATABASE_URL" 5432 && [[ $URL_PATH == "$(cat "$STATE/run/database.made")" ]] || return 0
  sql postgres <<<'drop database if exists :"name" with (force)'
  say "database $URL_PATH dropped"
  [[ -n $(started_by rabbitmq) ]] || ! have rabbitmqctl || delete_namespace
}
