"""Writes petsearch/client/async_api.py, the asynchronous twin of api.py: `make async-client`.

api.py is translated word by word, so that the two offer the same.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_FOLDER = Path(__file__).parents[2] / "petsearch/client"
SOURCE, TARGET = _FOLDER / "api.py", _FOLDER / "async_api.py"
_HEAD = '''"""The Python client of the REST API for asyncio.

Made from api.py by `make async-client`: change that file instead.
"""'''
_WORDS: Sequence[tuple[str, str]] = (
    (r'(?s)\A""".*?"""', _HEAD),
    (r"(?s)`; several servers of one service.*?used\.", "`."),
    (r"\nimport time\b", ""),
    (r"\bimport io\b", "import asyncio\nimport io"),
    (r"\bimport Iterator,", "import AsyncIterator, Iterator,"),
    (r"\bimport ServerSentEvent, connect_sse\b", "import ServerSentEvent, aconnect_sse"),
    (r"\bBaseTransport\b", "AsyncBaseTransport"),
    (r"\bopen_http\b", "open_async_http"),
    (r"\bclass Client:", "class AsyncClient:"),
    (r"    def (?!__init__)", "    async def "),
    (r"__(enter|exit)__", r"__a\1__"),
    (r"-> Iterator\b", "-> AsyncIterator"),
    (r"\bself\.(_call|_send|_upload|close|read_source|count_by)\(", r"await self.\1("),
    (r"(await self\._(?:call|send)\([^\n]*\))(\[|\.json)", r"(\1)\2"),
    (r"\bself\._http\.close\b", "await self._http.aclose"),
    (r"\bself\._http\.request\b", "await self._http.request"),
    (r"\bfor event in self\b", "async for event in self"),
    (r"\bfor event in stream\.iter_sse\b", "async for event in stream.aiter_sse"),
    (r"\bstream\.response\.read\b", "await stream.response.aread"),
    (r"\bwith connect_sse\b", "async with aconnect_sse"),
    (r"\btime\.sleep\b", "await asyncio.sleep"),
)
"""Patterns, and what stands in their place."""


def translate(text: str) -> str:
    """The asynchronous twin of a synchronous module, formatted."""
    for pattern, words in _WORDS:
        text = re.sub(pattern, words, text)
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    TARGET.write_text(translate(SOURCE.read_text()))
