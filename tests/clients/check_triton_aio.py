"""Triton's asyncio clients, HTTP and gRPC."""

import asyncio
import os
import unittest

import tritonclient.grpc.aio as grpc
import tritonclient.http.aio as http

from oracle import MODEL, Oracle, images

ORACLE = Oracle()


class TritonAio(unittest.IsolatedAsyncioTestCase):
    async def many_at_once(self, module):
        batch = images(16)

        async def ask(client, n):
            tensor = module.InferInput("image", [1, 1, 28, 28], "FP32")
            tensor.set_data_from_numpy(batch[n : n + 1])
            result = await client.infer(MODEL, [tensor], timeout=20_000_000)
            ORACLE.check(batch[n : n + 1], result.as_numpy("logits"))

        async with module.InferenceServerClient(os.environ["ROCOIN_HTTP"]) as client:
            self.assertTrue(await client.is_server_ready() and await client.is_model_ready(MODEL))
            await asyncio.gather(*(ask(client, n) for n in range(16)))

    async def test_http(self):
        await self.many_at_once(http)

    async def test_grpc(self):
        await self.many_at_once(grpc)
