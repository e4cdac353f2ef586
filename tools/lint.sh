#!/bin/sh
# tools/lint.sh - clang-format and clang-tidy; prints what is wrong, fails if anything is
#
# Looks at what differs from the branch BASE (main), committed or not; ALL=1 looks at everything, which takes an hour of CPU.
# A header that changed is looked at through the source beside it, or the first that includes it.
set -eu
cd "$(dirname "$0")/.."
db=${BUILD:-build/release}

changed() {
    since=$(git merge-base HEAD "${BASE:-main}" 2>/dev/null || echo HEAD)
    { git diff --name-only --diff-filter=d "$since"; git ls-files --others --exclude-standard; } | sort -u
}
if [ "${ALL:-}" = 1 ]; then look=$(git ls-files); else look=$(changed); fi
of() { echo "$look" | grep -E "$1" || true; }

through() { # the source that shows a header
    beside="${1%.h}.c"
    if [ -f "$beside" ]; then echo "$beside"; else git grep -l "#include \"${1#src/}\"" -- 'src/*.c' | head -1; fi
}
sources=$(of '^src/.*\.c$')
for header in $(of '^src/.*\.h$'); do sources="$sources $(through "$header")"; done

formatted=$(of '^(src|tests|fuzz|bench)/.*\.(c|h|cc)$')
[ -z "$formatted" ] || clang-format --dry-run -Werror $formatted
[ -z "$sources" ] || echo $sources | tr ' ' '\n' | sort -u |
    xargs -P "${JOBS:-2}" -n 4 clang-tidy --quiet -p "$db" --extra-arg=-Wno-unknown-warning-option 2>/dev/null
echo "lint: clean"
