"""Every link within the site leads somewhere, and nothing on a page comes from elsewhere.

python tools/check_site.py build/site
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The ids of a page, where its links lead, and what it loads."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        told = dict(attrs)
        self.ids |= {told[key] for key in ("id", "name") if told.get(key)}
        if tag == "a" and told.get("href"):
            self.links.append(told["href"])
        elif tag in ("img", "script", "iframe", "source") and told.get("src"):
            self.loads.append(told["src"])
        elif tag == "link" and told.get("rel") != "canonical" and told.get("href"):
            self.loads.append(told["href"])


def faults(site):
    """What is wrong, in words."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"there is no page in {site}"
    for path in sorted(site.rglob("*.css")):
        for url in re.findall(r"(?:url\(|@import )[\"' ]*((?:https?:)?//[^\"')]+)", path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(site)} loads {url} from elsewhere"
    for path, page in pages.items():
        name = path.relative_to(site)
        yield from (f"{name} loads {url} from elsewhere" for url in page.loads if urlsplit(url).netloc)
        for url in page.links + page.loads:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                yield f"{name}: {url} leads nowhere"
            elif (
                parts.fragment
                and "=" not in parts.fragment
                and target in pages
                and unquote(parts.fragment) not in pages[target].ids
            ):
                yield f"{name}: there is no {parts.fragment} in {target.name}"


def main():
    found = list(faults(Path(sys.argv[1]).resolve()))
    print("\n".join(found) or "every link leads somewhere, and nothing comes from elsewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
