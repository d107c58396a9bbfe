"""KServe's clients, REST and gRPC; binary and JSON."""

import os
import unittest

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

from oracle import MODEL, Oracle, images

ORACLE = Oracle()


def request(batch, binary, **more):
    tensor = InferInput("image", list(batch.shape), "FP32")
    tensor.set_data_from_numpy(batch, binary_data=binary)
    return InferRequest(MODEL, [tensor], request_id="mine", **more)


class KServe(unittest.IsolatedAsyncioTestCase):
    async def test_rest(self):
        base = f"http://{os.environ['ROCOIN_HTTP']}"
        client = InferenceRESTClient(RESTConfig(protocol="v2"))
        self.assertTrue(await client.is_server_live(base) and await client.is_server_ready(base))
        self.assertTrue(await client.is_model_ready(base, MODEL))
        batch = images(3)
        for binary in (True, False):
            outputs = [RequestedOutput("logits", parameters={"binary_data": binary})]
            asked = request(batch, binary, request_outputs=outputs)
            answer = await client.infer(base, asked, model_name=MODEL)
            self.assertEqual(answer.id, "mine")
            ORACLE.check(batch, answer.outputs[0].as_numpy())
        await client.close()

    async def test_grpc(self):
        client = InferenceGRPCClient(os.environ["ROCOIN_HTTP"])
        self.assertTrue(await client.is_server_live() and await client.is_server_ready())
        self.assertTrue(await client.is_model_ready(MODEL))
        batch = images(3)
        for binary in (True, False):
            answer = await client.infer(request(batch, binary))
            self.assertEqual(answer.id, "mine")
            logits = next(output for output in answer.outputs if output.name == "logits")
            ORACLE.check(batch, np.asarray(logits.as_numpy()).reshape(3, -1))
        await client.close()
