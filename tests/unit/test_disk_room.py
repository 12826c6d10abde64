"""The room on the disk of a data folder."""

from pathlib import Path

from petsearch.disk_room import DiskRoom
from petsearch.domain.errors import StorageFull


class Roomy(DiskRoom):
    """On a disk that is never full."""

    def free_bytes(self) -> int:
        return 10**12

    def keep_reserve(self) -> None:
        self._reserve.touch()


def test_what_waits_for_room_is_tried_each_by_itself_until_it_succeeds(tmp_path: Path) -> None:
    room, calls = Roomy(tmp_path), list[str]()

    def refused() -> None:
        calls.append("refused")
        raise StorageFull("Not yet.")

    def broken() -> None:
        calls.append("broken")
        raise KeyError("a defect")

    for waiting in (refused, broken, lambda: calls.append("done")):
        room.call_when_free(waiting)
    room.tend()
    assert calls == ["refused", "broken", "done"]
    room.tend()
    assert calls[3:] == ["refused", "broken"]
