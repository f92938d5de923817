"""Files of a node that are not what was written."""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

from telling import chapter, check

from .devnet import Devnet


def cut(path):
    os.truncate(path, path.stat().st_size // 3)


def flip(path):
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def end_in_zeros(path):
    length = path.stat().st_size
    cut(path)
    os.truncate(path, length)


# What happens to a file of a validator's database, of which it is the largest of its kind.
DAMAGES = [("the log lost its end", "*.log", cut), ("a bit of the manifest is flipped", "MANIFEST-*", flip),
           ("CURRENT is missing", "CURRENT", Path.unlink)]


def damage(options, folder):
    chapter("Damaged files")
    net, load = Devnet(options.bin, folder), None
    program = str(Path(options.bin) / "shard-node")

    def shard_node(*arguments, expect=0):
        try:
            done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                  timeout=60)
        except subprocess.TimeoutExpired:
            check(f"shard-node {arguments[0]} ends with {expect}", False, "it runs")
        check(f"shard-node {arguments[0]} ends with {expect}", done.returncode == expect,
              done.stdout + done.stderr)
        return done.stdout if expect == 0 else done.stderr

    def root_of(home):
        return json.loads(shard_node("check", "--home", home, "--output", "json"))["root"]

    try:
        # Started twice: what a start finds in the log becomes tables.
        for number in range(2):
            check("a devnet starts", net.start(), net.tail())
            load = net.load(folder / f"history{number}.ndjson")
            load.start(600, options.seed + number)
            load.wait_for(60)
            load.stop()
            net.stop() if number == 0 else net.kill()
        chain_id = next(node["chain_id"] for node in net.ready["nodes"] if "-shard-" in node["chain_id"])
        whole = folder / "net" / chain_id
        copy = folder / "copy"
        # Whoever opens a folder makes tables of what its log holds; the folder stays as the kill left it.
        shutil.copytree(whole, copy)
        root = root_of(copy)
        data = {kind: sorted((whole / "data").glob(pattern), key=lambda path: path.stat().st_size)
                for kind, pattern in (("log", "*.log"), ("table", "*.sst"), ("manifest", "MANIFEST-*"))}

        harms = [("the log lost its end", data["log"][-1], cut), ("the manifest lost its end", data["manifest"][-1], cut),
                 ("the manifest ends in zeros", data["manifest"][-1], end_in_zeros), ("a table is missing", data["table"][-1], Path.unlink),
                 ("a table lost its end", data["table"][-1], cut), ("a bit of the manifest is flipped", data["manifest"][-1], flip),
                 ("CURRENT is missing", whole / "data" / "CURRENT", Path.unlink), ("everything is missing", whole / "data", shutil.rmtree),
                 ("the genesis is another", whole / "config" / "genesis.json", lambda path: path.write_text(path.read_text() + " "))]
        for claim, path, harm in harms:
            shutil.rmtree(copy)
            shutil.copytree(whole, copy)
            harm(copy / path.relative_to(whole))
            told = shard_node("start", "--home", copy, "--listen", "127.0.0.1:0", expect=70)
            check(f"{claim}: it is told, with what helps", str(copy) in told and ("backup" in told or "put the network" in told), told)
        # A flipped bit in rows that nobody reads is found by `check`.
        shutil.rmtree(copy)
        shutil.copytree(whole, copy)
        table = copy / data["table"][-1].relative_to(whole)
        content = bytearray(table.read_bytes())
        content[16] ^= 1
        table.write_bytes(content)
        told = shard_node("check", "--home", copy, expect=70)
        check("a flipped bit in a table is found by `check`, which names the file", table.name in told, told)
        made = json.loads(shard_node("snapshot", "make", "--home", whole, "--output", "json"))
        restored = folder / "restored"
        shard_node("snapshot", "restore", made["path"], "--home", restored)
        check("what it advises works: a snapshot restored in a new folder has the same root", root_of(restored) == root)
        shutil.rmtree(copy)
        shutil.copytree(whole, copy)
        check("and so does a copy that was taken while the node was stopped", root_of(copy) == root)
    finally:
        if load:
            load.end()
        net.stop()
