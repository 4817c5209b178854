#!/bin/bash
# Proves on a bare Debian 12 what the README promises: that `make run` starts Kollator, quickly the
# second time, and that CI's `make test` passes. Needs root, debootstrap, git and curl.
#
#   prove-fresh.sh [--run-only | --test-only] [--keep <folder>]
#
# Each proof gets its own minimal system (debootstrap --variant=minbase, from the mirror that this
# machine's apt uses) and its own clone of the committed HEAD. With --keep the minimal system and
# the logs stay in <folder>, for the next time; each proof still begins with an untouched copy.
set -euo pipefail

readonly SUITE=bookworm
readonly PREREQUISITES="make git" # the one line of the README that comes before `make run`
readonly BUILD_DEADLINE_S=2400
readonly SECOND_START_DEADLINE_S=2
readonly STOP_DEADLINE_S=20
# A machine's own ways to a network, which a fresh system there would have been given too.
readonly NETWORK_VARIABLES="http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY
    SSL_CERT_FILE NODE_EXTRA_CA_CERTS CURL_CA_BUNDLE GIT_SSL_CAINFO"

source_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { echo "prove-fresh: $*"; }
fail() {
    echo "prove-fresh: FAILED: $*" >&2
    exit 1
}

parse_options() {
    prove_run=1 prove_test=1 keep=
    while [ $# -gt 0 ]; do
        case $1 in
            --run-only) prove_test=0 ;;
            --test-only) prove_run=0 ;;
            --keep) keep=${2:?--keep needs a folder} && shift ;;
            *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" && exit 2 ;;
        esac
        shift
    done
    [ $((prove_run + prove_test)) -gt 0 ] || fail "--run-only and --test-only exclude each other"
}

# Mounts and processes live in namespaces of their own and are gone when this script is, however it
# ends. Only then may the folder be removed.
enter_namespaces() {
    [ "$(id -u)" -eq 0 ] || fail "needs root: debootstrap and chroot are root's"
    local tool
    for tool in debootstrap git curl unshare; do
        command -v $tool >/dev/null || fail "needs $tool"
    done
    folder=${keep:-$(mktemp -d /var/tmp/kollator-fresh.XXXXXX)}
    mkdir -p "$folder"
    folder=$(realpath "$folder")
    made=$folder
    [ -z "$keep" ] || made=$folder/system
    trap 'rm -rf --one-file-system "$made"' EXIT
    PROVE_FRESH_FOLDER=$folder \
        unshare --mount --pid --fork --kill-child --propagation private "$0" "$@"
    exit
}

# "uri suite" for each of Debian's own sources that this machine's apt has.
debian_sources() {
    apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(RELEASE)' \
        'Created-By: Packages' | awk -v suite=$SUITE '$1 == "Debian" && index($3, suite) == 1 {
            print $2, $3 }' | sort -u
}

make_base() {
    base=$PROVE_FRESH_FOLDER/base
    [ -e "$base.complete" ] && return
    local mirror
    mirror=$(debian_sources | awk -v suite=$SUITE '$2 == suite { print $1; exit }')
    [ -n "$mirror" ] || fail "apt knows no Debian $SUITE here; run apt-get update"
    say "debootstrap of $SUITE"
    rm -rf "$base"
    local include=()
    [[ $mirror == https:* ]] && include=(--include=ca-certificates)
    debootstrap --variant=minbase "${include[@]}" $SUITE "$base" "$mirror" \
        >"$PROVE_FRESH_FOLDER/debootstrap.log" 2>&1 ||
        { tail "$PROVE_FRESH_FOLDER/debootstrap.log" && fail "debootstrap"; }
    debian_sources | awk '{ print "deb", $1, $2, "main" }' \
        >"$base/etc/apt/sources.list"
    touch "$base.complete"
}

# An untouched system at $system, with what a network needs here, and a clone of HEAD in it.
make_system() {
    system=$PROVE_FRESH_FOLDER/system
    if mountpoint -q "$system/proc"; then umount -R "$system"/{proc,dev,sys}; fi
    rm -rf --one-file-system "$system"
    cp -a "$base" "$system"
    cp -L /etc/resolv.conf /etc/hosts "$system/etc/"
    apt-config dump Acquire | grep -iE 'proxy|check-|acquire::https' \
        >"$system/etc/apt/apt.conf.d/99host" || true
    mkdir -p "$system/usr/local/share/ca-certificates"
    find /usr/local/share/ca-certificates -name '*.crt' \
        -exec cp {} "$system/usr/local/share/ca-certificates/" \;
    [ ! -f ~/.npmrc ] || cp ~/.npmrc "$system/root/.npmrc"
    printf '#!/bin/sh\nexit 101\n' >"$system/usr/sbin/policy-rc.d" # packages start no services
    chmod +x "$system/usr/sbin/policy-rc.d"
    echo force-unsafe-io >"$system/etc/dpkg/dpkg.cfg.d/unsafe-io" # as container images have it

    mount -t proc proc "$system/proc"
    mount --rbind /dev "$system/dev"
    mount -t tmpfs -o mode=1777 shm "$system/dev/shm"
    mount --rbind /sys "$system/sys"

    git clone --quiet --depth 1 "file://$source_root" "$system/root/kollator"
    say "prerequisites: apt-get install $PREREQUISITES"
    inside "apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $PREREQUISITES" >"$log.apt" 2>&1 ||
        { tail "$log.apt" && fail "apt-get install $PREREQUISITES"; }
}

