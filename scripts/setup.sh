# Sourced by the scripts beside it: where builds go, and what a fresh machine lacks.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# RocksDB alone compiles for more than ten minutes, so its build outlives a fresh clone.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/db3/target}"

say() { printf '%s\n' "$*" >&2; }

# as_root COMMAND... : runs it as root, by sudo where somebody else runs this.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# install_packages NAME... : installs the Debian packages that are missing, and says so.
install_packages() {
    local missing=()
    local package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        say "Missing: ${missing[*]}. Install them as root: apt-get install ${missing[*]}"
        exit 2
    fi
    say "Installing from Debian's packages: ${missing[*]}"
    # An index that is there already may be good enough; if not, it is fetched and tried once more.
    as_root apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null 2>&1 || {
        as_root apt-get update -q >&2
        as_root apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
    }
}

# need_toolchain : what every build wants. libclang is for the bindings of RocksDB.
need_toolchain() {
    if command -v apt-get >/dev/null; then
        install_packages build-essential libclang1-14 libclang-common-14-dev
    else
        say "This is not a Debian system: a C++ compiler and libclang must be there already."
    fi
    command -v cargo >/dev/null || {
        say "Rust is missing: install rustup from your package manager or from rust-lang.org; rust-toolchain.toml names the version."
        exit 2
    }
    rustc --version >/dev/null 2>&1 || {
        say "Installing the Rust toolchain that rust-toolchain.toml names"
        rustup toolchain install >&2
    }
}

# promtool : prints where Prometheus's checker is. Where it is missing it is taken out of Debian's package, which is not
# installed, since that would start a server.
promtool() {
    local tool="${XDG_CACHE_HOME:-$HOME/.cache}/db3/bin/promtool" folder
    type -P promtool && return 0
    if [ ! -x "$tool" ]; then
        command -v apt-get >/dev/null || return 1
        say "Taking promtool out of Debian's package prometheus, into ${tool%/*}"
        folder="$(mktemp -d)"
        (
            cd "$folder"
            chmod 755 .
            apt-get download -q prometheus >/dev/null 2>&1 || { as_root apt-get update -q && apt-get download -q prometheus; } >&2
            dpkg-deb -x prometheus_*.deb .
            mkdir -p "${tool%/*}"
            mv usr/bin/promtool "$tool"
        ) || { rm -rf "$folder" && return 1; }
        rm -rf "$folder"
    fi
    printf '%s\n' "$tool"
}

# announce_build : the first build is long, and says so before it starts.
announce_build() {
    compgen -G "$CARGO_TARGET_DIR/debug/build/librocksdb-sys-*/out/librocksdb.a" >/dev/null ||
        say "First build: RocksDB is compiled once, 12 to 20 minutes on two cores. Build output: $CARGO_TARGET_DIR"
}

# Every script builds the default members and nothing less: with another choice of packages cargo settles on other
# features for what RocksDB's bindings are generated with, and would compile RocksDB a second time.
