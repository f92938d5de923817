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
