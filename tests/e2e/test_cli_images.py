"""`petsearch images`, `duplicates` and `facets` as people use them, against a real server."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from PIL import Image
from typer.testing import CliRunner

from petsearch.cli.main import app
from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict, image_id_of, sha256_of
from petsearch.sample.catalogue import catalogue
from tests import pictures
from tests.programs import petsearch

TAG = "command line images"
NAME = "[red]cat.jpg"
DRAWING = next(iter(catalogue(1, seed=82_000))).to_jpeg()


def add(client: Client, data: bytes, name: str = "one.jpg", **said: object) -> str:
    """The id of a photo that is uploaded."""
    photo = Photo(name, data, {"tags": [TAG], **said})
    upload(client, PhotoSource(iter([photo]), 1), name="images")
    return image_id_of(sha256_of(data))


@pytest.fixture
def image_id(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """A photo of the test's own."""
    seed = 830_000 + sum(map(ord, request.node.name)) * 7
    yield add(client, pictures.jpeg(seed), status="lost", animal_id="I-1", attributes={"chip": "1"})


def said(server_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return petsearch(*arguments, "--api", server_url)


def answered(server_url: str, *arguments: str) -> JsonDict:
    """What a command prints as JSON."""
    done = said(server_url, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    answer: JsonDict = json.loads(done.stdout)
    return answer


def test_photos_are_listed_newest_first_under_filters(server_url: str, client: Client) -> None:
    ids = [add(client, pictures.jpeg(84_000 + n), status=f"listed {n % 2}") for n in range(4)]
    listed = answered(server_url, "images", "list", "--tag", TAG, "--limit", "3")["items"]
    assert [image["image_id"] for image in listed] == ids[:0:-1]
    done = said(server_url, "images", "list", "--tag", TAG, "--status", "listed 1")
    header, *rows = done.stdout.splitlines()
    shown = ["added", "breed", "status", "animal", "place", "file", "image_id", "link"]
    assert header.split() == shown
    assert [row.split()[-2] for row in rows] == [ids[3], ids[1]]
    unknown = said(server_url, "images", "list", "--breed", "unicorn")
    assert (unknown.stdout, unknown.returncode) == ("Nothing was found.\n", 0)
    assert "No photo has the breed unicorn." in unknown.stderr


def test_more_photos_are_listed_than_a_page_holds(
    server_url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("petsearch.cli.photos.images._MOST_AT_A_TIME", 2)
    ids = {add(client, pictures.jpeg(85_000 + n), status="paged") for n in range(5)}
    arguments = ["images", "list", "--status", "paged", "--json", "--api", server_url]
    for limit, count in ((4, 4), (9, 5)):
        done = CliRunner().invoke(app, [*arguments, "--limit", str(limit)])
        listed = [image["image_id"] for image in json.loads(done.stdout)["items"]]
        assert len(listed) == len(set(listed) & ids) == count


def test_a_photo_is_shown_by_a_short_id(server_url: str, image_id: str) -> None:
    done = said(server_url, "images", "show", image_id[:13])
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["image_id"] == image_id
    assert lines["link"] == f"{server_url}/?photo={image_id}"
    assert (lines["status"], lines["animal"], lines["attributes"]) == ("lost", "I-1", "chip=1")
    assert answered(server_url, "images", "show", image_id)["image_id"] == image_id


def test_a_short_id_of_several_photos_names_them(server_url: str, client: Client) -> None:
    data = pictures.jpeg(86_000)
    files = [data + b"%d" % seed for seed in range(2000)]
    of_begin: dict[str, list[bytes]] = {}
    for file in files:
        of_begin.setdefault(image_id_of(sha256_of(file))[:4], []).append(file)
    pair = next(alike for alike in of_begin.values() if len(alike) > 1)
    one, other = (add(client, file) for file in pair[:2])
    done = said(server_url, "images", "show", one[:4])
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: Several images' ids begin with {one[:4]}: ")
    assert {one, other} <= set(re.findall(r"[0-9a-f-]{36}", done.stderr))
    assert len(done.stderr.splitlines()) == 1


def test_what_is_said_of_a_photo_is_changed_and_cleared(server_url: str, image_id: str) -> None:
    given = ["--status", "adopted", "--tag", "shy", "--tag", "old", "--place", "48.2,16.4"]
    given += ["--set", "chip=", "--set", "collar=red", "--breed", "beagle", "--clear", "animal_id"]
    image = answered(server_url, "images", "set", image_id[:8], *given)
    assert (image["status"], image["tags"], image["breed"]) == ("adopted", ["shy", "old"], "beagle")
    assert (image["attributes"], image["animal_id"]) == ({"collar": "red"}, None)
    assert image["location"] == {"lat": 48.2, "lon": 16.4}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["set", "3f2a"], "give what to change"),
        (["set", "3f2a", "--clear", "width"], "and not width"),
        (["set", "3f2a", "--clear", "status", "--status", "lost"], "both given and cleared"),
        (["set", "3f2a", "--place", "north"], "is not LAT,LON"),
        (["set", "3f2a", "--place", "48.2,181"], "is not LAT,LON"),
        (["set", "3f2a", "--taken-at", "yesterday"], "is no day or time"),
        (["set", "3f2a", "--set", "red"], "--set takes NAME=VALUE"),
        (["delete"], "give either ids or --animal-id"),
        (["delete", "3f2a", "--animal-id", "I-1"], "give either ids or --animal-id"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], words: str) -> None:
    done = petsearch("images", *arguments)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())


