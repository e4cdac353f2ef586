#!/bin/sh
# tools/fuzz.sh SECONDS [NAME] - runs the fuzz targets of build/fuzz; corpora are kept under build/fuzz/corpus
set -eu
cd "$(dirname "$0")/.."
for target in build/fuzz/fuzz_${2:-*}; do
    [ -x "$target" ] || continue
    corpus=build/fuzz/corpus/$(basename "$target")
    mkdir -p "$corpus"
    echo "$(basename "$target"): $1 s"
    more=
    # Its threads hold what they free when they end: leaks are looked for at the end.
    [ "$(basename "$target")" = fuzz_keyd ] && more="-detect_leaks=0 -len_control=0 -max_len=400"
    "$target" $more -max_total_time="$1" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$corpus-" -print_final_stats=0 -verbosity=0 "$corpus"
done
echo "fuzz: nothing found"
