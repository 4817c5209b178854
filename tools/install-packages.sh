#!/bin/bash
# Installs the Debian packages that are missing: install-packages.sh <section>...
# Sections are those of packages.txt. Does nothing, and needs no root, when nothing is missing.
set -euo pipefail

list=$(dirname "${BASH_SOURCE[0]}")/packages.txt

if [ $# -eq 0 ]; then
    echo "usage: $0 <section>...   sections: $(sed -n 's/^\[\(.*\)\]$/\1/p' "$list" | xargs)" >&2
    exit 2
fi
for section in "$@"; do
    if ! grep -qxF "[$section]" "$list"; then
        echo "$0: no section [$section] in $list" >&2
        exit 2
    fi
done

# Prints "package command" (or "package -") for each line of the sections asked for.
wanted() {
    awk -v sections=" $* " -v architecture="[$(dpkg --print-architecture)]" '
        /^[[:space:]]*(#|$)/ { next }
        /^\[/ { name = substr($0, 2, length($0) - 2); on = index(sections, " " name " "); next }
        $2 ~ /^\[/ && $2 != architecture { next }
        on { print $1, ($2 == ":" ? $3 : "-") }' "$list"
}

mapfile -t lines < <(wanted "$@")
packages=("${lines[@]%% *}")
declare -A installed=()
while read -r status name; do
    [ "$status" = installed ] && installed[$name]=1
done < <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)

missing=()
for line in "${lines[@]}"; do
    read -r package command <<<"$line"
    [ -n "${installed[$package]:-}" ] && continue
    [ "$command" != - ] && command -v "$command" >/dev/null && continue
    [[ " ${missing[*]} " == *" $package "* ]] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "Missing Debian packages: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        {
            echo "Installing packages changes the system, which only root may do, and there is no"
            echo "sudo here. As root, run:"
            echo "    apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
        } >&2
        exit 1
    fi
    echo "Installing packages changes the system, which only root may do: sudo may ask for your"
    echo "password. Everything else here runs as you."
    as_root=(sudo)
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 \
        -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" </dev/null
}
if ! apt update; then
    echo "apt-get update failed: trying with the package lists that are there" >&2
fi
if ! apt install -y --no-install-recommends "${missing[@]}"; then
    echo "$0: apt-get could not install: ${missing[*]}" >&2
    exit 1
fi
