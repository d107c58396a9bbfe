"""Triton's client over HTTP: binary tensors (its default) and JSON."""

import os
import unittest

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from oracle import MANIFEST, MODEL, Oracle, images, labels

ORACLE = Oracle()


def tensor(batch, datatype="FP32", binary=True):
    tensor = InferInput("image", list(batch.shape), datatype)
    tensor.set_data_from_numpy(batch, binary_data=binary)
    return tensor


class TritonHttp(unittest.TestCase):
    def setUp(self):
        self.client = InferenceServerClient(os.environ["ROCOIN_HTTP"], concurrency=8)

    def tearDown(self):
        self.client.close()

    def test_the_server_and_its_model_describe_themselves(self):
        self.assertTrue(self.client.is_server_live() and self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready(MODEL) and self.client.is_model_ready(MODEL, "1"))
        self.assertFalse(self.client.is_model_ready("other") or self.client.is_model_ready(MODEL, "9"))
        self.assertIn("binary_tensor_data", self.client.get_server_metadata()["extensions"])
        metadata = self.client.get_model_metadata(MODEL)
        self.assertEqual(metadata["inputs"], [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 28, 28]}])
        config = self.client.get_model_config(MODEL, "1")
        self.assertEqual((config["max_batch_size"], config["input"][0]["data_type"]), (64, "TYPE_FP32"))
        self.assertEqual(self.client.get_model_repository_index()[0]["state"], "READY")

    def test_binary_and_json_are_answered_alike_and_as_the_students_say(self):
        for count in (1, 5):
            batch = images(count)
            for binary in (True, False):
                for outputs in (
                    None,
                    [InferRequestedOutput("logits", binary_data=True), InferRequestedOutput("label", binary_data=False)],
                    [InferRequestedOutput("logits", binary_data=False), InferRequestedOutput("label", binary_data=True)],
                ):
                    result = self.client.infer(MODEL, [tensor(batch, binary=binary)], outputs=outputs, request_id="mine")
                    logits = result.as_numpy("logits")
                    ORACLE.check(batch, logits)
                    told = [t if isinstance(t, bytes) else t.encode() for t in result.as_numpy("label").tolist()]
                    self.assertEqual(told, labels(logits))
                    response = result.get_response()
                    self.assertEqual((response["id"], response["model_version"]), ("mine", "1"))
                    self.assertFalse(response["parameters"]["degraded"])

    def test_bytes_are_taken_as_images(self):
        batch = images(2)
        for binary in (True, False):
            result = self.client.infer(MODEL, [tensor(batch.astype(np.uint8), "UINT8", binary)])
            ORACLE.check(batch, result.as_numpy("logits"))

    def test_the_largest_batch(self):
        batch = images(64)
        result = self.client.infer(MODEL, [tensor(batch)], parameters={"deadline_ms": 30_000})
        ORACLE.check(batch, result.as_numpy("logits"))

    def test_the_likeliest_classes(self):
        result = self.client.infer(MODEL, [tensor(images(2))], outputs=[InferRequestedOutput("logits", class_count=3)])
        classes = result.as_numpy("logits")
        self.assertEqual(classes.shape, (2, 3))
        _, number, label = classes[0][0].decode().split(":")
        self.assertEqual(MANIFEST["labels"][int(number)], label)

    def test_many_at_once(self):
        batch = images(24)
        open_requests = [self.client.async_infer(MODEL, [tensor(batch[n : n + 1])], timeout=20_000_000) for n in range(24)]
        logits = np.concatenate([request.get_result().as_numpy("logits") for request in open_requests])
        ORACLE.check(batch, logits)

    def test_parameters_are_heeded(self):
        result = self.client.infer(MODEL, [tensor(images(1))], parameters={"mode": "hedged", "min_parts": 4})
        self.assertEqual(result.get_response()["parameters"]["mode"], "hedged")

    def test_refusals_have_their_status(self):
        for status, model, version, batch, parameters in [
            ("404", "other", "", images(1), None),
            ("404", MODEL, "9", images(1), None),
            ("404", "../../api/status", "", images(1), None),
            ("400", MODEL, "", images(1).astype(np.float64), None),
            ("400", MODEL, "", images(1).astype(np.float16), None),
            ("400", MODEL, "", np.zeros((1, 1, 28, 27), np.float32), None),
            ("400", MODEL, "", np.zeros((65, 1, 28, 28), np.float32), None),
            ("400", MODEL, "", np.full((1, 1, 28, 28), np.nan, np.float32), None),
            ("400", MODEL, "", images(1), {"min_parts": 5}),
        ]:
            datatype = {"float64": "FP64", "float16": "FP16"}.get(str(batch.dtype), "FP32")
            with self.assertRaises(InferenceServerException) as refusal:
                self.client.infer(model, [tensor(batch, datatype)], model_version=version, parameters=parameters)
            self.assertEqual(refusal.exception.status(), status, refusal.exception.message())
            self.assertTrue(refusal.exception.message())

    def test_compression_is_refused_in_words(self):
        with self.assertRaisesRegex(InferenceServerException, "without compression"):
            self.client.infer(MODEL, [tensor(images(1))], request_compression_algorithm="gzip")

    def test_statistics_count_images(self):
        def count():
            return self.client.get_inference_statistics(MODEL)["model_stats"][0]["inference_count"]

        before = count()
        self.client.infer(MODEL, [tensor(images(3))])
        self.assertEqual(count(), before + 3)
