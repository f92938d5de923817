"""What can happen to a validator's node."""

import itertools
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

from joining import trust
from telling import check, wait_until

from .damage import DAMAGES, cut
from .shim import KNOWN, ways
from .validators import PATIENCE

# CometBFT's own fail points: two votes and eight more in a block (v0.38.26, consensus/state.go, state/execution.go). An
# index is not one of them, but a count of those that are passed; so many are those of two blocks.
FAIL_POINTS = 22
# What a block does on CometBFT besides.
KNOWN = KNOWN | {"abci-# write #.log"}
OFTEN_SNAPSHOTS = {"DB3_NODE_SNAPSHOT_INTERVAL_BLOCKS": "6", "DB3_NODE_SYNC_SNAPSHOT_BLOCKS": "10"}
# Blocks a second that a machine executes at least, which begins at the first.
REPLAYED = 20


class Faults:
    """One function for each, with the node that it happens to. What is true while it lasts is looked at here; that all are
    together afterwards, by whoever calls."""

    def __init__(self, net, spaces, shim, clock, full):
        self.net, self.spaces, self.shim, self.clock, self.full = net, spaces, shim, clock, full
        self.fail_point, self.points, self.by_snapshot = random.randrange(FAIL_POINTS), set(), False
        self.kills = None
        self.damages, self.skews = list(DAMAGES), [20, -90, -20, 90]
        random.shuffle(self.damages)

    def last(self, least, most):
        """A fault lasts so many seconds; a third of it in the small run."""
        time.sleep(random.uniform(least, most) / (1 if self.full else 3))

    def kill(self, node, what):
        self.net.kill(node)
        self.net.others_go_on(what, node)
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
        try:
            self.net.others_go_on(what, node)
            self.last(2, 12)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def restart(self, node, what):
        self.net.end(node)
        self.net.others_go_on(what, node)
        self.last(0, 15)
        self.net.net.launch(node)

    def fail_points(self, node, what):
        """CometBFT ends itself at this point after each start, and its node starts it again; until the node is killed and
        started without."""
        log = Path(node["log"])
        for _ in range(1 if self.full else 2):
            number, self.fail_point = self.fail_point, (self.fail_point + 1) % FAIL_POINTS
            self.net.end(node)
            before = log.stat().st_size
            self.net.net.launch(node, {"FAIL_TEST_INDEX": str(number), **(self.clock.environment(0) if self.clock else {})})

            def reached():
                with open(log, "rb") as text:
                    text.seek(before)
                    said = text.read().decode(errors="replace")
                # The build for tests tells where that is.
                where = re.search(r"fail point \S*/(\w+/\w+\.go) (\d+)", said)
                holds = f"fail-test {number} " in said and (where or not self.clock)
                return holds, f"{where[1]}:{where[2]}" if holds and where else said[-2_000:] if not holds else ""
            where = wait_until(f"{what}: CometBFT ends at its point {number}", reached, PATIENCE)
            self.points.update([where] if where else [])
            self.net.others_go_on(what, node)
            check(f"{what}: CometBFT ended at its point {number}{f', {where},' if where else ''} and the node lives",
                  node["process"].poll() is None)
            self.net.kill(node)
        self.net.net.launch(node)

    def storage(self, node, what):
        """SIGKILL at storage calls of the node, a few one after the other, also while it starts: before one, half way through
        it, or after it."""
        self.net.kill(node)
        self.kills = self.kills or itertools.cycle(self.storage_steps(node, what))
        for _ in range(6 if self.full else 3):
            step, at, how = next(self.kills)
            self.net.net.launch(node, {**OFTEN_SNAPSHOTS, **self.shim.environment(f"{node['home']}/", at, how, step)})
            end = time.monotonic() + (40 if self.full else 15)
            while node["process"].poll() is None and time.monotonic() < end:
                time.sleep(0.02)
            if node["process"].poll() is None:
                self.net.kill(node)
            check(f"{what}: it ended {how} call {at} of `{step}`, or was killed, and by nothing else",
                  node["process"].returncode == -signal.SIGKILL, f"{node['process'].returncode}\n{self.net.tails()}")
        self.net.others_go_on(what, node)
        self.net.net.launch(node)

    def storage_steps(self, node, what):
        """Counts what a start, blocks and snapshots do to the disk, on this node; gives ways to end there, first those of what
        every node does. The full run takes each of them."""
        self.net.net.launch(node, {**OFTEN_SNAPSHOTS, **self.shim.counting(f"{node['home']}/")})
        wait_until(f"{what}: what blocks and snapshots do to the disk is counted",
                   lambda: (set(self.shim.counted()) >= KNOWN, sorted(self.shim.counted())), PATIENCE)
        self.net.kill(node)
        kills = [(step, random.randrange(1, min(number, 12) + 1), how)
                 for step, number in self.shim.counted().items() for how in ways(step)]
        random.shuffle(kills)
        return sorted(kills, key=lambda kill: kill[0] not in KNOWN)

    def damage(self, node, what):
        """A file of its database is not what was written: it names it and ends with 70, and what docs/operators.md advises
        helps. Blocks that the log has lost CometBFT hands in again."""
        self.net.kill(node)
        wait_until(f"{what}: its CometBFT ends with it", lambda: (self.net.alone(node), node["home"]), 60)
        claim, pattern, harm = damage = self.damages.pop(0)
        self.damages.append(damage)
        path = max((Path(node["home"]) / "data").glob(pattern), key=lambda path: path.stat().st_size)
        harm(path)
        before = Path(node["log"]).stat().st_size
        self.net.net.launch(node)
        served = False

        def it_ends():
            nonlocal served
            served = served or self.net.net.status(node) is not None
            return node["process"].poll() is not None or (served and harm is cut), self.net.tails()
        wait_until(f"{what}: {claim}: it ends", it_ends, PATIENCE)
        if node["process"].poll() is None:
            check(f"{what}: {claim}: the blocks that it lacks are executed again", True)
            return
        told = Path(node["log"]).read_bytes()[before:].decode(errors="replace")
        check(f"{what}: {claim}: it serves nobody and ends with 70", node["process"].returncode == 70 and not served, told)
        check(f"{what}: it names the file, and what helps", path.name in told and "backup" in told, told)
        self.net.others_go_on(what, node)
        # Somebody keeps all blocks, receipts and bills: others come by them, and the audit asks for the oldest too.
        others = [self.net.net.status(other) for other in self.net.validators if other is not node]
        others_have_all = any(status and int(status["history_from_height"]) == 1 for status in others)
        self.by_snapshot = others_have_all and not self.by_snapshot
        self.remedy(node, what, self.by_snapshot)

    def remedy(self, node, what, from_snapshot):
        """An empty folder with the old configuration and the state of what was signed."""
        home, signed = Path(node["home"]), Path("cometbft/data/priv_validator_state.json")
        aside = home.with_name(home.name + "-aside")
        home.rename(aside)
        shutil.copytree(aside / "config", home / "config")
        (home / signed).parent.mkdir(parents=True)
        shutil.copy2(aside / signed, home / signed)
        trust(home, None)
        if from_snapshot:
            others = [other for other in self.net.validators if other is not node]
            self.net.wait_for_snapshots(others)
            trust(home, self.net.net.status(others[0]), [other["grpc"] for other in others[:2]])
        began = time.monotonic()
        self.net.net.launch(node)
        self.comes(node, what, began, from_snapshot)
        shutil.rmtree(aside)

    def skew(self, node, what):
        """A clock that is wrong disturbs nobody else. A minute behind, a node takes no block of the others (CometBFT's
        `blockTimeTolerance`) and goes on when its clock is right; less, or ahead, it goes on as it is."""
        for _ in range(4 if self.full else 2):
            secs = self.skews.pop(0)
            self.skews.append(secs)
            self.net.end(node)
            before = Path(node["log"]).stat().st_size
            self.net.net.launch(node, self.clock.environment(secs))
            if secs > -60:
                self.net.together(f"{what}: its clock is wrong by {secs:+} s")
            else:
                def refuses():
                    told = Path(node["log"]).read_bytes()[before:]
                    return b"is too far in the future" in told, told[-2_000:].decode(errors="replace")
                wait_until(f"{what}: its clock is wrong by {secs:+} s: it takes no block", refuses, PATIENCE)
                self.net.others_go_on(f"{what}: its clock is wrong by {secs:+} s, it takes no block", node)
                self.last(3, 15)
            self.net.end(node)
        self.net.net.launch(node)

    def cut(self, node, what):
        self.spaces.cut(node["index"])
        try:
            self.net.others_go_on(what, node)
            self.net.stand_still(what, [node], 10 if self.full else 5)
        finally:
            self.spaces.join(node["index"])

    def halves(self, node, what):
        """Half of the power on either side: no blocks, and none that the other side does not have."""
        others = [other for other in self.net.validators if other is not node]
        half = [node, *random.sample(others, len(self.net.validators) // 2 - 1)]
        for other in half:
            self.spaces.part(other["index"])
        try:
            self.net.stand_still(what, self.net.validators, 15 if self.full else 8)
        finally:
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
        began = time.monotonic()
        self.net.net.launch(late)
        self.net.nodes.append(late)
        self.comes(late, what, began, from_snapshot)
        self.net.nodes.remove(late)
        self.net.end(late)

    def comes(self, node, what, began, from_snapshot):
        """What begins with nothing has the others' root in the time that every fault is given, counted from its start; where
        it executes every block, also for those."""
        blocks = 0 if from_snapshot else self.net.height()
        status = self.net.caught_up(node)
        first = int(status["history_from_height"])
        check(f"{what}: it has blocks from height {first} on", (first > 1) == from_snapshot, status)
        self.net.together(f"{what}: with {f'{blocks} blocks executed' if blocks else 'a snapshot'}", began, blocks / REPLAYED)
        told = Path(node["log"]).read_text(errors="replace")
        check(f"{what}: it agrees with the others on who proposes", "invalid proposal signature" not in told, told[-2_000:])
