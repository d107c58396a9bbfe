"""Triton's client over gRPC: calls, calls in the background, a stream, deadlines, cancellation."""

import json
import os
import queue
import unittest

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from oracle import MODEL, Oracle, images, labels

ORACLE = Oracle()


def tensor(batch, datatype="FP32"):
    tensor = InferInput("image", list(batch.shape), datatype)
    tensor.set_data_from_numpy(batch)
    return tensor


class TritonGrpc(unittest.TestCase):
    def setUp(self):
        self.client = InferenceServerClient(os.environ["ROCOIN_HTTP"])

    def tearDown(self):
        self.client.close()

    def test_the_server_and_its_model_describe_themselves(self):
        self.assertTrue(self.client.is_server_live() and self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready(MODEL) and self.client.is_model_ready(MODEL, "1"))
        self.assertEqual(self.client.get_server_metadata().name, "rocoin")
        metadata = self.client.get_model_metadata(MODEL)
        self.assertEqual((metadata.inputs[0].name, list(metadata.inputs[0].shape)), ("image", [-1, 1, 28, 28]))
        config = self.client.get_model_config(MODEL, as_json=True)["config"]
        self.assertEqual((config["max_batch_size"], config["output"][1]["data_type"]), (64, "TYPE_STRING"))
        self.assertEqual(self.client.get_model_repository_index().models[0].state, "READY")

    def test_answers_are_what_the_students_say(self):
        for count in (1, 5, 64):
            batch = images(count)
            parameters = {"deadline_ms": 30_000}
            result = self.client.infer(MODEL, [tensor(batch)], request_id="mine", parameters=parameters)
            ORACLE.check(batch, result.as_numpy("logits"))
            self.assertEqual(result.as_numpy("label").tolist(), labels(result.as_numpy("logits")))
            response = result.get_response()
            self.assertEqual((response.id, response.model_version), ("mine", "1"))
            self.assertFalse(response.parameters["degraded"].bool_param)
            self.assertEqual(json.loads(response.parameters["parts_used"].string_param), [0, 1, 2, 3])

    def test_bytes_and_classes(self):
        batch = images(2)
        outputs = [InferRequestedOutput("logits"), InferRequestedOutput("label")]
        result = self.client.infer(MODEL, [tensor(batch.astype(np.uint8), "UINT8")], outputs=outputs)
        ORACLE.check(batch, result.as_numpy("logits"))
        result = self.client.infer(MODEL, [tensor(batch)], outputs=[InferRequestedOutput("logits", class_count=3)])
        self.assertEqual(result.as_numpy("logits").shape, (2, 3))

    def test_many_at_once(self):
        batch, results = images(24), queue.Queue()
        for n in range(24):
            done = lambda result, error, n=n: results.put((n, result, error))
            self.client.async_infer(MODEL, [tensor(batch[n : n + 1])], callback=done, client_timeout=20)
        for _ in range(24):
            n, result, error = results.get(timeout=30)
            self.assertIsNone(error)
            ORACLE.check(batch[n : n + 1], result.as_numpy("logits"))

    def test_a_stream_answers_in_order_and_outlives_a_refusal(self):
        batch, results = images(6), queue.Queue()
        self.client.start_stream(callback=lambda result, error: results.put((result, error)))
        for n in range(6):
            model = "other" if n == 3 else MODEL
            self.client.async_stream_infer(model, [tensor(batch[n : n + 1])], request_id=str(n))
        for n in range(6):
            result, error = results.get(timeout=30)
            if n == 3:
                self.assertIn("is not served here", str(error))
            else:
                self.assertEqual(result.get_response().id, str(n))
                ORACLE.check(batch[n : n + 1], result.as_numpy("logits"))
        self.client.stop_stream()

    def test_refusals_have_their_code(self):
        for code, model, version, batch, parameters in [
            ("NOT_FOUND", "other", "", images(1), None),
            ("NOT_FOUND", MODEL, "9", images(1), None),
            ("INVALID_ARGUMENT", MODEL, "", images(1).astype(np.float16), None),
            ("INVALID_ARGUMENT", MODEL, "", np.zeros((1, 1, 28, 27), np.float32), None),
            ("INVALID_ARGUMENT", MODEL, "", np.zeros((65, 1, 28, 28), np.float32), None),
            ("INVALID_ARGUMENT", MODEL, "", np.full((1, 1, 28, 28), np.inf, np.float32), None),
            ("INVALID_ARGUMENT", MODEL, "", images(1), {"min_parts": 5}),
            ("RESOURCE_EXHAUSTED", MODEL, "", np.zeros((500, 1, 28, 28), np.float32), None),
        ]:
            datatype = "FP16" if batch.dtype == np.float16 else "FP32"
            with self.assertRaises(InferenceServerException) as refusal:
                self.client.infer(model, [tensor(batch, datatype)], model_version=version, parameters=parameters)
            self.assertEqual(refusal.exception.status(), f"StatusCode.{code}", refusal.exception.message())
        with self.assertRaises(InferenceServerException) as refusal:
            self.client.load_model(MODEL)
        self.assertEqual(refusal.exception.status(), "StatusCode.UNIMPLEMENTED")

    def test_a_deadline_passes(self):
        with self.assertRaises(InferenceServerException) as refusal:
            self.client.infer(MODEL, [tensor(images(64))], client_timeout=0.01)
        self.assertEqual(refusal.exception.status(), "StatusCode.DEADLINE_EXCEEDED")

    def test_a_call_can_be_given_up(self):
        results = queue.Queue()
        done = lambda result, error: results.put(error)
        self.client.async_infer(MODEL, [tensor(images(64))], callback=done, client_timeout=30).cancel()
        self.assertIn("CANCELLED", str(results.get(timeout=30).status()))

    def test_statistics_count_images(self):
        def count():
            return self.client.get_inference_statistics(MODEL).model_stats[0].inference_count

        before = count()
        self.client.infer(MODEL, [tensor(images(3))])
        self.assertEqual(count(), before + 3)
