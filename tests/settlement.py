#!/usr/bin/env python3
"""The story of the money: what three shards charge, one settlement chain collects, to the tai.

A network of three shards with short epochs is made by `shard-node init`; its nodes carry nothing themselves. Real records
go in on every shard, epoch after epoch, while the relays are killed with SIGKILL, missing and doubled, and one shard stands
still for three epochs. One account has too little money. At the end everything that anybody wrote down is compared: the
receipts that the writers kept, the bills of the shards, the statements and postings of the settlement chain, the balances,
what the validators earned, and the credit that is left.

Usage: tests/settlement.py --bin DIR [--epochs N] [--epoch-secs N] [--seed N]
Needs the Debian package iso-codes (a real data set). Talks to this machine alone.
"""

import argparse
import concurrent.futures
import hashlib
import json
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import telling
from telling import Commands, chapter, check, free_port, the_end, total

LANGUAGES = Path("/usr/share/iso-codes/json/iso_639-3.json")
SHARDS = 3
FUNDS = 7_000_000  # To pay with, in tai, and as much credit on every shard: enough, and so little that credit must come back.
ALMOST_NOTHING = 60_000  # What the poor account keeps, in tai: enough for a few bills.
PAYEE = "0x" + "ee" * 20  # Where everything goes that validators earn.
FEE_POOL = 2**32 - 1  # The settlement chain's own pool, beside those of the shards.
PATIENCE = 90  # Seconds after which something that does not come is missed.


def wait_until(claim, condition):
    return telling.wait_until(claim, condition, PATIENCE)


def together(*tasks):
    """Runs tasks side by side and gives their results in order."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]


def shard_of(namespace):
    """The shard of a namespace: the first ten bits of its SHA-256 are its slot, and the shards share the 1 024 slots."""
    slot = int.from_bytes(hashlib.sha256(namespace.encode()).digest()[:2], "big") >> 6
    return slot * SHARDS // 1024


class Network(Commands):
    """Three shards, their settlement chain, and relays: each a process of its own, in one folder."""

    def __init__(self, programs, folder, epoch_secs):
        super().__init__(programs, folder)
        self.epoch_secs = epoch_secs
        self.port = free_port(1 + SHARDS)
        self.processes = {}
        self.fees = []  # Of transactions on the settlement chain.
        (self.folder / "password").write_text("a password of a test\n")

    # Processes

    def launch(self, name, *command):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                    env=self.environment)

    def end(self, name, how=signal.SIGTERM):
        process = self.processes.pop(name)
        process.send_signal(how)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            check(f"{name} ends when it is told to", False)

    def end_all(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def make(self, addresses):
        funds = [word for address in addresses for word in ("--fund", f"{address}={FUNDS}tai")]
        result = subprocess.run([self.programs / "shard-node", "init", "--network", "money", "--shards", str(SHARDS), "--epoch-secs",
                                 str(self.epoch_secs), "--home", self.folder / "net", "--treasury", PAYEE, *funds],
                                capture_output=True, text=True, env=self.environment)
        check(f"shard-node init makes a network of {SHARDS} shards with epochs of {self.epoch_secs} s", result.returncode == 0, result.stderr)
        # The file names the usual ports; this network stands on ports that are free.
        self.file = self.folder / "net" / "money.toml"
        self.file.write_text(re.sub(r"127\.0\.0\.1:73(\d\d)", lambda port: f"127.0.0.1:{self.port + int(port[1])}", self.file.read_text()))

    def start_node(self, chain):
        """`chain`: "settlement" or the number of a shard."""
        program, name, port = ("settlement-node", "money-settlement", 0) if chain == "settlement" else ("shard-node", f"money-shard-{chain}", chain + 1)
        self.launch(name, self.programs / program, "start", "--home", self.folder / "net" / name, "--no-relay",
                    "--listen", f"127.0.0.1:{self.port + port}", "--network-file", self.file)

    def start_relay(self, name):
        self.launch(name, *self.command("relay", "--poll", "300ms", "--jitter", "200ms", "--output", "json"))

    # Commands

    def chosen(self):
        return "--network", self.file, "--password-file", self.folder / "password"

    def transfer(self, sender, receiver, tai):
        receipt = self.json("--account", sender.name, "transfer", receiver.address, f"{tai}tai")
        fee = int(receipt["fee_tai"])
        sender.balance -= tai + fee
        receiver.balance += tai
        self.fees.append(fee)

    # What the settlement chain knows, proven

    def shards(self):
        """What it knows of each shard: the last close, what was earned, and what of it waits."""
        pools = {pool["chain_id"]: pool for pool in self.lines("pool", "list")}
        rows = [row for row in self.lines("status") if "-shard-" in row.get("chain_id", "")]
        return [{"closed": row.get("closed_epoch"), "fault": row.get("fault"), "pool": int(pools[row["chain_id"]]["pool_tai"]),
                 "income": int(pools[row["chain_id"]]["income_tai"])} for row in rows]

    def closed(self):
        return [shard["closed"] for shard in self.shards()]

    def postings(self, address):
        """Every posting of an account, oldest first."""
        def of(line, what):
            return int(line[f"{what}_from_tai"]), int(line[f"{what}_to_tai"])

        postings = reversed(self.lines("--account", address, "posting", "list"))
        return [{"index": p["index"], "kind": p["kind"], "number": int(p["number"]), "debit": int(p["debit_tai"]), "paid": int(p["paid_tai"]),
                 "outstanding": int(p["outstanding_tai"]), "balance": int(p["balance_tai"]), "verified": p["verified"],
                 "lines": [{"shard": line["shard"], "debited": of(line, "debited"), "covered": of(line, "covered")} for line in p["lines"]]}
                for p in postings]


class Person:
    """An account, and what is known of it without asking any chain."""

    def __init__(self, role, key):
        self.role, self.name, self.address = role, key["name"], key["address"]
        self.balance = FUNDS  # Before bills: they are what the story is about.
        self.tables = {}  # TABLE or NAMESPACE/TABLE → what was imported
        self.receipts = []  # Every mutation that a block holds.


def keys(net):
    """Four people: the own namespaces of three of them are on three shards, and the fourth's is on shard 0 or 1."""
    net.file = "devnet"  # Making a key needs no network.
    made, found = [], {}
    while len(found) < 4:
        made += together(*(lambda n=n: net.json("account", "new", f"key{n}") for n in range(len(made), len(made) + 2)))
        found = {}
        for key in made:
            shard = shard_of(key["address"].lower())
            role = ("anna", "bert", "carl")[shard]
            if role not in found:
                found[role] = key
            elif shard < 2:
                found.setdefault("dora", key)
    return {role: Person(role, found[role]) for role in ("anna", "bert", "carl", "dora")}


