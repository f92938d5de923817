#!/usr/bin/env python3
"""A validator whose key another process has: CometBFT's own remote signer, and the settlement chain of a network of one.

The node has no key to sign with, and waits for the signer; blocks are made with the signer's signatures alone; the signer is
killed, and no more are; it comes back, and the chain goes on with nothing else done. While the signer is away the node says
that it does not serve, and tells once what is missing.

Usage: tests/remote_signer.py --bin DIR [--signer PROGRAM]
Talks to this machine alone. CometBFT and its signer must be installed (scripts/install-cometbft --signer).
"""

import argparse
import json
import os
import re
import subprocess
import time
from pathlib import Path

import telling
from telling import a_story, chapter, check, free_port, the_end

INSTALL = Path(__file__).resolve().parent.parent / "scripts" / "install-cometbft"
NETWORK = "signed"
CHAINS = f"{NETWORK}-settlement", f"{NETWORK}-shard-0"
CHAIN = CHAINS[0]
PATIENCE = 180  # Seconds: whatever else runs on the machine.
# A node that waits for its signer says so soon.
ENVIRONMENT = {"DB3_COMETBFT_STALLED_SECS": "10", "NO_COLOR": "1", "DB3_PASSWORD": "local"}


def wait_until(claim, condition):
    return telling.wait_until(claim, condition, PATIENCE)


def installed_signer():
    """The signer of `scripts/install-cometbft --signer`."""
    version = re.search(r"^version=(\S+)", INSTALL.read_text(), re.M).group(1)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("DB3_INSTALLED_BIN") or cache / "db3" / "bin") / f"signer-{version}" / "priv_val_server"


