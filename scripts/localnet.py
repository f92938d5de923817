#!/usr/bin/env python3
"""A network of real validators on CometBFT, on this machine alone: for every validator and every chain a node, and
under each node a CometBFT process. It is made with db3-genesis as validators on machines of their own would make it.

Usage: scripts/localnet [--validators 4] [--shards 2] [--epoch-secs 600] [--home DIR] [--ready-file FILE]

DIR keeps everything: prepare/ (plan, genesis folder), <validator>/<chain id>/ (homes), logs/, user/ (a $DB3_HOME with
the network and its accounts, password `local`). Started again on the same DIR, the network goes on. Ctrl-C ends it:
every process is ended by its id, and nothing else is touched.

FILE, once every node serves, makes blocks and has heard of the accounts' credit: JSON with network_file, db3_home,
password, accounts (name, address), nodes (chain_id, validator, index, grpc, pid, home, program, log).
"""

import argparse
import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PASSWORD = "local"
PORT = 7400
P2P_PORT = 26700
# Every node of the machine shares its cores: a block a second leaves them time.
CROWDED = {"DB3_COMETBFT_TIMEOUT_COMMIT_MS": "1000"}
STOP_SECS = 90
PR_SET_PDEATHSIG = 1


class Refused(Exception):
    """What ends the program with a sentence."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def die_with_parent():
    """The node is told to stop if this program ends in whatever way."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Localnet:
    """The network's folder, and its processes."""

    def __init__(self, options):
        self.options = options
        self.home = Path(options.home).absolute()
        self.bin = Path(options.bin).absolute()
        self.prepare = self.home / "prepare"
        self.user = self.home / "user"
        self.ended = set()
        self.nodes = []
        self.settings = {"validators": options.validators, "shards": options.shards, "epoch_secs": options.epoch_secs,
                         "port": options.port, "p2p_port": options.p2p_port, "accounts": options.accounts}

    # The network is made.

    def run(self, program, *arguments, environment=None):
        """What a command says on standard output, as JSON."""
        done = subprocess.run([self.bin / program, *map(str, arguments), "--output", "json"], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              env={**os.environ, **self.user_environment(), **(environment or {})})
        if done.returncode != 0:
            raise Refused(f"{program} {' '.join(map(str, arguments))}: exit code {done.returncode}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def user_environment(self):
        return {"DB3_HOME": str(self.user), "DB3_PASSWORD": PASSWORD, "NO_COLOR": "1"}

    def validators(self):
        return [f"v{number}" for number in range(self.options.validators)]

    def accounts(self):
        path = self.home / "accounts.json"
        if not path.exists():
            say(f"Making {self.options.accounts} accounts")
            made = [self.run("db3", "account", "new", f"local{number}")[0] for number in range(self.options.accounts)]
            accounts = [{"name": account["name"], "address": account["address"]} for account in made]
            path.write_text(json.dumps(accounts))
        return json.loads(path.read_text())

    def operator(self, name):
        """A key of its own stands behind every validator."""
        path = self.home / f"operator-{name}.json"
        if not path.exists():
            path.write_text(json.dumps(self.run("db3", "account", "new", f"operator-{name}")[0]))
        return json.loads(path.read_text())["address"]

    def make(self):
        done = self.home / "localnet.json"
        if done.exists():
            before = json.loads(done.read_text())
            if before != self.settings:
                raise Refused(f"{self.home} holds a network with {before}; start it with the same options, or remove the folder")
            say(f"The network in {self.home} goes on; remove the folder to begin anew")
            return
        if self.home.exists() and any(self.home.iterdir()):
            raise Refused(f"{self.home} is not empty and holds no whole network: remove it, or choose another --home")
        say(f"Making a network of {self.options.validators} validators and {self.options.shards} shards in {self.home}")
        for folder in (self.prepare, self.user, self.home / "logs"):
            folder.mkdir(parents=True)
        self.home.chmod(0o700)
        funds = [f"--fund={account['address']}=1000db3" for account in self.accounts()]
        self.genesis("init", "local", "--shards", self.options.shards, "--epoch-secs", self.options.epoch_secs, *funds)
        chains = self.options.shards + 1
        for at, name in enumerate(self.validators()):
            address = self.operator(name)
            public = self.prepare / f"{name}.toml"
            self.genesis("keys", "--name", name, "--p2p-address", f"{self.address(at)}:{self.options.p2p_port + at * chains}",
                         "--endpoint", f"http://{self.address(at)}:{self.options.port + at * chains}", "--operator", address,
                         "--payout", address, "--out", public, "--keys", self.home / name / "keys")
            self.genesis("add-validator", public, "--power", 10)
        say(f"Genesis {self.genesis('build')[0]['hash']}")
        for at, name in enumerate(self.validators()):
            self.genesis("join", self.home / name, "--validator", name, "--keys", self.home / name / "keys",
                         "--listen", self.address(at), "--port", self.options.port + at * chains)
        self.run("db3", "network", "add", self.network_file())
        self.run("db3", "network", "use", "local")
        self.run("db3", "account", "use", "local0")
        done.write_text(json.dumps(self.settings))

    def genesis(self, *arguments):
        return self.run("db3-genesis", *arguments, "--dir", self.prepare)

    def network_file(self):
        return self.prepare / "genesis" / "network.toml"

    def plan_nodes(self):
        chains = ["local-settlement"] + [f"local-shard-{shard}" for shard in range(self.options.shards)]
        for at, name in enumerate(self.validators()):
            for after, chain_id in enumerate(chains):
                port = self.options.port + at * len(chains) + after
                self.nodes.append({
                    "chain_id": chain_id, "validator": name, "index": at, "grpc": f"http://{self.address(at)}:{port}",
                    "program": str(self.bin / ("settlement-node" if after == 0 else "shard-node")),
                    "home": str(self.home / name / chain_id), "log": str(self.home / "logs" / f"{name}-{chain_id}.log"),
                    "port": port})

    def address(self, at):
        """Where a validator is reached."""
        return "127.0.0.1"

    def within(self, at):
        """What a validator's programs are started with."""
        return []

    # The network runs.

    def start(self):
        for node in self.nodes:
            with socket.socket() as probe:
                if probe.connect_ex((self.address(node["index"]), node["port"])) == 0:
                    raise Refused(f"port {node['port']} is taken; choose others with --port and --p2p-port")
        for node in self.nodes:
            self.launch(node)

    def launch(self, node, environment=None):
        command = [*self.within(node["index"]), node["program"], "start", "--home", node["home"]]
        with open(node["log"], "ab") as log:
            # A session of its own: Ctrl-C comes here alone, and the nodes are told in order.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                       preexec_fn=die_with_parent,
                                       env={**CROWDED, **os.environ, "DB3_HOME": str(self.user), "NO_COLOR": "1",
                                            **(environment or {})})
        node["process"], node["pid"] = process, process.pid

    def status(self, node):
        """What a node says of itself; none while it says nothing."""
        command = [*self.within(node["index"]), node["program"], "status", "--home", node["home"], "--output", "json"]
        done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL, capture_output=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def look(self):
        """Tells of nodes that ended."""
        for node in self.nodes:
            code = node["process"].poll()
            if code is not None and node["pid"] not in self.ended:
                self.ended.add(node["pid"])
                say(f"{node['validator']} {node['chain_id']} (process {node['pid']}) ended with {code}; its log: {node['log']}")

    def wait_for_blocks(self):
        waiting = list(self.nodes)
        while waiting:
            self.look()
            if self.ended:
                node = next(node for node in self.nodes if node["pid"] in self.ended)
                tail = "\n".join(Path(node["log"]).read_text(errors="replace").splitlines()[-12:])
                raise Refused(f"a node ended before the network was ready:\n{tail}")
            still = []
            for node in waiting:
                status = self.status(node)
                if status is None or int(status["provable_height"]) < 1:
                    still.append(node)
            if len(still) < len(waiting):
                say(f"{len(self.nodes) - len(still)} of {len(self.nodes)} nodes make blocks")
            waiting = still
            time.sleep(0.5)

    def wait_for_credit(self, accounts):
        """Until every account's line has crossed from the settlement chain to the shards."""
        say("Waiting for the accounts' credit on the shards")
        while True:
            self.look()
            try:
                if all(self.has_credit(account["name"]) for account in accounts):
                    return
            except Refused:
                # A chain that has nothing provable yet, or a node that is busy: the next look tells.
                pass
            time.sleep(1)

    def has_credit(self, name):
        shown = self.run("db3", "credit", "show", "--account", name)[0]
        lines = [line for line in shown["lines"] if int(line["shard_ceiling_tai"]) > 0]
        return len(lines) == self.options.shards

    def ready(self, accounts):
        kept = ("chain_id", "validator", "index", "grpc", "pid", "home", "program", "log")
        ready = {"network_file": str(self.network_file()), "db3_home": str(self.user), "password": PASSWORD,
                 "accounts": accounts, "nodes": [{name: node[name] for name in kept} for node in self.nodes]}
        if self.options.ready_file:
            path = Path(self.options.ready_file).absolute()
            temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
            temporary.write_text(json.dumps(ready, indent=2) + "\n")
            temporary.replace(path)
        print(f"\nThe network is ready: {len(self.nodes)} nodes, {self.options.validators} for each chain.")
        print("Type next, in another terminal:")
        print(f"  export DB3_HOME={self.user} DB3_PASSWORD={PASSWORD}")
        print("  db3 put notes hello world")
        print("  db3 get notes hello")
        print("  db3 status")
        print(f"Logs are in {self.home / 'logs'}. Ctrl-C ends the network; its state is kept.", flush=True)

    def stop(self):
        """Ends every node, which ends its CometBFT; by id alone."""
        running = [node for node in self.nodes if node.get("process") and node["process"].poll() is None]
        if running:
            say(f"Ending {len(running)} nodes")
        for node in running:
            node["process"].terminate()
        until = time.monotonic() + STOP_SECS
        for node in running:
            try:
                node["process"].wait(timeout=max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                say(f"{node['validator']} {node['chain_id']} (process {node['pid']}) did not end in {STOP_SECS} s: killed")
                node["process"].kill()
                node["process"].wait()


def positive(most):
    def number(text):
        value = int(text)
        if not 1 <= value <= most:
            raise argparse.ArgumentTypeError(f"expected 1 to {most}")
        return value
    return number


def main():
    default_home = Path(os.environ.get("DB3_HOME") or Path.home() / ".db3") / "localnet"
    parser = argparse.ArgumentParser(prog="scripts/localnet", description=__doc__.split("\n\n")[0],
                                     epilog="Example: scripts/localnet --validators 2 --shards 1 --home ./net --ready-file ./ready.json")
    parser.add_argument("--validators", type=positive(16), default=4, help="validators of every chain [4]")
    parser.add_argument("--shards", type=positive(16), default=2, help="shard chains [2]")
    parser.add_argument("--epoch-secs", type=positive(86_400), default=600, help="length of an epoch [600]")
    parser.add_argument("--accounts", type=positive(20), default=2, help="accounts with money and credit [2]")
    parser.add_argument("--home", default=default_home, help="folder of the network [$DB3_HOME/localnet]")
    parser.add_argument("--ready-file", help="written once the network is ready")
    parser.add_argument("--port", type=positive(60_000), default=PORT, help=f"first port of gRPC [{PORT}]")
    parser.add_argument("--p2p-port", type=positive(60_000), default=P2P_PORT, help=f"first port of peers [{P2P_PORT}]")
    parser.add_argument("--bin", required=True, help=argparse.SUPPRESS)
    network = Localnet(parser.parse_args())

    def told(number, _frame):
        raise KeyboardInterrupt(number)
    signal.signal(signal.SIGTERM, told)
    code = 0
    try:
        network.make()
        network.plan_nodes()
        accounts = network.accounts()
        network.start()
        network.wait_for_blocks()
        network.wait_for_credit(accounts)
        network.ready(accounts)
        while True:
            network.look()
            time.sleep(1)
    except KeyboardInterrupt:
        pass
    except Refused as refused:
        say(f"error: {refused}")
        code = 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        network.stop()
    sys.exit(code)


if __name__ == "__main__":
    main()