def the_start(net, people):
    chapter("A network of one's own")
    net.make([person.address for person in people.values()])
    for chain in ("settlement", *range(SHARDS)):
        net.start_node(chain)

    def up():
        result = net.run("--output", "json", "status")
        return result.stdout.count('"state":"ready"') == 1 + SHARDS, result.stdout + result.stderr

    wait_until("four chains are up", up)
    check("three shards and their settlement chain are up, in four processes that carry nothing", True)
    early = net.run("--account", people["anna"].name, "--timeout", "2s", "put", "languages", "too", "early")
    check("without a relay no credit has arrived, so nothing can be written", early.returncode == 1, early.stderr)
    check("who tries is told that it is granted, and what carries it",
          "are granted there and have not arrived within 2 s" in early.stderr and "`db3 relay`" in early.stderr, early.stderr)
    net.start_relay("relay A")

    def credit_arrived():
        now = net.json("--account", people["anna"].name, "credit", "show")
        return all(line["shard_ceiling_tai"] == str(FUNDS) for line in now["lines"]) and len(now["lines"]) == SHARDS, now

    wait_until("credit arrives", credit_arrived)
    check("a relay brings it to every shard", True)


def the_names(net, people):
    chapter("Everybody gets a second namespace, on the next shard")
    tasks = []
    for role, shard in (("anna", 1), ("bert", 2), ("carl", 0)):
        name = next(name for n in range(1000) if shard_of(name := f"{role}-{n}") == shard)
        people[role].second = f"{name}/languages"

        def make(person=people[role], name=name):
            for words in (("namespace", "create", name), ("table", "create", f"{name}/languages")):
                receipt = net.json("--account", person.name, *words)
                person.receipts.append({"id": receipt["id"], "shard": int(receipt["chain_id"][-1])})

        tasks.append(make)
    together(*tasks)
    for role, shard in (("anna", 1), ("bert", 2), ("carl", 0)):
        check(f"{role} writes on two shards", {receipt["shard"] for receipt in people[role].receipts} == {shard}, people[role].receipts)
    # Dora gives her money away before she owes anything. The bills that she will get are more than what she keeps.
    dora = people["dora"]
    fee = int(net.json("--account", dora.name, "transfer", people["anna"].address, f"{FUNDS // 2}tai", "--dry-run")["fee_tai"])
    net.transfer(dora, people["anna"], FUNDS - ALMOST_NOTHING - fee)
    check(f"dora has {dora.balance} tai left", int(net.json("--account", dora.name, "credit", "show")["balance_tai"]) == dora.balance)


