#!/usr/bin/env python3
"""Faults: processes are killed, stopped and cut off while clients write, and nothing that was acknowledged is lost.

Parts, each on programs as users run them:
  steps     a devnet is ended with SIGKILL at one storage call after the other (faults/die_at.c), also in the middle of a
            write; it comes up again every time, and execution from genesis gives the root of every header.
  history   a devnet is killed and stopped at random while clients read and write conditionally; what they were told is
            linearizable (docs/history.md).
  damage    files of a node are cut, flipped and removed; the node says which, ends with 70, and what it advises works.
  network   validators on CometBFT, each in a network namespace of its own (needs root; else on one loopback address, and
            nobody is cut off): killed, stopped, cut off, split in halves, without CometBFT, ended at CometBFT's own fail
            points, joined late. After every fault all have the same root within 30 seconds, by themselves.

Usage: tests/faults.py --bin DIR [--part steps,history,damage,network] [--full] [--validators N] [--rounds N] [--seed N] [--keep]
Needs a C compiler for `steps`, CometBFT for `network`. Talks to this machine alone and ends its own processes by id.

Clock skew is not among the faults: libfaketime does not reach Go's clock, and a time namespace moves the monotonic clock
alone, not the one that block time comes from.
"""

import argparse
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from telling import chapter, check, free_port, the_end

HERE = Path(__file__).resolve().parent
TOGETHER_SECS = 30  # After the end of a fault every node has the same root within this time.


