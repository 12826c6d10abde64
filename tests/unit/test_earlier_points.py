"""How long it is remembered whether a collection has points of earlier versions."""

from petsearch.adapters.qdrant.earlier_points import EarlierPoints


class Collections:
    """The tags of the points of an earlier version, by collection, and who reads them."""

    def __init__(self) -> None:
        self.tags: dict[str, list[str]] = {}
        self.reads = 0
        self.now_s = 0.0
        self.earlier = EarlierPoints(self._read, lambda: self.now_s)

    def _read(self, collection: str) -> list[str] | None:
        self.reads += 1
        return self.tags.get(collection)


def test_tags_are_read_again_while_there_are_earlier_points() -> None:
    stored = Collections()
    stored.tags["pets"] = ["Shy", "SHY", "old"]
    for _ in range(3):
        assert stored.earlier.tags("pets") == {"shy": ["Shy", "SHY"], "old": ["old"]}
    assert stored.reads == 1
    stored.tags["pets"], stored.now_s = [], 11.0
    assert stored.earlier.tags("pets") == {}
    assert stored.earlier.tags("other") == {}
    assert stored.reads == 3


def test_there_are_no_earlier_points_only_when_there_have_been_none_for_a_while() -> None:
    stored = Collections()
    minutes = [stored.earlier.tags("pets") for stored.now_s in range(0, 660, 60)]
    assert minutes == [{}] * 10 + [None]
    assert stored.reads == 11
    stored.tags["pets"], stored.now_s = ["Shy"], 670.0
    assert stored.earlier.tags("pets") == {"shy": ["Shy"]}  # a service is still upgraded
    del stored.tags["pets"]
    assert [stored.earlier.tags("pets") for stored.now_s in (700.0, 1290.0, 1360.0)] == [
        *({}, {}),
        None,
    ]
