"""Routes call the facades of `Services`; what those stand on is not passed around in them."""

from pathlib import Path

import services.api.routes


def test_no_route_reaches_past_the_facades() -> None:
    folder = Path(services.api.routes.__file__).parent
    texts = {path.name: path.read_text() for path in folder.glob("*.py")}
    assert len(texts) > 10
    behind = ("services.storage", "services.parts", "petsearch.ports")
    assert not [name for name, text in texts.items() if any(word in text for word in behind)]