# Runs a command line in the system, in the clone, with a bare environment.
inside() {
    local environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        HOME=/root TERM=dumb LANG=C.UTF-8) name
    for name in $NETWORK_VARIABLES; do
        [ -z "${!name:-}" ] || environment+=("$name=${!name}")
    done
    [ -z "${ports:-}" ] || environment+=($ports)
    env -i "${environment[@]}" chroot "$system" sh -c "cd /root/kollator && $1"
}

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

choose_ports() {
    front_port=8080 worker_port=8081 ports=
    while ! is_free $front_port || ! is_free $worker_port; do
        front_port=$((front_port + 100)) worker_port=$((worker_port + 100))
        ports="FRONT_PORT=$front_port PORT=$worker_port"
    done
    [ -z "$ports" ] || say "the default ports are taken on this machine: $ports"
}

# Starts `make run` in a process group of its own, as a terminal does.
start() {
    set -m
    inside "exec make run" >"$log" 2>&1 </dev/null &
    job=$!
    set +m
}

# Waits until the page's address is printed and the page answers: wait_for_page <deadline s>
wait_for_page() {
    local until=$((SECONDS + $1))
    address=
    while [ -z "$address" ] || ! curl -fsS -o "$log.page" "$address" 2>/dev/null; do
        kill -0 $job 2>/dev/null || { tail -n 40 "$log" && fail "make run ended"; }
        [ $SECONDS -lt $until ] || { tail -n 40 "$log" && fail "no page after $1 s"; }
        address=$(grep -oE "https?://[][A-Za-z0-9.:-]+:$front_port[^[:space:]]*" "$log" |
            head -n 1 || true)
        sleep 0.05
    done
}

# Ctrl-C, which a terminal sends to the whole group.
interrupt() {
    local status=0 since=$SECONDS
    kill -INT -- -$job
    while kill -0 $job 2>/dev/null; do
        [ $((SECONDS - since)) -lt $STOP_DEADLINE_S ] || fail "Ctrl-C did not end make run"
        sleep 0.05
    done
    wait $job || status=$?
    [ $status -eq 0 ] || [ $status -eq 130 ] || fail "Ctrl-C ended make run with $status"
    is_free $front_port || fail "something still listens on $front_port after Ctrl-C"
    say "Ctrl-C: ended with $status"
}

milliseconds() { date +%s%3N; }

prove_make_run() {
    log=$PROVE_FRESH_FOLDER/run.log
    make_system
    choose_ports
    say "make run, the first time"
    local since=$(milliseconds)
    start
    wait_for_page $BUILD_DEADLINE_S
    say "the page answers at $address after $((($(milliseconds) - since) / 1000)) s"
    grep -qi '<html' "$log.page" || fail "what $address serves is no page"
    curl -fsS "http://127.0.0.1:$worker_port/health" | head -c 300 || fail "/health of the worker"
    echo
    interrupt

    say "make run, the second time"
    since=$(milliseconds)
    start
    wait_for_page 60
    local took=$(($(milliseconds) - since))
    [ $took -le $((SECOND_START_DEADLINE_S * 1000)) ] || fail "the second start took $took ms"
    say "the page answers after $took ms"
    interrupt
}

prove_make_test() {
    log=$PROVE_FRESH_FOLDER/test.log
    make_system
    say ".ci/run (make test); everything it says is in $log"
    local since=$SECONDS status=0
    inside .ci/run >"$log" 2>&1 </dev/null || status=$?
    tail -n 30 "$log"
    say "exit code $status after $((SECONDS - since)) s"
    [ $status -eq 0 ] || fail ".ci/run"
}

parse_options "$@"
[ -n "${PROVE_FRESH_FOLDER:-}" ] || enter_namespaces "$@"
make_base
[ $prove_run -eq 0 ] || prove_make_run
[ $prove_test -eq 0 ] || prove_make_test
say "proved"
