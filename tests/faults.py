#!/usr/bin/env python3
"""Faults: processes are killed, stopped and cut off while clients write, and nothing that was acknowledged is lost.

Parts, each on programs as users run them:
  steps     a node is ended with SIGKILL at every storage step of a start, of blocks and of snapshots (faults/die_at.c):
            before each, after each, and in the middle of each write; it comes up again every time, and execution from
            genesis gives the root of every header.
  history   a devnet is killed and stopped at random while clients read and write conditionally; what they were told is
            linearizable (docs/history.md).
  damage    files of a node are cut, flipped and removed; the node says which, ends with 70, and what it advises works.
  network   validators on CometBFT, each in a network namespace of its own (needs root; else on one loopback address, and
            nobody is cut off): killed, stopped, cut off, split in halves, without CometBFT, with a clock that is wrong (needs
            scripts/install-cometbft --test-clock), with a damaged file, ended at CometBFT's own fail points and at storage
            calls of the node; machines join late, by replay and by state sync. While one is away the others make blocks, and
            in halves nobody does. After every fault all have the same root within 30 seconds, by themselves: counted from its
            end, or from the start of a machine that begins with nothing, which has a second more for every 20 blocks that it
            executes.
  sync      a machine comes from a snapshot, is killed on its way and serves; a validator goes back by one height
            (state_sync.py).

What this machine does not allow is named in the last line. What failed keeps its folder, with the history of what clients
were told, and names it.

Usage: tests/faults.py --bin DIR [--part steps,history,damage,network,sync] [--full] [--validators N] [--rounds N] [--fault NAMES]
       [--seed N] [--keep] [--porcupine FILE]
Needs a C compiler for `steps` and `network`, CometBFT for `network` and `sync`. Talks to this machine alone and ends its own
processes by id.
"""

import argparse
import random
import time

from faults.damage import damage
from faults.devnet import history
from faults.load import Load
from faults.network import network
from faults.steps import steps
from state_sync import story as sync
from telling import a_story, the_end

PARTS = {"steps": steps, "history": history, "damage": damage, "network": network, "sync": sync}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--bin", required=True, help="folder of the programs")
    parser.add_argument("--part", default=",".join(PARTS), help=f"which of {', '.join(PARTS)}")
    parser.add_argument("--full", action="store_true", help="ten times as much")
    parser.add_argument("--validators", type=int, default=4)
    parser.add_argument("--rounds", type=int, help="how many faults of the network")
    parser.add_argument("--fault", help="which of them, one after the other: kill, skew, ... (faults/node.py)")
    parser.add_argument("--together", type=float, default=30, help="seconds after a fault until all have one root [30]")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--porcupine", help="program of tests/porcupine, which judges histories as well")
    parser.add_argument("--keep", action="store_true", help="keep the folders")
    options = parser.parse_args()
    Load.porcupine = options.porcupine
    left_out = []
    for part in options.part.split(","):
        with a_story("faults", options.seed, options.keep) as (folder, _):
            random.seed(f"{options.seed} {part}")
            left_out += PARTS[part](options, folder) or []
    the_end(left_out)


if __name__ == "__main__":
    main()
