"""A mesh of real nodes on this machine, for as long as a `with` lasts."""

import json
import subprocess
import tempfile
import time
from pathlib import Path

BUNDLE = Path(__file__).resolve().parents[2] / "models" / "bundles" / "fashion-mnist"
PATIENCE_S = 60


class Mesh:
    """Nodes that serve the ready-made bundle. Leaving kills them."""

    def __init__(self, program, nodes):
        self.program = program
        self.folder = tempfile.TemporaryDirectory(prefix="rocoin-clients-")
        self.count = nodes
        self.processes = []
        self.http = []

    def __enter__(self):
        try:
            peer = []
            for n in range(self.count):
                announced = self._start(n, peer)
                self.http.append(announced["http"])
                peer = peer or ["--peer", announced["addresses"][0]]
            deployed = [self.program, "deploy", str(BUNDLE), "--node", self.http[0], "--timeout", str(PATIENCE_S)]
            subprocess.run(deployed, check=True, capture_output=True, timeout=2 * PATIENCE_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        self.folder.cleanup()

    def _start(self, n, peer):
        folder = Path(self.folder.name) / f"node{n}"
        folder.mkdir(mode=0o700)
        announce = folder / "announce.json"
        command = [
            self.program, "node", "--open", "--no-mdns", "--name", f"node{n}", "--workers", "1",
            "--state-dir", str(folder / "state"), "--listen", "/ip4/127.0.0.1/tcp/0", "--http", "127.0.0.1:0",
            "--flops-per-s", "1e9", "--announce-file", str(announce), "--stop-with-stdin", *peer,
        ]  # fmt: skip
        log = open(folder / "log", "w")
        self.processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log))
        until = time.monotonic() + PATIENCE_S
        while not announce.exists():
            if self.processes[-1].poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"node {n} does not come up:\n{(folder / 'log').read_text()}")
            time.sleep(0.02)
        return json.loads(announce.read_text())
