#!/usr/bin/env python3
"""What validators answer for and what their operators decide, on real CometBFT: the settlement chain of a network of three.

The third is started from an older copy of its folder, and from a second one beside itself: each says that the key has signed
what its file knows nothing of, and votes for nothing; with its newest file it goes on. Then its key signs twice: the others
prove it, its power is gone for good, and the chain goes on without it. The operators of the other two then decide: what is done, what was taken back and what could not be done any
more is told by every node, and the key that misbehaved cannot come back. A node whose state comes from another genesis ends
for good. A node that is sent what is no call begins anew with its CometBFT, in its process, and ends for good where that
happens three times on one block. A validator that is left alone says that it does not serve.

Usage: tests/validators.py --bin DIR
Talks to this machine alone. CometBFT must be installed (scripts/install-cometbft).
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import telling
from double_signing import comet, double_signed
from telling import chapter, check, free_port, the_end

NETWORK = "trial"
CHAIN = f"{NETWORK}-settlement"
POWERS = {"alice": 10, "bob": 10, "mallory": 8}
PATIENCE = 300  # Seconds: eight processes share the machine with whatever else runs.
# Two nodes that propose a block each: one a second leaves the others time.
ENVIRONMENT = {"DB3_COMETBFT_TIMEOUT_COMMIT_MS": "500", "NO_COLOR": "1", "DB3_PASSWORD": "local"}


def wait_until(claim, condition):
    return telling.wait_until(claim, condition, PATIENCE)


def copy(folder, to):
    """A copy of a stopped machine's folder, without the sockets that its nodes left."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("run"))


