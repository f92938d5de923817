"""Machines that join a network with its genesis folder alone, as operators make them."""

import json
import os
import subprocess
from pathlib import Path

from telling import check


def join(programs, folder, genesis, address, port, p2p_port):
    """Lays out the homes of a machine without a validator's keys; gives their folder."""
    run(programs, "a machine joins with the genesis folder alone", "join", folder, "--genesis", genesis, "--listen", address,
        "--port", port, "--p2p-port", p2p_port)
    return Path(folder)


def come_later(programs, name, folder, genesis, address, port, p2p_port, account):
    """Makes the keys of a validator that comes later, and the homes of its machine; gives its public file, and its keys by
    chain as `db3 governance show` writes them."""
    public, keys = f"{folder}.toml", f"{folder}-keys"
    made = run(programs, "it makes its keys with the genesis folder alone", "keys", "--name", name, "--p2p-address",
               f"{address}:{p2p_port}", "--operator", account, "--payout", account, "--genesis", genesis, "--keys", keys,
               "--out", public)
    run(programs, "and the homes of its nodes", "join", folder, "--genesis", genesis, "--validator", name, "--keys", keys,
        "--listen", address, "--port", port)
    return public, {chain["chain_id"]: f"0x{chain['pubkey']}" for chain in made["chains"]}


def run(programs, claim, *arguments):
    done = subprocess.run([Path(programs) / "db3-genesis", *map(str, arguments), "--output", "json"],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"})
    check(claim, done.returncode == 0, done.stdout + done.stderr)
    return json.loads(done.stdout)


SECTION = "\n[cometbft.state_sync]\n"


def trust(home, shown, peers=()):
    """Has a home come by state sync: two nodes, and the block that one of them shows as its newest; or, where none is shown,
    by executing every block."""
    settings = Path(home) / "config" / "node.toml"
    text = settings.read_text().split(SECTION)[0]
    settings.write_text(text if shown is None else text + f"""{SECTION}\
trust_height = {shown["height"]}
trust_hash = "{shown["block_hash"]}"
peers = {json.dumps(peers)}
""")
