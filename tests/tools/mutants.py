"""Checks that tests notice seeded faults: `python -m tests.tools.mutants [NAME]`.

Each mutant is a small edit of the product. In a copy of the checkout, the test that is named with
it must pass without the edit and fail with it; one that times out has not noticed.
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
_PASSED, _FAILED = 0, 1
"""Exit codes of pytest; others are errors of the selection."""
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Mutant:
    """An edit that makes the product wrong, and the test that must fail with it."""

    name: str
    file: str
    old: str
    """Occurs once in the file."""
    new: str
    test: str
    """Its id, without parameters."""

    @property
    def occurrences(self) -> int:
        """How often the text to change occurs."""
        return (_ROOT / self.file).read_text().count(self.old)


_INGEST = "tests/services/test_ingest.py"
_LEDGER = "tests/contract/test_ledger.py"
_REINDEX = "tests/services/test_reindex.py"
_WRITE_SET = "tests/contract/test_write_set.py"
_AUTHORISATION = "tests/services/test_authorisation.py"
_COMBINING = "tests/unit/test_combining.py"
_INDEX = "tests/contract/test_index.py"
_DECODE_MEMORY = "tests/e2e/test_decode_memory.py"
_ARCHIVES = "tests/unit/test_sources_archive.py"
MUTANTS = (
    Mutant(
        "a chunk that runs again merges its metadata twice",
        "petsearch/ingest/repeats.py",
        "    if source in record.sources:\n        return record\n",
        "",
        f"{_INGEST}::test_a_repeat_of_a_chunk_that_was_cut_off_is_not_merged_again",
    ),
    Mutant(
        "a duplicate overwrites the stored breed",
        "petsearch/ingest/repeats.py",
        "breed=stored.breed or given.breed",
        "breed=given.breed or stored.breed",
        f"{_INGEST}::test_a_repeat_does_not_change_what_was_said",
    ),
    Mutant(
        "every duplicate counts as ingested",
        "petsearch/ingest/repeats.py",
        "return record is not None and record.first_seen == run.ref(item)",
        "return record is not None and bool(run.ref(item))",
        f"{_INGEST}::test_the_same_photo_twice_in_a_chunk_and_once_more_later",
    ),
    Mutant(
        "a photo is tried once less before quarantine",
        "petsearch/ingest/one_by_one.py",
        "ledger.mark_item(job_id, item.item_no) > MAX_ATTEMPTS",
        "ledger.mark_item(job_id, item.item_no) >= MAX_ATTEMPTS",
        f"{_INGEST}::test_an_item_that_ends_its_worker_twice_is_tried_once_more",
    ),
    Mutant(
        "a photo that comes twice in a chunk is embedded twice",
        "petsearch/ingest/ingestor.py",
        "                seen.add(image_id)",
        "                pass",
        f"{_INGEST}::test_a_photo_that_comes_twice_in_a_chunk_is_embedded_once",
    ),
    Mutant(
        "a chunk that is added twice counts twice",
        "petsearch/adapters/redis/ledger_scripts.py",
        "if redis.call('HSETNX', chunks, ARGV[1], ARGV[2]) == 0 then return 0 end",
        "redis.call('HSETNX', chunks, ARGV[1], ARGV[2])",
        f"{_LEDGER}::test_adding_a_chunk_twice_counts_it_once",
    ),
    Mutant(
        "a paused job hands out chunks",
        "petsearch/adapters/redis/ledger_scripts.py",
        "return not flags[1] or flags[2] == '1' or flags[3] == '1'",
        "return not flags[1] or flags[3] == '1'",
        f"{_LEDGER}::test_a_paused_job_stands_still_until_it_is_resumed",
    ),
    Mutant(
        "a job ends while chunks are open",
        "petsearch/adapters/redis/ledger_scripts.py",
        " or open_chunks() > 0 then return end",
        " then return end",
        f"{_LEDGER}::test_a_sealed_job_ends_with_its_last_chunk",
    ),
    Mutant(
        "a lost message is not sent again",
        "petsearch/jobs/dispatch.py",
        "*(work.unclaimed if work.queue in empty else ())",
        "*()",
        "tests/services/test_sweep.py::test_a_chunk_whose_message_was_lost_is_swept_up",
    ),
    Mutant(
        "the current collection is written first",
        "petsearch/reindex/write_set.py",
        "key=lambda name: name == last",
        "key=lambda name: name != last",
        f"{_WRITE_SET}::test_the_current_collection_comes_last_also_if_it_moved",
    ),
    Mutant(
        "a change stays in the current collection",
        "petsearch/reindex/fanout_index.py",
        "[i for i in ids if i not in left]",
        "[]",
        f"{_REINDEX}::test_promoted_and_rolled_back_nothing_is_lost",
    ),
    Mutant(
        "a drop of the named collection goes unnoticed",
        "petsearch/reindex/write_set.py",
        "        if name != main:",
        "        if name:",
        f"{_WRITE_SET}::test_a_collection_that_is_gone_is_passed_over_or_said",
    ),
    Mutant(
        "an expired key opens",
        "petsearch/access/key_ring.py",
        "return key if key is not None and key.is_valid(now) else None",
        "return key",
        f"{_AUTHORISATION}::test_without_a_valid_key_only_what_is_public_is_open",
    ),
    Mutant(
        "a revoked key opens",
        "petsearch/domain/api_keys.py",
        "return self.revoked_at is None and (",
        "return (",
        f"{_AUTHORISATION}::test_without_a_valid_key_only_what_is_public_is_open",
    ),
    Mutant(
        "the secret of a key is not compared",
        "petsearch/domain/api_keys.py",
        "return hmac.compare_digest(hash_secret(secret), key.secret_hash)",
        "return bool(hash_secret(secret))",
        f"{_AUTHORISATION}::test_without_a_valid_key_only_what_is_public_is_open",
    ),
    Mutant(
        "originals are open to anonymous searchers",
        "services/api/authorisation.py",
        '"GET /v1/images/{image_id}/original": Access.PLACES',
        '"GET /v1/images/{image_id}/original": _O',
        f"{_AUTHORISATION}::test_anonymous_search_opens_searching_and_its_pictures_alone",
    ),
    Mutant(
        "negative parts of a query attract",
        "petsearch/search/combination.py",
        "((row, -weight) for row, weight in negative)",
        "((row, weight) for row, weight in negative)",
        f"{_COMBINING}::test_a_negative_part_pushes_away",
    ),
    Mutant(
        "parts that cancel out give an embedding of rounding",
        "petsearch/search/combination.py",
        "if norm <= _SMALLEST_NORM * float(np.abs(weights).sum()):",
        "if norm == 0:",
        f"{_COMBINING}::test_parts_that_cancel_out_but_for_rounding_are_refused",
    ),
    Mutant(
        "the cursor of another search is accepted",
        "petsearch/search/pages.py",
        "if walk.question != question:",
        "if not walk.question:",
        "tests/unit/test_ranked_pages.py::test_a_cursor_of_another_search_is_refused",
    ),
    Mutant(
        "the status filter is ignored",
        "petsearch/adapters/qdrant/conditions.py",
        '_EXACT = ("status", "animal_id")',
        '_EXACT = ("animal_id",)',
        f"{_INDEX}::test_every_filter_holds",
    ),
    Mutant(
        "tags are compared as they are written",
        "petsearch/adapters/qdrant/conditions.py",
        "folded = {*map(words.fold, wanted)}",
        "folded = {*wanted}",
        "tests/contract/test_index_words.py::test_words_are_compared_folded_and_come_back_as_written",
    ),
    Mutant(
        "excluded images are found",
        "petsearch/adapters/qdrant/conditions.py",
        "excluded_ids=[*filters.exclude_ids]",
        "excluded_ids=[]",
        f"{_INDEX}::test_only_what_was_asked_for_is_found",
    ),
    Mutant(
        "JPEGs are charged without the library's own pixels",
        "petsearch/photos/decode_memory.py",
        "return samples * math.prod(picture.size) + _coefficient_bytes(picture, declared)",
        "return 0.0",
        f"{_DECODE_MEMORY}::test_a_sequential_jpeg_of_several_scans_is_charged_for_its_coefficients",
    ),
    Mutant(
        "decoding exceeds its memory budget",
        "petsearch/photos/decode_memory.py",
        "self._waiting[0] is turn and self._used + cost <= self._limit",
        "self._waiting[0] is turn",
        f"{_DECODE_MEMORY}::test_a_budget_makes_big_things_take_turns",
    ),
    Mutant(
        "the circuit closes without a probe",
        "petsearch/jobs/circuit_breaker.py",
        'if self._state != "open" or self._probe_succeeds():',
        "if self._state or self._probe_succeeds():",
        "tests/unit/test_circuit_breaker.py::test_an_outage_ends_when_a_probe_succeeds",
    ),
    Mutant(
        "texts of two models share the cache",
        "petsearch/embedding/cache.py",
        "name = model_id or self.models()[0].model_id\n        found",
        "name = self.models()[0].model_id\n        found",
        "tests/unit/test_embedding_cache.py::test_texts_are_kept_by_model",
    ),
    Mutant(
        "addresses of the private network are fetched",
        "petsearch/adapters/web/public_addresses.py",
        "    if any(address in network for network in _REFUSED):\n        return False\n",
        "",
        "tests/unit/test_url_fetcher.py::test_an_address_that_is_not_public_is_never_connected_to",
    ),
    Mutant(
        "a zip bomb in many entries is unpacked",
        "petsearch/sources/zip_archive.py",
        "if unpacked_bytes > limits.total_bytes:",
        "if unpacked_bytes < 0:",
        f"{_ARCHIVES}::test_all_that_unpacks_is_bounded",
    ),
    Mutant(
        "a damaged zip entry is taken",
        "petsearch/sources/zip_archive.py",
        "len(data) != entry.unpacked_bytes or zlib.crc32(data) != entry.crc",
        "len(data) != entry.unpacked_bytes",
        "tests/unit/test_sources_zip.py::test_bytes_of_the_right_number_that_are_not_the_photo_are_refused",
    ),
    Mutant(
        "a huge entry of a tar file is read",
        "petsearch/sources/tar_archive.py",
        "if entry.size > limits.entry_bytes:",
        "if entry.size < 0:",
        f"{_ARCHIVES}::test_a_large_entry_is_refused_by_itself",
    ),
    Mutant(
        "a rate limit grants one request too many",
        "petsearch/adapters/redis/limits.py",
        "local granted = full_at + each <= now + 60000000 + 1",
        "local granted = full_at <= now + 60000000 + 1",
        "tests/services/test_rate_limits.py::test_each_key_has_a_limit_of_its_own",
    ),
)


def copy_checkout(folder: Path) -> None:
    """Copy what the tests need."""
    for name in _COPIED:
        source, target = _ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def run_tests(folder: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests of the copy until the first failure."""
    options = ["-x", "-q", "-n0", "-p", "no:cacheprovider", f"--timeout={_TIMEOUT_S}"]
    env = {**os.environ}
    env.setdefault("PETSEARCH_SHARED", str(_ROOT.parent / "shared"))
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def survives(mutant: Mutant, folder: Path) -> str | None:
    """Run a mutant's test in the copy; what is wrong, or None if it was killed."""
    file = folder / mutant.file
    original = file.read_text()
    file.write_text(original.replace(mutant.old, mutant.new))
    try:
        done = run_tests(folder, mutant.test)
    finally:
        file.write_text(original)
    if done.returncode == _PASSED:
        return "survived"
    if done.returncode == _FAILED and "from pytest-timeout" not in done.stdout:
        return None
    return done.stdout[-2000:] + done.stderr[-2000:]


def main(
    names: Annotated[list[str] | None, typer.Argument(help="parts of names; all without")] = None,
) -> None:
    """Run mutants; the exit code is 1 if one survives."""
    chosen = [m for m in MUTANTS if not names or any(name in m.name for name in names)]
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_checkout(folder)
        healthy = run_tests(folder, *dict.fromkeys(mutant.test for mutant in chosen))
        if healthy.returncode != _PASSED:
            raise typer.BadParameter(f"tests fail without a mutant:\n{healthy.stdout[-2000:]}")
        for mutant in chosen:
            problem = survives(mutant, folder)
            wrong += problem is not None
            typer.echo(f"{'killed' if problem is None else 'NOT KILLED'}: {mutant.name}")
            if problem is not None:
                typer.echo(f"    {problem}")
    typer.echo(f"{len(chosen) - wrong} of {len(chosen)} killed")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    typer.run(main)
