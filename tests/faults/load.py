"""Clients that write down what they ask and are told, and what is made of that."""

import json
import os
import subprocess
import time
from pathlib import Path

from telling import check


class Load:
    """`db3-history record` at work on a network."""

    porcupine = None  # Program that judges as well (tests/porcupine).

    def __init__(self, programs, network_file, keystore, account, password, out):
        self.program, self.out = str(Path(programs) / "db3-history"), Path(out)
        self.account = ["--network", str(network_file), "--keystore", str(keystore), "--account", account]
        self.environment = {**os.environ, "DB3_PASSWORD": password}
        self.process, self.read, self.count, self.height = None, 0, 0, 0

    def start(self, seconds, seed, clients=6, keys=4, pause_ms=20, alone=None):
        """As many clients that keep to themselves, one at each node, as others; unless told how many."""
        self.process = subprocess.Popen(
            [self.program, "record", *self.account, "--out", self.out, "--seconds", str(seconds), "--seed", str(seed),
             "--clients", str(clients), "--alone", str(clients if alone is None else alone), "--keys", str(keys), "--pause-ms", str(pause_ms)],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def acknowledged(self):
        """Writes that were acknowledged so far; notes the newest of their blocks."""
        if self.out.exists():
            with open(self.out, "rb") as history:
                history.seek(self.read)
                for line in history:
                    # A line without its end is being written.
                    if line.endswith(b"\n"):
                        self.read += len(line)
                        acknowledged = b'"type":"ok"' in line and b'"id":' in line
                        self.count += acknowledged
                        if acknowledged:
                            self.height = max(self.height, json.loads(line)["result"]["height"])
        return self.count

    def wait_for(self, more, seconds=240):
        """Until so many more writes are acknowledged."""
        goal, end = self.acknowledged() + more, time.monotonic() + seconds
        while self.acknowledged() < goal:
            if self.process.poll() is not None:
                check("the load goes on", False, self.process.stderr.read())
            if time.monotonic() > end:
                check(f"{more} more writes within {seconds} s", False, f"{self.acknowledged()} of {goal}")
            time.sleep(0.02)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
        if self.process:
            _, error = self.process.communicate(timeout=120)
            check("the load ends without an error", self.process.returncode == 0, error)
            self.process = None

    def run(self, command, *arguments, of=None):
        done = subprocess.run([self.program, command, *arguments, of or self.out], env=self.environment, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=900)
        check(f"db3-history {command}: {done.stdout.strip() or 'nothing'}", done.returncode == 0, done.stderr)
        return json.loads(done.stdout)

    def judge(self):
        """Linearizable; everywhere the same; everything acknowledged there once and billed once; and linearizable as well
        with what became of every write whose caller was not told."""
        found = self.run("check")
        resolved = self.out.with_suffix(".resolved.ndjson")
        self.run("audit", *self.account, "--resolved", resolved)
        self.run("check", of=resolved)
        if self.porcupine:
            done = subprocess.run([self.porcupine, resolved], capture_output=True, text=True, timeout=900)
            check(f"Porcupine: {done.stdout.strip() or 'nothing'}", done.returncode == 0, done.stdout + done.stderr)
        return found

    def end(self):
        """However it stands."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
