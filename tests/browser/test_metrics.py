"""The metrics in a real Prometheus that scrapes three nodes, and everything in `deploy/` that reads them."""

import json
import re
import socket
import subprocess
import tempfile
import unittest
import urllib.parse
import urllib.request

from mesh import ROOT, Mesh, ask, wait

DEPLOY = ROOT / "deploy"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = cls.enterClassContext(Mesh(3))
        cls.mesh.deploy()
        cls.mesh.wait_whole()
        for node in cls.mesh.nodes:
            for index in range(5):
                assert ask(node, index), "a request without an answer"
        cls.prometheus = cls.enterClassContext(Prometheus([node.told["http"] for node in cls.mesh.nodes]))
        wait("three nodes are scraped", lambda: cls.prometheus.value("sum(up)") == 3, 30)

    def test_promtool_finds_nothing_to_mend(self):
        for node in self.mesh.nodes:
            page = node.get("/metrics")
            check = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
            self.assertEqual((check.returncode, check.stdout + check.stderr), (0, ""))

    def test_scrapers_get_openmetrics(self):
        page = self.mesh.nodes[0].get("/metrics", accept="application/openmetrics-text; version=1.0.0")
        self.assertTrue(page.endswith("# EOF\n"))
        self.assertIn("# UNIT rocoin_request_duration_seconds seconds", page)

    def test_prometheus_knows_what_the_nodes_know(self):
        value = self.prometheus.value
        self.assertEqual(value('sum(rocoin_requests_total{outcome="ok"})'), 15)
        self.assertEqual(value("sum(rocoin_request_duration_seconds_count)"), 15)
        self.assertEqual(value('min(rocoin_members{state="alive"})'), 3)
        self.assertEqual(value("min(rocoin_parts_served)"), value("max(rocoin_parts)"))
        self.assertEqual(value("sum(rocoin_is_leader)"), 1)
        self.assertGreater(value('sum(rocoin_lane_bytes_total{lane="control"})'), 0)
        self.assertEqual(value("count(rocoin_build_info)"), 3)

    def test_no_label_has_more_values_than_is_bounded(self):
        for node in self.mesh.nodes:
            series = [line for line in node.get("/metrics").splitlines() if not line.startswith("#")]
            self.assertLess(len(series), 400)

    def test_the_rules_are_sound(self):
        check = subprocess.run(["promtool", "check", "rules", DEPLOY / "alerts.yml"], capture_output=True, text=True)
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)

    def test_whatever_the_dashboard_and_the_rules_ask_for_exists(self):
        known = set(self.prometheus.names())
        known |= {name.removesuffix("_bucket") for name in known}  # Texts call a histogram by its own name.
        for file in ["grafana.json", "alerts.yml"]:
            asked = set(re.findall(r"\brocoin_[a-z_]+", (DEPLOY / file).read_text()))
            self.assertTrue(asked)
            self.assertEqual(asked - known, set(), file)

    def test_every_query_of_the_dashboard_is_sound(self):
        board = json.loads((DEPLOY / "grafana.json").read_text())
        targets = [target for panel in board["panels"] for target in panel.get("targets", [])]
        self.assertGreater(len(targets), 10)
        for target in targets:
            self.prometheus.query(target["expr"].replace("$__rate_interval", "1m").replace("$node", ".*"))

    def test_no_alert_fires_on_a_mesh_that_is_well(self):
        alerts = self.prometheus.get("/api/v1/alerts")["alerts"]
        self.assertEqual([alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"], [])


class Prometheus:
    """The server, scraping these nodes every second by the rules in `deploy/`."""

    def __init__(self, nodes):
        self.folder = tempfile.TemporaryDirectory(prefix="rocoin-prometheus-")
        config = f"{self.folder.name}/prometheus.yml"
        with open(config, "w") as file:
            json.dump(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": [str(DEPLOY / "alerts.yml")],
                    "scrape_configs": [{"job_name": "rocoin", "static_configs": [{"targets": nodes}]}],
                },
                file,
            )
        subprocess.run(["promtool", "check", "config", config], check=True, capture_output=True)
        self.address = f"127.0.0.1:{free_port()}"
        flags = [f"--config.file={config}", f"--storage.tsdb.path={self.folder.name}/data"]
        flags += [f"--web.listen-address={self.address}"]
        self.log = open(f"{self.folder.name}/log", "w")
        self.process = subprocess.Popen(["prometheus", *flags], stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as response:
            return json.load(response)["data"]

    def query(self, expression):
        return self.get(f"/api/v1/query?query={urllib.parse.quote(expression)}")["result"]

    def value(self, expression):
        result = self.query(expression)
        return float(result[0]["value"][1]) if result else None

    def names(self):
        return self.get("/api/v1/label/__name__/values")


if __name__ == "__main__":
    unittest.main()
