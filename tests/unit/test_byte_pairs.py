"""The encoding of words against that of open_clip, its plain twin."""

import random
from typing import Any

import pytest
from open_clip import SimpleTokenizer

from petsearch.adapters.clip.byte_pairs import merged
from petsearch.adapters.clip.model import create_module
from petsearch.adapters.clip.sources import resolve_model
from petsearch.calibration.held_out_texts import read_held_out_texts
from petsearch.domain.prompts import DEFAULT_TEMPLATES, apply_templates

LENGTHS = (77, 8192)
LETTERS = ["ab", "aein", "abcdefghijklmnopqrstuvwxyz", "éßжчक猫🐈́!?-"]
ODD = ["", " ", "a", "it's 3 o'clock", "<start_of_text> cat <end_of_text>", "<|endoftext|>", "🐈‍⬛"]
LONG = ["abcde" * 200, "a" * 1000, "🐈" * 300, "wonderful" * 40]


@pytest.fixture(scope="module")
def plain() -> Any:
    return SimpleTokenizer()


@pytest.fixture
def tokenizer() -> Any:
    return create_module(resolve_model("sample"))[1]


def random_texts(pieces: list[str]) -> list[str]:
    """Three words each, of letters and of pieces that the vocabulary knows."""
    chance = random.Random(8)
    words = []
    for _ in range(1500):
        letters = chance.choice(LETTERS)
        words.append("".join(chance.choices(letters, k=chance.randint(1, 90))))
        words.append("".join(chance.choices(pieces, k=chance.randint(1, 25))))
    chance.shuffle(words)
    return [" ".join(words[start : start + 3]) for start in range(0, len(words), 3)]


def test_every_text_has_the_tokens_that_open_clip_gives_it(plain: Any, tokenizer: Any) -> None:
    real = read_held_out_texts().all
    prompts = apply_templates("a Löwchen & its CAT", DEFAULT_TEMPLATES)
    prompts += [prompt for text in real for prompt in apply_templates(text, DEFAULT_TEMPLATES)]
    pieces = [piece.removesuffix("</w>") for piece in plain.encoder if piece.isascii()]
    texts = [*ODD, *real, *prompts, *random_texts(pieces), *LONG]
    for length in LENGTHS:
        for text in texts:
            assert (tokenizer([text], length) == plain([text], length)).all(), text


def test_no_more_than_a_number_of_words_are_kept(tokenizer: Any) -> None:
    letters = str.maketrans("0123456789", "abcdefghij")
    for start in range(0, 20_000, 100):
        numbers = range(start, start + 100)
        tokenizer([" ".join(str(number).translate(letters) for number in numbers)])
    assert len(tokenizer.cache) < 10
    assert 1000 < tokenizer.bpe.cache_info().currsize < 10_000


def test_a_word_takes_as_many_steps_as_it_has_letters(plain: Any) -> None:
    class Ranks(dict[tuple[str, str], int]):
        asked = 0

        def __contains__(self, pair: object) -> bool:
            self.asked += 1
            return super().__contains__(pair)

    for letters in LETTERS[:3]:
        ranks = Ranks(plain.bpe_ranks)
        word = "".join(random.Random(9).choices(letters, k=4000))
        assert "".join(merged(word, ranks)) == word + "</w>"
        assert ranks.asked < 3 * len(word)
