"""The picture of the explorer in the README: a convolution on its way back, in a real browser.

numpy-resnet explore -o explorer.html
python tools/explorer_picture.py explorer.html docs/explorer.png
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PLACE = "#at=layer2.0.conv2&way=backward&tab=closer"
WINDOWS = 6  # of nine are scattered back


def main(page, out):
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        window = browser.new_page(viewport={"width": 1280, "height": 720}, device_scale_factor=1.5)
        window.goto(Path(page).resolve().as_uri() + PLACE)
        for _ in range(WINDOWS - 1):
            window.keyboard.press(".")
        window.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
