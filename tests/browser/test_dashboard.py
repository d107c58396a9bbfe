"""The dashboard in a real Chromium: what a person sees while nodes die, the mesh is cut in two, and the page's own node is gone."""

import os
import pathlib
import shutil
import threading
import time
import unittest

from mesh import Mesh, ask, png, test_image, test_label, wait
from playwright.sync_api import expect, sync_playwright

# A device that is killed shows within this time.
TURNS_WITHIN_S = 3.0
IMAGE = 0
# Everything else is awaited for so long: the machine may be busy.
expect.set_options(timeout=15_000)
PICTURES = os.environ.get("ROCOIN_PICTURES")
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}


class Load(threading.Thread):
    """Requests at one node, some a second, until it is stopped: something to see in the charts."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.stopped = node, threading.Event()

    def run(self):
        index = 0
        while not self.stopped.wait(0.08):
            index = (index + 1) % 100
            ask(self.node, index)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.join()


class Dashboard(unittest.TestCase):
    """One mesh and one browser for all of them, since each test leaves the mesh whole."""

    @classmethod
    def setUpClass(cls):
        cls.mesh = cls.enterClassContext(Mesh(8))
        cls.mesh.deploy()
        cls.mesh.wait_whole()
        playwright = cls.enterClassContext(sync_playwright())
        cls.browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.complaints = []
        self.mesh.wait_whole()

    def open(self, node, viewport=DESKTOP, scheme="light"):
        context = self.browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        self.addCleanup(context.close)
        page = context.new_page()
        page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(node.url)
        expect(page.get_by_role("status").first).to_have_text("live")
        return page

    def row(self, page, node):
        return page.locator(f'#matrix tr[data-node="{node.id}"]')

    def picture(self, page, name, locator=None):
        if PICTURES:
            path = pathlib.Path(PICTURES) / f"{name}.png"
            locator.screenshot(path=path) if locator else page.screenshot(path=path, full_page=True)

    def choose_image(self, page):
        image = {"name": "image.png", "mimeType": "image/png", "buffer": png(test_image(IMAGE), 28)}
        page.get_by_label("An image", exact=True).set_input_files(image)

    def leader(self):
        leader = self.mesh.nodes[0].status()["leader"]
        return next(node for node in self.mesh.nodes if node.id == leader)

    def bystander(self):
        """Neither the node of the page nor the leader."""
        return next(node for node in reversed(self.mesh.nodes) if node not in (self.mesh.nodes[0], self.leader()))

    def test_the_matrix_shows_every_device_and_every_part(self):
        page = self.open(self.mesh.nodes[0])
        table = page.get_by_role("table", name="Who holds which part")
        expect(table.get_by_role("rowheader")).to_have_count(8)
        expect(table.get_by_role("columnheader")).to_have_count(5)
        for part in range(4):
            self.assertGreaterEqual(table.locator(f'td[data-part="{part}"][data-state="ready"]').count(), 2)
        expect(page.locator("#parts-served")).to_have_text("4 of 4")
        expect(page.locator("#islands-text")).to_have_text("All 8 members are on one island.")
        self.assertEqual(self.complaints, [])

    def test_a_killed_node_turns_within_3_s_and_comes_back(self):
        page = self.open(self.mesh.nodes[0])
        victim = self.bystander()
        expect(self.row(page, victim)).to_have_attribute("data-state", "alive")
        held = self.row(page, victim).locator('td[data-state="ready"]').count()
        self.assertGreater(held, 0)
        with Load(self.mesh.nodes[0]):
            time.sleep(1)
            victim.kill()
            killed = time.monotonic()
            changed = page.locator(f'#matrix tr[data-node="{victim.id}"]:not([data-state="alive"])')
            changed.wait_for(timeout=TURNS_WITHIN_S * 1000)
            took = time.monotonic() - killed
            print(f"\n  the row turned after {took:.2f} s", end=" ")
            expect(self.row(page, victim).locator('td[data-state="ready"]')).to_have_count(0)
            expect(self.row(page, victim)).to_have_attribute("data-state", "dead", timeout=15_000)
            expect(page.locator("#events")).to_contain_text(f"{victim.name} is given up")
            expect(page.locator("#announcer")).not_to_be_empty()
        self.picture(page, "dashboard-dead")
        self.mesh.start(victim)
        expect(self.row(page, victim)).to_have_attribute("data-state", "alive", timeout=15_000)
        self.mesh.wait_whole()
        self.assertEqual(self.complaints, [])

    def test_a_partition_shows_as_islands_from_both_sides(self):
        near, far = self.mesh.nodes[:5], self.mesh.nodes[5:]
        pages = [self.open(near[0]), self.open(far[0])]
        self.mesh.partition(near, far)
        self.addCleanup(self.mesh.heal)
        for page, here, there in [(pages[0], near, far), (pages[1], far, near)]:
            text = page.locator("#islands-text")
            expect(text).to_contain_text(f"{len(here)} of 8 members are on this node's island", timeout=20_000)
            for node in there:
                expect(self.row(page, node)).to_have_attribute("data-state", "dead")
                expect(text).to_contain_text(node.name)
            self.assertGreaterEqual(page.locator("#islands .land.lost").count(), 1)
            self.assertEqual(page.locator("#islands .land:not(.lost)").count(), 1)
        self.picture(pages[0], "islands", pages[0].locator("#topology"))
        self.mesh.heal()
        for page in pages:
            expect(page.locator("#islands-text")).to_have_text("All 8 members are on one island.", timeout=20_000)
        self.mesh.wait_whole()
        self.assertEqual(self.complaints, [])

    def test_an_image_is_answered_and_the_answer_is_explained(self):
        page = self.open(self.mesh.nodes[0])
        self.choose_image(page)
        page.get_by_role("button", name="Ask").click()
        expect(page.locator("#answer")).to_contain_text(test_label(IMAGE))
        expect(page.locator("#answer")).to_contain_text("complete")
        expect(page.get_by_role("table", name="Probabilities").get_by_role("rowheader")).to_have_count(10)
        tries = page.get_by_role("table", name="Every replica that was asked").locator("tbody tr")
        self.assertGreaterEqual(tries.count(), 8)
        self.assertEqual(page.locator('#waterfall tr[data-fate="used"]').count(), 4)
        for mode in ["hedged", "verify"]:
            page.get_by_label("Replicas are asked").select_option(mode)
            page.get_by_role("button", name="Ask").click()
            expect(page.locator("#answer")).to_contain_text(test_label(IMAGE))
        self.assertEqual(self.complaints, [])

    def test_a_sketch_is_answered(self):
        page = self.open(self.mesh.nodes[0])
        page.get_by_role("button", name="Ask").click()
        expect(page.locator("#answer")).to_have_text("Draw something or choose an image first.")
        box = page.locator("#sketch").bounding_box()
        page.locator("#sketch").scroll_into_view_if_needed()
        box = page.locator("#sketch").bounding_box()
        # A pair of trousers.
        for x in (0.4, 0.6):
            page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.15)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * 0.9, steps=10)
            page.mouse.up()
        page.get_by_role("button", name="Ask").click()
        expect(page.locator("#answer strong")).not_to_be_empty()
        expect(page.locator("#answer")).to_contain_text("complete")
        self.assertEqual(self.complaints, [])

    def test_everything_is_reached_by_the_keyboard_and_has_a_name(self):
        page = self.open(self.mesh.nodes[0])
        page.keyboard.press("Tab")
        self.assertEqual(page.evaluate("document.activeElement.textContent"), "To the mesh")
        page.keyboard.press("Enter")
        self.assertEqual(page.evaluate("document.activeElement.id"), "mesh")
        reached = set()
        for _ in range(20):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.id"))
        self.assertLessEqual({"events", "file", "invert", "mode", "ask", "clear"}, reached)
        nameless = "[...document.querySelectorAll('input, select')].filter((e) => !e.labels.length).map((e) => e.id)"
        self.assertEqual(page.evaluate(nameless), [])
        self.assertEqual(self.complaints, [])

    def test_it_fits_a_phone_in_light_and_dark(self):
        with Load(self.mesh.nodes[0]):
            time.sleep(8)
            for scheme, viewport, name in [
                ("light", DESKTOP, "dashboard-light"),
                ("dark", DESKTOP, "dashboard-dark"),
                ("light", PHONE, "dashboard-phone"),
            ]:
                page = self.open(self.mesh.nodes[0], viewport, scheme)
                self.choose_image(page)
                page.get_by_role("button", name="Ask").click()
                expect(page.locator("#answer")).to_contain_text(test_label(IMAGE))
                page.wait_for_timeout(1500)
                overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                self.assertLessEqual(page.evaluate(overflow), 0, name)
                self.picture(page, name)
        self.assertEqual(self.complaints, [])

    def test_a_page_whose_node_is_gone_says_so_and_comes_back_with_it(self):
        node = self.bystander()
        page = self.open(node)
        node.kill()
        expect(page.get_by_role("status").first).to_contain_text("trying again", timeout=10_000)
        self.mesh.start(node)
        expect(page.get_by_role("status").first).to_have_text("live", timeout=10_000)
        expect(page.locator('#matrix tr[data-state="alive"]')).to_have_count(8, timeout=20_000)
        # A browser itself notes each connection that failed; nothing else may be noted.
        others = [text for text in self.complaints if not text.startswith("Failed to load resource: net::ERR_")]
        self.assertEqual(others, [])

    def test_other_sites_can_neither_frame_nor_script_it(self):
        headers = self.browser.new_context().request.get(self.mesh.nodes[0].url).headers
        policy = headers["content-security-policy"]
        for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"]:
            self.assertIn(rule, policy)
        self.assertNotIn("unsafe", policy)


if __name__ == "__main__":
    unittest.main()
