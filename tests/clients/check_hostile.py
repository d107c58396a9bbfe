"""Clients that mean no good: a clear refusal for each, and the node's memory stays where it was."""

import http.client
import json
import os
import resource
import socket
import time
import unittest
from pathlib import Path

from oracle import MODEL, images

ADDRESS = os.environ["ROCOIN_HTTP"].rsplit(":", 1)
HOST, PORT = ADDRESS[0], int(ADDRESS[1])
INFER = f"/v2/models/{MODEL}/infer"


def memory_mib():
    status = Path(f"/proc/{os.environ['ROCOIN_PID']}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def ask(body, path=INFER, headers=None):
    connection = http.client.HTTPConnection(HOST, PORT, timeout=60)
    connection.request("POST", path, body, {"Content-Type": "application/json", **(headers or {})})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text


def good():
    image = images(1)
    tensor = {"name": "image", "shape": [1, 1, 28, 28], "datatype": "FP32", "data": image.flatten().tolist()}
    return json.dumps({"inputs": [tensor], "parameters": {"deadline_ms": 20_000}})


class Hostile(unittest.TestCase):
    def setUp(self):
        self.before = memory_mib()

    def tearDown(self):
        self.assertEqual(ask(good())[0], 200, "the node goes on")
        self.assertLess(memory_mib() - self.before, 64)

    def refused(self, statuses, *asked, **more):
        status, text = ask(*asked, **more)
        self.assertIn(status, statuses, text)
        self.assertTrue(json.loads(text)["error"])

    def test_bodies_that_are_none(self):
        for body in (b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"inputs": 1}', b'{"inputs": [{}]}', b"null"):
            self.refused([400], body)

    def test_names_that_are_paths(self):
        for name in ("..%2f..%2fetc%2fpasswd", "%00", "%ff", "x" * 4000, "%2e%2e", "a%20b"):
            self.refused([400, 404], good(), path=f"/v2/models/{name}/infer")

    def test_a_body_of_a_gibibyte(self):
        with socket.create_connection((HOST, PORT), timeout=60) as client:
            head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {1 << 30}\r\n\r\n"
            client.sendall(head.encode())
            block, sent = b" " * (1 << 20), 0
            try:
                while sent < 1 << 30:
                    client.sendall(block)
                    sent += len(block)
            except OSError:
                pass
            self.assertLess(sent, 64 << 20, "the node stops reading")
            try:
                self.assertIn(b" 413 ", client.recv(64))
            except ConnectionResetError:
                pass

    def test_headers_without_an_end(self):
        with socket.create_connection((HOST, PORT), timeout=60) as client:
            client.sendall(b"GET /v2 HTTP/1.1\r\n")
            answer = b""
            try:
                for n in range(100_000):
                    client.sendall(f"X-{n}: {'y' * 1000}\r\n".encode())
                client.shutdown(socket.SHUT_WR)
                answer = client.recv(64)
            except OSError:
                return
            self.assertIn(b" 431 ", answer)

    def test_a_thousand_idle_connections(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        idle = []
        try:
            for _ in range(1000):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex((HOST, PORT))
                idle.append(client)
            # Those that say nothing are closed after five seconds; then the next have their turn.
            until = time.monotonic() + 90
            while ask_patiently() != 200:
                self.assertLess(time.monotonic(), until)
        finally:
            for client in idle:
                client.close()


def ask_patiently():
    try:
        return ask(good())[0]
    except OSError:
        return 0
