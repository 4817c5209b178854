#!/bin/bash
# The image's HEALTHCHECK: GET /health of whatever runs in here, a worker (PORT) or a front (its
# FRONT_PORT, where it is given as the argument). Fails where nobody answers, or not with 200. A
# worker whose object store is away still serves what it has cached, and answers 200 with "warn".
set -euo pipefail
port=${1:-${PORT:-8081}}
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&3
read -r -t 4 _ status _ <&3
[ "$status" = 200 ]