def test_deleting_asks_and_names_the_photos(server_url: str, client: Client) -> None:
    image_id = add(client, pictures.jpeg(87_000), NAME)
    arguments = ["images", "delete", image_id[:8], "--api", server_url]
    for answer in ("n\n", "", "\n"):
        done = CliRunner().invoke(app, arguments, input=answer)
        assert done.exit_code == 1
        assert f"Delete {NAME} for good?" in done.stderr
        assert client.image(image_id)["image_id"] == image_id
    assert CliRunner().invoke(app, arguments, input="y\n").exit_code == 0
    assert said(server_url, "images", "show", image_id).returncode == 1


def test_a_question_shows_what_a_terminal_would_act_on() -> None:
    asked = CliRunner().invoke(app, ["images", "delete", "--animal-id", "A\x1b[2J\n\u202e17"])
    assert r"of the animal A\x1b[2J\n\u202e17 for good?" in asked.stderr
    assert asked.exit_code == 1


def test_deleting_does_not_ask_when_told_so_and_is_all_or_nothing(
    server_url: str, client: Client
) -> None:
    ids = [add(client, pictures.jpeg(88_000 + n)) for n in range(2)]
    done = said(server_url, "images", "delete", *ids, "00000000", "--yes")
    assert (done.returncode, "no image 00000000" in done.stderr) == (1, True)
    assert client.image(ids[0])["image_id"] == ids[0]
    done = said(server_url, "images", "delete", *ids, "--yes")
    assert (done.returncode, done.stderr) == (0, "Photos deleted: 2\n")


def test_a_photo_that_somebody_else_deletes_meanwhile_stops_nothing(
    server_url: str, client: Client
) -> None:
    ids = [add(client, pictures.jpeg(88_100 + n)) for n in range(2)]

    command = [sys.executable, "-m", "petsearch", "images", "delete", *ids, "--api", server_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as asked:
        assert asked.stdin and asked.stderr
        question = b""
        while not question.endswith(b"[y/N]"):
            question += asked.stderr.read(1) or pytest.fail(question.decode())
        client.delete_image(ids[0])
        asked.communicate(b"y\n")
    assert asked.returncode == 0
    for image_id in ids:
        assert said(server_url, "images", "show", image_id).returncode == 1


def test_all_photos_of_an_animal_are_deleted(server_url: str, client: Client) -> None:
    for seed in (89_000, 89_001):
        add(client, pictures.jpeg(seed), animal_id="I-2")
    done = said(server_url, "images", "delete", "--animal-id", "I-2", "--yes")
    assert (done.returncode, done.stderr) == (0, "Photos deleted: 2\n")


def test_duplicates_are_listed_in_groups(server_url: str, client: Client) -> None:
    smaller = pictures.encoded(Image.open(io.BytesIO(DRAWING)).resize((300, 300)), quality=60)
    ids = {add(client, DRAWING), add(client, smaller)}
    groups = answered(server_url, "duplicates")["items"]
    assert ids in [{image["image_id"] for image in group["images"]} for group in groups]
    done = said(server_url, "duplicates", "--tier", "same_photo")
    header, *rows = done.stdout.splitlines()
    assert header.split()[:2] == ["group", "times"]
    assert len({row.split()[0] for row in rows if row.split()[-2] in ids}) == 1
    assert said(server_url, "duplicates", "--tier", "alike").returncode == 2


def test_facets_count_under_filters(server_url: str, client: Client) -> None:
    for seed in range(90_000, 90_003):
        add(client, pictures.jpeg(seed), status="counted", animal_id=f"F-{seed % 2}")
    done = said(server_url, "facets", "status", "--tag", TAG, "--status", "counted")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["status", "photos"],
        ["counted", "3"],
    ]
    breeds = answered(server_url, "facets", "breed", "--status", "counted")
    assert breeds["unsure"] + sum(entry["count"] for entry in breeds["values"]) == 3
    assert said(server_url, "facets", "colour").returncode == 1
