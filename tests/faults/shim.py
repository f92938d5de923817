"""The library that ends a process at a storage call (die_at.c)."""

import random
import subprocess
from collections import Counter
from pathlib import Path

from telling import check

SOURCE = Path(__file__).resolve().parent / "die_at.c"
HOW = ("before", "torn", "after")
# What a start and snapshots do to the disk, whatever drives the node (chain/src/store): this much must be among what is counted.
KNOWN = {"snapshot write #.log", "snapshot fdatasync #.log", "sync-files rename manifest.json", "main write MANIFEST-#",
         "main rename CURRENT"}
# Calls of which half can be done; those of `pwrite` are within one sector of a disk.
IN_PARTS = ("write", "writev", "copy")


class Shim:
    """Built once for a folder; what it ended is in its log."""

    def __init__(self, folder):
        self.library, self.log, self.counts = folder / "die_at.so", folder / "died", folder / "counted"
        built = subprocess.run(["cc", "-O1", "-U_FORTIFY_SOURCE", "-shared", "-fPIC", "-o", self.library, SOURCE, "-ldl"],
                               capture_output=True, text=True)
        check("the shim is built", built.returncode == 0, built.stderr)

    def environment(self, under, at, how, step=None):
        """Ends the program at call number `at` on files under a folder, or at that one of a step's calls: before it, after
        it, or torn, half way through."""
        on = {"DB3_DIE_ON": step} if step else {}
        return {"LD_PRELOAD": str(self.library), "DB3_DIE_UNDER": str(under), "DB3_DIE_AT": str(at), "DB3_DIE_HOW": how,
                "DB3_DIE_LOG": str(self.log), **on}

    def counting(self, under):
        """Ends nothing, and tells every call."""
        return {"LD_PRELOAD": str(self.library), "DB3_DIE_UNDER": str(under), "DB3_DIE_LOG": str(self.counts)}

    def counted(self):
        """How often each step was counted: thread, call and kind of file."""
        lines = self.counts.read_text().splitlines() if self.counts.exists() else []
        return Counter(" ".join(line.split()[1:4]) for line in lines)

    def met(self):
        """The steps that a process ended at, and how."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return {(" ".join(line.split()[1:4]), line.split()[4]) for line in lines}

    def tell(self):
        """Names each step that a process ended at."""
        for step, ways in by_step(self.met()).items():
            print(f"        {step}: {', '.join(ways)}", flush=True)


def ways(step):
    """How a process can end at a step."""
    return [how for how in HOW if how != "torn" or step.split()[1] in IN_PARTS]


def by_step(met):
    found = {}
    for step, how in sorted(met):
        found.setdefault(step, []).append(how)
    return found


def plan(kills, most):
    """One call after the other from the first on, so that every step of a start is met; then calls at random."""
    numbers = list(range(1, kills // 2 + 1)) + [random.randrange(1, most) for _ in range(kills - kills // 2)]
    return [(at, HOW[number % len(HOW)]) for number, at in enumerate(numbers)]
