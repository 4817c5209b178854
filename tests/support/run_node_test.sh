#!/bin/bash
# Runs one file of node:test tests with the project's own Node: run_node_test.sh <file> <bundles>
# A .ts file is bundled into the folder <bundles> first.
set -euo pipefail
script=$1
bundles=$2
source_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
node=${KOLLATOR_NODE:-$source_root/node_modules/.bin/node}
if [ ! -x "$node" ]; then
    echo "$node is missing: run 'npm ci' (or 'make test', which does) first" >&2
    exit 1
fi

if [[ $script == *.ts ]]; then
    # The source's path in the name keeps tests of the same name in two folders apart.
    bundle=$bundles/$(realpath --relative-to="$source_root" "$script" | tr / _)
    bundle=${bundle%.ts}.mjs
    mkdir -p "$bundles"
    esbuild "$script" --bundle --platform=node --format=esm --packages=external \
        --sourcemap=inline --log-level=warning --outfile="$bundle"
    script=$bundle
fi
exec "$node" --enable-source-maps --test --test-reporter=spec "$script"