def an_import(net, person, table, rows):
    file = net.folder / f"{person.name}-{len(person.receipts)}-{table.replace('/', '-')}.json"
    file.write_text(json.dumps(rows))
    receipts = file.with_suffix(".receipts")
    net.done("--account", person.name, "import", table, file, "--key", "alpha_3", "--batch", "10", "--receipts", receipts)
    shard = shard_of(table.split("/")[0] if "/" in table else person.address.lower())
    person.receipts += [{"id": json.loads(line)["id"], "shard": shard} for line in receipts.read_text().splitlines()]
    person.tables.setdefault(table, {}).update({row["alpha_3"]: row for row in rows})


def the_epochs(net, people, count):
    rows = json.loads(LANGUAGES.read_text())["639-3"]
    random.shuffle(rows)
    taken = 0

    def epoch_now():
        return int(time.time()) // net.epoch_secs

    stopped, back = count // 2 - 1, count // 2 + 2  # The still shard's first epoch, and the one in which it is back.
    before = epoch_now()
    for number in range(count):
        wait_until("the next epoch", lambda: (epoch_now() > before, before))
        before = epoch_now()
        chapter(f"Epoch {number + 1} of {count}")
        if number == 2:
            net.end("relay A", signal.SIGKILL)
            check("the relay is killed with SIGKILL; now there is none", True)
        if number == 3:
            net.start_relay("relay A")
            net.start_relay("relay B")
            check("it is started again, and a second one beside it", True)
        if number == count - 3:
            net.end("relay A", signal.SIGKILL)
            check("one of the two is killed with SIGKILL", True)
        if number == count - 2:
            net.start_relay("relay A")
            check("and started again", True)
        if number == stopped:
            carl, part, taken = people["carl"], rows[taken:taken + 10], taken + 10
            an_import(net, carl, "languages", part)
            net.end("money-shard-2")
            check("shard 2 is stopped right after an import", True)
        if number == back:
            net.start_node(2)

            def answers():
                result = net.run("--output", "json", "--timeout", "2s", "status")
                return result.stdout.count('"state":"ready"') == 1 + SHARDS, result.stdout + result.stderr

            wait_until("shard 2 answers", answers)
            check("shard 2 is back after three epochs", True)
        running = [0, 1] if stopped <= number < back else [0, 1, 2]
        imports = []

        def plan(person, table, size):
            nonlocal taken
            part = rows[taken:taken + size]
            taken += size
            imports.append(lambda: an_import(net, person, table, part))

        for shard in running:
            plan(people[("anna", "bert", "carl")[shard]], "languages", random.randrange(20, 60))
        for shard in running:
            if number % 3 == shard:
                person = people[("carl", "anna", "bert")[shard]]
                plan(person, person.second, random.randrange(5, 30))
        if number % 2 == 0:
            plan(people["dora"], "languages", random.randrange(5, 15))
        mutations = sum(len(person.receipts) for person in people.values())
        together(*imports)
        mutations = sum(len(person.receipts) for person in people.values()) - mutations
        check(f"{len(imports)} imports on {len(running)} shards: {mutations} mutations are acknowledged", mutations >= len(imports))
        if number == 2:
            known, rounds = net.closed(), epoch_now()
            wait_until("the next epoch", lambda: (epoch_now() > rounds, rounds))
            check("as long as nobody carries, the settlement chain hears of no close", net.closed() == known, (known, net.closed()))


def bills_of(net, people):
    return {role: sorted(net.lines("--account", person.name, "bill", "list"), key=lambda bill: (bill["shard"], int(bill["seq"])))
            for role, person in people.items()}


def the_settlement(net, people):
    chapter("Everything is settled")
    bills = bills_of(net, people)
    fees = {role: total(bills[role], "fee_tai") for role in bills}

    def settled():
        accounts = {role: net.json("--account", person.name, "credit", "show") for role, person in people.items()}
        shards = net.shards()
        known = {role: (fees[role], total(account["lines"], "debited_tai")) for role, account in accounts.items()}
        # What a shard was told last is part of it: the lines have the credit that the settlement chain gave them.
        told = all(line["ceiling_tai"] == line["shard_ceiling_tai"] for account in accounts.values() for line in account["lines"])
        return all(a == b for a, b in known.values()) and all(shard["pool"] == 0 for shard in shards) and told, (known, shards, accounts)

    _, shards, accounts = wait_until("every bill is debited", settled)
    check(f"every bill is debited: {sum(map(len, bills.values()))} bills over {sum(fees.values())} tai", True)
    check("no shard is at fault, and none has a payment waiting", all(not shard["fault"] and shard["pool"] == 0 for shard in shards), shards)
    return bills, accounts


