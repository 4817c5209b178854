#!/usr/bin/env python3
"""Runs a throw-away S3 server for tests: Ceph's monitor, one in-memory OSD and the RADOS Gateway.

Everything listens on loopback, on free ports, and lives in a temporary folder. When the bucket is
there, one JSON line goes to standard output:

    {"endpoint": "http://127.0.0.1:12345", "accessKey": ..., "secretKey": ..., "bucket": ...,
     "region": ..., "pids": {"mon": ..., "osd": ..., "rgw": ...}}

Then it obeys, one word a line on standard input, each answered by one JSON line:

    kill   SIGKILL the gateway: connections are refused, objects are kept
    stop   SIGSTOP the gateway: it hangs
    cont   SIGCONT the gateway
    start  start the gateway again after "kill", and wait until it answers

It ends, with its own children only, when standard input closes or on SIGTERM or SIGINT; the
children die with it even when it is killed. What the daemons say goes to standard error only when
something fails.
"""

import argparse
import ctypes
import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import uuid

REGION = "us-east-1"
# Below the kernel's ephemeral range, so that no outgoing connection takes the port of a gateway
# that was killed and is about to be started again.
PORT_RANGE = range(10000, 32000)
READY_DEADLINE_S = 120
START_ATTEMPTS = 3
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)

CONFIG = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_port}/0
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
ms mon client mode = crc
auth cluster required = none
auth service required = none
auth client required = none
plugin dir = {lib}/ceph
erasure code dir = {lib}/ceph/erasure-code
osd class dir = {lib}/rados-classes
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data = {data}/mon
mon cluster log to file = false
paxos propose interval = 0.05
osd objectstore = memstore
osd data = {data}/osd
memstore device bytes = 4294967296
run dir = {data}
admin socket =
log file = {data}/$name.log
crash dir = {data}
keyring = {data}/keyring
rgw data = {data}/rgw
rgw frontends = {frontend}
rgw max chunk size = 8388608
rgw obj stripe size = 8388608
rgw override bucket index max shards = 1
"""


class StartFailed(Exception):
    """A daemon did not come up; its message says which and why."""


def log(message):
    print(f"rgw.py: {message}", file=sys.stderr, flush=True)


def die_with_parent():
    """Runs in the child before exec: SIGKILL it when this process goes, however it goes."""
    os.setsid()  # a terminal's Ctrl-C is for the test, which then ends us in order
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port(taken):
    for _ in range(1000):
        port = random.choice(PORT_RANGE)
        if port in taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.add(port)
        return port
    raise StartFailed("no free port on 127.0.0.1")


def sign_v4(method, host, path, access_key, secret_key, payload=b"", now=None):
    """The headers of an S3 request signed by AWS Signature Version 4; `path` needs no escapes."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    payload_hash = hashlib.sha256(payload).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": payload_hash, "x-amz-date": stamp}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"{method}\n{path}\n\n{lines}\n{names}\n{payload_hash}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}"
    )
    return headers