class Signer:
    """The process that has the key, and what it notes of what it signed."""

    def __init__(self, program, folder, address):
        self.program, self.folder, self.address = Path(program).resolve(), folder, address
        self.process, self.log = None, folder / "signer.log"

    def files(self, chain_id):
        config = self.folder / chain_id / "config"
        return config / "priv_validator_key.json", config / "priv_validator_state.json"

    def make(self, net):
        """A key for every chain, in CometBFT's files; gives the public ones."""
        net.run("db3-genesis", "keys", "--name", "signer", *net.public("signer"), "--keys", self.folder)
        keys = {}
        for chain_id in CHAINS:
            key, state = self.files(chain_id)
            keys[chain_id] = json.loads(key.read_text())["pub_key"]["value"]
            state.write_text(json.dumps({"height": "0", "round": 0, "step": 0}))
        return keys

    def start(self):
        key, state = self.files(CHAIN)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([self.program, "-addr", f"tcp://{self.address}", "-chain-id", CHAIN, "-priv-key", key,
                                             "-priv-state", state], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def keep(self):
        """CometBFT's signer dials for a second and then no more: it is started anew, as an operator's unit does it."""
        if self.process is None or "Max retries exceeded" in self.log.read_text(errors="replace"):
            self.kill()
            self.start()

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signed(self):
        return int(json.loads(self.files(CHAIN)[1].read_text())["height"])


class Network:
    """One validator of a settlement chain."""

    def __init__(self, programs, folder):
        self.programs, self.folder, self.process = Path(programs).resolve(), Path(folder), None
        self.grpc, self.p2p, self.signer = free_port(2), free_port(2), f"127.0.0.1:{free_port(2)}"
        self.environment = {**os.environ, **ENVIRONMENT, "DB3_HOME": str(self.folder / "user")}
        self.log = self.folder / "node.log"

    def run(self, program, *arguments):
        done = subprocess.run([self.programs / program, *arguments], cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            check(f"`{program} {' '.join(arguments)}`", False, f"{done.stdout}\n{done.stderr}")
        return done.stdout

    def public(self, name):
        """What a validator's public file says, and where it goes."""
        return ("--p2p-address", f"127.0.0.1:{self.p2p}", "--operator", self.account, "--payout", self.account,
                "--out", f"{name}.toml")

    def make(self, signer):
        self.account = json.loads(self.run("db3", "account", "new", "alice", "--output", "json"))["address"]
        self.run("db3-genesis", "init", NETWORK, "--shards", "1")
        keys = [f"--signer-key={chain_id}={key}" for chain_id, key in signer.make(self).items()]
        self.run("db3-genesis", "keys", "--name", "alice", *self.public("alice"), "--keys", "keys", *keys)
        self.run("db3-genesis", "add-validator", "alice.toml", "--power", "10")
        self.run("db3-genesis", "build")
        self.run("db3-genesis", "join", "alice", "--validator", "alice", "--keys", "keys", "--port", str(self.grpc),
                 "--signer", self.signer)

    def home(self):
        return self.folder / "alice" / CHAIN

    def start(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [self.programs / "settlement-node", "start", "--home", self.home(), "--no-relay"], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=self.environment)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def status(self):
        done = subprocess.run([self.programs / "settlement-node", "status", "--home", self.home(), "--output", "json"],
                              env=self.environment, capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def height(self):
        status = self.status()
        return int(status["height"]) if status else 0

    def told(self, event):
        return [line for line in self.log.read_text(errors="replace").splitlines() if event in line]

    def health(self):
        """What gRPC's health check says of the chain, asked as a page of the web asks."""
        return telling.health(self.grpc, "db3.v1.ChainService")

    def tail(self):
        return self.log.read_text(errors="replace")[-4_000:]


def serves(net, expected, signer=None):
    def asked():
        if signer:
            signer.keep()
        try:
            found = net.health()
        except OSError as error:
            return False, error
        return found == expected, (found, net.tail())
    wait_until(f"health says {expected}", asked)
    check(f"health says {expected}", True)


def goes_on(net, signer, height):
    """Waits for blocks above a height, with the signer there."""
    def above():
        signer.keep()
        return net.height() > height, (net.status(), net.tail())
    wait_until("blocks are made", above)
    height = net.height()
    check("blocks are made, each signed by the signer", signer.signed() >= height, (height, signer.signed()))


def is_told(net, times):
    """Waits until what is missing was told so often, and sees that it was not told more often."""
    wait_until("what is missing is told", lambda: (len(net.told("comet.signer ")) >= times, net.tail()))
    told = net.told("comet.signer ")
    check("what is missing is told once, with the address and what to do",
          len(told) == times and net.signer in told[-1] and "start the signer" in told[-1], told)


def is_back(net, signer, times):
    def told():
        signer.keep()
        return len(net.told("comet.signer_back")) == times, net.tail()
    wait_until("its return is told", told)
    check("its return is told", True)


def has_no_key(net):
    chapter("A validator that has no key to sign with waits for its signer")
    found = [path for folder in ("alice", "keys") for path in (net.folder / folder).rglob("priv_validator_key.json")]
    check("neither its keys nor its home hold a validator's key", not found, found)
    net.start()
    is_told(net, 1)
    seen = set()
    def several():
        seen.add(telling.comet(net.process.pid))
        return len(seen - {None}) >= 4, (seen, net.tail())
    wait_until("CometBFT, which ends without one, is started again and again", several)
    is_told(net, 1)
    serves(net, "NOT_SERVING")
    check("no block is made", net.height() == 0, net.status())


def comes(net, signer):
    chapter("The signer comes")
    goes_on(net, signer, 2)
    serves(net, "SERVING", signer)
    is_back(net, signer, 1)
    signed = json.loads((net.home() / "cometbft" / "data" / "priv_validator_state.json").read_text())
    check("this machine has signed nothing", int(signed["height"]) == 0, signed)


def goes_and_comes(net, signer):
    chapter("The signer is killed, and comes back")
    comet = telling.comet(net.process.pid)
    signer.kill()
    serves(net, "NOT_SERVING")
    is_told(net, 2)
    height, status = net.height(), net.status()
    check("status says that no block is made", status["consensus"] == "stalled" and not status["ready"], status)
    goes_on(net, signer, height + 3)
    serves(net, "SERVING", signer)
    is_back(net, signer, 2)
    is_told(net, 2)
    check("by itself, and with the CometBFT that listened all the while", telling.comet(net.process.pid) == comet, net.tail())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of the programs")
    parser.add_argument("--signer", default=installed_signer(), help="CometBFT's priv_val_server [where it was installed]")
    options = parser.parse_args()
    with a_story("signer", int(time.time())) as (folder, at_end):
        net = Network(options.bin, folder)
        at_end(net.stop)
        signer = Signer(options.signer, folder / "signer", net.signer)
        at_end(signer.kill)
        net.make(signer)
        has_no_key(net)
        comes(net, signer)
        goes_and_comes(net, signer)
        the_end()


if __name__ == "__main__":
    main()
