# shellcheck shell=bash
# The demo: a receiver, a brand with a token and a webhook, one event from end to end.
# Sourced, never run.

readonly DEMO_BRAND=demo
readonly DEMO_TYPE=NOTIFICATION.SMS.RECEIPT
readonly DEMO_DATA='{"phoneNumber":"+1234456789","message":"I am an SMS message","locale":"en-US"}'
readonly DELIVERY_SECONDS=30

# The receiver runs on this machine with a certificate of its own, so both have to be allowed.
use_demo_settings() {
  export POSTRIDER_DEMO_LISTEN=${POSTRIDER_DEMO_LISTEN:-127.0.0.1:8443}
  export POSTRIDER_ALLOW_NETWORKS=${POSTRIDER_ALLOW_NETWORKS:-127.0.0.0/8}
  export POSTRIDER_EXTRA_CA_FILE=${POSTRIDER_EXTRA_CA_FILE:-$STATE/demo/ca.pem}
  DEMO_ENDPOINT=$(base_url "$POSTRIDER_DEMO_LISTEN" https)/postrider
}

make_authority() { "$BIN/demo" ca --state-dir "$STATE/demo" >/dev/null; }

# --- the API -----------------------------------------------------------------------------------

# api TOKEN METHOD PATH [BODY]: leaves the answer in API_STATUS and API_BODY. The token goes through standard input,
# because every user of the machine can read command lines.
api() {
  local answer
  answer=$(curl -sS --noproxy '*' --max-time 20 -w '\n%{http_code}' -K - -X "$2" \
    ${4:+-H 'content-type: application/json' --data-binary "$4"} \
    "$(base_url "$POSTRIDER_API_LISTEN")$3" <<<"header = \"authorization: Bearer $1\"") || fail "the API does not answer"
  API_STATUS=${answer##*$'\n'}
  API_BODY=${answer%$'\n'*}
}

# expect STATUS WHAT: fails with the API's answer if the last status is another.
expect() { [[ $API_STATUS == "$1" ]] || fail "$2: the API answered $API_STATUS: $API_BODY"; }

# Prints the first string named $1 in the last answer. Ids, tokens and secrets contain no escapes.
field() { grep -o "\"$1\" *: *\"[^\"]*\"" <<<"$API_BODY" | head -n 1 | sed 's/.*: *"//; s/"$//'; }

# keep FILE VALUE
keep() { (umask 077 && printf '%s\n' "$2" >"$STATE/$1"); }
kept() { cat "$STATE/$1" 2>/dev/null || true; }

as_support() { api "$POSTRIDER_SUPPORT_TOKEN" "$@"; }
as_brand() { api "$(kept brand.token)" "$@"; }

# --- objects of the demo, each created once -------------------------------------------------------

ensure_brand() {
  as_support GET "/admin/v1/brands/$DEMO_BRAND"
  if [[ $API_STATUS == 404 ]]; then
    as_support POST /admin/v1/brands \
      "{\"brandId\":\"$DEMO_BRAND\",\"name\":\"Demo\",\"contact\":{\"name\":\"Demo\",\"email\":\"demo@example.com\"}}"
    expect 201 "making the brand $DEMO_BRAND"
  fi
  as_support PUT "/admin/v1/brands/$DEMO_BRAND/event-types/$DEMO_TYPE"
  expect 204 "enabling $DEMO_TYPE"
}

ensure_token() {
  if [[ -n $(kept brand.token) ]]; then
    as_brand GET "/v1/$DEMO_BRAND/webhooks"
    [[ $API_STATUS != 200 ]] || return 0
  fi
  as_support POST "/admin/v1/brands/$DEMO_BRAND/tokens" '{"name":"deploy/up","role":"write"}'
  expect 201 "making a token"
  keep brand.token "$(field token)"
}

ensure_webhook() {
  local path=/v1/$DEMO_BRAND/webhooks
  as_brand GET "$path/$(kept webhook.id)"
  if [[ $API_STATUS != 200 || $(field status) != active || $(field endpoint) != "$DEMO_ENDPOINT" ]]; then
    delete_old_webhooks
    as_brand POST "$path" "{\"endpoint\":\"$DEMO_ENDPOINT\",\"events\":[\"$DEMO_TYPE\"],\"description\":\"deploy/up\"}"
    expect 201 "making the webhook"
    keep webhook.id "$(field id)"
  fi
  as_brand GET "$path/$(kept webhook.id)/secret"
  expect 200 "reading the webhook's secret"
  keep demo/secret "$(field secret)"
}

# Deletes webhooks of an earlier state folder, because the receiver does not have their secrets.
delete_old_webhooks() {
  local ids id
  as_brand GET "/v1/$DEMO_BRAND/webhooks?limit=1000"
  ids=$(grep -o '{"id":"[^"]*","brandId":"[^"]*","endpoint":"[^"]*"' <<<"$API_BODY" |
    grep -F "\"$DEMO_ENDPOINT\"" | cut -d '"' -f 4) || return 0
  while read -r id; do as_brand DELETE "/v1/$DEMO_BRAND/webhooks/$id"; done <<<"$ids"
}

start_receiver() {
  ensure_process receiver "$BIN/demo" receive --listen "$POSTRIDER_DEMO_LISTEN" --state-dir "$STATE/demo"
  local host port
  read -r host port <<<"$(reachable "$POSTRIDER_DEMO_LISTEN")"
  wait_until 60 port_is_open "$host" "$port" || fail_with_log receiver "the demo receiver does not listen"
}

# Publishes over AMQP and prints the request that arrived.
send_one_event() {
  EVENT_ID=$(AMQP_URL=$AMQP_URL "$BIN/demo" publish --brand "$DEMO_BRAND" --type "$DEMO_TYPE" --data "$DEMO_DATA") ||
    fail "the event could not be published"
  say "published $EVENT_ID over AMQP; the receiver got:"
  say
  "$BIN/demo" wait --state-dir "$STATE/demo" --event-id "$EVENT_ID" --timeout "${DELIVERY_SECONDS}s" ||
    fail_with_log deliverer "the event did not arrive within $DELIVERY_SECONDS s"
}