class Cluster:
    """One monitor, one OSD, one gateway. Owns its folder and its processes."""

    def __init__(self, root, options):
        triplet = next((root / "usr/lib").glob("*-linux-gnu")).name
        self.lib = root / "usr/lib" / triplet
        self.options = options
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="kollator-rgw-"))
        self.processes = {}
        self.access_key = "KOLLATORTEST" + uuid.uuid4().hex[:8].upper()
        self.secret_key = uuid.uuid4().hex
        self.bucket = "kollator-test"
        self.environment = dict(
            os.environ,
            PATH=f"{root}/usr/bin:{os.environ.get('PATH', '')}",
            LD_LIBRARY_PATH=f"{self.lib}:{self.lib}/ceph:{root}/lib/{triplet}",
            CEPH_CONF=str(self.data / "ceph.conf"),
        )
        self.environment.pop("CEPH_ARGS", None)

    def start(self):
        taken = set()
        self.fsid = str(uuid.uuid4())
        self.mon_port = free_port(taken)
        self.port = free_port(taken)
        (self.data / "ceph.conf").write_text(self.config())
        for folder in ("mon", "osd", "rgw"):
            (self.data / folder).mkdir()

        monmap, osdmap = self.data / "monmap", self.data / "osdmap"
        address = f"[v2:127.0.0.1:{self.mon_port}]"
        self.run("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a", address, monmap)
        self.run("osdmaptool", osdmap, "--createsimple", "1", "--clobber")
        self.run("ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--osdmap", osdmap)
        self.spawn("mon", "ceph-mon", "-i", "a", "-f")
        self.run("ceph-osd", "-i", "0", "--mkfs")
        self.spawn("osd", "ceph-osd", "-i", "0", "-f")
        self.run("radosgw-admin", "user", "create", "--uid=test", "--display-name=test",
                 f"--access-key={self.access_key}", f"--secret-key={self.secret_key}")
        self.start_gateway()
        status, body = self.request("PUT", f"/{self.bucket}")
        if status != 200:
            raise StartFailed(f"creating the bucket: HTTP {status} {body[:300]!r}")

    def config(self):
        options = self.options
        listen = "ssl_endpoint" if options.tls_cert else "endpoint"
        frontend = f"beast {listen}=127.0.0.1:{self.port} tcp_nodelay=1"
        if options.tls_cert:
            frontend += f" ssl_certificate={options.tls_cert} ssl_private_key={options.tls_key}"
        text = CONFIG.format(fsid=self.fsid, mon_port=self.mon_port, data=self.data, lib=self.lib,
                             frontend=frontend)
        if options.max_concurrent_requests:
            # Past this many at once the gateway answers 503 SlowDown.
            text += (f"rgw scheduler type = throttler\n"
                     f"rgw max concurrent requests = {options.max_concurrent_requests}\n")
        return text

    def endpoint(self):
        scheme = "https" if self.options.tls_cert else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    def run(self, *command):
        """A tool that ends by itself. It may wait for a daemon, so a daemon's death is fatal."""
        output = self.data / "tool.log"
        with output.open("wb") as sink:
            tool = subprocess.Popen([str(word) for word in command], env=self.environment,
                                    stdin=subprocess.DEVNULL, stdout=sink,
                                    stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
        deadline = time.monotonic() + READY_DEADLINE_S
        try:
            while tool.poll() is None:
                self.check_alive()
                if time.monotonic() > deadline:
                    raise StartFailed(f"{command[0]} did not end in {READY_DEADLINE_S} s")
                time.sleep(0.01)
        finally:
            if tool.poll() is None:
                tool.kill()
                tool.wait()
        if tool.returncode != 0:
            said = output.read_text(errors="replace")[-2000:]
            raise StartFailed(f"{command[0]} failed ({tool.returncode}): {said}")

    def spawn(self, role, *command):
        with (self.data / f"{role}.out").open("ab") as sink:
            self.processes[role] = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=sink,
                stderr=subprocess.STDOUT, preexec_fn=die_with_parent)

    def check_alive(self):
        for role, process in self.processes.items():
            if process.poll() is not None:
                raise StartFailed(f"{role} ended with {process.returncode}: {self.said(role)}")

    def said(self, role):
        text = ""
        for file in sorted(self.data.glob(f"{role}.out")) + sorted(self.data.glob("*.log")):
            if file.name.startswith((role, "client.rgw" if role == "rgw" else role)):
                text += file.read_text(errors="replace")[-1500:]
        return text

    def start_gateway(self):
        if "rgw" in self.processes and self.processes["rgw"].poll() is None:
            return
        self.spawn("rgw", "radosgw", "-n", "client.rgw", "-f")
        deadline = time.monotonic() + READY_DEADLINE_S
        while True:
            self.check_alive()
            try:
                self.request("GET", "/", timeout_s=5)
                return
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise StartFailed(f"gateway silent: {self.said('rgw')}") from None
                time.sleep(0.02)

    def request(self, method, path, timeout_s=60):
        host = f"127.0.0.1:{self.port}"
        if self.options.tls_cert:
            context = ssl._create_unverified_context()  # the certificate is the caller's own
            connection = http.client.HTTPSConnection(host, timeout=timeout_s, context=context)
        else:
            connection = http.client.HTTPConnection(host, timeout=timeout_s)
        try:
            headers = sign_v4(method, host, path, self.access_key, self.secret_key)
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def obey(self, word):
        gateway = self.processes["rgw"]
        if word == "kill":
            gateway.kill()
            gateway.wait()
        elif word == "stop":
            gateway.send_signal(signal.SIGSTOP)
            # Its threads go on until one of them has been scheduled and stops the others.
            os.waitid(os.P_PID, gateway.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        elif word == "cont":
            gateway.send_signal(signal.SIGCONT)
        elif word == "start":
            self.start_gateway()
        else:
            raise ValueError(f"unknown command {word!r}: kill, stop, cont or start")

    def summary(self):
        return {
            "endpoint": self.endpoint(),
            "accessKey": self.access_key,
            "secretKey": self.secret_key,
            "bucket": self.bucket,
            "region": REGION,
            "pids": {role: process.pid for role, process in self.processes.items()},
        }

    def end(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # a second one must not cut this short
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()  # the data is thrown away: nothing to flush
        for process in self.processes.values():
            process.wait()
        shutil.rmtree(self.data, ignore_errors=True)


def say(document):
    print(json.dumps(document), flush=True)


def start_cluster(root, options):
    for attempt in range(1, START_ATTEMPTS + 1):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        cluster = Cluster(root, options)
        try:
            cluster.start()
            return cluster
        except StartFailed as failure:
            cluster.end()
            if attempt == START_ATTEMPTS:
                raise
            log(f"attempt {attempt} failed, trying again: {failure}")
        except BaseException:
            cluster.end()
            raise


def serve(cluster):
    say(cluster.summary())
    for line in sys.stdin:
        word = line.strip()
        if not word:
            continue
        try:
            cluster.obey(word)
            say({"ok": True, "command": word, "pids": cluster.summary()["pids"]})
        except (ValueError, StartFailed) as failure:
            say({"ok": False, "command": word, "error": str(failure)})


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--max-concurrent-requests", type=int, metavar="N",
                        help="answer 503 SlowDown past N requests at once")
    parser.add_argument("--tls-cert", type=os.path.abspath, help="PEM file: serve HTTPS")
    parser.add_argument("--tls-key", type=os.path.abspath, help="PEM file: its private key")
    options = parser.parse_args()
    if bool(options.tls_cert) != bool(options.tls_key):
        parser.error("--tls-cert and --tls-key go together")
    return options


def main():
    options = parse_arguments()
    fetch = pathlib.Path(__file__).resolve().parent / "fetch.sh"
    try:
        fetched = subprocess.run([str(fetch)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 check=True, text=True)
        cluster = start_cluster(pathlib.Path(fetched.stdout.strip()), options)
    except (StartFailed, subprocess.CalledProcessError) as failure:
        log(failure)
        return 1
    try:
        serve(cluster)
    finally:
        cluster.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
