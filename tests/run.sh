#!/usr/bin/env bash
# Runs every check and every test, from any folder:   tests/run.sh [--install]
#
# First it looks at what the machine has. Something missing is named with the command that installs it;
# with --install, or CI=true, Debian packages and Rust components are installed. It stops at the first
# failure (1), or for want of something (2), and says what to do. `cargo test` comes last, so that its
# results are what you see at the end.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly RUST_MIN=1.90
readonly STEPS=10
readonly TARGET=${CARGO_TARGET_DIR:-$PWD/target}

# Nothing here is built twice with small changes in between; without it a cold build is smaller and faster.
export CARGO_INCREMENTAL=0
export CARGO_NET_RETRY=${CARGO_NET_RETRY:-5}
if [[ -z ${CARGO_TERM_COLOR:-} ]]; then
  if [[ -t 1 ]]; then CARGO_TERM_COLOR=always; else CARGO_TERM_COLOR=never; fi
  export CARGO_TERM_COLOR
fi

install=no
[[ ${CI:-} == true ]] && install=yes
for argument in "$@"; do
  case $argument in
    --install) install=yes ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "tests/run.sh: unknown option $argument; allowed: --install, --help" >&2; exit 2 ;;
  esac
done

has() { command -v "$1" >/dev/null 2>&1; }

# --- What the tests need -------------------------------------------------------------------------

missing=()
# need <command> <Debian packages...>: later rows of tests add theirs here (redis-server, chromium).
need() { has "$1" || missing+=("${@:2}"); }

# want <command> <Debian package>: a check can do without, and says so. Installed with --install only.
want() { has "$1" || [[ $install == no ]] || missing+=("$2"); }

as_root() {
  if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi
}

look_at_the_machine() {
  need cc gcc libc6-dev
  # Tests of shared limits start servers of their own.
  need redis-server redis-server
  # The bench `instructions` counts what a call executes.
  want valgrind valgrind
  want objdump binutils
  if (( ${#missing[@]} > 0 )); then
    local by_hand="apt-get install ${missing[*]}"
    if [[ $install == no ]] || ! has apt-get; then
      echo "missing: ${missing[*]} (Debian's names). Install with" >&2
      echo "    $by_hand" >&2
      echo "or let this script do it: tests/run.sh --install" >&2
      exit 2
    fi
    echo "installing ${missing[*]}"
    if ! { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "${missing[@]}"; }; then
      echo "could not install them; try by hand: $by_hand" >&2
      exit 2
    fi
  fi
  # Debian's own cargo is too old, so this is not apt's business.
  if ! has cargo; then
    echo "missing: Rust $RUST_MIN or later. Install with" >&2
    echo "    curl -sSf https://sh.rustup.rs | sh -s -- -y --profile default && . ~/.cargo/env" >&2
    exit 2
  fi
  local version
  version=$(rustc --version | cut -d' ' -f2)
  if [[ $(printf '%s\n' "$RUST_MIN" "$version" | sort -V | head -n1) != "$RUST_MIN" ]]; then
    echo "Rust $version is too old: $RUST_MIN or later is needed. Update with: rustup update stable" >&2
    exit 2
  fi
  if [[ $install == yes ]] && has rustup && ! { has_fmt && has_clippy; }; then
    rustup component add rustfmt clippy || echo "rustfmt and clippy could not be added" >&2
  fi
  echo "Rust $version, $(nproc 2>/dev/null || echo '?') cores, target folder $TARGET"
}

has_fmt() { cargo fmt --version >/dev/null 2>&1; }
has_clippy() { cargo clippy --version >/dev/null 2>&1; }

# --- Steps ---------------------------------------------------------------------------------------

at=0
running="looking at the machine"
hint="read the message above"
started=0
times=()

# step <name> <what to do if it fails> <command...>
step() {
  running=$1 hint=$2 started=$SECONDS at=$((at + 1))
  printf '\n== %d/%d %s\n' "$at" "$STEPS" "$running"
  "${@:3}"
  times+=("$(printf '%4d s  %s' $((SECONDS - started)) "$running")")
  printf -- '-- %s: ok, %d s\n' "$running" $((SECONDS - started))
}

skip() {
  at=$((at + 1))
  printf '\n== %d/%d %s: skipped, %s\n' "$at" "$STEPS" "$1" "$2"
  times+=("skipped  $1")
}

ended() {
  local status=$?
  if (( status != 0 && at > 0 )); then
    printf '\nFAILED: %d/%d %s, after %d s. What to do: %s\n' \
      "$at" "$STEPS" "$running" $((SECONDS - started)) "$hint" >&2
    exit 1
  fi
}
trap ended EXIT

fetch() { cargo fetch --locked --target "$(rustc -vV | sed -n 's/^host: //p')"; }
# The names of the features, from the manifest, so that a new one is checked too.
feature_names() {
  sed -n '/^\[features\]/,/^\[dependencies\]/s/^\([a-z0-9-]*\) = .*/\1/p' framework/Cargo.toml | grep -v '^default$'
}
features() {
  cargo check -p seawall --no-default-features
  local name
  for name in $(feature_names); do
    echo "feature $name alone"
    cargo check -p seawall --no-default-features --features "$name"
  done
  cargo check -p seawall --all-features
}
lints() {
  cargo clippy --workspace --all-targets -- -D warnings
  # What is newer than the oldest Rust that the manifest promises.
  cargo clippy -p seawall -p seawall-macros --all-features -- -D clippy::incompatible_msrv
}
docs() { RUSTDOCFLAGS="-D warnings" cargo doc -p seawall -p seawall-macros --no-deps --all-features; }
storefront() {
  cargo run --release --example storefront -- --seconds 6 --json
}
# A target folder of its own: the flag changes every crate, and would throw the other builds away.
models() {
  RUSTFLAGS="--cfg seawall_loom" CARGO_TARGET_DIR="$TARGET/loom" \
    cargo test -p seawall --lib --release loom
}

look_at_the_machine

step "dependencies" "is the network there? If Cargo.lock is behind, run cargo check and commit it" fetch
if has_fmt; then
  step "format" "run: cargo fmt" cargo fmt --check
else
  skip "format" "no rustfmt (rustup component add rustfmt)"
fi
if has_clippy; then
  step "lints" "mend what is named above; cargo clippy --fix does some of it" \
    lints
else
  skip "lints" "no clippy (rustup component add clippy)"
fi
if cargo deny --version >/dev/null 2>&1; then
  step "licences, sources and bans" "see deny.toml: allow it there with the reason, or replace it" \
    cargo deny check bans licenses sources
else
  skip "licences, sources and bans" "no cargo-deny (cargo install cargo-deny --locked)"
fi
step "features: none, each, all" "something needs a feature that it does not ask for" features
step "documentation" "mend the link or the item named above" docs
step "storefront, 6 seconds" "see it: cargo run --release --example storefront" storefront
step "benches, a smoke test" "run it alone: cargo bench -p seawall-benches -- --quick" \
  cargo bench -p seawall-benches -- --quick
if [[ -n $(find framework/src -name loom.rs -print -quit) ]]; then
  step "models under loom" "LOOM_LOG=trace LOOM_LOCATION=1 shows the schedule that failed" models
else
  skip "models under loom" "there is no loom.rs"
fi

printf '\nso far:\n'
printf '  %s\n' "${times[@]}"
step "tests" "run one alone: cargo test -p <crate> <name of the test> -- --nocapture" \
  cargo test --workspace --exclude seawall-benches --features seawall-tests/redis,seawall-examples/redis
printf 'all of it: %d s\n' "$SECONDS"
