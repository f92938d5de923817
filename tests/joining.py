"""A machine that joins a network with its genesis folder alone, as an operator makes it."""

import json
import os
import subprocess
from pathlib import Path

from telling import check


def join(programs, folder, genesis, address, port, p2p_port):
    """Lays out the homes of a machine without a validator's keys; gives their folder."""
    done = subprocess.run([Path(programs) / "db3-genesis", "join", folder, "--genesis", genesis, "--listen", address, "--port",
                           str(port), "--p2p-port", str(p2p_port), "--output", "json"],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"})
    check("a machine joins with the genesis folder alone", done.returncode == 0, done.stdout + done.stderr)
    return Path(folder)


def trust(home, shown, peers):
    """Has a home come by state sync: two nodes, and the block that one of them shows as its newest."""
    settings = Path(home) / "config" / "node.toml"
    settings.write_text(settings.read_text() + f"""
[cometbft.state_sync]
trust_height = {shown["height"]}
trust_hash = "{shown["block_hash"]}"
peers = {json.dumps(peers)}
""")
