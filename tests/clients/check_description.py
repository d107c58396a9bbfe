"""schemathesis against /openapi.json: whatever it makes up, nothing is a server error."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = os.environ.get("ROCOIN_EXAMPLES", "30")


class Description(unittest.TestCase):
    def test_nothing_that_is_made_up_is_a_server_error(self):
        command = [
            str(Path(sys.executable).parent / "st"), "--config-file", str(HERE / "schemathesis.toml"), "run",
            f"http://{os.environ['ROCOIN_HTTP']}/openapi.json", "--checks", "not_a_server_error",
            "--max-examples", EXAMPLES, "--seed", "1", "--no-color",
        ]  # fmt: skip
        ran = subprocess.run(command, capture_output=True, text=True, timeout=1800)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
