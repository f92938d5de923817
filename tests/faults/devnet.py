"""A devnet whose process is ended at any moment: by itself at a storage call, or by us."""

import json
import os
import random
import signal
import subprocess
import time
import tomllib
from pathlib import Path

from telling import chapter, check, free_port

from .load import Load


class Devnet:
    """A devnet of one shard in a folder of its own."""

    def __init__(self, programs, folder):
        self.programs, self.folder = Path(programs), Path(folder)
        self.port, self.process, self.ready = free_port(3), None, None

    def start(self, environment=None):
        """Starts it; false where it ended before it served."""
        ready_file = self.folder / "ready.json"
        ready_file.unlink(missing_ok=True)
        settings = {"DB3_HOME": str(self.folder / "user"), "NO_COLOR": "1"}
        with open(self.folder / "devnet.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "db3-devnet", "start", "--home", self.folder / "net", "--port", str(self.port), "--shards",
                 "1", "--epoch-secs", "600", "--ready-file", ready_file],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **settings, **(environment or {})})
        end = time.monotonic() + 120
        while not ready_file.exists():
            if self.process.poll() is not None:
                return False
            if time.monotonic() > end:
                check("the devnet serves within 120 s", False, self.tail())
            time.sleep(0.02)
        self.ready = json.loads(ready_file.read_text())
        return True

    def tail(self):
        return "\n".join((self.folder / "devnet.log").read_text(errors="replace").splitlines()[-15:])

    def load(self, out):
        file = Path(self.ready["network_file"])
        keystore = file.parent / tomllib.loads(file.read_text())["keystore"]
        return Load(self.programs, file, keystore, "dev0", "dev", out)

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=120)

    def check_from_genesis(self):
        """Executes every block again; gives the heights."""
        heights = []
        for node in self.ready["nodes"]:
            home = self.folder / "net" / node["chain_id"]
            program = "settlement-node" if home.name.endswith("-settlement") else "shard-node"
            done = subprocess.run([self.programs / program, "check", "--home", home, "--from-genesis", "--output", "json"],
                                  capture_output=True, text=True, timeout=900)
            check(f"{home.name}: every block executed again gives the root of its header", done.returncode == 0,
                  done.stdout + done.stderr)
            heights.append(int(json.loads(done.stdout)["height"]))
        return heights


def history(options, folder):
    chapter("A history over kills and stops")
    net, load = Devnet(options.bin, folder), None
    try:
        check("a devnet starts", net.start(), net.tail())
        load = net.load(folder / "history.ndjson")
        load.start(3600, options.seed, alone=2)
        for number in range(30 if options.full else 3):
            load.wait_for(random.randrange(20, 120))
            if random.random() < 0.6:
                net.kill()
                check(f"fault {number}: killed, and up again", net.start(), net.tail())
            else:
                os.kill(net.process.pid, signal.SIGSTOP)
                time.sleep(random.uniform(0.5, 9))
                os.kill(net.process.pid, signal.SIGCONT)
                check(f"fault {number}: stopped, and on again", net.process.poll() is None)
        load.wait_for(20)
        load.stop()
        load.judge()
        net.stop()
        net.check_from_genesis()
    finally:
        if load:
            load.end()
        net.stop()
