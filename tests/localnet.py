#!/usr/bin/env python3
"""A network of real validators on CometBFT, small enough for any machine: two validators, one shard, the settlement chain.

The same commands as on a devnet write and read with proof, at either validator; a third validator comes later, with the
genesis folder alone, and goes, by decision of the operators, and what the chains tell each other crosses all the while; the
statement of an epoch is settled; a node is killed and started again with nothing else done to it, and goes on with the root
of the other; a machine with the genesis folder alone joins by `shard-node init` and `shard-node start`; the network ends with
no process left, and goes on when it is started again.

Usage: tests/localnet.py --bin DIR [--seed N]
Talks to this machine alone. CometBFT must be installed (scripts/install-cometbft).
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import telling
from joining import come_later
from telling import Commands, a_story, chapter, check, free_port, the_end

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "localnet.py"
EPOCH_SECS = 20
VALIDATORS = 2
SHARDS = 1
# A block a second leaves the processes time.
CROWDED = {"DB3_COMETBFT_TIMEOUT_COMMIT_MS": "1000"}
PATIENCE = 300  # Seconds: eight processes share the machine with whatever else runs.


def wait_until(claim, condition):
    return telling.wait_until(claim, condition, PATIENCE)


class User(Commands):
    """`db3` in the localnet's own home, which names the network; at the network's endpoints, or at one node."""

    def __init__(self, net, node=None):
        super().__init__(net.programs, net.folder)
        self.environment = net.environment
        self.at = ["--endpoint", node["grpc"]] if node else []

    def chosen(self):
        return self.at


class Localnet:
    """The network in a folder of its own, and the commands that speak to it."""

    def __init__(self, programs, folder, settings=None):
        """`settings`: of every node, as variables."""
        self.programs, self.folder, self.settings = Path(programs).resolve(), Path(folder), settings or {}
        nodes = VALIDATORS * (SHARDS + 1)
        self.port, self.p2p_port = free_port(nodes), free_port(nodes)
        self.process, self.ready, self.restarted = None, None, []

    def start(self):
        ready_file = self.folder / "ready.json"
        ready_file.unlink(missing_ok=True)
        log = open(self.folder / "localnet.log", "ab")
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT, "--bin", self.programs, "--validators", str(VALIDATORS), "--shards", str(SHARDS),
             "--epoch-secs", str(EPOCH_SECS), "--home", self.folder / "net", "--ready-file", ready_file,
             "--port", str(self.port), "--p2p-port", str(self.p2p_port)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self.settings})
        def ready():
            if self.process.poll() is not None:
                check("the network starts", False, (self.folder / "localnet.log").read_text())
            return ready_file.exists(), (self.folder / "localnet.log").read_text()[-2_000:]
        wait_until("the network is ready", ready)
        self.ready = json.loads(ready_file.read_text())
        self.environment = {**os.environ, "DB3_HOME": self.ready["db3_home"], "DB3_PASSWORD": self.ready["password"],
                            "NO_COLOR": "1"}

    def launch(self, node):
        """Starts a node again, or one more; it ends with the network."""
        with open(node["log"], "ab") as log:
            process = subprocess.Popen([node["program"], "start", "--home", node["home"]], stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, env={**self.environment, **CROWDED, **self.settings})
        self.restarted.append(process)
        node["pid"] = process.pid
        return process

    def genesis(self):
        """The folder that every machine of the network begins with."""
        return self.folder / "net" / "prepare" / "genesis"

    def stop(self):
        for process in self.restarted:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def user(self, node=None):
        return User(self, node)

    def node(self, validator, chain_id):
        return next(node for node in self.ready["nodes"] if (node["validator"], node["chain_id"]) == (validator, chain_id))

    def status(self, node):
        done = subprocess.run([node["program"], "status", "--home", node["home"], "--output", "json"], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def agree(self, claim, chain_id):
        """Waits until every validator's node of the chain makes blocks on one root; a later height than before shows that they go on."""
        nodes = [node for node in self.ready["nodes"] if node["chain_id"] == chain_id]
        before = max((int(status["height"]) for status in map(self.status, nodes) if status), default=0)
        def agreed():
            seen = [self.status(node) for node in nodes]
            holds = all(seen) and len({status["root"] for status in seen}) == 1 and all(
                int(status["height"]) > before for status in seen)
            return holds, seen
        wait_until(claim, agreed)
        check(claim, True)


