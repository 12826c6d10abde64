"""Checks that tests notice seeded faults: `python -m tests.tools.mutants [NAME]`.

Each mutant is a small edit of the product. In a copy of the checkout with the edit, the tests that
are named with it must fail.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

_ROOT = Path(__file__).parents[2]
_COPIED = (
    "petsearch",
    "services",
    "training",
    "devstack",
    "bench",
    "tests",
    "web",
    "pyproject.toml",
)
_KILLED = 1
"""pytest's exit code when a test failed; others are errors of the selection."""


@dataclass(frozen=True)
class Mutant:
    """An edit that makes the product wrong, and the tests that must fail with it."""

    name: str
    file: str
    old: str
    """Occurs once in the file."""
    new: str
    tests: str
    """Arguments for pytest."""


_INGEST = "tests/services/test_ingest.py"
_LEDGER = "tests/contract/test_ledger.py"
_REINDEX = "tests/services/test_reindex.py"
_KEYS = "tests/services/test_authorisation.py"
_ARCHIVES = "tests/unit/test_sources_archive.py"
MUTANTS = (
    Mutant(
        "a chunk that runs again merges its metadata twice",
        "petsearch/ingest/repeats.py",
        "if on_duplicate is OnDuplicate.KEEP or source in record.sources:",
        "if on_duplicate is OnDuplicate.KEEP:",
        _INGEST,
    ),
    Mutant(
        "a duplicate overwrites the stored breed",
        "petsearch/ingest/repeats.py",
        "breed=stored.breed or given.breed",
        "breed=given.breed or stored.breed",
        _INGEST,
    ),
    Mutant(
        "every duplicate counts as ingested",
        "petsearch/ingest/repeats.py",
        "if record.first_seen == run.ref(item):",
        "if record.first_seen:",
        _INGEST,
    ),
    Mutant(
        "a photo is tried once less before quarantine",
        "petsearch/ingest/ingestor.py",
        "self._ledger.mark_item(job_id, item.item_no) > MAX_ATTEMPTS",
        "self._ledger.mark_item(job_id, item.item_no) >= MAX_ATTEMPTS",
        _INGEST,
    ),
    Mutant(
        "a photo that comes twice in a chunk is embedded twice",
        "petsearch/ingest/ingestor.py",
        "                seen.add(image_id)",
        "                pass",
        _INGEST,
    ),
    Mutant(
        "a chunk that is added twice counts twice",
        "petsearch/adapters/redis/ledger_scripts.py",
        "if redis.call('HSETNX', chunks, ARGV[1], ARGV[2]) == 0 then return 0 end",
        "redis.call('HSETNX', chunks, ARGV[1], ARGV[2])",
        _LEDGER,
    ),
    Mutant(
        "a paused job hands out chunks",
        "petsearch/adapters/redis/ledger_scripts.py",
        "return not flags[1] or flags[2] == '1' or flags[3] == '1'",
        "return not flags[1] or flags[3] == '1'",
        _LEDGER,
    ),
    Mutant(
        "a job ends while chunks are open",
        "petsearch/adapters/redis/ledger_scripts.py",
        " or open_chunks() > 0 then return end",
        " then return end",
        _LEDGER,
    ),
    Mutant(
        "a lost message is not sent again",
        "petsearch/jobs/dispatch.py",
        "                lost += overdue.unclaimed",
        "                pass",
        "tests/services/test_chunk_runs.py tests/services/test_ingest.py",
    ),
    Mutant(
        "the current collection is written first",
        "petsearch/reindex/write_set.py",
        "key=lambda name: name == last",
        "key=lambda name: name != last",
        _REINDEX,
    ),
    Mutant(
        "a change that was refused is carried to the other collections",
        "petsearch/reindex/fanout_index.py",
        "[i for i in ids if i not in left]",
        "ids",
        _REINDEX,
    ),
    Mutant(
        "a drop of the named collection goes unnoticed",
        "petsearch/reindex/write_set.py",
        "        if name != main:",
        "        if name:",
        _REINDEX,
    ),
    Mutant(
        "an expired key opens",
        "petsearch/access/key_ring.py",
        "return key if key is not None and key.is_valid(now) else None",
        "return key",
        _KEYS,
    ),
    Mutant(
        "a revoked key opens",
        "petsearch/domain/api_keys.py",
        "return self.revoked_at is None and (",
        "return (",
        _KEYS,
    ),
    Mutant(
        "the secret of a key is not compared",
        "petsearch/domain/api_keys.py",
        "return hmac.compare_digest(hash_secret(secret), key.secret_hash)",
        "return bool(hash_secret(secret))",
        _KEYS,
    ),
    Mutant(
        "originals are open to anonymous searchers",
        "services/api/authorisation.py",
        '"GET /v1/images/{image_id}/original": _S',
        '"GET /v1/images/{image_id}/original": _O',
        _KEYS,
    ),
    Mutant(
        "negative parts of a query attract",
        "petsearch/search/combination.py",
        "((row, -weight) for row, weight in negative)",
        "((row, weight) for row, weight in negative)",
        "tests/unit/test_combining.py",
    ),
    Mutant(
        "parts that cancel out give an embedding of rounding",
        "petsearch/search/combination.py",
        "if norm <= _SMALLEST_NORM * float(np.abs(weights).sum()):",
        "if norm == 0:",
        "tests/unit/test_combining.py",
    ),
    Mutant(
        "the cursor of another search is accepted",
        "petsearch/search/pages.py",
        "if walk.question != question:",
        "if not walk.question:",
        "tests/unit/test_ranked_pages.py",
    ),
    Mutant(
        "the status filter is ignored",
        "petsearch/adapters/qdrant/conditions.py",
        '        "status": filters.status,\n',
        "",
        "tests/contract/test_index.py",
    ),
    Mutant(
        "excluded images are found",
        "petsearch/adapters/qdrant/conditions.py",
        "excluded_ids=[*filters.exclude_ids]",
        "excluded_ids=[]",
        "tests/contract/test_index.py",
    ),
    Mutant(
        "JPEGs are charged without the library's own pixels",
        "petsearch/photos/decode_memory.py",
        "return 3 * math.prod(picture.size) + _coefficient_bytes(picture, declared)",
        "return 0.0",
        "tests/unit/test_decode_memory.py",
    ),
    Mutant(
        "decoding exceeds its memory budget",
        "petsearch/photos/decode_memory.py",
        "self._waiting[0] is turn and self._used + cost <= self._limit",
        "self._waiting[0] is turn",
        "tests/unit/test_decode_memory.py",
    ),
    Mutant(
        "the circuit closes without a probe",
        "petsearch/jobs/circuit_breaker.py",
        'if self._state != "open" or self._probe_succeeds():',
        "if self._state or self._probe_succeeds():",
        "tests/services/test_gate.py",
    ),
    Mutant(
        "texts of two models share the cache",
        "petsearch/embedding/cache.py",
        "self._kept[model_id, text] = row",
        'self._kept["", text] = row',
        "tests/unit/test_embedding_cache.py",
    ),
    Mutant(
        "addresses of the private network are fetched",
        "petsearch/adapters/web/public_addresses.py",
        "    if any(address in network for network in _REFUSED):\n        return False\n",
        "",
        "tests/unit/test_url_fetcher.py",
    ),
    Mutant(
        "a zip bomb in many entries is unpacked",
        "petsearch/sources/zip_archive.py",
        "if unpacked > limits.total_bytes:",
        "if unpacked < 0:",
        _ARCHIVES,
    ),
    Mutant(
        "a damaged zip entry is taken",
        "petsearch/sources/zip_archive.py",
        "len(data) != entry.unpacked_bytes or zlib.crc32(data) != entry.crc",
        "len(data) != entry.unpacked_bytes",
        "tests/unit/test_sources_archive.py tests/unit/test_sources_damaged.py",
    ),
    Mutant(
        "a huge entry of a tar file is read",
        "petsearch/sources/tar_archive.py",
        "if entry.size > limits.entry_bytes:",
        "if entry.size < 0:",
        _ARCHIVES,
    ),
    Mutant(
        "a rate limit grants one request too many",
        "petsearch/adapters/redis/limits.py",
        "local granted = full_at + each <= now + 60000000 + 1",
        "local granted = full_at <= now + 60000000 + 1",
        "tests/services/test_rate_limits.py",
    ),
)


