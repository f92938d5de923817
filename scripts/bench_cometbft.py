#!/usr/bin/env python3
"""DB3 on CometBFT beside Go's kvstore application on the same CometBFT, one after the other on this machine.

Usage: scripts/bench-cometbft [--seconds 15] [--part sync,kvstore,one,latency,idle,four,join] [--timeout-commit-ms N]

  sync     4 KiB writes a second that the disk syncs: CometBFT syncs its log and its signing state at every height
  kvstore  the peer: unsigned transactions of 250 bytes by CometBFT's own `loadtime`, the application over a Unix socket
  one      a network of one validator (scripts/localnet): `db3 bench write` over gRPC, signed, until blocks hold them
  latency  the same at half of that rate
  four     four validators: the engine with four CometBFT processes (the example `throughput` of db3-chain), then at half
  idle     processor time and memory of a validator without traffic
  join     seconds until a node has a million records: by state sync, and by replaying the blocks

Every process that it starts it ends, by its id.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import datetime
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
sys.path.append(str(SCRIPTS.parent / "tests"))
from joining import join as lay_out, trust  # noqa: E402
from telling import free_port  # noqa: E402

VERSION = re.search(r"^version=(\S+)", (SCRIPTS / "install-cometbft").read_text(), re.M).group(1)
TIMEOUT_COMMIT_MS = 200  # What db3-genesis writes.
KVSTORE_BYTES, KVSTORE_RATE = 250, 20_000
PAIRS = {1: 128, 20: 64}  # Mutations of a call.
CALLS = 128


def row(what, figure):
    print(f"{what:<78} {figure}", flush=True)


def cometbft_folder():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("DB3_INSTALLED_BIN") or cache / "db3" / "bin")


def wait_until(what, done, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (found := done()) is not None:
            return found
        time.sleep(0.1)
    sys.exit(f"error: {what} did not come about within {seconds} s")


def cpu_seconds(pids):
    """Processor time of some processes so far."""
    tick, total = os.sysconf("SC_CLK_TCK"), 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / tick


def resident_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()] + [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() if task.name != str(pid)
        for child in (task / "children").read_text().split()]


class Started:
    """Processes that end with the block they were started in."""

    def __init__(self):
        self.processes = []

    def __enter__(self):
        return self

    def start(self, command, log, **more):
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)
        self.processes.append(process)
        return process

    def __exit__(self, *_error):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=90)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def sync(folder):
    file = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY)
    start, count = time.monotonic(), 0
    while time.monotonic() - start < 2 and count < 20_000:
        os.write(file, b"x" * 4096)
        os.fdatasync(file)
        count += 1
    os.close(file)
    row("disk: 4 KiB writes, each synced", f"{count / (time.monotonic() - start):.0f}/s")


def kvstore(folder, seconds, pace):
    """Transactions that blocks hold, a second, from the headers."""
    programs = cometbft_folder()
    home, socket_file, rpc = folder / "kvstore", folder / "kv.sock", free_port(1)
    subprocess.run([programs / "cometbft", "init", "--home", home], check=True, capture_output=True)
    config = home / "config" / "config.toml"
    settings = {"proxy_app": f"unix://{socket_file}", "timeout_commit": f"{pace}ms", "indexer": "null",
                "cache_size": 200_000, "size": 100_000, "discard_abci_responses": True,
                "max_subscriptions_per_client": 4096, "log_level": "error"}
    text = config.read_text()
    for name, value in settings.items():
        text, changed = re.subn(rf"^{name} = .*$", f"{name} = {json.dumps(value)}", text, count=1, flags=re.M)
        if not changed:
            sys.exit(f"error: CometBFT's configuration has no {name}")
    text = text.replace('laddr = "tcp://127.0.0.1:26657"', f'laddr = "tcp://127.0.0.1:{rpc}"')
    text = text.replace('laddr = "tcp://0.0.0.0:26656"', f'laddr = "tcp://127.0.0.1:{free_port(1)}"')
    config.write_text(text)

    def ask(call):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{rpc}/{call}", timeout=30) as answer:
                return json.load(answer)["result"]
        except OSError:
            return None

    with Started() as started, open(folder / "kvstore.log", "wb") as log:
        started.start([programs / f"load-{VERSION}" / "abci-cli", "kvstore", "--address", f"unix://{socket_file}",
                       "--log_level", "error"], log)
        wait_until("the kvstore's socket", lambda: True if socket_file.exists() else None)
        process = started.start([programs / "cometbft", "start", "--home", home], log)
        wait_until("the first block", lambda: True if int(((ask("status") or {}).get("sync_info") or {}).get(
            "latest_block_height", 0)) > 2 else None)
        before = cpu_seconds([process.pid])
        load = started.start([programs / f"load-{VERSION}" / "load", "-c", 1, "-T", seconds, "-r", KVSTORE_RATE,
                              "-s", KVSTORE_BYTES, "--endpoints", f"ws://127.0.0.1:{rpc}/websocket"], log)
        load.wait(timeout=seconds * 10 + 60)
        cpu = cpu_seconds([process.pid]) - before
        newest = int(ask("status")["sync_info"]["latest_block_height"])
        blocks = []
        for least in range(1, newest + 1, 20):
            blocks += ask(f"blockchain?minHeight={least}&maxHeight={min(least + 19, newest)}")["block_metas"]
    blocks = sorted((datetime.fromisoformat(block["header"]["time"][:26].rstrip("Z")), int(block["num_txs"]))
                    for block in blocks if int(block["num_txs"]) > 0)
    # The first block starts the clock.
    count = sum(number for _, number in blocks[1:])
    took = (blocks[-1][0] - blocks[0][0]).total_seconds()
    row(f"peer: Go's kvstore, one validator, {KVSTORE_BYTES} B unsigned, loadtime, Unix socket",
        f"{count / took:.0f}/s; {cpu / (count * KVSTORE_BYTES / 1e6) * 1000:.0f} ms of CometBFT's CPU per MB")
    return count / took


class Localnet:
    """Validators of one shard and of the settlement chain, as scripts/localnet makes them."""

    def __init__(self, programs, folder, pace, validators=1, accounts=8):
        self.programs, self.folder, self.pace = programs, folder, pace
        self.validators, self.accounts = validators, accounts

    def __enter__(self):
        self.started, self.log = Started(), open(self.folder / "localnet.log", "ab")
        ready = self.folder / f"ready{self.validators}.json"
        process = self.started.start(
            [sys.executable, SCRIPTS / "localnet.py", "--bin", self.programs, "--validators", self.validators, "--shards", 1,
             "--accounts", self.accounts, "--home", self.folder / f"net{self.validators}", "--ready-file", ready,
             "--port", free_port(4), "--p2p-port", free_port(4)], self.log,
            env={**os.environ, "DB3_COMETBFT_TIMEOUT_COMMIT_MS": str(self.pace)})
        wait_until("the network", lambda: True if ready.exists() or process.poll() is not None else None, seconds=300)
        if process.poll() is not None:
            sys.exit(f"error: scripts/localnet ended: {Path(self.log.name).read_text()}")
        self.ready = json.loads(ready.read_text())
        return self

    def __exit__(self, *error):
        self.started.__exit__(*error)
        self.log.close()

    def write(self, pairs, count, rate=None):
        # At a given rate calls are small and may be many, so that none waits for its turn.
        calls, batch = (1_024, 16) if rate else (CALLS, PAIRS[pairs])
        signers = ",".join(account["name"] for account in self.ready["accounts"])
        command = [self.programs / "db3", "--output", "json", "bench", "write", "--pairs", pairs, "--count", count,
                   "--concurrency", calls, "--batch", batch, "--signers", signers, "--timeout", "120s",
                   *(["--rate", rate] if rate else [])]
        done = subprocess.run([str(part) for part in command], text=True, capture_output=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, "DB3_HOME": self.ready["db3_home"], "DB3_PASSWORD": self.ready["password"]})
        if done.returncode != 0:
            sys.exit(f"error: db3 bench write ended with {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)


    def of_shard(self):
        return [node for node in self.ready["nodes"] if node["chain_id"] == "local-shard-0"]


def status(node):
    done = subprocess.run([node["program"], "status", "--home", node["home"], "--output", "json"], text=True,
                          stdin=subprocess.DEVNULL, capture_output=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def latency(told):
    return f"p50 {told['p50_ms']:.0f} ms, p99 {told['p99_ms']:.0f} ms"


def engine(programs, pace, count, validators, rate=0):
    """The line that the example prints, and what it says of CometBFT."""
    command = [programs / "examples" / "throughput", 1, count, 16_384, validators, pace, rate]
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"error: throughput ended with {done.returncode}: {done.stderr.strip()}")
    rate, p50, p99 = re.search(r"^(\d+) mutations/s .*p50 (\d+) ms, p99 (\d+) ms", done.stdout, re.M).groups()
    cost = re.search(r"^CometBFT: .*?, (\d+) ms per MB", done.stdout, re.M).group(1)
    return int(rate), f"p50 {p50} ms, p99 {p99} ms; {cost} ms of CometBFT's CPU per MB"


def join(programs, folder, pace):
    """A machine without a validator's keys, twice: from a snapshot, then without one."""
    os.environ["DB3_NODE_SYNC_SNAPSHOT_BLOCKS"] = "20"
    with Localnet(programs, folder, pace, validators=2) as network, Started() as late:
        network.write(20, 50_000)
        nodes = network.of_shard()
        written = int(status(nodes[0])["height"])
        snapshots = lambda node: [int(path.parent.name) for path in Path(node["home"]).glob("snapshots/*/manifest.json")]
        wait_until("a snapshot for others", lambda: True if all(max(snapshots(node), default=0) > written for node in nodes) else None,
                   seconds=300)
        for name, sync in (("state sync", True), ("replaying the blocks", False)):
            port, p2p_port = free_port(2), free_port(2)
            home = lay_out(programs, folder / f"late-{sync}", folder / "net2" / "prepare" / "genesis", "127.0.0.1", port,
                           p2p_port) / "local-shard-0"
            node = {**nodes[0], "home": str(home)}
            if sync:
                trust(home, status(nodes[0]), [one["grpc"] for one in nodes])
            begun = time.monotonic()
            with open(folder / "late.log", "ab") as log:
                process = late.start([node["program"], "start", "--home", home], log)

            def come():
                shown = status(node)
                return shown if shown and shown["ready"] and not shown["catching_up"] and int(shown["height"]) >= written else None
            shown = wait_until(f"a node by {name}", come, seconds=900)
            row(f"a node joins a chain of {shown['height']} blocks, {shown['state_leaves']} leaves: {name}", f"{time.monotonic() - begun:.1f} s")
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=90)


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench-cometbft", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=15, help="of load, roughly, for each figure [15]")
    parser.add_argument("--part", default="sync,kvstore,one,latency,idle,four,join", help="which parts [all]")
    parser.add_argument("--timeout-commit-ms", type=int, default=TIMEOUT_COMMIT_MS,
                        help=f"CometBFT's pause after a block [what db3-genesis writes: {TIMEOUT_COMMIT_MS}]")
    options = parser.parse_args()
    pace = options.timeout_commit_ms
    parts, programs, seconds = options.part.split(","), options.bin.absolute(), options.seconds
    folder = Path(tempfile.mkdtemp(prefix="db3-bench-"))
    try:
        peer = None
        if "sync" in parts:
            sync(folder)
        if "kvstore" in parts:
            peer = kvstore(folder, seconds, pace)
        if {"one", "latency", "idle"} & set(parts):
            with Localnet(programs, folder, pace) as network:
                if "idle" in parts:
                    idle(network, seconds)
                if {"one", "latency"} & set(parts):
                    one(network, seconds, peer, "latency" in parts)
        if "four" in parts:
            four(programs, seconds, pace)
        if "join" in parts:
            join(programs, folder, pace)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def one(network, seconds, peer, half):
    told = network.write(1, 8_000 * seconds)
    rate = told["mutations_per_second"]
    beside = f" = {rate / peer:.2f} times the peer's" if peer else ""
    row(f"one validator: db3 bench write --pairs 1 ({told['mutation_bytes']} B), committed", f"{rate:.0f}/s{beside}; {latency(told)}")
    if half:
        told = network.write(1, int(rate / 2) * seconds, rate=int(rate / 2))
        row("the same at half of that rate", f"{told['mutations_per_second']:.0f}/s; {latency(told)}")
    told = network.write(20, 3_000 * seconds)
    row(f"one validator: db3 bench write --pairs 20 ({told['mutation_bytes']} B), committed",
        f"{told['mutations_per_second']:.0f}/s = {told['pairs_per_second']:.0f} pairs/s; {latency(told)}")


def idle(network, seconds):
    for node in network.ready["nodes"]:
        [comet] = children(node["pid"])
        before = cpu_seconds([node["pid"]]), cpu_seconds([comet])
        time.sleep(seconds)
        own, under = cpu_seconds([node["pid"]]) - before[0], cpu_seconds([comet]) - before[1]
        row(f"idle {node['chain_id']}: node, CometBFT (one block in {network.pace} ms and a little)",
            f"{100 * own / seconds:.1f} % and {100 * under / seconds:.1f} % of a core; "
            f"{resident_mb(node['pid']):.0f} MB and {resident_mb(comet):.0f} MB")


def four(programs, seconds, pace):
    single, more = engine(programs, pace, 10_000 * seconds, 1)
    row("engine alone, one validator, 1 pair", f"{single}/s; {more}")
    rate, more = engine(programs, pace, 4_000 * seconds, 4)
    row("engine alone, four validators, 1 pair", f"{rate}/s = {100 * rate / single:.0f} % of one; {more}")
    half, more = engine(programs, pace, rate // 2 * seconds, 4, rate // 2)
    row("the same at half of that rate", f"{half}/s; {more}")


if __name__ == "__main__":
    main()
