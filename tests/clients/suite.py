"""Starts a mesh and lets every client at it, each in a process of its own: their generated messages exclude each other."""

import os
import subprocess
import sys
import time
from pathlib import Path

from mesh import Mesh

HERE = Path(__file__).resolve().parent


def main():
    failed = []
    start = time.monotonic()
    with Mesh(sys.argv[1], 3) as mesh:
        # Any node answers; that the second one does shows it.
        environment = {**os.environ, "ROCOIN_HTTP": mesh.http[1], "ROCOIN_PID": str(mesh.processes[1].pid)}
        for check in sorted(HERE.glob("check_*.py")):
            print(f"-- {check.stem.removeprefix('check_')}", flush=True)
            command = [sys.executable, "-m", "unittest", check.stem]
            if subprocess.run(command, cwd=HERE, env=environment).returncode != 0:
                failed.append(check.stem)
        ended = [n for n, process in enumerate(mesh.processes) if process.poll() is not None]
    if ended:
        failed.append(f"nodes {ended} have ended")
    print(f"{time.monotonic() - start:.0f} s; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
