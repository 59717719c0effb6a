# shellcheck shell=bash
# Keys and passwords, each drawn once and kept in the state folder. Sourced, never run.

# Keeps a 32-byte key in $1. The folder and the file are private.
draw_once() { [[ -s $1 ]] || (umask 077 && head -c 32 /dev/urandom | base64 >"$1"); }

# Keeps a password in $1, of letters and digits, so that a URL can contain it.
draw_password() { [[ -s $1 ]] || (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$1"); }

# Sets the keys without exporting them, because only the API and the deliverer may have them: neither a build, nor the router,
# nor the demo. A key of this script's own environment is removed from it.
use_keys() {
  draw_once "$STATE/master.key"
  draw_once "$STATE/support.token"
  POSTRIDER_MASTER_KEY=${POSTRIDER_MASTER_KEY:-$(<"$STATE/master.key")}
  POSTRIDER_SUPPORT_TOKEN=${POSTRIDER_SUPPORT_TOKEN:-$(<"$STATE/support.token")}
  export -n POSTRIDER_MASTER_KEY POSTRIDER_OLD_MASTER_KEYS POSTRIDER_SUPPORT_TOKEN
}

# --- accounts of RabbitMQ ----------------------------------------------------------------------

# draw_accounts VHOST: draws the passwords of the accounts, and writes RabbitMQ's definitions for the namespace.
draw_accounts() {
  "$ROOT/deploy/rabbitmq/accounts" "$STATE/rabbitmq" "${POSTRIDER_NAMESPACE:-postrider}" "$1"
}

account_password() { cat "$STATE/rabbitmq/$1.password"; }

# --- Docker Compose ----------------------------------------------------------------------------

# Writes the variables of docker-compose.yml into the private file compose.env.
write_compose_env() {
  use_keys
  draw_password "$STATE/postgres.password"
  draw_password "$STATE/postgres-admin.password"
  draw_accounts /
  (umask 077 && cat >"$STATE/compose.env") <<ENV
POSTRIDER_STATE=$STATE
POSTRIDER_MASTER_KEY=$POSTRIDER_MASTER_KEY
POSTRIDER_SUPPORT_TOKEN=$POSTRIDER_SUPPORT_TOKEN
POSTRIDER_POSTGRES_ADMIN_PASSWORD=$(<"$STATE/postgres-admin.password")
POSTRIDER_POSTGRES_PASSWORD=$(<"$STATE/postgres.password")
POSTRIDER_RABBITMQ_API_PASSWORD=$(account_password subscription-api)
POSTRIDER_RABBITMQ_ROUTER_PASSWORD=$(account_password router)
POSTRIDER_RABBITMQ_DELIVERER_PASSWORD=$(account_password deliverer)
ENV
}
