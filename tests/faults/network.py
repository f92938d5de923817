"""Faults of a network of validators, one after the other, while clients write."""

import os
import random
import signal
import time
from pathlib import Path

from telling import chapter, check, wait_until

from .shim import HOW, Shim, plan
from .spaces import Spaces
from .validators import PATIENCE, Validators

# CometBFT's own fail points: two votes and nine more in a block (v0.38.26, consensus/state.go, state/execution.go). So
# many are those of two blocks.
FAIL_POINTS = 22


class Faults:
    """What can happen to a node."""

    def __init__(self, net, spaces, shim, full):
        self.net, self.spaces, self.shim, self.full = net, spaces, shim, full
        self.fail_point, self.kills = random.randrange(FAIL_POINTS), []

    def last(self, least, most):
        """A fault lasts so many seconds; a third of it in the small run."""
        time.sleep(random.uniform(least, most) / (1 if self.full else 3))

    def kill(self, node, what):
        self.net.kill(node)
        self.last(0, 6)
        self.net.net.launch(node)

    def comet(self, node, what):
        """The node lives, and starts another."""
        comet = wait_until(f"{what}: it has a CometBFT", lambda: (self.net.comet(node) is not None, self.net.comet(node)), 60)
        os.kill(comet, signal.SIGKILL)

    def stop(self, node, what):
        pids = [pid for pid in (node["process"].pid, self.net.comet(node)) if pid]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        self.last(2, 12)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    def restart(self, node, what):
        self.net.end(node)
        self.last(0, 15)
        self.net.net.launch(node)

    def fail_points(self, node, what):
        """CometBFT ends itself at this point after each start, and its node starts it again; until the node is killed and
        started without."""
        number, self.fail_point = self.fail_point, (self.fail_point + 1) % FAIL_POINTS
        self.net.end(node)
        log = Path(node["log"])
        before = log.stat().st_size
        self.net.net.launch(node, {"FAIL_TEST_INDEX": str(number)})

        def reached():
            with open(log, "rb") as text:
                text.seek(before)
                said = text.read()
            return f"fail-test {number} ".encode() in said, said[-2_000:].decode(errors="replace")
        wait_until(f"{what}: CometBFT ends at its point {number}", reached, PATIENCE)
        self.last(0, 3)
        check(f"{what}: CometBFT ended at its point {number}, and the node lives", node["process"].poll() is None)
        self.net.kill(node)
        self.net.net.launch(node)

    def storage(self, node, what):
        """SIGKILL at storage calls of the node, a few one after the other, also while it starts."""
        self.net.kill(node)
        for _ in range(6 if self.full else 3):
            at, how = self.kills.pop(0) if self.kills else (random.randrange(1, 240), random.choice(HOW))
            self.net.net.launch(node, self.shim.environment(node["home"], at, how))
            end = time.monotonic() + (40 if self.full else 15)
            while node["process"].poll() is None and time.monotonic() < end:
                time.sleep(0.02)
            if node["process"].poll() is None:
                self.net.kill(node)
            check(f"{what}: it ended at call {at} or was killed, and by nothing else",
                  node["process"].returncode == -signal.SIGKILL, f"{node['process'].returncode}\n{self.net.tails()}")
        self.net.net.launch(node)

    def cut(self, node, what):
        self.spaces.cut(node["index"])
        self.last(3, 15)
        self.spaces.join(node["index"])

    def halves(self, node, what):
        """Half of the power on either side: no blocks, and none that the other side does not have."""
        others = [other for other in self.net.validators if other is not node]
        half = [node, *random.sample(others, len(self.net.validators) // 2 - 1)]
        for other in half:
            self.spaces.part(other["index"])
        self.last(3, 15)
        for other in half:
            self.spaces.join(other["index"])

    def replay(self, node, what):
        self.joins(what, from_snapshot=False)

    def sync(self, node, what):
        self.joins(what, from_snapshot=True)

    def joins(self, what, from_snapshot):
        """A machine joins, is killed on its way and started again; it comes to the others' root, and goes."""
        late = self.net.late(from_snapshot)
        database = Path(late["home"]) / "cometbft" / "data" / "state.db"
        wait_until(f"{what}: CometBFT begins", lambda: (database.is_dir(), Path(late["log"]).read_text()[-2_000:]), PATIENCE)
        self.last(0, 4)
        self.net.kill(late)
        self.net.net.launch(late)
        status = self.net.caught_up(late)
        first = int(status["history_from_height"])
        check(f"{what}: it has blocks from height {first} on", (first > 1) == from_snapshot, status)
        self.net.nodes.append(late)
        self.net.together(f"{what}: with it")
        self.net.nodes.remove(late)
        self.net.end(late)


def network(options, folder):
    chapter("Faults of a network of validators")
    spaces = Spaces(options.validators + 1)
    spaces = spaces if spaces.make() else None
    net, load = None, None
    try:
        net = Validators(options, folder, spaces)
        net.start()
        check(f"{options.validators} validators are up{', each in a network of its own' if spaces else ''}", True)
        shim = Shim(folder)
        faults = Faults(net, spaces, shim, options.full)
        load = net.load(folder / "history.ndjson")
        load.start(36_000, options.seed, clients=options.validators, keys=3, pause_ms=100)
        names = ["kill", "sync", "comet", "stop", "storage", "restart", "fail_points", "replay"]
        names += ["cut", "halves"] if spaces else []
        rounds = options.rounds or len(names)
        chosen = [names[number % len(names)] for number in range(rounds)]
        if options.full:
            # Every storage call of a start and of the blocks and snapshots after it, and every fail point.
            faults.kills = plan(240, 300)
            chosen = 3 * names + 40 * ["storage"] + FAIL_POINTS * ["fail_points"]
        for number, fault in enumerate(chosen):
            load.wait_for(random.randrange(3, 12))
            node = random.choice(net.validators)
            what = f"fault {number}: {fault} {node['validator']}"
            getattr(faults, fault)(node, what)
            net.together(what)
        shim.tell()
        if options.full:
            check(f"at least 200 blocks ({net.height()})", net.height() >= 200)
        load.wait_for(5)
        load.stop()
        load.judge()
        print(f"        {net.height()} blocks; the slowest took {net.slowest:.1f} s", flush=True)
    finally:
        if load:
            load.end()
        if net:
            net.net.stop()
        if spaces:
            spaces.remove()
