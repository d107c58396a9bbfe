"""The protocol's own generated gRPC client: typed and raw contents."""

import os
import unittest

import grpc
import numpy as np
from open_inference.grpc.protocol import (
    InferTensorContents,
    ModelInferRequest,
    ModelMetadataRequest,
    ModelReadyRequest,
    ServerLiveRequest,
    ServerMetadataRequest,
    ServerReadyRequest,
)
from open_inference.grpc.service import GRPCInferenceServiceStub

from oracle import MODEL, Oracle, images

ORACLE = Oracle()


def tensor(batch, **more):
    return ModelInferRequest.InferInputTensor(name="image", datatype="FP32", shape=batch.shape, **more)


class OpenInference(unittest.TestCase):
    def setUp(self):
        self.channel = grpc.insecure_channel(os.environ["ROCOIN_HTTP"])
        self.client = GRPCInferenceServiceStub(self.channel)

    def tearDown(self):
        self.channel.close()

    def test_the_server_and_its_model_describe_themselves(self):
        self.assertTrue(self.client.ServerLive(ServerLiveRequest()).live)
        self.assertTrue(self.client.ServerReady(ServerReadyRequest()).ready)
        self.assertTrue(self.client.ModelReady(ModelReadyRequest(name=MODEL)).ready)
        self.assertEqual(self.client.ServerMetadata(ServerMetadataRequest()).name, "rocoin")
        metadata = self.client.ModelMetadata(ModelMetadataRequest(name=MODEL))
        self.assertEqual([output.name for output in metadata.outputs], ["logits", "label"])

    def test_typed_contents_are_answered_typed(self):
        batch = images(2)
        contents = InferTensorContents(fp32_contents=batch.flatten().tolist())
        request = ModelInferRequest(model_name=MODEL, id="mine", inputs=[tensor(batch, contents=contents)])
        answer = self.client.ModelInfer(request)
        logits, label = answer.outputs
        ORACLE.check(batch, np.array(logits.contents.fp32_contents, np.float32).reshape(logits.shape))
        self.assertEqual((answer.id, len(label.contents.bytes_contents)), ("mine", 2))

    def test_raw_contents_are_answered_raw(self):
        batch = images(2)
        request = ModelInferRequest(model_name=MODEL, inputs=[tensor(batch)], raw_input_contents=[batch.tobytes()])
        answer = self.client.ModelInfer(request)
        logits = np.frombuffer(answer.raw_output_contents[0], "<f4").reshape(answer.outputs[0].shape)
        ORACLE.check(batch, logits)

    def test_a_negative_shape_and_a_deadline_are_refused_by_code(self):
        wrong = ModelInferRequest.InferInputTensor(name="image", datatype="FP32", shape=[-1, 1, 28, 28])
        with self.assertRaises(grpc.RpcError) as refusal:
            self.client.ModelInfer(ModelInferRequest(model_name=MODEL, inputs=[wrong], raw_input_contents=[b""]))
        self.assertEqual(refusal.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
