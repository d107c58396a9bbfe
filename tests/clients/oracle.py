"""What the bundle's students say where somebody else runs them: ONNX Runtime."""

import gzip
import itertools
import json

import numpy as np
import onnxruntime

from mesh import BUNDLE

MODEL = "fashion-mnist"
MANIFEST = json.loads((BUNDLE / "manifest.json").read_text())
# Other vector instructions, other roundings; the mesh itself lets replicas differ by as much.
TOLERANCE = 1e-3


def images(count):
    """The first test images, [count, 1, 28, 28], float32 from 0 to 255."""
    with gzip.open(BUNDLE / "test" / "t10k-images-idx3-ubyte.gz") as file:
        data = np.frombuffer(file.read(), np.uint8, offset=16)
    return data.reshape(-1, 1, 28, 28)[:count].astype(np.float32)


class Oracle:
    """Every student of the bundle, run by ONNX Runtime."""

    def __init__(self):
        def session(card):
            return onnxruntime.InferenceSession(str(BUNDLE / card["file"]), providers=["CPUExecutionProvider"])

        self.parts = [[session(card) for card in part["students"]] for part in MANIFEST["parts"]]
        self.bias = np.array(MANIFEST["merge"]["bias"], np.float32)

    def check(self, batch, logits):
        """Fails unless every row of logits is the sum of one student's answer of each part."""
        assert logits.shape == (len(batch), MANIFEST["classes"]), logits.shape
        partial = [[student.run(None, {"image": batch})[0] for student in part] for part in self.parts]
        for n, row in enumerate(logits):
            sums = (self.bias + sum(chosen[n] for chosen in choice) for choice in itertools.product(*partial))
            off = min(np.abs(row - expected).max() for expected in sums)
            assert off <= TOLERANCE * max(1.0, np.abs(row).max()), f"image {n} is off by {off}"


def labels(logits):
    """The labels that belong to these logits, as bytes."""
    return [MANIFEST["labels"][n].encode() for n in logits.argmax(axis=1)]
