"""A real browser, for the page of the explorer."""

import shutil

import numpy as np
import pytest

from numpy_resnet import explore

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window; where there is none, the tests that need it are skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright, of the extra [test]")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("needs Chromium (on Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Opened:
    """A page in the browser, and all that it complained about or asked for."""

    def __init__(self, browser, path, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 720}, **options})
        self.page, self.heard, self.path = context.new_page(), [], path
        self.page.on("console", lambda message: self.heard.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.heard.append(f"error: {error}"))
        self.page.on("request", lambda request: self.heard.append(f"request: {request.url}"))
        self.page.set_default_timeout(10_000)
        self.page.goto(path.as_uri())

    def go(self, name, way="forward", tab="maps"):
        """To a node, in one direction."""
        self.page.evaluate(
            "([name, back, tab]) => { const i = nodes.findIndex((node) => node.name === name);"
            "state.tab = tab; goTo(back ? 2 * N - 1 - i : i); }",
            [name, way == "backward", tab],
        )

    def press(self, keys):
        for key in keys.split():
            self.page.keyboard.press(key)

    def exhibit(self):
        """What the page knows of the node that can be looked at more closely."""
        return self.page.evaluate("nodes[nodeIndex()].closer")

    def text(self, selector):
        return self.page.inner_text(selector).strip().replace("−", "-")

    def texts(self, selector):
        return [text.replace("−", "-") for text in self.page.locator(selector).all_inner_texts()]

    def grid(self, name):
        """The numbers of a grid as they are written, NaN where there is none; and half of their last digit."""
        figure = self.page.locator(f'[data-grid="{name}"]')
        unit = float(figure.get_attribute("data-unit"))
        rows = figure.evaluate(
            "(f) => [...f.querySelectorAll('tr')].map((tr) => [...tr.cells].map((td) => td.innerText))"
        )
        rows = [[cell.replace("−", "-") for cell in row] for row in rows]
        digits = max(len(cell.partition(".")[2]) for row in rows for cell in row)
        return np.array([[float(cell or "nan") * unit for cell in row] for row in rows]), 0.51 * unit * 10.0**-digits

    def check(self):
        """Nothing was complained about, and nothing was asked for but the file, once."""
        assert self.heard == [f"request: {self.path.as_uri()}"]

    def close(self):
        self.page.context.close()
        self.check()


@pytest.fixture(scope="session")
def digits_page(tmp_path_factory):
    """The page that comes without any argument."""
    picture, label, name = explore.digit()
    page = explore.page_of(explore.digits_network(), picture, label, image=name)
    path = tmp_path_factory.mktemp("explore") / "explorer.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def digits_tab(browser, digits_page):
    opened = Opened(browser, digits_page)
    yield opened
    opened.close()


@pytest.fixture
def opened(digits_tab):
    """The page of the digits, at its first step."""
    digits_tab.page.evaluate(
        "Object.assign(state, { step: 0, tab: 'maps', window: 0, toy: null, algorithm: 0, shortcuts: 'both' });"
        "document.activeElement.blur(); setTheme(false)"
    )
    yield digits_tab
    digits_tab.check()
