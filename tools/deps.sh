#!/bin/sh
# tools/deps.sh build|test|clients|arm - installs the Debian packages that are missing; silent when none is.
# clients: what tests/clients drives, half a gigabyte; `make test` runs what is there and says what is not.
# arm: what `make arm` cross-builds and runs with, on x86-64; makes arm64 known to dpkg.
set -eu
build="gcc g++ make cmake pkg-config libmicrohttpd-dev libgnutls28-dev libcurl4-openssl-dev libjansson-dev libsimdjson-dev
 libzstd-dev zlib1g-dev libsqlite3-dev libsodium-dev libre2-dev libintelrdfpmath-dev libxxhash-dev libseccomp-dev libcmocka-dev
 libs2-dev tzdata uap-core
 libssl-dev libp11-kit-dev"
test="clang clang-format clang-tidy libclang-rt-14-dev python3 openssl git softhsm2"
clients="azure-cli python3-azure python3-azure-kusto-data python3-applicationinsights" # and Node 20, which Debian 12 does not have
arm="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static libcmocka-dev libcmocka0:arm64"
case "${1:-build}" in
build) want=$build ;;
test) want="$build $test" ;;
clients) want=$clients ;;
arm) want=$arm ;;
*) echo "usage: tools/deps.sh build|test|clients|arm" >&2; exit 2 ;;
esac
missing=
for p in $want; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
echo "installing:$missing"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
case "$missing" in *:arm64*) $sudo dpkg --add-architecture arm64 ;; esac
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
