#!/usr/bin/env python3
"""Proves deploy/Dockerfile where no container engine runs: prove-image.py [--keep FOLDER]

Runs the file's own steps, one stage after the other, each in a chroot that debootstrap made
(minbase, from the mirror that this machine's apt uses) for its FROM; then starts ENTRYPOINT and CMD
as USER, and waits until HEALTHCHECK succeeds there. Last it stores a file and gets it again with
the image's own command line. Needs root, debootstrap and git. With --keep the minimal system stays
in FOLDER for the next time.
"""
import argparse
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUITES = {"debian:12": "bookworm"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HEALTHY_WITHIN_S = 60
NETWORK = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def fail(text):
    sys.exit(f"prove-image: FAILED: {text}")


def say(text):
    print(f"prove-image: {text}", flush=True)


def instructions(text):
    """(word, rest) of each instruction; continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    for line in joined.splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word.upper(), rest.strip()


def argv(rest):
    """The exec form, or the shell's."""
    return json.loads(rest) if rest.startswith("[") else ["/bin/sh", "-c", rest]


class Stage:
    """One FROM and what follows it."""

    def __init__(self, folder, base):
        self.folder = folder
        self.environment = {"PATH": PATH}
        self.workdir, self.user = "/", "root"
        self.entrypoint, self.command, self.healthcheck = [], [], None
        say(f"a copy of the base system for {folder.name}")
        subprocess.run(["cp", "-a", base, folder], check=True)
        for name in ("/etc/resolv.conf", "/etc/hosts"):
            shutil.copy(name, f"{folder}/etc/")
        policy = folder / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        (folder / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")
        proxies = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True)
        wanted = re.compile(r"proxy|check-|acquire::https", re.IGNORECASE)
        keep = [line for line in proxies.stdout.splitlines() if wanted.search(line)]
        (folder / "etc/apt/apt.conf.d/99host").write_text("\n".join(keep) + "\n")
        authorities = folder / "usr/local/share/ca-certificates"
        authorities.mkdir(parents=True, exist_ok=True)
        for certificate in pathlib.Path("/usr/local/share/ca-certificates").rglob("*.crt"):
            shutil.copy(certificate, authorities)
        for arguments in (["-t", "proc", "proc", folder / "proc"],
                          ["--rbind", "/dev", folder / "dev"],
                          ["-t", "tmpfs", "tmpfs", folder / "tmp"]):
            subprocess.run(["mount", *arguments], check=True)

    def chroot(self, command, as_user=False, **options):
        environment = dict(self.environment)
        environment.update({name: os.environ[name] for name in NETWORK if name in os.environ})
        user = ["--userspec", f"{self.user}:{self.user}"] if as_user else []
        within = ["/bin/sh", "-c", f'cd "$0" && exec "$@"', self.workdir, *command]
        return subprocess.Popen(["chroot", *user, self.folder, *within], env=environment,
                                stdin=subprocess.DEVNULL, **options)

    def run(self, command, what, as_user=False):
        process = self.chroot(command, as_user, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        output, _ = process.communicate()
        if process.returncode != 0:
            fail(f"{what}: exit code {process.returncode}\n{output[-4000:]}")
        return output

    def copy(self, rest, stages, context):
        words = shlex.split(rest)
        source = context
        if words[0].startswith("--from="):
            source = stages[words.pop(0)[len("--from="):]].folder
        *names, to = words
        target = self.folder / (pathlib.PurePosixPath(self.workdir) / to).as_posix().lstrip("/")
        if to.endswith("/") or to == "." or len(names) > 1:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = source / name.lstrip("/")
            if not path.exists():
                fail(f"COPY {rest}: {path} is not there")
            if path.is_dir():
                subprocess.run(["cp", "-a", f"{path}/.", target], check=True)
            else:
                subprocess.run(["cp", "-a", path, target], check=True)


def debian_sources(suite):
    form = "$(ORIGIN) $(REPO_URI) $(RELEASE)"
    listed = subprocess.run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
                            capture_output=True, text=True, check=True)
    lines = [line.split() for line in listed.stdout.splitlines()]
    found = {tuple(words[1:]) for words in lines if words[0] == "Debian"}
    return sorted(pair for pair in found if pair[1].startswith(suite))


def make_base(folder, image):
    suite = SUITES.get(image) or fail(f"FROM {image}: no debootstrap suite is known for it")
    base, done = folder / f"base-{suite}", folder / f"base-{suite}.complete"
    if done.exists():
        return base
    sources = debian_sources(suite)
    mirror = next((uri for uri, release in sources if release == suite), None)
    if mirror is None:
        fail(f"apt knows no Debian {suite} here; run apt-get update")
    say(f"debootstrap of {suite}")
    shutil.rmtree(base, ignore_errors=True)
    include = ["--include=ca-certificates"] if mirror.startswith("https:") else []
    made = subprocess.run(["debootstrap", "--variant=minbase", *include, suite, base, mirror],
                          capture_output=True, text=True)
    if made.returncode != 0:
        fail(f"debootstrap: {made.stdout[-2000:]}")
    lines = [f"deb {uri} {release} main" for uri, release in sources]
    (base / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")
    done.touch()
    return base


def build(folder, system, context):
    stages, stage = {}, None
    for word, rest in instructions((context / "deploy/Dockerfile").read_text()):
        began = time.monotonic()
        if word == "FROM":
            image, *named = rest.split()
            name = named[1] if len(named) == 2 else "final"
            stage = stages[name] = Stage(system / name, make_base(folder, image))
        elif word == "RUN":
            stage.run(argv(rest), f"RUN {rest}")
        elif word == "COPY":
            stage.copy(rest, stages, context)
        elif word == "WORKDIR":
            stage.workdir = rest
            (stage.folder / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "ENV":
            stage.environment.update(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "USER":
            stage.user = rest
        elif word == "ENTRYPOINT":
            stage.entrypoint = argv(rest)
        elif word == "CMD":
            stage.command = argv(rest)
        elif word == "HEALTHCHECK":
            stage.healthcheck = argv(rest[rest.index("CMD") + len("CMD"):].strip())
        elif word not in ("EXPOSE", "VOLUME", "STOPSIGNAL", "LABEL"):
            fail(f"{word} is not known to this script")
        say(f"{word} {rest[:70]}: {time.monotonic() - began:.0f} s")
    return stage


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def prove(stage):
    if stage.user == "root":
        fail("the image runs as root")
    stage.environment.update(PORT=free_port(), HOST="127.0.0.1", DHT_PORT="0")
    with open(stage.folder.parent / "worker.log", "w+") as log:
        worker = stage.chroot(stage.entrypoint + stage.command, True, stdout=log, stderr=log)
        began = time.monotonic()
        while stage.chroot(stage.healthcheck, True, stderr=subprocess.DEVNULL).wait() != 0:
            if worker.poll() is not None or time.monotonic() - began > HEALTHY_WITHIN_S:
                log.seek(0)
                fail(f"HEALTHCHECK does not succeed:\n{log.read()[-3000:]}")
            time.sleep(0.2)
        say(f"healthy after {time.monotonic() - began:.1f} s, as {stage.user}")
        to = ["--worker", f"http://127.0.0.1:{stage.environment['PORT']}"]
        source = stage.folder / "data/proof"
        source.write_bytes(os.urandom(12_000_000))
        link = stage.run([*stage.entrypoint, "put", "/data/proof", *to], "put", True).strip()
        stage.run([*stage.entrypoint, "get", link, "-o", "/data/again", *to], "get", True)
        if (stage.folder / "data/again").read_bytes() != source.read_bytes():
            fail("what was got is not what was put")
        say(f"put and got 12 MB by {link[:20]}…")
        worker.send_signal(signal.SIGTERM)
        if (code := worker.wait(20)) != 0:
            fail(f"SIGTERM ended it with {code}")
    if stage.chroot(stage.healthcheck, True, stderr=subprocess.DEVNULL).wait() == 0:
        fail("HEALTHCHECK succeeds with nothing running")
    say("ended by SIGTERM with 0, and is not healthy any more")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--keep", type=pathlib.Path)
    keep = parser.parse_args().keep
    if os.geteuid() != 0:
        fail("needs root: debootstrap and chroot are root's")
    for tool in ("debootstrap", "unshare", "git"):
        shutil.which(tool) or fail(f"needs {tool}")
    if "PROVE_IMAGE" not in os.environ:
        # Mounts and processes live in namespaces of their own, and end with this script.
        folder = keep or pathlib.Path(tempfile.mkdtemp(prefix="kollator-image.", dir="/var/tmp"))
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "PROVE_IMAGE": str(folder)}
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child",
                   "--propagation", "private", sys.executable, __file__]
        code = subprocess.run(command, env=environment).returncode
        shutil.rmtree(folder / "system" if keep else folder, ignore_errors=True)
        sys.exit(code)
    folder = pathlib.Path(os.environ["PROVE_IMAGE"])
    began = time.monotonic()
    system = folder / "system"
    shutil.rmtree(system, ignore_errors=True)
    context = system / "context"
    context.mkdir(parents=True)
    # What a build context holds: the committed files.
    archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"],
                             capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", context], input=archive.stdout, check=True)
    prove(build(folder, system, context))
    say(f"proved in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