def left_over(folder):
    """Processes that still name the folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in command:
                found.append(f"{process.name} {command}")
    return found


def writes_and_reads(net):
    chapter("The same commands as on a devnet, at either validator")
    first, second = (net.node(f"v{at}", "local-shard-0") for at in range(VALIDATORS))
    net.user(first).done("put", "notes", "hello", "world")
    value = net.user(second).done("get", "notes", "hello").stdout
    check("what one validator took, the other proves", value == "world", value)
    net.user(second).done("put", "notes", "other", "way")
    check("and the other way round", net.user(first).done("get", "notes", "other").stdout == "way")
    absent = net.user().run("get", "notes", "nobody")
    check("an absent key is proved absent (exit code 4)", absent.returncode == 4, absent.stderr)
    net.agree("both validators have one root", "local-shard-0")


class Governed:
    """A chain and what its operators decide."""

    def __init__(self, net, shard=None):
        self.net, self.user = net, net.user()
        self.options = [] if shard is None else ["--shard", str(shard)]
        self.actions = []  # Of the last decision, as its file says them.

    def powers(self):
        shown = self.user.json("governance", "show", *self.options)
        return {validator["key"]: int(validator["power"]) for validator in shown["validators"]}

    def validator_of(self, name):
        """Key, operator and payout account of the validator with this operator."""
        operator = self.user.json("account", "show", name)["address"]
        shown = self.user.json("governance", "show", *self.options)
        return next(validator for validator in shown["validators"] if validator["operator"].lower() == operator.lower())

    def decide(self, powers, signers, *change):
        """Signed and sent; returns when the chain has these powers, by key."""
        file = self.net.folder / "proposal.db3"
        file.unlink(missing_ok=True)
        self.user.done("governance", "propose", file, *self.options, *change)
        for signer in signers:
            self.user.done("governance", "sign", file, "--account", signer)
        self.actions = self.user.json("governance", "show", file)["actions"]
        self.user.done("governance", "submit", file)
        wait_until("the decision takes effect", lambda: (self.powers() == powers, self.powers()))


def set_validator(key, power, operator):
    return "--set-validator", f"{key}:{power}:{operator}:{operator}"


def link(net, source, reader):
    return next(row for row in net.user().lines("status") if (row.get("from"), row.get("to")) == (source, reader))


def other_validators(net):
    """A machine with the genesis folder alone becomes a validator of both chains, which make no block without its votes, and
    leaves again; before and after that each chain proves to the other what it says."""
    chapter("A validator comes later by decision, and the light clients follow")
    shard, settlement = "local-shard-0", "local-settlement"
    port, p2p_port = free_port(2), free_port(2)
    account = net.user().json("account", "show", "local0")["address"]
    public, keys = come_later(net.programs, "v2", net.folder / "v2", net.genesis(), "127.0.0.1", port, p2p_port, account)
    newcomers = {chain_id: {"chain_id": chain_id, "validator": "v2", "program": str(net.programs / program),
                            "home": str(net.folder / "v2" / chain_id), "log": str(net.folder / f"v2-{chain_id}.log")}
                 for chain_id, program in ((shard, "shard-node"), (settlement, "settlement-node"))}
    processes = [net.launch(node) for node in newcomers.values()]
    for chain_id, node in newcomers.items():
        def caught_up(node=node):
            status = net.status(node)
            return bool(status) and status["ready"] and not status["catching_up"], status
        wait_until(f"the machine follows {chain_id}", caught_up)

    chains = Governed(net, 0), Governed(net)
    first, second = (chains[0].validator_of(f"operator-v{at}")["key"] for at in range(2))
    of_settlement = chains[1].validator_of("operator-v0")["key"], chains[1].validator_of("operator-v1")["key"]
    operators = "operator-v0", "operator-v1"
    # Of 50, more than 33 must sign, and of 30 more than 20: the two others have 30 and 20.
    chains[0].decide({first: 20, second: 10, keys[shard]: 20}, operators, *set_validator(first, 20, "operator-v0"),
                     "--add-validator", f"{public}=20")
    chains[1].decide({**{one: 10 for one in of_settlement}, keys[settlement]: 10}, operators, "--add-validator", f"{public}=10")
    shares = [action for action in chains[1].actions if f"{account} by 20".lower() in action.lower()]
    check("it shares in what the shard earns, by its power there", len(shares) == 1, chains[1].actions)
    changed = {chain_id: max(int(net.status(net.node("v0", chain_id))["height"]), 1) for chain_id in (shard, settlement)}
    for chain_id, node in newcomers.items():
        nodes = [*(net.node(f"v{at}", chain_id) for at in range(VALIDATORS)), node]
        # A change counts two blocks after its own.
        def goes_on(chain_id=chain_id, nodes=nodes):
            heights = [int((net.status(one) or {"height": 0})["height"]) for one in nodes]
            return all(height > changed[chain_id] + 3 for height in heights), heights
        wait_until(f"{chain_id} goes on with its votes", goes_on)
        check(f"{chain_id} goes on with its votes", True)

    crossed(net, changed)

    # Its account operates validators: it signs too.
    chains[0].decide({first: 10, second: 10}, (*operators, "local0"), "--remove-validator", keys[shard],
                     *set_validator(first, 10, "operator-v0"))
    chains[1].decide({one: 10 for one in of_settlement}, (*operators, "local0"), "--remove-validator", keys[settlement],
                     "--payouts", "0=validators")
    for process in processes:
        process.terminate()
        check("a node of the newcomer ends", process.wait(timeout=PATIENCE) == 0)
    for chain_id in newcomers:
        net.agree(f"and without it the other two have one root on {chain_id}", chain_id)


def crossed(net, changed):
    """Waits until something new has crossed each way, proven by a header of after a change."""
    shard, settlement = "local-shard-0", "local-settlement"
    before = {way: link(net, *way) for way in ((shard, settlement), (settlement, shard))}
    net.user().done("put", "notes", "meanwhile", "written")
    paid = statements_paid(net)
    net.user().done("credit", "allocate", "3db3", "--shard", "0")
    for source, reader in before:
        def arrived(source=source, reader=reader):
            now = link(net, source, reader)
            holds = int(now["cursor"]) > int(before[source, reader]["cursor"]) and int(now["trusted_height"]) > changed[source]
            return holds and now["frozen"] is False, now
        wait_until(f"what {source} says arrives at {reader}", arrived)
        check(f"what {source} says after the change arrives at {reader}", True)
    wait_until("what was written since is paid", lambda: (statements_paid(net) > paid, net.user().lines("statement", "list")))
    check("what was written since is paid", True)


def statements_paid(net):
    return sum(statement.get("status") == "paid" for statement in net.user().lines("statement", "list"))


def a_settled_epoch(net):
    chapter("A statement is settled")
    def settled():
        statements = net.user().lines("statement", "list")
        return any("paid" in str(statement.get("status", "")).lower() for statement in statements), statements
    wait_until("the statement of the epoch is paid", settled)
    check("the statement of the epoch is paid", True)
    for chain_id in ("local-settlement", "local-shard-0"):
        net.agree(f"the validators of {chain_id} have one root", chain_id)


def a_killed_node(net):
    chapter("A node is killed and started again")
    node = net.node(f"v{random.randrange(VALIDATORS)}", "local-shard-0")
    other = next(one for one in net.ready["nodes"] if one["chain_id"] == node["chain_id"] and one is not node)
    net.user(node).done("put", "notes", "before", "kept")
    os.kill(node["pid"], signal.SIGKILL)
    comet = Path(node["home"]) / "cometbft"
    wait_until("CometBFT ends with its node", lambda: (not left_over(comet), left_over(comet)))
    check(f"{node['validator']} was killed, and its CometBFT ended with it", True)
    net.launch(node)
    net.agree("it goes on with the other's root", "local-shard-0")
    check("what was acknowledged is there", net.user(node).done("get", "notes", "before").stdout == "kept")
    net.user(other).done("put", "notes", "after", "new")
    check("and it follows what comes", net.user(node).done("get", "notes", "after").stdout == "new")
    bills = net.user().lines("bill", "list")
    check("one bill for each mutation", len(bills) == 5, bills)


def a_machine_of_its_own(net):
    chapter("A machine joins with the genesis folder and two commands")
    port, p2p_port = free_port(2), free_port(2)
    program = net.programs / "shard-node"
    done = subprocess.run([program, "init", "--genesis", net.genesis(), "--home", net.folder / "own", "--port", str(port),
                           "--p2p-port", str(p2p_port), "--output", "json"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env={**net.environment, "DB3_HOME": str(net.folder / "own-user")})
    check("`shard-node init` lays out a home for every chain", done.returncode == 0, done.stderr)
    made = [json.loads(line) for line in done.stdout.splitlines()]
    check("they are those of the network", [one["chain_id"] for one in made] == ["local-settlement", "local-shard-0"], made)
    own = {"chain_id": "local-shard-0", "home": made[1]["home"], "program": str(program), "validator": "own",
           "grpc": f"http://127.0.0.1:{port + 1}", "log": str(net.folder / "own.log")}
    net.launch(own)
    def caught_up():
        status = net.status(own)
        return bool(status) and status["ready"] and not status["catching_up"], status or Path(own["log"]).read_text()[-2_000:]
    wait_until("`shard-node start` is all that it takes", caught_up)
    net.ready["nodes"].append(own)
    net.agree("it has the validators' root", "local-shard-0")
    check("it proves what was written before it came", net.user(own).done("get", "notes", "before").stdout == "kept")
    net.user(own).done("put", "notes", "own", "machine")
    first = net.node("v0", "local-shard-0")
    check("and takes what is to be written", net.user(first).done("get", "notes", "own").stdout == "machine")


def an_end_and_a_beginning(net):
    chapter("The network ends, and goes on")
    net.stop()
    left = left_over(net.folder / "net")
    check("no process is left", not left, left)
    net.start()
    check("what was written is there", net.user().done("get", "notes", "after").stdout == "new")
    net.user().done("put", "notes", "again", "more")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--bin", required=True, help="folder of the programs")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    with a_story("localnet", arguments.seed) as (folder, at_end):
        net = Localnet(arguments.bin, folder)
        at_end(net.stop)
        net.start()
        check(f"{VALIDATORS} validators, {SHARDS} shard and its settlement chain are up", len(net.ready["nodes"]) == 4)
        writes_and_reads(net)
        other_validators(net)
        a_settled_epoch(net)
        a_killed_node(net)
        a_machine_of_its_own(net)
        an_end_and_a_beginning(net)
        the_end()


if __name__ == "__main__":
    main()
