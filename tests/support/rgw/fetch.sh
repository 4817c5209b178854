#!/bin/bash
# Unpacks Ceph's RADOS Gateway, the S3 server of the integration tests, without installing it:
# downloads Debian's packages and extracts them into <cache>/ceph. Needs no root.
#
# The cache is $KOLLATOR_TEST_CACHE, or build/test-cache in the source tree. Prints the folder that
# holds the unpacked tree. Runs again at once when it is already there; any number may run at once.
set -euo pipefail

packages=(
    ceph-mon ceph-osd ceph-base ceph-common radosgw librados2
    libsnappy1v5 libtcmalloc-minimal4 libgoogle-perftools4 libleveldb1d liblua5.3-0 liboath0
    librabbitmq4 librdmacm1 libibverbs1 libnl-3-200 libnl-route-3-200
    libboost-context1.74.0 libboost-thread1.74.0 libboost-iostreams1.74.0
    libboost-filesystem1.74.0 libboost-program-options1.74.0
    libfmt9 libaio1 libfuse2 libpmem1 libndctl6 libdaxctl1
)

source_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
cache=${KOLLATOR_TEST_CACHE:-$source_root/build/test-cache}
root=$cache/ceph
stamp=.kollator-packages

is_complete() { [ "$(cat "$root/$stamp" 2>/dev/null)" = "${packages[*]}" ]; }

if is_complete; then
    echo "$root"
    exit 0
fi

mkdir -p "$cache"
exec 9>"$cache/ceph.lock"
flock 9
if is_complete; then # another process fetched it while this one waited
    echo "$root"
    exit 0
fi

work=$(mktemp -d "$cache/ceph.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/debs" "$work/root"

# apt as a plain user: own lists and cache, the machine's own sources. Root needs no sandbox user,
# who could not write here.
apt_download() { (cd "$work/debs" && apt-get -qq -o APT::Sandbox::User="$(id -un)" "$@"); }
download() { apt_download "$@" download "${packages[@]}"; }

echo "Fetching Ceph's RADOS Gateway (60 MB, once) into $root" >&2
if ! download >"$work/log" 2>&1; then
    # The machine's package lists are missing or old: read fresh ones into a folder of our own.
    mkdir -p "$work/lists/partial" "$work/archives/partial"
    own=(-o Dir::State::lists="$work/lists" -o Dir::Cache="$work/archives")
    if ! { apt_download "${own[@]}" update && download "${own[@]}"; } >>"$work/log" 2>&1; then
        cat "$work/log" >&2
        echo "fetch.sh: apt-get could not download the Ceph packages" >&2
        exit 1
    fi
fi

for deb in "$work"/debs/*.deb; do
    dpkg-deb -x "$deb" "$work/root"
done

# A library that neither these packages nor the machine has would only show as a daemon that dies.
triplet=$(cd "$work/root/usr/lib" && echo *-linux-gnu)
lib=$work/root/usr/lib/$triplet
missing=$(LD_LIBRARY_PATH=$lib:$lib/ceph:$work/root/lib/$triplet \
    ldd "$work"/root/usr/bin/{ceph-mon,ceph-osd,radosgw} |
    sed -n 's/^[[:space:]]*\(.*\) => not found$/\1/p' | sort -u)
if [ -n "$missing" ]; then
    echo "fetch.sh: libraries that Ceph needs and this machine lacks:" $missing >&2
    exit 1
fi

printf '%s' "${packages[*]}" >"$work/root/$stamp"
rm -rf "$root"
mv -T "$work/root" "$root"
echo "$root"
