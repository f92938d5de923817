#!/usr/bin/env python3
"""The story of one network, told with the commands a newcomer would type.

A local network starts: two shards, and the chain that settles what they charge. A real data set goes in as signed
mutations; every record comes out with a proof; a range is known to be complete; the bills add up to the statements of
the closed epoch, and one debit pays them; somebody who cannot pay owes; the process is killed with SIGKILL in the
middle of an import, again and again; and what was acknowledged is still there, once.

Usage: tests/story.py --bin DIR [--kills N] [--seed N]
Needs the Debian packages iso-codes and unicode-data (real data sets). Talks to this machine alone.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

from telling import Commands, a_story, chapter, check, free_port, the_end, total

LANGUAGES = Path("/usr/share/iso-codes/json/iso_639-3.json")
CHARACTERS = Path("/usr/share/unicode/UnicodeData.txt")
COLUMNS = "code,name,category,combining,bidi,decomposition,decimal,digit,numeric,mirrored,old_name,comment,upper,lower,title"

class Network(Commands):
    """A devnet in a folder of its own, and the commands that speak to it."""

    def __init__(self, programs, folder):
        super().__init__(programs, folder)
        self.port = free_port(4)
        self.process = None
        self.ready = None

    def start(self):
        ready_file = self.folder / "ready.json"
        ready_file.unlink(missing_ok=True)
        log = open(self.folder / "devnet.log", "ab")
        self.process = subprocess.Popen(
            [self.programs / "db3", "devnet", "start", "--home", self.folder / "net", "--port", str(self.port),
             "--epoch-secs", "600", "--ready-file", ready_file],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)
        while not ready_file.exists():
            if self.process.poll() is not None:
                raise SystemExit(f"the devnet ended:\n{(self.folder / 'devnet.log').read_text()}")
            time.sleep(0.02)
        self.ready = json.loads(ready_file.read_text())

    def kill(self):
        """A power failure: SIGKILL to the process of every node."""
        for pid in {node["pid"] for node in self.ready["nodes"]}:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def chosen(self):
        return "--network", self.ready["network_file"]


def languages():
    return {row["alpha_3"]: row for row in json.loads(LANGUAGES.read_text())["639-3"]}


def characters():
    names = COLUMNS.split(",")
    rows = (dict(zip(names, line.split(";"))) for line in CHARACTERS.read_text().splitlines())
    return {row["code"]: row for row in rows}


def as_table(records):
    """Exported or scanned records as a dictionary key → decoded value."""
    return {record["key"]: json.loads(record["value"]) for record in records}


def an_import(net):
    chapter("A real data set goes in")
    expected = characters()
    summary = net.json("--account", "dev0", "import", "characters", CHARACTERS, "--format", "csv", "--delimiter", ";",
                       "--columns", COLUMNS, "--key", "code")
    check(f"{len(expected)} characters imported", int(summary["records"]) == len(expected), summary)
    again = net.json("--account", "dev0", "import", "characters", CHARACTERS, "--format", "csv", "--delimiter", ";",
                     "--columns", COLUMNS, "--key", "code")
    check("a second run writes nothing new", int(again["mutations"]) == 0, again)
    summary = net.json("--account", "dev1", "import", "languages", LANGUAGES, "--key", "alpha_3")
    check(f"{len(languages())} languages imported by another account", int(summary["records"]) == len(languages()), summary)


def reads(net):
    chapter("Every answer is proved")
    expected = characters()
    for code in random.sample(sorted(expected), 10):
        value = net.done("--account", "dev0", "get", "characters", code).stdout
        check(f"character {code} is what the file says", json.loads(value) == expected[code], value)
    absent = net.run("--account", "dev0", "get", "characters", "no such key")
    check("an absent key is proved absent (exit code 4)", absent.returncode == 4, absent.stderr)
    got = as_table(net.lines("--account", "dev0", "scan", "characters", "--from", "0400", "--to", "0500"))
    wanted = {code: row for code, row in expected.items() if "0400" <= code < "0500"}
    check(f"the range [0400, 0500) is complete: {len(wanted)} records", got == wanted, f"{len(got)} came")
    table = as_table(net.lines("--account", "dev1", "export", "languages"))
    check("the whole table of languages comes back complete", table == languages(), f"{len(table)} came")


def proofs(net, folder):
    chapter("A kept proof")
    kept = folder / "proof.json"
    net.done("--account", "dev1", "get", "languages", "eng", "--proof-file", kept)
    check("a kept proof holds, offline", net.run("verify", kept).returncode == 0)
    good = kept.read_bytes()
    # Every byte is tried by a test of the client; here are some of them, through the command.
    for at in sorted(random.sample(range(len(good)), 25)):
        bad = bytearray(good)
        bad[at] ^= 1 << random.randrange(8)
        altered = folder / "altered.json"
        altered.write_bytes(bytes(bad))
        result = net.run("verify", altered)
        if result.returncode not in (2, 5):
            check(f"a proof with byte {at} changed is refused", False, f"exit {result.returncode}: {result.stdout}{result.stderr}")
    check("a proof with a byte changed is refused, at 25 places", True)


def credit(net, name):
    return net.json("--account", name, "credit", "show")


def an_epoch(net, before):
    """`before`: what the accounts had before they wrote anything."""
    chapter("Bills, statements, and the debit that pays them")
    bills = {name: net.lines("--account", name, "bill", "list") for name in before}
    for name in bills:
        now = credit(net, name)
        check(f"what {name} owes and has paid is what its bills come to",
              int(now["owed_tai"]) + total(now["lines"], "paid_tai") == total(bills[name], "fee_tai"), now)
    net.done("devnet", "--home", net.folder / "net", "advance", "600")
    for name, known in bills.items():
        fees = total(known, "fee_tai")
        after = credit(net, name)
        check(f"{name} has {len(known)} bills over {fees} tai, and all of them are paid now",
              all(bill["status"] == "paid" for bill in net.lines("--account", name, "bill", "list")))
        statements = net.lines("--account", name, "statement", "list")
        check(f"{name}'s statements come to the same, and are paid",
              total(statements, "amount_tai") == fees and total(statements, "paid_tai") == fees, statements)
        check(f"{name}'s balance is lower by just that, and nothing is owed",
              int(before[name]["balance_tai"]) - int(after["balance_tai"]) == fees and int(after["owed_tai"]) == 0, after)
        check(f"{name} has its credit back: what each line wants is free again within a quarter",
              all(int(line["available_tai"]) * 4 >= int(line["want_tai"]) * 3 for line in after["lines"]), after)
        for bill in random.sample(known, min(3, len(known))):
            check(f"bill {bill['seq']}: its charges come to its fee",
                  total(bill["charges"], "amount_tai") == int(bill["fee_tai"]), bill)
            proof = net.json("bill", "verify", bill["reference"])
            check(f"bill {bill['seq']} is proved under its epoch's close, and so is posting {proof.get('covered_by')} that paid it",
                  proof["verified"] and proof["covered_kind"] == "round", proof)
        exported = net.lines("--account", name, "statement", "export")
        check(f"{name}'s bookkeeper gets the same", total(exported, "amount_tai") == fees, exported)
    for epoch in net.lines("epoch", "show", "last"):
        check(f"epoch {epoch['epoch']} of shard {epoch['shard']} is settled", epoch["status"] == "settled", epoch)


def a_debt(net):
    chapter("Somebody who cannot pay")
    balance = int(credit(net, "dev3")["balance_tai"])
    net.done("--account", "dev3", "put", "debts", "k", "v")
    # All but the fee of the transfer and a tai goes away, so that the bill cannot be paid from the balance.
    fee = int(net.json("--account", "dev3", "transfer", "dev4", f"{balance // 2}tai", "--dry-run")["max_fee_tai"])
    net.done("--account", "dev3", "transfer", "dev4", f"{balance - 2 * fee}tai")
    rest = int(credit(net, "dev3")["balance_tai"])
    cost = int(net.json("--account", "dev3", "put", "debts", "k", "v", "--dry-run")["fee_tai"])
    for number in range(rest // cost + 2):
        net.done("--account", "dev3", "put", "debts", "k", f"v{number}", "--wait", "committed")
    net.done("devnet", "--home", net.folder / "net", "advance", "600")
    owing = credit(net, "dev3")
    check("dev3's balance is used up, and the rest is outstanding",
          int(owing["balance_tai"]) == 0 and int(owing["outstanding_tai"]) > 0 and owing["stage"] == "outstanding", owing)
    outstanding = net.lines("--account", "dev3", "bill", "list", "--status", "outstanding")
    check(f"{len(outstanding)} bills are outstanding", len(outstanding) > 0)
    net.done("transfer", "dev3", "10db3")
    refused = net.run("--account", "dev3", "credit", "withdraw", "1tai")
    check("as long as something is outstanding dev3 may not withdraw", refused.returncode == 1 and "308" in refused.stderr, refused.stderr)
    net.done("--account", "dev3", "credit", "pay")
    paid = credit(net, "dev3")
    check("once dev3 has money and pays, nothing is owed", int(paid["outstanding_tai"]) == 0 and paid["stage"] == "clear", paid)
    check("and every bill is paid, by whoever paid it",
          all(bill["status"] == "paid" for bill in net.lines("--account", "dev3", "bill", "list")))
    proof = net.json("bill", "verify", outstanding[0]["reference"])
    check("the bill that was outstanding is proved to be paid by dev3's own transaction",
          proof["verified"] and proof["covered_kind"] == "pay", proof)


def kills(net, folder, count):
    chapter(f"kill -9, {count} times in the middle of an import")
    undisturbed = as_table(net.lines("--account", "dev0", "export", "characters"))
    receipts = folder / "receipts.ndjson"
    importer = subprocess.Popen(
        net.command("--account", "dev2", "--timeout", "120s", "import", "characters", CHARACTERS, "--format", "csv",
                    "--delimiter", ";", "--columns", COLUMNS, "--key", "code", "--batch", "20", "--in-flight", "4",
                    "--receipts", receipts),
        env=net.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    acknowledged = 0
    for number in range(1, count + 1):
        # Waits until the import has moved on by a random number of mutations, so that each kill finds it at work.
        goal = acknowledged + random.randint(20, 100)
        while importer.poll() is None:
            acknowledged = len(receipts.read_text().splitlines()) if receipts.exists() else 0
            if acknowledged >= goal:
                break
            time.sleep(0.005)
        if importer.poll() is not None:
            break
        net.kill()
        # What stood in the file when the process was dead was acknowledged before that.
        known = [json.loads(line) for line in receipts.read_text().splitlines() if line.endswith("}")]
        net.start()
        for receipt in random.sample(known, min(3, len(known))):
            found = net.json("receipt", receipt["id"])
            check(f"kill {number}: mutation {receipt['id'][:10]}… was acknowledged, and is applied",
                  found["state"] == "applied" and found["height"] == receipt["height"], found)
    check(f"{number} kills found the import at work", importer.poll() is None or number == count)
    out, error = importer.communicate(timeout=300)
    check("the import went on by itself and finished", importer.returncode == 0, out + error)
    disturbed = net.lines("--account", "dev2", "export", "characters")
    check("the table is that of the undisturbed import", as_table(disturbed) == undisturbed)
    check("no mutation was applied twice: every record has version 1",
          all(int(record["version"]) == 1 for record in disturbed))
    known = [json.loads(line) for line in receipts.read_text().splitlines()]
    bills = net.lines("--account", "dev2", "bill", "list")
    check(f"{len(known)} mutations were acknowledged, and each has one bill",
          sorted(bill["reference"] for bill in bills) == sorted(receipt["id"] for receipt in known), f"{len(bills)} bills")


def replays(net):
    chapter("The same root again")
    net.stop()
    for node in net.ready["nodes"]:
        home = net.folder / "net" / node["chain_id"]
        program = "settlement-node" if node["chain_id"].endswith("-settlement") else "shard-node"
        result = subprocess.run([net.programs / program, "check", "--home", home, "--from-genesis"], capture_output=True,
                                text=True, timeout=300)
        check(f"{node['chain_id']}: every block, executed again without disturbance, gives the root of its header",
              result.returncode == 0, result.stdout + result.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, help="folder of db3, db3-devnet, shard-node and settlement-node")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    arguments = parser.parse_args()
    with a_story("story", arguments.seed) as (folder, at_end):
        net = Network(arguments.bin, folder)
        at_end(net.stop)
        net.start()
        chains = [node["chain_id"] for node in net.ready["nodes"]]
        check("two shards and their settlement chain are up", len(chains) == 3 and any("settlement" in chain for chain in chains), chains)
        before = {name: credit(net, name) for name in ("dev0", "dev1")}
        an_import(net)
        reads(net)
        proofs(net, folder)
        an_epoch(net, before)
        a_debt(net)
        kills(net, folder, arguments.kills)
        replays(net)
        the_end()


if __name__ == "__main__":
    main()
