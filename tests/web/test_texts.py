"""The page's words are in one file, and its files are named where browsers look for them."""

import re
from html.parser import HTMLParser
from pathlib import Path

WEB = Path(__file__).parents[2] / "web"
NO_SCRIPT = "This page needs JavaScript. Allow it for this site, then load the page again."
_SPOKEN = ("alt", "aria-label", "placeholder", "title")


class _Texts(HTMLParser):
    """Collects what a person would read or hear in a page's own HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in _SPOKEN and value]
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.found += [data.strip()] if data.strip() else []


def test_the_html_has_no_words_of_its_own_and_nothing_inline() -> None:
    texts = _Texts()
    texts.feed((WEB / "index.html").read_text())
    assert set(texts.found) == {"petsearch", NO_SCRIPT}
    assert not texts.inline


def test_every_word_that_is_asked_for_is_there() -> None:
    said = (WEB / "js/strings.js").read_text()
    for path in re.findall(r'data-say(?:-\w+)?="([\w.]+)"', (WEB / "index.html").read_text()):
        assert re.search(rf"\b{path.rpartition('.')[2]}:", said), path


def test_what_a_search_needs_is_fetched_at_once_and_the_rest_later() -> None:
    """An import is only known when its importer was read: named ahead, they come together."""
    named = set(re.findall(r'modulepreload" href="([^"]+)"', (WEB / "index.html").read_text()))
    first = _imported_by("js/main.js") | _imported_by("js/first.js")
    assert named == first - {"js/main.js", "js/first.js"}
    there = {str(path.relative_to(WEB)) for path in WEB.rglob("*.js")}
    assert first | _imported_by("js/other_views.js") == there - {"js/reload.js", "embed.js"}


def _imported_by(name: str) -> set[str]:
    """The module itself, and what it imports, however indirectly."""
    todo, found = [WEB / name], set[Path]()
    while todo:
        module = todo.pop().resolve()
        if module in found:
            continue
        found.add(module)
        imports = re.findall(r'(?:from|^import) "(\.[^"]+)"', module.read_text(), re.MULTILINE)
        todo += [module.parent / name for name in imports]
    return {str(path.relative_to(WEB.resolve())) for path in found}


def test_no_file_asks_another_server_or_makes_html_of_text() -> None:
    for path in [*WEB.rglob("*.js"), *WEB.rglob("*.css"), WEB / "index.html"]:
        text = path.read_text()
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", text), path


def test_firefox_shows_progress_of_unknown_size_as_that() -> None:
    """Its bar of such progress is as wide as the whole, and hid what moves behind it."""
    styles = (WEB / "css/base.css").read_text()
    assert "progress:indeterminate::-moz-progress-bar { background: transparent; }" in styles
