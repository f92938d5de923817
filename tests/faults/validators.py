"""A network of scripts/localnet with one shard, whose nodes can be treated badly, and machines that join it late."""

import argparse
import importlib.util
import os
import signal
import subprocess
import time
from pathlib import Path

from joining import join, trust
from localnet import left_over
from telling import check, free_port, wait_until

from .load import Load

CHAIN = "local-shard-0"
# Snapshots for machines that join, often; and the blocks after them.
SNAPSHOTS = {"DB3_NODE_SYNC_SNAPSHOT_BLOCKS": "20", "DB3_NODE_SYNC_SNAPSHOTS_KEPT": "50"}
PATIENCE = 240  # Seconds, for what is no fault's end.


def localnet_module():
    path = Path(__file__).resolve().parent.parent.parent / "scripts" / "localnet.py"
    spec = importlib.util.spec_from_file_location("localnet_script", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Validators:
    """The network; `nodes` are those of its shard that must agree, the validators' first."""

    def __init__(self, options, folder, spaces):
        script = localnet_module()

        class InSpaces(script.Localnet):
            def address(self, at):
                return spaces.address(at) if spaces else super().address(at)

            def within(self, at):
                return ["ip", "netns", "exec", f"{spaces.tag}-{at}"] if spaces else super().within(at)

            def launch(self, node, environment=None):
                super().launch(node, {**SNAPSHOTS, **(environment or {})})

        nodes = options.validators * 2
        self.options, self.folder = options, folder
        self.net = InSpaces(argparse.Namespace(
            validators=options.validators, shards=1, epoch_secs=3_600, accounts=1, home=folder / "net", ready_file=None,
            port=free_port(nodes), p2p_port=free_port(nodes), bin=options.bin))
        self.password, self.slowest, self.joined = script.PASSWORD, 0.0, 0

    def start(self):
        self.net.make()
        self.net.plan_nodes()
        accounts = self.net.accounts()
        self.net.start()
        self.net.wait_for_blocks()
        self.net.wait_for_credit(accounts)
        self.nodes = [node for node in self.net.nodes if node["chain_id"] == CHAIN]
        self.validators = list(self.nodes)
        # The shard has its lease and its credit; the cores are for its validators now.
        others = [node for node in self.net.nodes if node not in self.nodes]
        for node in others:
            node["process"].terminate()
        for node in others:
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

    def alone(self, node):
        """Whether no CometBFT is left of a node that ended."""
        return not left_over(f"{node['home']}/cometbft")

    def kill(self, node):
        os.kill(node["process"].pid, signal.SIGKILL)
        node["process"].wait()

    def end(self, node):
        node["process"].terminate()
        node["process"].wait(timeout=120)

    def tails(self):
        return "\n".join("\n".join(Path(node["log"]).read_text(errors="replace").splitlines()[-8:]) for node in self.nodes)

    def together(self, claim, began=None, more=0):
        """All nodes stand at one height with one root there, and make blocks, within so many seconds and some more, from now
        on or from when it began."""
        began, within = began or time.monotonic(), self.options.together + more
        before, seen = self.height(), None
        while seen is None or time.monotonic() - began < within + 5:
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
        check(f"{claim}: one root everywhere, and blocks, after {took:.1f} s", took < within,
              f"within {within:.0f} s\n{detail}\n{self.tails()}")
        self.slowest = max(self.slowest, took - more)

    def heights(self, nodes):
        """None for a node that says nothing."""
        return [int(status["height"]) if status else None for status in map(self.net.status, nodes)]

    def height(self, nodes=None):
        return max((height for height in self.heights(nodes or self.nodes) if height is not None), default=0)

    def others_go_on(self, claim, node):
        """While a node is away, the others make blocks: the second began without it."""
        others = [other for other in self.validators if other is not node]
        if 3 * len(others) <= 2 * len(self.validators):
            return
        before = self.height(others)

        def higher():
            heights = self.heights(others)
            return any(height is not None and height >= before + 2 for height in heights), heights
        wait_until(f"{claim}: meanwhile the others go on from block {before}", higher, max(60, self.options.together))
        check(f"{claim}: meanwhile the others go on", True)

    def stand_still(self, claim, nodes, seconds):
        """Nodes answer, and for so many seconds none of them has another block. One may have been on its way."""
        seen, since = None, time.monotonic()

        def still():
            nonlocal seen, since
            heights = self.heights(nodes)
            if heights != seen or None in heights:
                seen, since = heights, time.monotonic()
            return time.monotonic() - since >= seconds, heights
        wait_until(f"{claim}: no blocks for {seconds} s", still, seconds + 60)
        check(f"{claim}: meanwhile {' and '.join(node['validator'] for node in nodes)} make no blocks", True)

    def late(self, from_snapshot):
        """A machine without a validator's keys that joins now; it is started."""
        self.joined += 1
        name, at = f"late{self.joined}", self.options.validators
        port, p2p_port = free_port(2), free_port(2)
        home = join(self.net.bin, self.folder / name, self.net.prepare / "genesis", self.net.address(at), port, p2p_port) / CHAIN
        if from_snapshot:
            self.wait_for_snapshots(self.validators)
            trust(home, self.net.status(self.validators[0]), [node["grpc"] for node in self.validators[:2]])
        node = {"chain_id": CHAIN, "validator": name, "index": at, "grpc": f"http://{self.net.address(at)}:{port + 1}",
                "program": str(self.net.bin / "shard-node"), "home": str(home), "log": str(self.folder / f"{name}.log"),
                "port": port + 1}
        self.net.launch(node)
        # Ended with the others, however this ends.
        self.net.nodes.append(node)
        return node

    def wait_for_snapshots(self, nodes):
        taken = lambda node: list(Path(node["home"]).glob("snapshots/*/manifest.json"))
        wait_until("every validator has a snapshot for others", lambda: (all(map(taken, nodes)), list(map(taken, nodes))), PATIENCE)

    def caught_up(self, node):
        """Waits until a machine that begins with nothing has what the others have; gives its status."""
        def is_there():
            status = self.net.status(node)
            holds = bool(status) and status["ready"] and not status["catching_up"]
            return holds, status or Path(node["log"]).read_text(errors="replace")[-2_000:]
        return wait_until(f"{node['validator']} has caught up", is_there, PATIENCE)
