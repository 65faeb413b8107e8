# SPDX-License-Identifier: MIT
"""The command line tool: `python -m torch_ir`, `torch-ir`."""

import os
import signal
import sys
from typing import List, Optional


def main(argv: Optional[List[str]] = None) -> int:
    """Run the tool and return its exit status.

    Args:
        argv: What follows the program's name on a command line; that of this process when left out.
    """
    # Read by the OpenMP runtime when it is loaded: a thread that waits should not take the core from other processes.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    from . import _core

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout.flush()
    return _core.run_tool(["torch-ir", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
