"""The library that ends a process at a storage call (die_at.c)."""

import random
import subprocess
from pathlib import Path

from telling import check

SOURCE = Path(__file__).resolve().parent / "die_at.c"
HOW = ("before", "torn", "after")


class Shim:
    """Built once for a folder; what it ended is in its log."""

    def __init__(self, folder):
        self.library, self.log = folder / "die_at.so", folder / "died"
        built = subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", self.library, SOURCE, "-ldl"], capture_output=True,
                               text=True)
        check("the shim is built", built.returncode == 0, built.stderr)

    def environment(self, under, at, how):
        """Ends the program at call number `at` on files under a folder: before it, after it, or torn, half way through."""
        return {"LD_PRELOAD": str(self.library), "DB3_DIE_UNDER": str(under), "DB3_DIE_AT": str(at), "DB3_DIE_HOW": how,
                "DB3_DIE_LOG": str(self.log)}

    def tell(self):
        """Names each kind of call that a process ended at."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        for call in sorted({" ".join(line.split()[1:3]) + " " + kind_of(line.split()[3]) for line in lines}):
            print(f"        {call}", flush=True)


def plan(kills, most):
    """One call after the other from the first on, so that every step of a start, of a block and of a snapshot is met; then
    calls at random."""
    numbers = list(range(1, kills // 2 + 1)) + [random.randrange(1, most) for _ in range(kills - kills // 2)]
    return [(at, HOW[number % len(HOW)]) for number, at in enumerate(numbers)]


def kind_of(path):
    """What kind of file it is, without its number."""
    name = Path(path).name
    return "".join("#" if letter.isdigit() else letter for letter in name).replace("##", "#")[:24]
