"""Faults of a network of validators, one after the other, while clients write."""

import random

from telling import chapter, check

from .clock import Clock, test_cometbft
from .node import FAIL_POINTS, Faults
from .shim import Shim
from .spaces import Spaces
from .validators import Validators


def network(options, folder):
    chapter("Faults of a network of validators")
    spaces = Spaces(options.validators + 1)
    spaces = spaces if spaces.make() else None
    net, load = None, None
    try:
        net = Validators(options, folder, spaces)
        net.start()
        check(f"{options.validators} validators are up{', each in a network of its own' if spaces else ''}", True)
        clock = Clock(folder, test_cometbft()) if test_cometbft() else None
        shim = Shim(folder)
        faults = Faults(net, spaces, shim, clock, options.full)
        load = net.load(folder / "history.ndjson")
        load.start(36_000, options.seed, clients=options.validators, keys=3, pause_ms=100)
        names = ["kill", "sync", "comet", "stop", "damage", "storage", "restart", "fail_points", "replay"]
        names += ["cut", "halves"] if spaces else []
        names += ["skew"] if clock else []
        chosen = names
        if options.full:
            # Every storage step of a start and of the blocks and snapshots after it, every fail point, every damage.
            chosen = 3 * names + 3 * ["damage"] + 40 * ["storage"] + FAIL_POINTS * ["fail_points"]
        chosen = options.fault.split(",") if options.fault else chosen
        rounds = options.rounds or len(chosen)
        for number in range(rounds):
            load.wait_for(random.randrange(3, 12))
            fault, node = chosen[number % len(chosen)], random.choice(net.validators)
            what = f"fault {number}: {fault} {node['validator']}"
            getattr(faults, fault)(node, what)
            net.together(what)
        shim.tell()
        for point in sorted(faults.points):
            print(f"        CometBFT's fail point at {point}", flush=True)
        if options.full:
            check(f"at least 200 blocks ({net.height()})", net.height() >= 200 or options.rounds or options.fault)
        load.wait_for(5)
        load.stop()
        found = load.judge()
        if spaces and "cut" in chosen[:rounds]:
            check("a node that is cut off gives older states to clients that ask for no newer one", found["of_older_states"] > 0, found)
        print(f"        {net.height()} blocks; the slowest took {net.slowest:.1f} s", flush=True)
    finally:
        if load:
            load.end()
        if net:
            net.net.stop()
        if spaces:
            spaces.remove()
    return ([] if spaces else ["cut and halves (they want root and iproute2)"]) + (
        [] if clock else ["skew (it wants scripts/install-cometbft --test-clock)"])