class Network:
    """Three validators of a settlement chain, each in a folder of its own, and the operators' accounts."""

    def __init__(self, programs, folder):
        self.programs, self.folder, self.nodes = Path(programs).resolve(), Path(folder), {}
        self.environment = {**os.environ, **ENVIRONMENT, "DB3_HOME": str(self.folder / "user")}
        # A chain and its shard for each of the three, and for the other machine of the third.
        self.grpc, self.p2p = free_port(8), free_port(8)

    def run(self, program, *arguments, code=0):
        done = subprocess.run([self.programs / program, *arguments], cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != code:
            detail = f"{done.stdout}\n{done.stderr}"
            check(f"`{program} {' '.join(arguments)}` ends with {code}, not {done.returncode}", False, detail)
        return done.stderr if code else done.stdout

    def db3(self, *arguments, code=0):
        return self.run("db3", "--network", NETWORK, *arguments, code=code)

    def make(self):
        self.run("db3-genesis", "init", NETWORK, "--shards", "1")
        for place, (name, power) in enumerate(POWERS.items()):
            self.run("db3", "account", "new", name)
            account = json.loads(self.run("db3", "account", "show", name, "--output", "json"))["address"]
            self.run("db3-genesis", "keys", "--name", name, "--p2p-address", f"127.0.0.1:{self.p2p + 2 * place}",
                     "--endpoint", f"http://127.0.0.1:{self.grpc + 2 * place}", "--operator", account,
                     "--payout", account, "--keys", f"keys-{name}", "--out", f"{name}.toml")
            self.run("db3-genesis", "add-validator", f"{name}.toml", "--power", str(power))
        self.run("db3-genesis", "build")
        for place, name in enumerate(POWERS):
            self.run("db3-genesis", "join", name, "--validator", name, "--keys", f"keys-{name}",
                     "--port", str(self.grpc + 2 * place))
        self.run("db3", "network", "add", f"alice/{NETWORK}.toml")

    def twin(self, name, place):
        """The same validator on another machine, as somebody makes it who copies a folder too much."""
        copy(self.folder / name, self.folder / f"{name}-again")
        home = self.home(f"{name}-again")
        (home / "config" / "node_key.json").unlink()
        settings = home / "config" / "node.toml"
        text = settings.read_text()
        for first in (self.grpc, self.p2p):
            text = text.replace(str(first + 2 * place), str(first + 6)).replace(str(first + 2 * place + 1), str(first + 7))
        settings.write_text(text)

    def home(self, name):
        return self.folder / name / CHAIN

    def log(self, name):
        return self.folder / f"{name}.log"

    def start(self, name, **environment):
        log = open(self.log(name), "ab")
        self.nodes[name] = subprocess.Popen(
            [self.programs / "settlement-node", "start", "--home", self.home(name), "--no-relay"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**self.environment, **environment})

    def end(self, name):
        process = self.nodes.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=PATIENCE)

    def ends_with(self, name, code):
        """Waits until a node ends by itself, as it should; gives the end of its log."""
        def ended():
            found = self.nodes[name].poll()
            return found is not None, self.tail(name)
        wait_until(f"{name} ends by itself", ended)
        found = self.nodes.pop(name).returncode
        check(f"{name} ends with {code}", found == code, f"{found}\n{self.tail(name)}")
        return self.tail(name)

    def tail(self, name):
        return self.log(name).read_text(errors="replace")[-4_000:]

    def comet(self, name):
        """The CometBFT process under a node; none while there is none."""
        return telling.comet(self.nodes[name].pid)

    def stop(self):
        for process in self.nodes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.nodes.values():
            process.wait(timeout=PATIENCE)

    def status(self, name):
        done = subprocess.run([self.programs / "settlement-node", "status", "--home", self.home(name), "--output", "json"],
                              env=self.environment, capture_output=True, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def height(self, name):
        status = self.status(name)
        return int(status["height"]) if status else 0

    def governance(self):
        return json.loads(self.db3("governance", "show", "--output", "json"))

    def decide(self, *change):
        """Proposed by one, signed by both, sent; the answer."""
        file = self.folder / "proposal.db3"
        file.unlink(missing_ok=True)
        self.db3("governance", "propose", str(file), *change)
        for operator in ("alice", "bob"):
            self.db3("governance", "sign", str(file), "--account", operator)
        return json.loads(self.db3("governance", "submit", str(file), "--output", "json"))

    def state_of(self, sequence):
        decisions = self.governance()["decisions"]
        return next((one for one in decisions if int(one["sequence"]) == sequence), None)


def signs_on(net, name):
    """Waits until a validator has signed a few more blocks, by the node of another."""
    address = json.loads((net.home(name) / "config" / "priv_validator_key.json").read_text())["address"]
    begun, signed = net.height("alice"), set()

    def several():
        for height in range(begun + 1, net.height("alice")):
            header = comet(net.home("alice"), "commit", height=str(height))["result"]["signed_header"]
            if any(vote["validator_address"] == address and vote["block_id_flag"] == 2 for vote in header["commit"]["signatures"]):
                signed.add(height)
        return len(signed) >= 3, (begun, signed, net.tail(name))
    wait_until(f"{name} signs blocks", several)
    return max(signed)


def older_files(net):
    chapter("A validator that is started with older files")
    net.make()
    for name in POWERS:
        net.start(name)
    wait_until("blocks are made", lambda: (net.height("alice") > 2, net.status("alice")))
    signs_on(net, "mallory")
    net.end("mallory")
    net.twin("mallory", 2)
    copy(net.folder / "mallory", net.folder / "older")
    net.start("mallory")
    signed = signs_on(net, "mallory")
    # The first is still there.
    net.start("mallory-again")
    told = net.ends_with("mallory-again", 70)
    check("a second one beside it says so, and votes for nothing", "another process signs with the same key" in told, told)
    net.end("mallory")
    whole = net.folder / "mallory"
    whole.rename(net.folder / "newest")
    (net.folder / "older").rename(whole)
    net.start("mallory")
    told = net.ends_with("mallory", 70)
    check("one that is put in its place does so too, and names the file", "priv_validator_state.json says that it signed up to" in told, told)
    state = Path("cometbft") / "data" / "priv_validator_state.json"
    shutil.copy(net.folder / "newest" / CHAIN / state, net.home("mallory") / state)
    net.start("mallory")
    check("with its newest file it follows the others, and signs again", signs_on(net, "mallory") > signed)
    shown = net.governance()
    check("nobody has anything to prove", not shown["evidence"] and len(shown["validators"]) == 3, shown)


def misbehaviour(net):
    chapter("A key that signs twice")
    height = net.height("alice") - 1
    proof = double_signed(net.home("mallory"), net.home("alice"), CHAIN, height)
    answer = comet(net.home("bob"), "broadcast_evidence", evidence=proof)
    check("CometBFT takes the proof of two votes for one height", "hash" in answer.get("result", {}), answer)

    def found():
        shown = net.governance()
        return bool(shown["evidence"]), shown
    shown = wait_until("the others prove that it signed twice", found)
    evidence = shown["evidence"]
    check("one deed of one validator is recorded, with the power that it had",
          len(evidence) == 1 and evidence[0]["kind"] == 1 and int(evidence[0]["power"]) == POWERS["mallory"]
          and evidence[0]["removed"] is True, shown)
    keys = [validator["key"] for validator in shown["validators"]]
    check("it validates no more", len(keys) == 2 and evidence[0]["key"] not in keys, shown)
    then = net.height("alice")
    wait_until("the chain goes on without it", lambda: (net.height("alice") > then + 3, net.status("alice")))
    return evidence[0]["key"]


def decisions(net, culprit):
    chapter("What operators decide, and what becomes of it")
    payout = json.loads(net.run("db3", "account", "show", "mallory", "--output", "json"))["address"]
    file = net.folder / "again.db3"
    refused = net.db3("governance", "propose", str(file), "--set-validator", f"{culprit}:8:{payout}:{payout}", code=1)
    check("the key that misbehaved cannot come back", "misbehaved" in refused, refused)

    far = str(net.height("alice") + 40)
    first = net.decide("--prices", "1,1,1,1,1", "--at", far)
    second = net.decide("--prices", "2,2,2,2,2")
    third = net.decide("--set", "expiry_max_secs=900", "--at", far)
    fourth = net.decide("--cancel", str(third["sequence"]))
    check("they are numbered in their order",
          [int(one["sequence"]) for one in (first, second, third, fourth)] == [1, 2, 3, 4], (first, second, third, fourth))
    ended = lambda sequence, state: lambda: ((net.state_of(sequence) or {}).get("state") == state, net.governance())
    wait_until("what takes effect at once is told as done", ended(2, "done"))
    wait_until("what was taken back is told as that", ended(3, "cancelled"))
    check("and by which decision", net.state_of(3)["why"] == "taken back by decision 4", net.state_of(3))
    wait_until("at its height the first can do nothing any more", ended(1, "dropped"))
    dropped = net.state_of(1)
    check("and the reason is told, with its number",
          "version" in dropped["why"] and int(dropped["code"]) == 231 and str(dropped["end_height"]) == far, dropped)
    check("the table says the same", "dropped" in net.db3("governance", "show"))


def another_root(net):
    chapter("A node whose root the others do not share")
    net.end("mallory")
    home = net.home("mallory")
    genesis = home / "config" / "genesis.json"
    text = genesis.read_text()
    other = text.replace('"expiry_max_secs": 3600', '"expiry_max_secs": 1800')
    check("a parameter of the genesis is changed", other != text)
    genesis.write_text(other)
    shutil.rmtree(home / "data")
    # The blocks are executed again, on a state in which everything is whole, and which is not the chain's.
    net.start("mallory")
    told = net.ends_with("mallory", 70)
    check("and says that the roots differ", "AppHash does not match AppHash after replay" in told, told)
    again = net.log("mallory").read_text(errors="replace").count("comet.started")
    net.start("mallory")
    net.ends_with("mallory", 70)
    check("no start helps, and none was tried by itself",
          net.log("mallory").read_text(errors="replace").count("comet.started") == again + 1, net.tail("mallory"))


SERVICES = ("", "db3.v1.SettlementService", "db3.v1.ChainService")


def serves(net, place, expected):
    def asked():
        try:
            found = [telling.health(net.grpc + 2 * place, service) for service in SERVICES]
        except OSError as error:
            return False, error
        return found == [expected] * len(SERVICES), found
    wait_until(f"health says {expected}", asked)
    check(f"health says {expected}", True)


def breaks(net, name):
    return net.log(name).read_text(errors="replace").count("node.broken")


def no_call(net, name):
    """Sends a node what CometBFT never would, on a connection that is in use, and waits until the node hangs up."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(str(net.home(name) / "cometbft" / "run" / "abci.sock"))
        stream.settimeout(PATIENCE)
        try:
            stream.sendall(bytes([2, 0x1A, 0]) + bytes([3, 0xFF, 0xFF, 0xFF]))  # Info, and three bytes of nothing.
            while stream.recv(4096):
                pass
        except ConnectionError:
            pass


def begins_anew(net, name):
    """Sends it such a thing, and waits until it and its CometBFT stand where they stood."""
    process, comet, height, before = net.nodes[name], net.comet(name), net.height(name), breaks(net, name)
    no_call(net, name)
    def again():
        seen = breaks(net, name), net.comet(name), net.height(name)
        return seen[0] == before + 1 and seen[1] not in (None, comet) and seen[2] >= height, (seen, net.tail(name))
    wait_until(f"{name} and its CometBFT begin anew", again)
    check(f"{name} and its CometBFT begin anew, in the same process", process.poll() is None, net.tail(name))
    return height


def what_is_no_call(net):
    chapter("A node that is sent what is no call, and one that is left alone")
    net.end("alice")
    net.start("alice", DB3_COMETBFT_STALLED_SECS="5")
    wait_until("alice is back", lambda: (net.height("alice") > 0, net.tail("alice")))
    height = begins_anew(net, "alice")
    told = net.log("alice").read_text(errors="replace")
    check("what happened is told", "node.broken" in told and "a frame is no request" in told, net.tail("alice"))
    wait_until("the chain goes on", lambda: (net.height("alice") > height + 3, net.status("alice")))
    serves(net, 0, "SERVING")

    net.end("bob")
    serves(net, 0, "NOT_SERVING")
    check("status says so as well", net.status("alice")["ready"] is False, net.status("alice"))
    # Nothing moves on: all three come on top of one block.
    for _ in range(2):
        height = begins_anew(net, "alice")
    no_call(net, "alice")
    told = net.ends_with("alice", 70)
    check("and says why", "a frame is no request" in told, told)
    for name in ("alice", "bob"):
        net.start(name)
    wait_until("nothing is lost by it", lambda: (net.height("alice") > height + 3, net.tail("alice")))
    serves(net, 0, "SERVING")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder of the programs")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="db3-validators-")
    net = Network(options.bin, folder)
    try:
        older_files(net)
        culprit = misbehaviour(net)
        decisions(net, culprit)
        another_root(net)
        what_is_no_call(net)
    finally:
        net.stop()
    shutil.rmtree(folder)
    the_end()


if __name__ == "__main__":
    main()