def an_account(net, person, bills, now):
    """Compares everything that is known of one account; gives what it has paid, per shard."""
    fees = total(bills, "fee_tai")
    check(f"{person.role} kept {len(person.receipts)} receipts, and each has one bill on its shard",
          sorted((receipt["id"], receipt["shard"]) for receipt in person.receipts) == sorted((bill["reference"], bill["shard"]) for bill in bills),
          (len(person.receipts), len(bills)))
    for bill in bills:
        if total(bill["charges"], "amount_tai") != int(bill["fee_tai"]):
            check(f"bill {bill['bill']}: its charges come to its fee", False, bill)
    statements = net.lines("--account", person.name, "statement", "list")
    for line in now["lines"]:
        shard = line["shard"]
        own = [bill for bill in bills if bill["shard"] == shard]
        spent = 0
        for seq, bill in enumerate(own, 1):
            spent += int(bill["fee_tai"])
            if (int(bill["seq"]), int(bill["cumulative_tai"])) != (seq, spent):
                check(f"bill {bill['bill']} is number {seq} and brings the sum to {spent} tai", False, bill)
        below = 0
        for statement in [statement for statement in statements if statement["shard"] == shard]:
            upto = int(statement["cumulative_tai"])
            covered = [bill for bill in own if below < int(bill["cumulative_tai"]) <= upto]
            if not (int(statement["previous_cumulative_tai"]) == below and total(covered, "fee_tai") == int(statement["amount_tai"]) == upto - below):
                check(f"{person.role}'s statement of epoch {statement['epoch']} from shard {shard} is the sum of its bills", False, (statement, covered))
            if not statement["verified"]:
                check(f"{person.role}'s statement of epoch {statement['epoch']} from shard {shard} is proved", False, statement)
            below = upto
        sums = {"bills": spent, "statements": below, **{field: int(line[f"{field}_tai"]) for field in ("spent", "reported", "debited")}}
        check(f"{person.role} on shard {shard}: {len(own)} bills, statements and debits all come to {spent} tai", len(set(sums.values())) == 1, sums)
        available = int(line["shard_ceiling_tai"]) - spent
        check(f"{person.role} on shard {shard}: the credit left is the line's ceiling less that, {available} tai",
              int(line["available_tai"]) == available and line["shard_ceiling_tai"] == line["ceiling_tai"] and int(line["bill_count"]) == len(own), line)
        lent = int(line["ceiling_tai"]) - int(line["paid_tai"])
        want = int(line["want_tai"])
        check(f"{person.role} on shard {shard}: between three quarters and all of what the line wants is lent anew beyond what is paid",
              want * 3 <= lent * 4 and lent <= want == FUNDS, line)

    postings = net.postings(person.address)
    check(f"{person.role} has {len(postings)} postings, each proved, numbered without gaps",
          all(posting["verified"] for posting in postings) and [posting["number"] for posting in postings] == list(range(1, len(postings) + 1)) and len(postings) == int(now["postings"]), postings)
    debited, covered, outstanding = {}, {}, 0
    for posting in postings:
        debit = cover = 0
        for line in posting["lines"]:
            for sums, (below, upto) in ((debited, line["debited"]), (covered, line["covered"])):
                if sums.get(line["shard"], 0) != below or upto < below:
                    check(f"posting {posting['index']} goes on where the one before ended", False, (sums, posting))
                sums[line["shard"]] = upto
            debit += line["debited"][1] - line["debited"][0]
            cover += line["covered"][1] - line["covered"][0]
        outstanding += debit - cover
        if (debit, cover, outstanding) != (posting["debit"], posting["paid"], posting["outstanding"]):
            check(f"posting {posting['index']} adds up", False, (debit, cover, outstanding, posting))
    paid = total(now["lines"], "paid_tai")
    check(f"{person.role}'s postings debit {fees} tai and pay {paid} tai, line by line",
          sum(debited.values()) == fees and all(covered.get(line["shard"], 0) == int(line["paid_tai"]) for line in now["lines"]), (debited, covered))
    check(f"{person.role}'s statements are paid to the same sum", total(statements, "paid_tai") == paid and total(statements, "outstanding_tai") == fees - paid)
    check(f"{person.role}'s balance, {now['balance_tai']} tai, is lower by just that", int(now["balance_tai"]) == person.balance - paid, (person.balance, paid, now))
    held = sum(int(line["held_tai"]) - int(line["paid_tai"]) for line in now["lines"])
    check(f"{person.role}'s collateral is untouched and covers all credit that is out",
          int(now["collateral_tai"]) == SHARDS * FUNDS == int(now["limit_tai"]) and int(now["allocated_tai"]) == held <= SHARDS * FUNDS
          and int(now["free_tai"]) == SHARDS * FUNDS - held, now)
    return {line["shard"]: int(line["paid_tai"]) for line in now["lines"]}


