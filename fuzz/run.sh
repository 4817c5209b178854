#!/bin/bash
# Runs every fuzzer for some seconds each: run.sh <build folder> <seconds>
# New inputs go to <build folder>/corpus, never into the source tree; what crashes goes to
# <build folder>/crashes. To keep a find, copy it into fuzz/corpus/<name>/.
set -euo pipefail
build=$1
seconds=$2
seeds=$(cd "$(dirname "${BASH_SOURCE[0]}")/corpus" && pwd)

found=0
failed=()
mkdir -p "$build/crashes"
for fuzzer in "$build"/fuzz/*_fuzz; do
    [ -x "$fuzzer" ] || continue
    found=$((found + 1))
    name=$(basename "$fuzzer" _fuzz)
    mkdir -p "$build/corpus/$name"
    if "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/crashes/$name-" "$build/corpus/$name" "$seeds/$name" \
        >"$build/$name.log" 2>&1; then
        echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$name.log") inputs"
    else
        tail -n 60 "$build/$name.log"
        failed+=("$name")
    fi
done
if [ "$found" -eq 0 ]; then
    echo "no fuzzer in $build/fuzz" >&2
    exit 1
fi
if [ ${#failed[@]} -gt 0 ]; then
    echo "fuzzers that found something: ${failed[*]} (inputs in $build/crashes)" >&2
    exit 1
fi
echo "$found fuzzers, nothing found"