def run(mutant: Mutant, folder: Path) -> str | None:
    """Run a mutant's tests in a copy of the checkout; what is wrong, or None if it was killed."""
    for name in _COPIED:
        source, target = _ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    file = folder / mutant.file
    text = file.read_text()
    if text.count(mutant.old) != 1:
        return f"the text to change occurs {text.count(mutant.old)} times in {mutant.file}"
    file.write_text(text.replace(mutant.old, mutant.new))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider"]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    env.setdefault("PETSEARCH_SHARED", str(_ROOT.parent / "shared"))
    done = subprocess.run(
        [*command, *mutant.tests.split()], cwd=folder, env=env, capture_output=True, text=True
    )
    if done.returncode == _KILLED:
        return None
    return "survived" if done.returncode == 0 else done.stdout[-2000:] + done.stderr[-2000:]


def main(
    names: Annotated[list[str] | None, typer.Argument(help="parts of names; all without")] = None,
) -> None:
    """Run mutants; the exit code is 1 if one survives."""
    chosen = [m for m in MUTANTS if not names or any(name in m.name for name in names)]
    wrong = 0
    for mutant in chosen:
        with tempfile.TemporaryDirectory() as folder:
            problem = run(mutant, Path(folder))
        wrong += problem is not None
        typer.echo(f"{'killed' if problem is None else 'NOT KILLED'}: {mutant.name}")
        if problem is not None:
            typer.echo(f"    {problem}")
    typer.echo(f"{len(chosen) - wrong} of {len(chosen)} killed")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    typer.run(main)
