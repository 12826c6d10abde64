"""A process that is kept running: what it says, that it comes back, and when it does not."""

import queue
import sys
from collections.abc import Callable

import pytest

from devstack.parts import Part
from devstack.supervisor import Supervisor

PATIENCE_S = 60.0


class Listener:
    """Hears what is said, and who is lost."""

    def __init__(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self.lost: queue.Queue[str] = queue.Queue()

    def run(self, program: str, *, forgets: bool = False, is_server: bool = False) -> Supervisor:
        """A started Python program."""
        part = Part(
            "part",
            (sys.executable, "-c", program),
            lambda: True,
            forgets=forgets,
            is_server=is_server,
        )
        supervisor = Supervisor(part, self.lines.put, self.lost.put)
        supervisor.start()
        return supervisor

    def until(self, condition: Callable[[str], bool]) -> list[str]:
        """What is said up to a line."""
        heard: list[str] = []
        while not heard or not condition(heard[-1]):
            heard.append(self.lines.get(timeout=PATIENCE_S))
        return heard


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_its_lines_are_passed_on_and_it_is_started_again(listener: Listener) -> None:
    supervisor = listener.run("print('at work', flush=True); raise SystemExit(3)")
    first = listener.until(lambda line: "started again" in line)
    assert first[0].startswith("started, pid ")
    assert first[1:] == ["at work", "ended with code 3; it is started again in 0.5 s"]
    second = listener.until(lambda line: "started again" in line)
    assert second[-1] == "ended with code 3; it is started again in 1 s"
    supervisor.terminate()
    supervisor.wait()


def test_one_that_forgets_is_lost_and_its_last_words_are_told(listener: Listener) -> None:
    listener.run("print('disk full'); raise SystemExit(1)", is_server=True, forgets=True)
    assert listener.lost.get(timeout=PATIENCE_S) == "part"
    heard = listener.until(lambda line: line.startswith("ended"))
    assert heard[1:] == ["disk full", "ended with code 1"]


def test_what_a_server_says_is_not_told_while_it_runs(listener: Listener) -> None:
    program = "import signal; print('chatter', flush=True); signal.pause()"
    supervisor = listener.run(program, is_server=True)
    assert listener.until(lambda line: line.startswith("started"))
    supervisor.terminate()
    supervisor.wait()
    assert listener.lines.empty()


def test_one_that_was_never_started_need_not_end(listener: Listener) -> None:
    part = Part("part", (sys.executable, "-c", ""), lambda: True)
    supervisor = Supervisor(part, listener.lines.put, listener.lost.put)
    supervisor.terminate()
    supervisor.wait()
    assert listener.lines.empty()
