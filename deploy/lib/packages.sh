# shellcheck shell=bash
# Packages of the distribution. Sourced, never run.

readonly POLICY=/usr/sbin/policy-rc.d
PACKAGE_LISTS_FRESH=

can_install() { [[ $EUID -eq 0 ]] && have apt-get; }

# Keeps packages from starting a server while they are installed, because it could take a port that is in use.
# Runs in a subshell, because the previous policy is restored when the subshell ends.
keep_servers_off() {
  if [[ -e $POLICY ]]; then
    mv "$POLICY" "$POLICY.postrider"
    trap 'mv -f "$POLICY.postrider" "$POLICY"' EXIT
  else
    trap 'rm -f "$POLICY"' EXIT
  fi
  printf '#!/bin/sh\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
}

run_apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" \
    >>"$STATE/logs/packages.log" 2>&1 </dev/null
}

# install WHY PACKAGE...
install() {
  local why=$1
  shift
  can_install || fail "$why: install $* (this script can only as root, with apt-get)"
  say "installing $* ($why)"
  if [[ -z $PACKAGE_LISTS_FRESH ]]; then
    run_apt update || warn "the package lists could not be brought up to date: $STATE/logs/packages.log"
    PACKAGE_LISTS_FRESH=yes
  fi
  (keep_servers_off && run_apt install -y --no-install-recommends "$@") ||
    fail_with_log packages "$why: $* could not be installed"
}

need_cargo() {
  have cargo || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
  have cargo || fail "there is no cargo here: install Rust first"
}

# Rust and its cryptography need a linker and a C compiler; the scripts need curl to call the API; cargo needs roots to
# trust its registry.
need_tools() {
  local missing=()
  have cc || missing+=(gcc libc6-dev)
  have curl || missing+=(curl)
  [[ -e /etc/ssl/certs/ca-certificates.crt ]] || missing+=(ca-certificates)
  [[ ${#missing[@]} -eq 0 ]] || install "to build Postrider and to call it" "${missing[@]}"
}

# Builds the console; Debian 12's version is the oldest that works.
need_node() {
  if ! have node || ! have npm; then install "to build the console" nodejs npm; fi
  [[ $(node --version) =~ ^v([0-9]+) && ${BASH_REMATCH[1]} -ge 18 ]] || fail "the console needs Node.js 18 or later"
}
