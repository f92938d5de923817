"""SIGKILL at every storage step of a node's start, of its blocks and of its snapshots.

What the steps are is counted first: a step is a thread, a call and a kind of file. The node is then started again and again
while clients write, and each time it ends at the n-th call of one step: before it, half way through it, or after it."""

import os
import random
import signal
import socket
import subprocess
import time
from collections import Counter

from telling import chapter, check, wait_until

from .devnet import Devnet
from .shim import KNOWN, Shim, by_step, plan, ways

CHAIN = "devnet-shard-0"
SETTINGS = {"DB3_NODE_SNAPSHOT_INTERVAL_BLOCKS": "6", "DB3_NODE_SYNC_SNAPSHOT_BLOCKS": "20"}
# The threads that make blocks, bring the snapshot forward, and write snapshots for others; and of the calls of each step of
# theirs, how many are tried one after the other. Of all others, those of one start.
OFTEN = {"solo": 48, "snapshot": 12, "sync-files": 4}
# What a block does on the embedded engine besides.
KNOWN = KNOWN | {"solo write #.log", "solo fdatasync #.log", "solo pwrite newest"}
BLOCKS = 200
# A history is ended and judged after so many kills.
KILLS_OF_A_HISTORY = 100


class Node:
    """The shard of a devnet, served by its node alone."""

    def __init__(self, net):
        self.net, self.process = net, None
        self.home = net.folder / "net" / CHAIN
        url = next(node["grpc"] for node in net.ready["nodes"] if node["chain_id"] == CHAIN)
        self.address = url.removeprefix("http://")

    def start(self, environment=None):
        with open(self.net.folder / "node.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.net.programs / "shard-node", "start", "--home", self.home, "--listen", self.address, "--no-relay"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **SETTINGS, "NO_COLOR": "1", **(environment or {})})

    def serves(self):
        host, port = self.address.split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def up(self):
        """Starts it with nothing in its way."""
        self.start()
        wait_until("the node serves", lambda: (self.serves() or self.process.poll() is not None, self.tail()), 120)
        check("the node is up", self.process.poll() is None, self.tail())

    def kill(self):
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def dies(self, seconds):
        """Whether it ends by itself within so many seconds; otherwise it is ended."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        died = self.process.poll() is not None
        self.kill()
        if self.process.returncode != -signal.SIGKILL:
            check("the node ends by SIGKILL alone", False, f"{self.process.returncode}\n{self.tail()}")
        return died

    def tail(self):
        return "\n".join((self.net.folder / "node.log").read_text(errors="replace").splitlines()[-15:])


class Histories:
    """Load after load, each with a history of its own."""

    def __init__(self, node, seed):
        self.node, self.seed, self.load, self.number, self.heights = node, seed, None, 0, set()

    def begin(self):
        self.load = self.node.net.load(self.node.net.folder / f"history{self.number}.ndjson")
        self.load.start(36_000, self.seed + self.number, pause_ms=5, alone=2)
        self.number += 1

    def told(self):
        """Notes up to which block clients have been told of."""
        self.load.acknowledged()
        self.heights.add(self.load.height)

    def judge(self):
        self.node.up()
        self.load.wait_for(5)
        self.load.stop()
        self.load.judge()
        self.node.kill()


def steps(options, folder):
    chapter("SIGKILL at every storage step")
    net, shim, node, histories = Devnet(options.bin, folder), Shim(folder), None, None
    try:
        check("a devnet starts", net.start(), net.tail())
        net.stop()
        node = Node(net)
        histories = Histories(node, options.seed)
        node.up()
        histories.begin()
        histories.load.wait_for(60)
        node.kill()
        at_start, counted = count(node, shim, histories)
        check(f"{sum(at_start.values())} storage calls of a start, {len(counted)} steps of starts, blocks and snapshots",
              KNOWN <= set(counted), sorted(counted))
        kills = of_all(at_start, counted) if options.full else of_some(counted)
        run(node, shim, histories, kills, 20 if options.full else 10)
        whole = {(step, how) for step in counted for how in ways(step)} if options.full else set()
        for _ in range(4):
            # Which thread of the runtime writes how much in how many calls is chance.
            run(node, shim, histories, [(step, 1, how) for step, how in sorted(whole - shim.met())], 20)
        shim.tell()
        missing = by_step(whole - shim.met())
        said = "every one of them, before it, half way through its writes, and after it" if options.full else "some of them"
        check(f"{said}: {len(shim.met())} ways to end", not missing, missing)
        blocks = len(histories.heights)
        check(f"killed in {blocks} blocks", blocks >= (BLOCKS if options.full else 5))
        histories.judge()
        whole_devnet(options, net, shim, histories)
    finally:
        if histories and histories.load:
            histories.load.end()
        if node:
            node.kill()
        net.stop()


def count(node, shim, histories):
    """The calls of a start, and those up to the third snapshot for others, which takes the place of the first."""
    node.start(shim.counting(f"{node.home}/"))
    wait_until("the node serves", lambda: (node.serves(), node.tail()), 120)
    at_start = Counter({step: number for step, number in shim.counted().items() if step.split()[0] not in OFTEN})
    wait_until("three snapshots for others", lambda: (shim.counted()["sync-files rename manifest.json"] >= 3, node.tail()), 240)
    histories.told()
    node.kill()
    return at_start, shim.counted()


def of_all(at_start, counted):
    """Every call of a start, and those of many blocks and snapshots, in every way; mixed."""
    kills = []
    for step, number in counted.items():
        most = OFTEN.get(step.split()[0], at_start[step] or 1)
        kills += [(step, at, how) for at in range(1, min(number, most) + 1) for how in ways(step)]
    random.shuffle(kills)
    return kills


def of_some(counted):
    """One call each of what a block and a snapshot do, and as many others."""
    known = sorted(KNOWN)
    others = random.sample(sorted(set(counted) - KNOWN), 10)
    kills = [(step, random.randrange(1, 4) if step in known[:-1] else 1, random.choice(ways(step))) for step in known + others]
    random.shuffle(kills)
    return kills


def run(node, shim, histories, kills, seconds):
    died = 0
    for number, (step, at, how) in enumerate(kills, 1):
        node.start(shim.environment(f"{node.home}/", at, how, step))
        died += node.dies(seconds)
        histories.told()
        if number % KILLS_OF_A_HISTORY == 0:
            print(f"        {number} of {len(kills)} kills, {len(histories.heights)} blocks", flush=True)
            histories.judge()
            node.up()
            histories.begin()
            histories.load.wait_for(5)
            node.kill()
    if kills:
        check(f"{died} of {len(kills)} ends at a storage call", died >= len(kills) * 3 // 4 or len(kills) < 10)


def whole_devnet(options, net, shim, histories):
    """Both chains in one process, at calls of their start and of what follows, by number."""
    check("the devnet starts again", net.start(), net.tail())
    histories.begin()
    histories.load.wait_for(10)
    net.kill()
    for number, (at, how) in enumerate(plan(80 if options.full else 4, 500)):
        net.start(shim.environment(net.folder / "net", at, how))
        end = time.monotonic() + 10
        while net.process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        if net.process.poll() is None:
            net.kill()
        if net.process.returncode != -signal.SIGKILL:
            check(f"call {at}, {how}: the devnet ends by SIGKILL alone", False, f"{net.process.returncode}\n{net.tail()}")
    check("it comes up once more", net.start(), net.tail())
    histories.load.wait_for(10)
    histories.load.stop()
    histories.load.judge()
    net.stop()
    net.check_from_genesis()
