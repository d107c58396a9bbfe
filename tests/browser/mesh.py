"""Real nodes of the built program on loopback, in a temporary folder."""

import gzip
import json
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "models/bundles/fashion-mnist"
PROGRAM = os.environ.get("ROCOIN", "rocoin")
# RAM for students, bytes: room for some. And compute, FLOP/s: boards of a few generations.
MEMORY_BYTES = 16 << 20
GFLOPS = [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0]


def wait(what, look, timeout_s):
    """Looks until it gives something true, and gives that; an exception counts as not yet."""
    begun, seen = time.monotonic(), None
    while time.monotonic() - begun < timeout_s:
        try:
            seen = look()
            if seen:
                return seen
        except (OSError, KeyError, ValueError) as error:
            seen = error
        time.sleep(0.02)
    raise AssertionError(f"after {timeout_s} s still not: {what}; last seen: {seen}")


class Node:
    """One process. Its folder and its HTTP address stay when it is started again."""

    def __init__(self, mesh, name, gflops):
        self.mesh, self.name, self.gflops = mesh, name, gflops
        self.folder = mesh.folder / name
        self.folder.mkdir()
        self.process, self.told = None, None

    def start(self, peers):
        announce = self.folder / "announce.json"
        announce.unlink(missing_ok=True)
        flags = ["--name", self.name, "--state-dir", self.folder / "state", "--announce-file", announce]
        flags += ["--fleet-key-file", self.mesh.key, "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns"]
        flags += ["--http", self.told["http"] if self.told else "127.0.0.1:0", "--stop-with-stdin", "--fault-injection"]
        flags += ["--workers", "1", "--memory-bytes", str(MEMORY_BYTES)]
        flags += ["--emulate-flops-per-s", str(self.gflops * 1e9)]
        for peer in peers:
            flags += ["--peer", peer]
        with open(self.folder / "log", "a") as log:
            self.process = subprocess.Popen([PROGRAM, "node", *flags], stdin=subprocess.PIPE, stderr=log)
        self.told = wait(f"{self.name} listens", lambda: json.loads(announce.read_text()), 20)

    @property
    def id(self):
        return self.told["node"]

    @property
    def url(self):
        return f"http://{self.told['http']}"

    def get(self, path, accept="*/*"):
        request = urllib.request.Request(self.url + path, headers={"accept": accept})
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.read().decode()

    def post(self, path, body):
        data, headers = json.dumps(body).encode(), {"content-type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=5) as response:
            return response.read().decode()

    def status(self):
        return json.loads(self.get("/api/status"))

    def kill(self):
        """kill -9; the process is gone when this returns."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process = None


class Mesh:
    """A context: its nodes end and its folder goes with it."""

    def __init__(self, nodes):
        self._folder = tempfile.TemporaryDirectory(prefix="rocoin-browser-")
        self.folder = pathlib.Path(self._folder.name)
        self.key = self.folder / "fleet.key"
        self.command("fleet", "init", "--key-file", self.key)
        self.nodes = [Node(self, f"device-{i + 1}", GFLOPS[i]) for i in range(nodes)]

    def __enter__(self):
        for node in self.nodes:
            self.start(node)
        return self

    def __exit__(self, *_):
        for node in self.running():
            node.kill()
        self._folder.cleanup()

    def running(self):
        return [node for node in self.nodes if node.process]

    def start(self, node):
        node.start([other.told["addresses"][0] for other in self.running() if other is not node][:3])

    def command(self, *arguments):
        ran = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
        if ran.returncode:
            raise AssertionError(f"rocoin {arguments[0]} failed: {ran.stderr}")
        return ran.stdout

    def deploy(self):
        self.command("deploy", BUNDLE, "--node", self.nodes[0].told["http"], "--timeout", "180")

    def wait_whole(self, timeout_s=60):
        """Every running node sees just the running ones alive, and each part ready at all of its group and at least twice."""
        running = {node.id for node in self.running()}

        def is_whole(node):
            status = node.status()
            alive = {m["node"] for m in status["members"] if m["state"] == "alive" and m["routable"]}
            ready = all(set(p["group"]) <= set(p["ready"]) and len(p["ready"]) > 1 for p in status["parts"])
            return alive == running and status["parts"] and ready and status["leader"] in running

        wait("the mesh is whole", lambda: all(is_whole(node) for node in self.running()), timeout_s)

    def partition(self, *sides):
        """Blocks everything between the sides, both ways, silently."""
        for side in sides:
            others = [node for other in sides if other is not side for node in other]
            for node in side:
                node.post("/api/faults", {"block": {other.id: "both" for other in others}})

    def heal(self):
        for node in self.running():
            node.post("/api/faults", {})


def test_image(index):
    """A test image of the bundle: 28 rows of 28 bytes, one after the other."""
    with gzip.open(BUNDLE / "test/t10k-images-idx3-ubyte.gz") as file:
        return file.read()[16 + index * 784 : 16 + (index + 1) * 784]


def test_label(index):
    """Its class's name."""
    with gzip.open(BUNDLE / "test/t10k-labels-idx1-ubyte.gz") as file:
        return json.loads((BUNDLE / "manifest.json").read_text())["labels"][file.read()[8 + index]]


def png(pixels, width):
    """A grey PNG of these bytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + pixels[i : i + width] for i in range(0, len(pixels), width))
    head = struct.pack(">IIBBBBB", width, len(pixels) // width, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def ask(node, index, **parameters):
    """Asks about a test image; the answer, or None where there is none."""
    inputs = [{"name": "image", "shape": [1, 1, 28, 28], "datatype": "UINT8", "data": list(test_image(index))}]
    try:
        body = node.post("/v2/models/fashion-mnist/infer", {"inputs": inputs, "parameters": parameters})
        return json.loads(body)
    except (urllib.error.URLError, OSError):
        return None
