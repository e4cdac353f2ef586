#!/bin/sh
# soak.sh: the long proofs, one after the other; each line is one. Build directory: build/release.
set -e
cd "$(dirname "$0")/.."
cmake --preset release >/dev/null
make -C build/release -s -j"${JOBS:-2}" t_storage_nonce t_server_schedule keystead
export KEYSTEAD=$PWD/build/release/keystead
BLOCKS=${BLOCKS:-10000000} build/release/t_storage_nonce
SCHEDULE_SEEDS=${SEEDS:-100000} build/release/t_server_schedule
python3 tests/http/test_memory_keys.py --rounds "${REVOCATIONS:-20}"
python3 tests/crash/test_rotation.py --rounds "${ROUNDS:-100}"
python3 tests/crash/test_restore.py --rounds "${ROUNDS:-100}"
