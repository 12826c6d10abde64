"""`petsearch search` with everything that a query may have, against a real server."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict
from petsearch.sample.catalogue import catalogue
from tests.programs import petsearch

TAG = "command line"
BERLIN = {"lat": 52.521, "lon": 13.402}
POTSDAM = {"lat": 52.396, "lon": 13.058}
DRAWINGS = [*catalogue(19, seed=81_000)]


@pytest.fixture(scope="module", autouse=True)
def drawings(server_url: str) -> None:
    """Nineteen drawings, one of each kind; the first ten are of Berlin."""
    photos = [
        Photo(drawing.filename, drawing.to_jpeg(), {"breed": drawing.kind, **_said(number)})
        for number, drawing in enumerate(DRAWINGS)
    ]
    with Client(server_url) as client:
        upload(client, PhotoSource(iter(photos), len(photos)), name="drawings")


def _said(number: int) -> JsonDict:
    place = BERLIN if number < 10 else POTSDAM
    return {"tags": [TAG], "status": "found", "animal_id": f"C-{number}", "location": place}


@pytest.fixture
def breeds(client: Client) -> Iterator[dict[str, JsonDict]]:
    """The drawings by their kinds."""
    kinds = [drawing.kind for drawing in DRAWINGS]
    hits = (client.search(kind, tag=TAG, breed=kind)["items"] for kind in kinds)
    yield {hit["breed"]: hit for found in hits for hit in found}


def found(server_url: str, *arguments: str) -> list[JsonDict]:
    """What a search prints as JSON."""
    done = petsearch("search", *arguments, "--tag", TAG, "--json", "--api", server_url)
    assert done.returncode == 0, done.stderr
    items: list[JsonDict] = json.loads(done.stdout)["items"]
    return items


def test_a_row_has_status_animal_place_and_a_link_to_the_photo(server_url: str) -> None:
    near = ["--near", "52.52,13.40,5", "--limit", "1"]
    done = petsearch("search", "cat", "--tag", TAG, *near, "--api", server_url)
    assert done.returncode == 0, done.stderr
    _, row = done.stdout.splitlines()
    (hit,) = found(server_url, "cat", *near)
    assert f" found   {hit['animal_id']} " in row
    assert " 52.521,13.402 (0.2 km) " in row
    assert row.endswith(f"{hit['image_id']}  {server_url}/?photo={hit['image_id']}")


def test_a_terminal_gets_short_ids_links_below_and_pictures_if_it_can(server_url: str) -> None:
    plain = {"FORCE_COLOR": "1", "TERM": "xterm", "TERM_PROGRAM": ""}  # for Rich, a terminal
    asked = ["search", "cat", "--tag", TAG, "--limit", "2", "--api", server_url]
    ids = [hit["image_id"] for hit in found(server_url, "cat", "--limit", "2")]
    below = [f"{image_id[:8]}  {server_url}/?photo={image_id}" for image_id in ids]
    done = petsearch(*asked, env=plain)
    _, *rows = done.stdout.splitlines()
    assert [row.split()[-1] for row in rows[:2]] == [image_id[:8] for image_id in ids]
    assert rows[2:] == below
    pictured = petsearch(*asked, env={**plain, "TERM_PROGRAM": "iTerm.app"})
    assert pictured.stdout.count("\x1b]1337;File=inline=1") == 2
    assert [line for line in pictured.stdout.splitlines() if line in below] == below


def test_near_takes_a_distance_or_ten_kilometres(server_url: str) -> None:
    def places(near: str) -> set[float]:
        hits = found(server_url, "cat", "--near", near, "--limit", "100")
        return {hit["location"]["lat"] for hit in hits}

    assert places("52.52,13.40") == {BERLIN["lat"]}
    assert places("52.52,13.40,50") == {BERLIN["lat"], POTSDAM["lat"]}
    assert places("-33.9,151.2") == set()


def test_since_leaves_out_what_was_added_before(server_url: str) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert found(server_url, "cat", "--since", "2020-01-01")
    assert found(server_url, "cat", "--since", tomorrow) == []


def test_like_takes_ids_short_ones_too_beside_words(
    server_url: str, breeds: dict[str, JsonDict]
) -> None:
    husky = breeds["husky"]["image_id"]
    for given in (husky, husky[:8], husky[:8].upper(), husky.replace("-", "")[:12]):
        hits = found(server_url, "snow", "--like", given, "--limit", "19")
        assert len(hits) == 18
        assert husky not in [hit["image_id"] for hit in hits]


def test_words_and_a_photo_are_one_query(
    server_url: str, tmp_path: Path, breeds: dict[str, JsonDict]
) -> None:
    pug = next(drawing for drawing in DRAWINGS if drawing.kind == "pug")
    photo = tmp_path / "pug.jpg"
    photo.write_bytes(pug.to_jpeg())
    wanted = breeds["pug"]["image_id"]
    for option in ("--image", "--like"):
        by_photo = found(server_url, option, str(photo), "--limit", "19")
        both = found(server_url, "siamese cat", option, str(photo), "--limit", "19")
        assert by_photo[0]["image_id"] == wanted
        assert by_photo[0]["score"] > both[0]["score"]
        rank = [hit["breed"] for hit in by_photo].index("siamese")
        assert [hit["breed"] for hit in both].index("siamese") < rank


def test_what_it_should_not_be_like_goes_down(server_url: str) -> None:
    first = found(server_url, "cat")[0]
    for unwanted in (first["breed"], first["image_id"][:8]):
        assert found(server_url, "cat", "--not", unwanted)[0]["image_id"] != first["image_id"]


def test_a_word_of_hexadecimal_digits_is_a_word(server_url: str) -> None:
    assert found(server_url, "cat", "--not", "faded")


@pytest.mark.parametrize(
    ("given", "words"),
    [("00000000", "There is no image 00000000"), ("0" * 35, "There is no image 000000")],
)
def test_an_id_of_no_image_is_an_error(server_url: str, given: str, words: str) -> None:
    done = petsearch("search", "--like", given, "--api", server_url)
    assert (done.returncode, words in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--near", "52.5,13.4"], "give words, --image or --like"),
        (["cat", "--near", "Berlin"], "is not LAT,LON or LAT,LON,KM"),
        (["cat", "--near", "52.5"], "is not LAT,LON or LAT,LON,KM"),
        (["cat", "--near", "nan,13.4"], "is not LAT,LON or LAT,LON,KM"),
        (["cat", "--near", "91,13.4"], "is not LAT,LON or LAT,LON,KM"),
        (["cat", "--near", "52.5,13.4,0"], "is not LAT,LON or LAT,LON,KM"),
        (["cat", "--since", "yesterday"], "is no day or time, such as 2026-05-17"),
        (["--like", "lost-dog.jpg"], "cannot read lost-dog.jpg: No such file"),
        (["--image", __file__, "--like", __file__], "one photo"),
    ],
)
def test_what_makes_no_query_is_exit_code_2(arguments: list[str], words: str) -> None:
    done = petsearch("search", *arguments)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