def the_income(net, people, accounts, paid):
    chapter("What was paid is what was earned")
    wanted = {shard: sum(one.get(shard, 0) for one in paid) for shard in range(SHARDS)}
    wanted[FEE_POOL] = sum(net.fees)

    def everything_paid_out():
        shards, earned = net.shards(), {}
        postings = net.postings(PAYEE)
        for posting in postings:
            for line in posting["lines"]:
                earned[line["shard"]] = earned.get(line["shard"], 0) + line["covered"][1] - line["covered"][0]
        return all(earned.get(pool, 0) == income for pool, income in wanted.items()), (shards, earned, wanted, postings)

    shards, earned, _, postings = wait_until("the payee has received everything", everything_paid_out)
    for shard, known in enumerate(shards):
        check(f"shard {shard}'s validators earned {known['income']} tai: what the accounts paid there", known["income"] == wanted[shard], (known, wanted))
    check(f"the settlement chain's own earned {wanted[FEE_POOL]} tai: the fees of {len(net.fees)} transactions", earned[FEE_POOL] == wanted[FEE_POOL])
    balance = int(net.json("--account", PAYEE, "credit", "show")["balance_tai"])
    check(f"the payee received it in {len(postings)} payouts and has {balance} tai",
          all(posting["kind"] == "payout" for posting in postings) and sum(posting["paid"] for posting in postings) == balance == sum(wanted.values()), (balance, wanted))
    check("not a tai was made or lost: all balances come to what the network began with",
          total(accounts.values(), "balance_tai") + balance == len(people) * FUNDS)


def the_closes(net, bills):
    chapter("The epochs of the shards, and the one that stood still")
    everything = [bill for all_of_one in bills.values() for bill in all_of_one]
    for shard in range(SHARDS):
        closes = [close for close in net.lines("epoch", "list", "--shard", shard, "--limit", "1000") if close.get("arrived")]
        own = [bill for bill in everything if bill["shard"] == shard]
        check(f"shard {shard} closed {len(own)} bills over {total(own, 'fee_tai')} tai, in {sum(int(close['bill_count']) > 0 for close in closes)} closes",
              total(closes, "bill_count") == len(own) and total(closes, "total_tai") == total(own, "fee_tai"), closes)
        for close in closes:
            first, last = int(close["epoch"]), int(close["last_epoch"])
            inside = [bill for bill in own if first <= int(bill["epoch"]) <= last]
            if (len(inside), total(inside, "fee_tai")) != (int(close["bill_count"]), int(close["total_tai"])):
                check(f"the close of shard {shard}'s epoch {last} is the sum of its bills", False, (close, inside))
        # The first close of all covers the time before the network was started; what comes after the first bill counts.
        begun = min(int(bill["epoch"]) for bill in own)
        late = [close for close in closes if int(close["epoch"]) >= begun and int(close["last_epoch"]) - int(close["epoch"]) >= 2]
        if shard == 2:
            check(f"shard 2 closed the epochs that it missed as one when it was back, {total(late, 'bill_count')} waiting bills with them",
                  len(late) == 1, closes)


def the_relays(net):
    chapter("The relays")
    for name in ("relay A", "relay B"):
        rows = [json.loads(line) for line in (net.folder / f"{name}.log").read_text().splitlines() if line.startswith("{") and line.endswith("}")]
        check(f"{name} carried something, and no chain ever refused what it brought: at most the other was first",
              any(int(row["deliveries"]) for row in rows) and not any(int(row["refused"]) for row in rows), rows)


