"""The command line as people use it: a process, its output and its exit code."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from petsearch.client import Client, Photo
from petsearch.sample.catalogue import catalogue
from tests import pictures
from tests.programs import petsearch

EXIT_PARTLY = 3
FULL = Path("/dev/full")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three drawings, one of them twice, and three files that are no pictures."""
    for drawing in catalogue(3, seed=4711):
        (tmp_path / drawing.filename).write_bytes(drawing.to_jpeg())
        (tmp_path / "copy.jpg").write_bytes(drawing.to_jpeg())
    (tmp_path / "[red]page.jpg").write_bytes(pictures.HTML)
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "[red]notes.txt").write_text("no photo")
    return tmp_path


def test_a_folder_goes_in_and_every_file_is_accounted(folder: Path, server_url: str) -> None:
    done = petsearch("ingest", str(folder), "--api", server_url, "--json")
    assert done.returncode == EXIT_PARTLY, done.stderr
    answer = json.loads(done.stdout)
    assert answer["job"]["counts"] == {"ingested": 3, "duplicate": 1, "refused": 2, "failed": 0}
    assert answer["skipped"] == 1
    assert {p["filename"]: p["reason"][:25] for p in answer["problems"]} == {
        "[red]page.jpg": "The file is not a picture",
        "empty.jpg": "The file is empty (0 byte",
    }

    again = petsearch("ingest", str(folder), "--api", server_url)
    assert again.returncode == EXIT_PARTLY
    assert "0 ingested, 4 were here, 2 refused, 0 failed" in again.stdout
    assert "[red]page.jpg" in again.stdout


def test_nothing_refused_is_exit_code_0(server_url: str, tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(pictures.jpeg(4712))
    done = petsearch("ingest", str(tmp_path / "one.jpg"), "--api", server_url)
    assert done.returncode == 0, done.stderr
    assert "1 photos: 1 ingested" in done.stdout


def test_a_job_that_somebody_cancels_is_exit_code_3(client: Client, server_url: str) -> None:
    job_id = client.open_job("cancelled")["job_id"]
    client.add_photos(job_id, [Photo("one.jpg", pictures.jpeg(4714))])
    client.control_job(job_id, "cancel")
    done = petsearch("jobs", "watch", job_id, "--api", server_url)
    assert done.returncode == EXIT_PARTLY, done.stderr
    assert "cancelled" in done.stdout


def test_the_progress_of_what_was_sent_ends_whole(server_url: str, tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(pictures.jpeg(4713))
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    done = petsearch("ingest", str(tmp_path), "--api", server_url)
    assert " 1/1 " in done.stderr


def test_drawings_go_to_any_server(server_url: str) -> None:
    done = petsearch("ingest", "--drawings", "3", "--api", server_url, "--json")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)["job"]["counts"]
    assert counts["ingested"] + counts["duplicate"] == 3


def test_a_limit_holds_for_folders_and_drawings(folder: Path, server_url: str) -> None:
    for source in ([str(folder)], ["--drawings", "5"]):
        done = petsearch("ingest", *source, "--limit", "2", "--api", server_url, "--json")
        assert json.loads(done.stdout)["job"]["total"] == 2, done.stderr


def test_words_find_photos(server_url: str) -> None:
    done = petsearch("search", "a siamese cat", "--limit", "3", "--api", server_url)
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.splitlines()
    shown = ["score", "right", "breed", "status", "animal", "place", "file", "image_id", "link"]
    assert header.split() == shown
    assert len(rows) == 3
    assert "siamese" in rows[0]


def test_a_photo_finds_itself(server_url: str, tmp_path: Path) -> None:
    drawing = next(iter(catalogue(1, seed=4713)))
    photo = tmp_path / drawing.filename
    photo.write_bytes(drawing.to_jpeg())
    petsearch("ingest", str(photo), "--api", server_url)
    done = petsearch("search", "--image", str(photo), "--limit", "1", "--json", "--api", server_url)
    (hit,) = json.loads(done.stdout)["items"]
    assert hit["filename"] == drawing.filename
    assert hit["score"] > 0.99


def test_jobs_are_listed_and_shown(folder: Path, server_url: str) -> None:
    done = petsearch("ingest", str(folder), "--api", server_url, "--json")
    job_id = json.loads(done.stdout)["job"]["job_id"]
    listed = petsearch("jobs", "--api", server_url)
    assert job_id in listed.stdout
    shown = petsearch("jobs", "show", job_id, "--api", server_url)
    assert "[red]page.jpg" in shown.stdout


def test_a_breed_that_nobody_knows_finds_nothing_and_is_named(server_url: str) -> None:
    done = petsearch("search", "cat", "--breed", "unicorn", "--api", server_url)
    assert done.returncode == 0
    assert done.stdout == "Nothing was found.\n"
    assert "No photo has the breed unicorn." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ingest", "nowhere.jpg"], "There is no file or folder nowhere.jpg"),
        (["ingest", "--dataset", "./nowhere"], "There is no folder ./nowhere"),
        (["search", "cat", "--api", "http://127.0.0.1:9"], "No petsearch server answers"),
        (["jobs", "show", "no-such-job"], "There is no job 'no-such-job'"),
        (["ingest", "x" * 300], "xxx: File name too long."),
        (["ingest", "--archive", "x" * 300], "xxx: File name too long."),
        (["ingest", "--dataset", "./" + "x" * 300], "xxx: File name too long."),
        (["search", os.fsdecode(b"caf\xe9")], r"'caf\udce9' must be text in valid Unicode."),
    ],
)
def test_an_error_is_one_line_that_says_what_is_wrong(
    arguments: list[str], words: str, server_url: str
) -> None:
    api = [] if "--api" in arguments else ["--api", server_url]
    done = petsearch(*arguments, *api)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert words in done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full, which Linux has")
