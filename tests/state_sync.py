#!/usr/bin/env python3
"""A node joins a network of real validators from a snapshot: it names two nodes and a block that it trusts, and nothing else.

Two validators make blocks and snapshots; a third machine joins with the genesis folder, without keys, is killed while it
comes, started again, and has the others' root; it serves what was written before and after, and says from which height it
has bills. Then a validator that stopped goes back by one height, and goes on with the others. At last a key's double signature
of a height from before the snapshot becomes known: the node that came by it can judge no such evidence, and comes again by
itself.

Usage: tests/state_sync.py --bin DIR [--seed N]
Talks to this machine alone. CometBFT must be installed (scripts/install-cometbft).
"""

import argparse
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import localnet
from double_signing import comet, double_signed
from joining import join, trust
from localnet import Localnet, wait_until
from telling import a_story, chapter, check, free_port, the_end

EVERY = 10
CHAIN = "local-shard-0"
# A snapshot for others at every tenth block.
SETTINGS = {"DB3_NODE_SYNC_SNAPSHOT_BLOCKS": str(EVERY), "DB3_NODE_SYNC_SNAPSHOTS_KEPT": "100"}


def snapshots(node):
    return sorted(int(path.parent.name) for path in Path(node["home"]).glob("snapshots/*/manifest.json"))


def joined(net):
    """The home of a node without a validator's keys."""
    port, p2p_port = free_port(2), free_port(2)
    folder = join(net.programs, net.folder / "late", net.genesis(), "127.0.0.1", port, p2p_port)
    return {"chain_id": CHAIN, "home": str(folder / CHAIN), "program": str(net.programs / "shard-node"),
            "grpc": f"http://127.0.0.1:{port + 1}", "log": str(net.folder / "late.log")}


def a_late_node(net):
    chapter("A node comes from a snapshot")
    nodes = [net.node(f"v{at}", CHAIN) for at in range(localnet.VALIDATORS)]
    net.user().done("put", "notes", "early", "bird")
    wait_until("both validators have a snapshot for others", lambda: (all(map(snapshots, nodes)), list(map(snapshots, nodes))))
    late = joined(net)
    trust(late["home"], net.status(nodes[0]), [node["grpc"] for node in nodes])
    process = net.launch(late)
    database = Path(late["home"]) / "cometbft" / "data" / "state.db"
    wait_until("CometBFT begins", lambda: (database.is_dir(), Path(late["log"]).read_text()[-2_000:]))
    time.sleep(random.random() * 5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    comet = Path(late["home"]) / "cometbft"
    wait_until("its CometBFT ends with it", lambda: (not localnet.left_over(comet), localnet.left_over(comet)))
    net.launch(late)

    def caught_up():
        status = net.status(late)
        holds = bool(status) and status["ready"] and not status["catching_up"]
        return holds, status or Path(late["log"]).read_text()[-2_000:]
    status = wait_until("it comes, although it was killed on the way", caught_up)
    check("it executed no block before the snapshot", int(status["history_from_height"]) > 1, status)
    value = net.user(late).done("get", "notes", "early").stdout.strip()
    check("it proves what was written before it came", value == "bird", value)
    net.user(nodes[1]).done("put", "notes", "late", "worm")
    value = net.user(late).done("get", "notes", "late").stdout.strip()
    check("and what is written now", value == "worm", value)
    net.user(late).done("put", "notes", "through", "it")
    value = net.user(nodes[0]).done("get", "notes", "through").stdout.strip()
    check("and takes what is to be written", value == "it", value)

    def one_root():
        seen = [net.status(node) for node in (*nodes, late)]
        return all(seen) and len({(one["height"], one["root"]) for one in seen}) == 1, seen
    wait_until("all have one root at one height", one_root)
    check("all have one root at one height", True)
    told = Path(late["log"]).read_text(errors="replace")
    check("it agrees with the others on who proposes", "invalid proposal signature" not in told, told[-2_000:])
    common = set(snapshots(nodes[0])) & set(snapshots(nodes[1]))
    manifests = lambda height: {(Path(node["home"]) / "snapshots" / str(height) / "manifest.json").read_bytes() for node in nodes}
    check("snapshots of one height are the same bytes", common and all(len(manifests(height)) == 1 for height in common), common)
    return late, net.restarted[-1]


def one_height_back(net):
    chapter("A node goes back by one height")
    node = net.node("v1", CHAIN)
    os.kill(node["pid"], signal.SIGTERM)
    wait_until("it stops, and its CometBFT", lambda: (not localnet.left_over(node["home"]), localnet.left_over(node["home"])))
    done = subprocess.run([node["program"], "rollback", "--home", node["home"], "--output", "json"], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, env=net.environment)
    check("it goes back", done.returncode == 0, done.stdout + done.stderr)
    back = json.loads(done.stdout)
    check("to a height that its snapshot does not pass", int(back["snapshot_height"]) <= int(back["height"]), back)
    net.launch(node)
    net.agree("it goes on with the others' root", CHAIN)
    net.user(node).done("put", "notes", "again", "here")
    other = net.node("v0", CHAIN)
    check("and takes what is to be written", net.user(other).done("get", "notes", "again").stdout.strip() == "here")


def evidence_from_before(net, late, process):
    chapter("Evidence from before a node's snapshot")
    nodes = [net.node(f"v{at}", CHAIN) for at in range(localnet.VALIDATORS)]
    home, before = Path(late["home"]), net.status(late)
    signed = (home / "cometbft" / "data" / "priv_validator_state.json").read_bytes()
    height = 2
    check("the node has no header of that height", int(before["history_from_height"]) > height, before)
    proof = double_signed(nodes[1]["home"], nodes[0]["home"], CHAIN, height)
    answer = comet(nodes[0]["home"], "broadcast_evidence", evidence=proof)
    check("the others take the proof", "error" not in answer, answer)
    log = lambda: Path(late["log"]).read_text(errors="replace")
    wait_until("the node says that it comes again", lambda: ("node.anew" in log(), log()[-2_000:]))

    def with_the_others():
        seen = [net.status(node) for node in (nodes[0], late)]
        holds = all(seen) and len({(one["height"], one["root"]) for one in seen}) == 1 and seen[1]["ready"] and int(
            seen[1]["history_from_height"]) > int(before["height"])
        return holds, (seen, log()[-2_000:])
    wait_until("it comes from a later snapshot and has the others' root", with_the_others)
    check("it came from a later snapshot and has the others' root, in the same process", process.poll() is None)
    shown = net.user(late).json("governance", "show", "--shard", "0")
    check("the evidence is in it", [int(one["height"]) for one in shown["evidence"]] == [height], shown)
    aside = home / "aside-1"
    check("what it had is put aside", (aside / "data").is_dir() and (aside / "cometbft" / "blockstore.db").is_dir(), list(home.iterdir()))
    again = (home / "cometbft" / "data" / "priv_validator_state.json").read_bytes()
    check("but what it signed stayed where it was", again == signed and not (aside / "cometbft" / "priv_validator_state.json").exists())


def story(options, folder):
    net = Localnet(options.bin, folder, SETTINGS)
    try:
        net.start()
        late, process = a_late_node(net)
        one_height_back(net)
        evidence_from_before(net, late, process)
    finally:
        net.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--bin", required=True, help="folder of the programs")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    with a_story("sync", arguments.seed) as (folder, _):
        story(arguments, folder)
    the_end()


if __name__ == "__main__":
    main()
