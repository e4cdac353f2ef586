#!/bin/sh
# simd_arm.sh: on x86-64, the NEON kernels beside their plain twins: the unit test of kernels built for arm64
# and run by qemu, once as released and once under ASan and UBSan. Only what that test reaches is linked.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/arm
run() { # name, flags of its own
    name=$1
    shift
    aarch64-linux-gnu-gcc -std=gnu2x -O2 -g -Wall -Wextra -Werror -fno-strict-aliasing -D_GNU_SOURCE "$@" \
        -ffunction-sections -Wl,--gc-sections -Isrc -Itests/unit -DKEYSTEAD_SOURCE_DIR="\"$PWD\"" \
        src/column/simd*.c src/column/vec.c tests/unit/column/simd.c tests/unit/test_main.c \
        -l:libcmocka.so.0 -o "build/arm/$name"
    echo "arm64, $name:"
    # LeakSanitizer traces its process, which qemu cannot let it do.
    ASAN_OPTIONS=detect_leaks=0 qemu-aarch64-static "build/arm/$name"
}
run release
run asan -fsanitize=address,undefined -fno-sanitize-recover=all -static-libasan -static-libubsan