def test_output_that_cannot_be_written_is_an_error_of_one_line(server_url: str) -> None:
    command = [sys.executable, "-m", "petsearch", "jobs", "--api", server_url]
    with FULL.open("wb") as full:
        done = subprocess.run(command, check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "Error: No space left on device.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest"],
        ["search"],
        ["ingest", "a.jpg", "--dataset", "b"],
        ["ingest", "a.jpg", "--column", "Bild=path"],
        ["ingest", "--manifest", "a.csv", "--column", "Bild"],
        ["ingest", "--manifest", "a.csv", "--status", "found"],
        ["ingest", "--dataset", "someone/pets", "--status", "found"],
        ["ingest", "--archive", "a.zip", "--limit", "3"],
        ["ingest", "a.jpg", "--split", "test"],
        ["ingest", "a.jpg", "--label-column", "kind"],
        ["ingest", "--drawings", "3", "--no-labels"],
        ["fly"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    done = petsearch(*arguments)
    assert done.returncode == 2
    assert "Usage" in done.stderr


def test_ctrl_c_is_exit_code_130() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(240)
        arguments = ["search", "cat", "--api", f"http://127.0.0.1:{silent.getsockname()[1]}"]
        # Where tests run in a shell's background, SIGINT is ignored, and by their children too.
        code = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from petsearch.cli.main import main
sys.argv[1:] = {arguments}
main()
"""
        process = subprocess.Popen([sys.executable, "-c", code])
        try:
            connection, _ = silent.accept()
            with connection:
                assert connection.recv(1)  # it waits for an answer
                process.send_signal(signal.SIGINT)
                assert process.wait(240) == 130
        finally:
            process.kill()
            process.wait()


def test_the_documented_exit_codes_are_those_that_are_tested_here() -> None:
    text = (Path(__file__).parents[2] / "docs/using.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| exit code of a command |")
    codes = re.findall(r"^\| (\d+) \|", table.partition("\n\n")[0], re.MULTILINE)
    assert codes == ["0", "1", "2", "3", "130"]


def test_columns_of_a_manifest_are_named_on_the_command_line(
    tmp_path: Path, server_url: str
) -> None:
    table = tmp_path / "tiere.csv"
    table.write_text("Bild=1;Rasse;Notiz\n/nowhere/a.jpg;Mops;x\n", encoding="utf-16")
    columns = ["--column", "Bild=1=path", "--column", "Notiz="]
    done = petsearch("ingest", "--manifest", str(table), *columns, "--api", server_url)
    assert done.returncode == EXIT_PARTLY, done.stderr
    assert "Left out: 1 columns (Rasse)." in done.stdout
    assert "PETSEARCH_IMPORT_DIRS" in done.stdout


def test_a_list_of_urls_is_read_in_any_encoding(tmp_path: Path, server_url: str) -> None:
    urls = tmp_path / "urls.txt"
    urls.write_text("# none\n\nhttps://a.org/é.jpg\n", encoding="utf-16")
    done = petsearch("ingest", "--urls", str(urls), "--api", server_url)
    assert done.returncode == 1
    assert "PETSEARCH_URL_INGEST" in done.stderr


def test_an_archive_is_read_by_the_server_and_its_job_controlled(
    tmp_path: Path, server_url: str
) -> None:
    archive = tmp_path / os.fsdecode(b"caf\xe9.zip")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.jpg", pictures.jpeg(920))
        file.writestr("b.jpg", pictures.HTML)
    done = petsearch("ingest", "--archive", str(archive), "--json", "--api", server_url)
    assert done.returncode == EXIT_PARTLY, done.stderr
    job = json.loads(done.stdout)["job"]
    assert (job["counts"]["ingested"], job["counts"]["refused"]) == (1, 1)
    watched = petsearch("jobs", "watch", job["job_id"], "--api", server_url)
    assert watched.returncode == EXIT_PARTLY
    assert "b.jpg" in watched.stdout
    refused = petsearch("jobs", "cancel", job["job_id"], "--api", server_url)
    assert (refused.returncode, "ended" in refused.stderr) == (1, True)
    assert petsearch("jobs", "delete", job["job_id"], "--api", server_url).returncode == 0
    assert petsearch("jobs", "show", job["job_id"], "--api", server_url).returncode == 1
