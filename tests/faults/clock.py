"""A clock that is wrong: of a node (skew.c), and of the CometBFT that it starts."""

import os
import re
import subprocess
from pathlib import Path

from telling import check

HERE = Path(__file__).resolve().parent
INSTALL = HERE.parent.parent / "scripts" / "install-cometbft"


def test_cometbft():
    """The CometBFT of `scripts/install-cometbft --test-clock`; none where that has not run."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = re.search(r"^version=(\S+)", INSTALL.read_text(), re.M).group(1)
    program = Path(os.environ.get("DB3_INSTALLED_BIN") or cache / "db3" / "bin") / f"test-clock-{version}" / "cometbft"
    return program if program.exists() else None


class Clock:
    """Moves the clock of what is started; the library is built once for a folder."""

    def __init__(self, folder, cometbft):
        self.library, self.cometbft = folder / "skew.so", cometbft
        built = subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", self.library, HERE / "skew.c", "-ldl"],
                               capture_output=True, text=True)
        check("the wrong clock is built", built.returncode == 0, built.stderr)

    def environment(self, secs):
        """Of a node whose clock, and whose CometBFT's, is so many seconds ahead, or behind."""
        return {"LD_PRELOAD": str(self.library), "DB3_CLOCK_SKEW_SECS": str(secs), "DB3_COMETBFT_BINARY": str(self.cometbft)}
