"""What the stories of this folder share: their folder and their end, claims that hold or end the story, waiting for what
must come, free ports, and the command of a network."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

passed = 0


@contextmanager
def a_story(name, seed, keep=False):
    """A folder, and what is called at the end with a function that ends what the story started. However the story ends, also
    by a signal, those are called, the last first, and the folder is removed: but not what failed, which is named with the
    histories in it."""
    def told(number, _frame):
        raise SystemExit(128 + number)
    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    random.seed(seed)
    print(f"seed {seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix=f"db3-{name}-"))
    try:
        with ExitStack() as ends:
            yield folder, ends.callback
    except BaseException as error:
        keep = keep or not isinstance(error, SystemExit) or error.code == 1
        raise
    finally:
        if keep:
            print("\n".join(["kept:", *map(str, [folder, *sorted(folder.rglob("*.ndjson"))])]), flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def check(claim, holds, detail=""):
    """States a claim, and ends the story where it does not hold."""
    global passed
    if not holds:
        print(f"FAILED  {claim}\n{detail}", flush=True)
        print(f"{passed} passed, 1 failed", flush=True)
        sys.exit(1)
    passed += 1
    print(f"ok      {claim}", flush=True)


def chapter(title):
    print(f"\n-- {title}", flush=True)


def the_end(left_out=()):
    """`left_out`: what this machine does not allow to be tested."""
    print(f"\n{passed} passed, 0 failed{''.join(f'; not tested: {what}' for what in left_out)}", flush=True)


def wait_until(claim, condition, patience):
    """Waits for what must come within so many seconds, and says what was seen last where it does not."""
    end = time.monotonic() + patience
    while True:
        holds, seen = condition()
        if holds:
            return seen
        if time.monotonic() > end:
            check(f"{claim} (within {patience} s)", False, seen)
        time.sleep(0.1)


given = set()


def free_port(count):
    """The first of `count` neighbouring ports that nobody uses, below those that the system gives to connections; each is
    given out once. They do not follow from the seed: stories may be told at the same time."""
    for port in random.SystemRandom().sample(range(20000, 32000), 200):
        ports = range(port, port + count)
        if given.intersection(ports):
            continue
        try:
            sockets = [socket.create_server(("127.0.0.1", port)) for port in ports]
        except OSError:
            continue
        for s in sockets:
            s.close()
        given.update(ports)
        return port
    raise SystemExit("no free ports")


def health(port, service):
    """What gRPC's health check says of a service on a port, asked as a page of the web asks."""
    name = service.encode()
    message = b"\x0a" + bytes([len(name)]) + name
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/grpc.health.v1.Health/Check",
        b"\0" + len(message).to_bytes(4, "big") + message, {"content-type": "application/grpc-web+proto"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return {b"\x08\x01": "SERVING", b"\x08\x02": "NOT_SERVING"}.get(answer.read()[5:7], "unknown")


def comet(pid):
    """The CometBFT process under a node; none while there is none."""
    found = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(pid)], capture_output=True, text=True)
    pids = [int(line.split()[0]) for line in found.stdout.splitlines() if line.split()[1] == "cometbft"]
    return pids[0] if pids else None


def total(rows, field):
    return sum(int(row[field]) for row in rows)


class Commands:
    """`db3` with a home of its own in a folder; `chosen` are the options of every command."""

    timeout = 300

    def __init__(self, programs, folder):
        self.programs = Path(programs)
        self.folder = Path(folder)
        self.environment = {**os.environ, "DB3_HOME": str(self.folder / "user"), "NO_COLOR": "1"}

    def chosen(self):
        raise NotImplementedError

    def command(self, *arguments):
        return [str(self.programs / "db3"), "--no-input", *map(str, self.chosen()), *map(str, arguments)]

    def run(self, *arguments):
        return subprocess.run(self.command(*arguments), env=self.environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=self.timeout)

    def done(self, *arguments):
        result = self.run(*arguments)
        if result.returncode != 0:
            check(f"db3 {' '.join(map(str, arguments))}", False, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}")
        return result

    def json(self, *arguments):
        return json.loads(self.done("--output", "json", *arguments).stdout)

    def lines(self, *arguments):
        return [json.loads(line) for line in self.done("--output", "json", *arguments).stdout.splitlines()]