def proofs(net, bills):
    chapter("A dozen bills, at random")
    everything = [(role, bill) for role in bills for bill in bills[role]]
    for role, bill in random.sample(everything, 12):
        proof = net.json("bill", "verify", bill["reference"])
        paid = bill["status"] == "paid"
        check(f"{role}'s bill {bill['seq']} from shard {bill['shard']} is proved under its epoch's close, and posting {proof.get('debited_by')} debited it",
              proof["verified"] and proof["under"] == "the close of its epoch" and proof.get("debited_by") is not None
              and (proof.get("covered_by") is not None) == paid, (bill, proof))


def the_debt(net, people, bills, now):
    chapter("The account that cannot pay")
    dora = people["dora"]
    fees = total(bills, "fee_tai")
    missing = fees - dora.balance
    check(f"dora's bills are {fees} tai, she had {dora.balance}: just the missing {missing} tai are outstanding",
          missing > 0 and int(now["outstanding_tai"]) == missing == int(now["owed_tai"]) and int(now["balance_tai"]) == 0
          and now["stage"] == "outstanding", now)
    owed = net.lines("--account", dora.name, "bill", "list", "--status", "outstanding")
    check(f"the bills that are not paid in full are her last {len(owed)}",
          {bill["bill"] for bill in owed} == {bill["bill"] for bill in bills if int(bill["cumulative_tai"]) > dora.balance}, owed)
    refused = net.run("--account", dora.name, "transfer", people["anna"].address, "1tai")
    check("she may not transfer anything now, and is told what she owes",
          refused.returncode == 1 and "are outstanding" in refused.stderr and "transaction 0x" not in refused.stdout,
          refused.stdout + refused.stderr)
    check(f"she is told in which rounds she is delinquent ({now['delinquent_epoch']}), loses collateral ({now['seizure_epoch']}) and is written off ({now['write_off_epoch']})",
          int(now["stage_since_epoch"]) <= int(now["delinquent_epoch"]) <= int(now["seizure_epoch"]) <= int(now["write_off_epoch"])
          and now["seizure_time"].endswith("Z"), now)
    net.transfer(people["anna"], dora, missing + 1)

    def clear():
        account = net.json("--account", dora.name, "credit", "show")
        return account["stage"] == "clear", account

    account = wait_until("dora's debt is paid", clear)
    check("anna helps out with a tai more than is missing, and the next round takes what is owed",
          int(account["outstanding_tai"]) == 0 and int(account["balance_tai"]) == 1, account)
    proof = net.json("bill", "verify", owed[0]["reference"])
    check(f"posting {proof.get('covered_by')} is proved to have paid the bill", proof["verified"] and proof["covered_kind"] == "round", proof)
    check("now every bill of everybody is paid",
          all(bill["status"] == "paid" for all_of_one in bills_of(net, people).values() for bill in all_of_one))


def the_records(net, people):
    chapter("And the records are there")
    for person in people.values():
        for table, rows in person.tables.items():
            got = {record["key"]: json.loads(record["value"]) for record in net.lines("--account", person.name, "export", table)}
            check(f"{person.role}'s table {table} has the {len(rows)} languages that were imported", got == rows, f"{len(got)} came")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True, help="folder of db3, shard-node and settlement-node")
    parser.add_argument("--epochs", type=int, default=10, help="at least 8")
    parser.add_argument("--epoch-secs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--keep", action="store_true", help="leave the folder with the logs and data")
    arguments = parser.parse_args()
    if arguments.epochs < 8:
        parser.error("--epochs: at least 8")
    random.seed(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="db3-settlement-"))
    net = Network(arguments.bin, folder, arguments.epoch_secs)
    try:
        people = keys(net)
        the_start(net, people)
        the_names(net, people)
        the_epochs(net, people, arguments.epochs)
        bills, accounts = the_settlement(net, people)
        bills = bills_of(net, people)
        paid = []
        for role, person in people.items():
            chapter(f"The books of {role}")
            paid.append(an_account(net, person, bills[role], accounts[role]))
        raised = [line["shard"] for account in accounts.values() for line in account["lines"] if int(line["ceiling_tai"]) > FUNDS]
        check(f"credit came back by paying: {len(raised)} lines may spend more in all than they ever had at once", set(raised) == set(range(SHARDS)), accounts)
        the_income(net, people, accounts, paid)
        the_closes(net, bills)
        the_relays(net)
        proofs(net, bills)
        the_debt(net, people, bills["dora"], accounts["dora"])
        the_records(net, people)
        the_end()
    finally:
        net.end_all()
        if arguments.keep:
            print(f"kept: {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
