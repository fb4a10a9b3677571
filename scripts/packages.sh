# Sourced by the other scripts: the Debian 12 packages that building and testing need, and how to get them.
# Boost 1.81 stands beside Debian's default 1.74; their -dev packages exclude each other, so none of 1.74's is listed.
# shellcheck shell=bash disable=SC2034

build_packages=(
    g++ cmake ninja-build
    libboost1.81-dev libboost-json1.81-dev libboost-program-options1.81-dev libboost-url1.81-dev
    libsqlite3-dev libpq-dev libcurl4-openssl-dev libssl-dev libqpid-proton-cpp12-dev ca-certificates
)
unit_test_packages=(catch2 libboost-serialization1.81-dev clang-16 ccache)
test_packages=(
    "${unit_test_packages[@]}" clang-tidy-16 clang-format-16 libclang-rt-16-dev llvm-16
    pkg-config python3 python3-selenium chromium chromium-driver fonts-dejavu-core procps curl wrk rabbitmq-server openssl
    postgresql pgbouncer libbenchmark-dev libcereal-dev nlohmann-json3-dev
)
site_packages=(mkdocs mkdocs-material doxygen)
benchmark_packages=(libbenchmark-dev libcereal-dev nlohmann-json3-dev postgresql valgrind gnuplot-nox python3 wrk librocksdb-dev)

# Of npm nothing is needed but for the tests of the Service Bus adapter, whose emulator and whose judge run on Node.js, and for
# what the benchmarks compare with on request.
# install_npm_packages [<folder>]
install_npm_packages() {
    command -v npm >/dev/null || install_missing nodejs npm
    npm ci --prefix "${1-tests/service_bus}" --no-audit --no-fund --silent
}

# install_missing <package>... installs those that are not installed; without the right to, it says which they are.
install_missing() {
    local package missing=()
    if ! command -v dpkg-query >/dev/null; then
        echo "This is not a Debian system; it needs the equivalents of: $*" >&2
        return
    fi
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    if ((${#missing[@]} == 0)); then return; fi
    if ((EUID != 0)); then
        echo "Packages are missing. Please run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
    echo "Installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}
