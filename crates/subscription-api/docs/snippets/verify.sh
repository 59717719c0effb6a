#!/usr/bin/env bash
# Verifies that Postrider sent a request. Exits with 0 if so. Reads the raw body from standard input.
#   WEBHOOK_SECRET=whsec_… verify.sh ID TIMESTAMP SIGNATURES <body
set -euo pipefail

id=$1 timestamp=$2 signatures=$3
age=$(($(date +%s) - timestamp))
((${age#-} <= 300)) || exit 1 # an older request may be a replay
key=$(printf %s "${WEBHOOK_SECRET#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \n')
[[ -n $key ]] || exit 1 # anybody can sign with an empty secret
expected=$({ printf '%s.%s.' "$id" "$timestamp" && cat; } |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64 | tr -d '\n')
# During a rotation there are several signatures. One valid signature is enough.
for given in $signatures; do
  [[ $given != "v1,$expected" ]] || exit 0
done
exit 1