class Load:
    """Clients that write down what they ask and are told."""

    def __init__(self, programs, network_file, keystore, account, password, out):
        self.program, self.out = str(Path(programs) / "db3-history"), Path(out)
        self.account = ["--network", str(network_file), "--keystore", str(keystore), "--account", account]
        self.environment = {**os.environ, "DB3_PASSWORD": password}
        self.process = None

    def start(self, seconds, seed, clients=6, keys=4, pause_ms=20):
        self.process = subprocess.Popen(
            [self.program, "record", *self.account, "--out", self.out, "--seconds", str(seconds), "--seed", str(seed),
             "--clients", str(clients), "--keys", str(keys), "--pause-ms", str(pause_ms)],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def acknowledged(self):
        """Writes that were acknowledged so far."""
        return self.out.read_bytes().count(b'"id":') if self.out.exists() else 0

    def wait_for(self, more, seconds=120):
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

    def run(self, command, *arguments):
        done = subprocess.run([self.program, command, *arguments, self.out], env=self.environment, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=900)
        check(f"db3-history {command}: {done.stdout.strip() or 'nothing'}", done.returncode == 0, done.stderr)
        return json.loads(done.stdout)

    def judge(self):
        """Linearizable; everywhere the same; everything acknowledged there once."""
        self.run("check")
        return self.run("audit", *self.account)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Devnet:
    """A devnet of one shard in a folder of its own."""

    def __init__(self, programs, folder):
        self.programs, self.folder = Path(programs), Path(folder)
        self.port, self.process, self.ready = free_port(3), None, None

    def start(self, environment=None):
        """Starts it; false where it ended before it served."""
        ready_file = self.folder / "ready.json"
        ready_file.unlink(missing_ok=True)
        settings = {"DB3_HOME": str(self.folder / "user"), "NO_COLOR": "1", "DB3_NODE_SNAPSHOT_INTERVAL_BLOCKS": "6",
                    "DB3_NODE_BLOCK_MS": "20"}
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


def steps(options, folder):
    chapter("SIGKILL at every storage call")
    shim = folder / "die_at.so"
    built = subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", shim, HERE / "faults" / "die_at.c", "-ldl"],
                           capture_output=True, text=True)
    check("the shim is built", built.returncode == 0, built.stderr)
    net, log = Devnet(options.bin, folder), folder / "died"
    load = None
    try:
        check("a devnet starts", net.start(), net.tail())
        load = net.load(folder / "history.ndjson")
        load.start(3600, options.seed, pause_ms=5)
        load.wait_for(20)
        net.kill()
        kills = 600 if options.full else 24
        # One call after the other from some call on, so that every step of a block, of a snapshot and of a start is met;
        # then calls at random.
        plan = list(range(1, kills // 2 + 1)) + [random.randrange(1, 900) for _ in range(kills - kills // 2)]
        died, before_ready = 0, 0
        for number, at in enumerate(plan):
            how = ("before", "torn", "after")[number % 3]
            served = net.start({"LD_PRELOAD": str(shim), "DB3_DIE_UNDER": str(folder / "net"), "DB3_DIE_AT": str(at),
                                "DB3_DIE_HOW": how, "DB3_DIE_LOG": str(log)})
            before_ready += not served
            end = time.monotonic() + 15
            while net.process.poll() is None and time.monotonic() < end:
                time.sleep(0.01)
            if net.process.poll() is None:
                # So many calls do not come while clients find it busy starting: then here.
                net.kill()
            elif net.process.returncode != -signal.SIGKILL:
                check(f"kill {number}: the devnet ends by SIGKILL alone", False, f"{net.process.returncode}\n{net.tail()}")
            else:
                died += 1
        check(f"{died} ends at a storage call, {before_ready} of them while starting", died >= kills * 3 // 4)
        calls = sorted({" ".join(line.split()[1:3]) + " " + kind_of(line.split()[3]) for line in log.read_text().splitlines()})
        for call in calls:
            print(f"        {call}", flush=True)
        check("it comes up once more", net.start(), net.tail())
        load.wait_for(10)
        load.stop()
        load.judge()
        net.stop()
        heights = net.check_from_genesis()
        check(f"at least 200 blocks ({heights})", max(heights) >= 200)
    finally:
        if load:
            load.end()
        net.stop()


def kind_of(path):
    """What kind of file it is, without its number."""
    name = Path(path).name
    return "".join("#" if letter.isdigit() else letter for letter in name).replace("##", "#")[:24]


def history(options, folder):
    chapter("A history over kills and stops")
    net, load = Devnet(options.bin, folder), None
    try:
        check("a devnet starts", net.start(), net.tail())
        load = net.load(folder / "history.ndjson")
        load.start(3600, options.seed)
        for number in range(30 if options.full else 4):
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


def damage(options, folder):
    chapter("Damaged files")
    net, load = Devnet(options.bin, folder), None
    program = str(Path(options.bin) / "shard-node")

    def shard_node(*arguments, expect=0):
        try:
            done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                  timeout=60)
        except subprocess.TimeoutExpired:
            check(f"shard-node {arguments[0]} ends with {expect}", False, "it runs")
        check(f"shard-node {arguments[0]} ends with {expect}", done.returncode == expect,
              done.stdout + done.stderr)
        return done.stdout if expect == 0 else done.stderr

    def root_of(home):
        return json.loads(shard_node("check", "--home", home, "--output", "json"))["root"]

    try:
        # Started twice: what a start finds in the log becomes tables.
        for number in range(2):
            check("a devnet starts", net.start(), net.tail())
            load = net.load(folder / f"history{number}.ndjson")
            load.start(600, options.seed + number)
            load.wait_for(60)
            load.stop()
            net.stop() if number == 0 else net.kill()
        chain_id = next(node["chain_id"] for node in net.ready["nodes"] if "-shard-" in node["chain_id"])
        whole = folder / "net" / chain_id
        copy = folder / "copy"
        # Whoever opens a folder makes tables of what its log holds; the folder stays as the kill left it.
        shutil.copytree(whole, copy)
        root = root_of(copy)
        data = {kind: sorted((whole / "data").glob(pattern), key=lambda path: path.stat().st_size)
                for kind, pattern in (("log", "*.log"), ("table", "*.sst"), ("manifest", "MANIFEST-*"))}

        def cut(path):
            os.truncate(path, path.stat().st_size // 3)

        def flip(path):
            content = bytearray(path.read_bytes())
            content[random.randrange(len(content))] ^= 1 << random.randrange(8)
            path.write_bytes(content)

        harms = [("the log lost its end", data["log"][-1], cut), ("a table is missing", data["table"][-1], Path.unlink),
                 ("a table lost its end", data["table"][-1], cut), ("a bit of the manifest is flipped", data["manifest"][-1], flip),
                 ("CURRENT is missing", whole / "data" / "CURRENT", Path.unlink), ("everything is missing", whole / "data", shutil.rmtree),
                 ("the genesis is another", whole / "config" / "genesis.json", lambda path: path.write_text(path.read_text() + " "))]
        for claim, path, harm in harms:
            shutil.rmtree(copy)
            shutil.copytree(whole, copy)
            harm(copy / path.relative_to(whole))
            told = shard_node("start", "--home", copy, "--listen", "127.0.0.1:0", expect=70)
            check(f"{claim}: it is told, with what helps", str(copy) in told and ("backup" in told or "put the network" in told), told)
        # A flipped bit in rows that nobody reads is found by `check`.
        shutil.rmtree(copy)
        shutil.copytree(whole, copy)
        table = copy / data["table"][-1].relative_to(whole)
        content = bytearray(table.read_bytes())
        content[16] ^= 1
        table.write_bytes(content)
        told = shard_node("check", "--home", copy, expect=70)
        check("a flipped bit in a table is found by `check`, which names the file", table.name in told, told)
        made = json.loads(shard_node("snapshot", "make", "--home", whole, "--output", "json"))
        restored = folder / "restored"
        shard_node("snapshot", "restore", made["path"], "--home", restored)
        check("what it advises works: a snapshot restored in a new folder has the same root", root_of(restored) == root)
        shutil.rmtree(copy)
        shutil.copytree(whole, copy)
        check("and so does a copy that was taken while the node was stopped", root_of(copy) == root)
    finally:
        if load:
            load.end()
        net.stop()


class Spaces:
    """A network namespace for every validator, joined by one bridge; or none, where this machine allows none."""

    def __init__(self, count):
        self.count, self.tag = count, f"f{os.getpid() % 10_000}"
        self.net = f"10.{77 + os.getpid() % 100}.{os.getpid() // 100 % 250}"
        self.made = []

    @staticmethod
    def ip(*arguments, quiet=False):
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
        if done.returncode != 0 and not quiet:
            raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
        return done.returncode == 0

    def make(self):
        """Whether it worked."""
        if shutil.which("ip") is None or os.geteuid() != 0:
            return False
        try:
            self.ip("link", "add", self.tag, "type", "bridge")
            self.ip("addr", "add", f"{self.net}.1/24", "dev", self.tag)
            self.ip("link", "set", self.tag, "up")
            for at in range(self.count):
                space, here, there = f"{self.tag}-{at}", f"{self.tag}h{at}", f"{self.tag}n{at}"
                self.ip("netns", "add", space)
                self.made.append(space)
                self.ip("link", "add", here, "type", "veth", "peer", "name", there)
                self.ip("link", "set", there, "netns", space)
                self.ip("link", "set", here, "master", self.tag, "up")
                self.ip("-n", space, "link", "set", "lo", "up")
                self.ip("-n", space, "addr", "add", f"{self.address(at)}/24", "dev", there)
                self.ip("-n", space, "link", "set", there, "up")
            return True
        except OSError as error:
            print(f"        no network namespaces here: {error}", flush=True)
            self.remove()
            return False

    def address(self, at):
        return f"{self.net}.{10 + at}"

    def cut(self, at):
        self.ip("link", "set", f"{self.tag}h{at}", "down")

    def join(self, at):
        self.ip("link", "set", f"{self.tag}h{at}", "up")

    def remove(self):
        for space in self.made:
            self.ip("netns", "del", space, quiet=True)
        self.ip("link", "del", self.tag, quiet=True)
        self.made = []


def localnet_module():
    spec = importlib.util.spec_from_file_location("localnet_script", HERE.parent / "scripts" / "localnet.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Validators:
    """A network of scripts/localnet with one shard, whose nodes can be treated badly."""

    def __init__(self, options, folder, spaces):
        script = localnet_module()

        class InSpaces(script.Localnet):
            def address(self, at):
                return spaces.address(at) if spaces else super().address(at)

            def within(self, at):
                return ["ip", "netns", "exec", f"{spaces.tag}-{at}"] if spaces else super().within(at)

        nodes = options.validators * 2
        self.spaces = spaces
        self.net = InSpaces(argparse.Namespace(
            validators=options.validators, shards=1, epoch_secs=3_600, accounts=1, home=folder / "net", ready_file=None,
            port=free_port(nodes), p2p_port=free_port(nodes), bin=options.bin))
        self.password = script.PASSWORD

    def start(self):
        self.net.make()
        self.net.plan_nodes()
        accounts = self.net.accounts()
        self.net.start()
        self.net.wait_for_blocks()
        self.net.wait_for_credit(accounts)
        self.nodes = [node for node in self.net.nodes if node["chain_id"] == "local-shard-0"]
        # The shard has its lease and its credit; the cores are for its validators now.
        for node in self.net.nodes:
            if node not in self.nodes:
                node["process"].terminate()
        for node in self.net.nodes:
            if node not in self.nodes:
                node["process"].wait(timeout=120)
                self.net.ended.add(node["pid"])

    def load(self, out):
        file = Path(self.net.network_file())
        return Load(self.net.bin, file, self.net.user / "keystore", "local0", self.password, out)

    def comet(self, node):
        """The CometBFT process under a node; none while there is none."""
        found = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(node["process"].pid)], capture_output=True, text=True)
        pids = [int(line.split()[0]) for line in found.stdout.splitlines() if line.split()[1] == "cometbft"]
        return pids[0] if pids else None

    def kill(self, node):
        os.kill(node["process"].pid, signal.SIGKILL)
        node["process"].wait()

    def together(self, claim):
        """All nodes stand at one height or two after it with one root there, and make blocks, within 30 seconds."""
        began = time.monotonic()
        heights = [int(status["height"]) for status in map(self.net.status, self.nodes) if status]
        before, seen = max(heights, default=0), None
        while time.monotonic() - began < TOGETHER_SECS + 5:
            seen = [self.net.status(node) for node in self.nodes]
            if all(seen) and all(int(status["height"]) > before for status in seen):
                roots = {}
                for status in seen:
                    roots.setdefault(status["height"], set()).add(status["root"])
                if any(len(found) > 1 for found in roots.values()):
                    check(f"{claim}: one root at one height", False, seen)
                if len(roots) == 1:
                    break
            time.sleep(0.1)
        took = time.monotonic() - began
        detail = "\n".join(f"{node['validator']}: {status}" for node, status in zip(self.nodes, seen))
        logs = "\n".join("\n".join(Path(node["log"]).read_text(errors="replace").splitlines()[-8:]) for node in self.nodes)
        check(f"{claim}: one root everywhere, and blocks, after {took:.1f} s", took < TOGETHER_SECS, f"{detail}\n{logs}")
        return took


def network(options, folder):
    chapter("Faults of a network of validators")
    spaces = Spaces(options.validators)
    spaces = spaces if spaces.make() else None
    net, load, slowest = None, None, 0.0
    try:
        net = Validators(options, folder, spaces)
        net.start()
        check(f"{options.validators} validators are up{', each in a network of its own' if spaces else ''}", True)
        load = net.load(folder / "history.ndjson")
        load.start(36_000, options.seed, clients=options.validators, keys=3, pause_ms=100)
        faults = ["kill", "comet", "stop", "restart", "fail point"] + (["cut", "halves"] if spaces else [])
        rounds = options.rounds or (8 * len(faults) if options.full else len(faults))
        for number in range(rounds):
            load.wait_for(random.randrange(3, 12), 240)
            fault = faults[number % len(faults)]
            node = random.choice(net.nodes)
            others = [other for other in net.nodes if other is not node]
            what = f"fault {number}: {fault} {node['validator']}"
            if fault == "kill":
                net.kill(node)
                time.sleep(random.uniform(0, 6))
                net.net.launch(node)
            elif fault == "comet":
                comet = net.comet(node)
                check(f"{what}: it has a CometBFT", comet is not None)
                os.kill(comet, signal.SIGKILL)
            elif fault == "stop":
                pids = [pid for pid in (node["process"].pid, net.comet(node)) if pid]
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP)
                time.sleep(random.uniform(2, 12))
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
            elif fault == "restart":
                node["process"].terminate()
                node["process"].wait(timeout=120)
                time.sleep(random.uniform(0, 15))
                net.net.launch(node)
            elif fault == "fail point":
                # CometBFT ends itself at this point after each start, and its node starts it again, until it has
                # no such point any more.
                node["process"].terminate()
                node["process"].wait(timeout=120)
                net.net.launch(node, {"FAIL_TEST_INDEX": str(random.randrange(0, 16))})
                time.sleep(random.uniform(6, 15))
                check(f"{what}: the node lives", node["process"].poll() is None)
                net.kill(node)
                net.net.launch(node)
            elif fault == "cut":
                spaces.cut(node["index"])
                time.sleep(random.uniform(3, 15))
                spaces.join(node["index"])
            elif fault == "halves":
                half = [node, random.choice(others)]
                for other in half:
                    spaces.cut(other["index"])
                time.sleep(random.uniform(3, 15))
                for other in half:
                    spaces.join(other["index"])
            slowest = max(slowest, net.together(what))
        load.wait_for(5, 240)
        load.stop()
        load.judge()
        print(f"        the slowest took {slowest:.1f} s", flush=True)
    finally:
        if load:
            load.end()
        if net:
            net.net.stop()
        if spaces:
            spaces.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--bin", required=True, help="folder of the programs")
    parser.add_argument("--part", default="steps,history,damage,network", help="which of steps, history, damage, network")
    parser.add_argument("--full", action="store_true", help="ten times as much")
    parser.add_argument("--validators", type=int, default=4)
    parser.add_argument("--rounds", type=int, help="faults of the network")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", action="store_true", help="keep the folders")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)

    def told(number, _frame):
        raise SystemExit(128 + number)
    # However it is ended, it ends what it started and removes its network namespaces.
    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    known = {"steps": steps, "history": history, "damage": damage, "network": network}
    for part in options.part.split(","):
        random.seed(f"{options.seed} {part}")
        folder = Path(tempfile.mkdtemp(prefix="db3-faults-"))
        try:
            known[part](options, folder)
        finally:
            if options.keep:
                print(f"kept: {folder}", flush=True)
            else:
                shutil.rmtree(folder, ignore_errors=True)
    the_end()


if __name__ == "__main__":
    main()
