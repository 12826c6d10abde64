"""The sample catalogue: the same pets every time, described by words that are true of them."""

import hashlib
import io
import random

import pytest
from PIL import Image

from petsearch.sample.captions import any_text, describes, facts_of, vocabulary
from petsearch.sample.catalogue import (
    DEMO_SEED,
    HELD_OUT_SEED,
    TRAINING_SEED,
    attributes_at,
    catalogue,
    drawing_at,
)
from petsearch.sample.drawing import ACCESSORIES, POSES
from petsearch.sample.kinds import KINDS
from petsearch.sample.queries import ATTRIBUTE_QUERIES
from petsearch.sample.scenes import BACKGROUNDS

_MANY = range(600)


def test_a_seed_gives_the_same_bytes_every_time() -> None:
    first = [drawing.to_jpeg() for drawing in catalogue(4, DEMO_SEED)]
    assert first == [drawing.to_jpeg() for drawing in catalogue(4, DEMO_SEED)]
    assert len({hashlib.sha256(data).digest() for data in first}) == 4


def test_a_longer_catalogue_begins_with_the_shorter() -> None:
    shorter = [(d.filename, d.caption, d.image.tobytes()) for d in catalogue(2, DEMO_SEED)]
    longer = [(d.filename, d.caption, d.image.tobytes()) for d in catalogue(3, DEMO_SEED)]
    assert longer[:2] == shorter


def test_the_three_seeds_share_no_picture() -> None:
    pictures = [
        hashlib.sha256(drawing.image.tobytes()).digest()
        for seed in (DEMO_SEED, TRAINING_SEED, HELD_OUT_SEED)
        for drawing in catalogue(6, seed)
    ]
    assert len(set(pictures)) == 18


def test_every_block_of_the_catalogue_holds_every_kind_once() -> None:
    assert len(KINDS) >= 14
    shown = [attributes_at(number, DEMO_SEED).kind.name for number in range(3 * len(KINDS))]
    assert all(shown.count(name) == 3 for name in KINDS)


def test_all_poses_places_and_accessories_occur() -> None:
    shown = [attributes_at(number, DEMO_SEED) for number in _MANY]
    assert {attributes.pose for attributes in shown} == set(POSES)
    assert {attributes.background for attributes in shown} == set(BACKGROUNDS)
    assert {attributes.accessory for attributes in shown} == {None, *ACCESSORIES}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_draws_in_each_pose_and_fills_a_good_part_of_the_picture(kind: str) -> None:
    numbers = [n for n in _MANY if attributes_at(n, DEMO_SEED).kind.name == kind]
    by_pose = {attributes_at(number, DEMO_SEED).pose: number for number in numbers}
    assert set(by_pose) == set(POSES)
    picture = drawing_at(by_pose["sitting"], DEMO_SEED).image
    assert picture.size == (512, 512)
    assert picture.mode == "RGB"
    assert len(picture.getcolors(512 * 512) or ()) > 1000


def test_jpegs_open_as_the_picture_that_was_drawn() -> None:
    drawing = drawing_at(5, DEMO_SEED)
    with Image.open(io.BytesIO(drawing.to_jpeg())) as opened:
        assert opened.format == "JPEG"
        assert opened.size == drawing.image.size
        mean = opened.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    drawn = drawing.image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(mean, tuple)
    assert isinstance(drawn, tuple)
    assert mean == pytest.approx(drawn, abs=2)


def test_file_names_say_the_kind_and_the_number() -> None:
    drawing = drawing_at(7, DEMO_SEED)
    assert drawing.filename == f"{drawing.kind.replace(' ', '_')}_0007.jpg"
    assert drawing.filename.isascii()


def test_a_caption_says_every_attribute_and_no_other() -> None:
    for number in range(24):
        drawing = drawing_at(number, DEMO_SEED)
        attributes, caption = drawing.attributes, drawing.caption
        assert drawing.kind in caption
        assert all(word in caption for word in attributes.coat.words)
        assert [pose for pose in POSES if pose in caption] == [attributes.pose]
        assert [place for place in BACKGROUNDS if place in caption] == [attributes.background]
        worn = f"{attributes.accessory_colour} {attributes.accessory}"
        assert (worn in caption) == (attributes.accessory is not None)


def test_a_text_names_only_facts_that_hold_and_only_known_words() -> None:
    rng = random.Random(0)
    words = vocabulary()
    for number in _MANY:
        attributes = attributes_at(number, TRAINING_SEED)
        text = any_text(attributes, rng)
        assert text.facts
        assert describes(text.facts, facts_of(attributes))
        assert set(text.words.split()) <= words


def test_a_text_does_not_describe_a_drawing_that_lacks_a_named_fact() -> None:
    facts = facts_of(attributes_at(0, DEMO_SEED))
    assert not describes(facts | {"background:moon"}, facts)


def test_a_patchwork_coat_is_not_called_by_one_colour() -> None:
    calico = KINDS["calico"].coats[0]
    shown = next(a for n in _MANY if (a := attributes_at(n, DEMO_SEED)).coat == calico)
    assert not [fact for fact in facts_of(shown) if fact.startswith("coat:")]


def test_each_attribute_query_names_facts_that_some_drawing_shows() -> None:
    assert len(ATTRIBUTE_QUERIES) == 20
    facts = [facts_of(attributes_at(number, HELD_OUT_SEED)) for number in range(3000)]
    for query in ATTRIBUTE_QUERIES:
        assert any(describes(query.facts, held) for held in facts), query.words
