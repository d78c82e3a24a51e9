"""What clips are asked about, by loops over clips and sentences."""

from collections import Counter

import pytest
import torch

from speechbrain_lmac.questions import Questions

CLIPS, SENTENCES = 6, 14
EACH = torch.eye(SENTENCES, dtype=torch.bool)


def ask(questions, mixed=False, alike=EACH, sentences=SENTENCES):
    """One batch: for each clip its similarities, caption, prompts, rivals, offer."""
    similarity = torch.rand(CLIPS, sentences) - 0.3
    captions = torch.stack([torch.randperm(sentences)[:2] for _ in range(CLIPS)])
    drawn = questions.draw(CLIPS, sentences)
    chosen = questions.choose(
        drawn, similarity, captions, torch.full((CLIPS,), mixed), alike
    )
    assert [len(part) for part in (*drawn, *chosen)] == [CLIPS] * 8
    return [
        (row.tolist(), own.tolist(), prompts.tolist(), rivals.tolist(), offer.tolist())
        for row, own, prompts, rivals, offer in zip(
            similarity, captions, *chosen, strict=True
        )
    ]


def clips(questions, rounds=50, **given):
    return [clip for _ in range(rounds) for clip in ask(questions, **given)]


def test_the_caption_and_a_part_of_the_others_are_offered():
    """Few as often as many, and never so few that nothing is foreign."""
    counts = []
    for row, (caption, _), (prompt, foreign), _, offer in clips(Questions()):
        known = [n for n in range(SENTENCES) if offer[n]]
        assert caption in known
        assert prompt == max(known, key=row.__getitem__)
        assert foreign in known and foreign not in (caption, prompt)
        counts.append(len(known))
    assert min(counts) in (5, 6) and max(counts) >= SENTENCES - 1
    assert 0.4 < sum(n < SENTENCES / 2 for n in counts) / len(counts) < 0.9


def test_all_are_offered_where_none_is_left_out():
    for row, _, (prompt, _), _, offer in clips(Questions(left_out=0.0), rounds=3):
        assert all(offer) and row[prompt] == max(row)


def test_an_unlikely_sentence_has_only_less_likely_ones_beside_it():
    places = Counter()
    for row, _, (prompt, foreign), _, offer in clips(Questions(unlikely_share=1.0)):
        above = sum(value > row[prompt] for value in row)
        assert offer == [value <= row[prompt] for value in row]
        assert row[foreign] < row[prompt]
        places[above] += 1
    assert sorted(places) == list(range(10))  # the last five are always offered
    assert min(places.values()) > 0.3 * max(places.values())


def test_some_clips_are_asked_about_an_unlikely_sentence():
    likelier = [
        any(value > row[prompt] for value, o in zip(row, offer, strict=True) if not o)
        and not offer[row.index(max(row))]
        and offer == [value <= row[prompt] for value in row]
        for row, _, (prompt, _), _, offer in clips(Questions(unlikely_share=0.5))
    ]
    assert 0.3 < sum(likelier) / len(likelier) < 0.6


@pytest.mark.parametrize("unlikely_share", [0.0, 1.0])
@pytest.mark.parametrize("hard_share", [0.0, 1.0])
def test_what_is_foreign(hard_share, unlikely_share):
    """Less likely than the prompt; the likeliest such, or any."""
    seen = set()
    questions = Questions(hard_share, unlikely_share=unlikely_share, rivals=2)
    for row, (caption, _), (prompt, foreign), rivals, offer in clips(questions):
        absent = {n for n in range(SENTENCES) if offer[n]} - {caption, prompt}
        assert {foreign, *rivals} <= absent and len({*rivals}) == 2
        assert all(row[n] < row[prompt] for n in (foreign, *rivals))
        order = sorted(absent, key=row.__getitem__, reverse=True)
        seen.add(order.index(foreign))
    if hard_share and not unlikely_share:
        assert seen == {0}
    else:
        assert len(seen) > 8


def test_mixtures_are_asked_about_both_captions():
    seen = set()
    for row, captions, prompts, rivals, offer in clips(Questions(), mixed=True):
        assert prompts == captions and all(offer)
        likeliest = row.index(max(row))
        assert len({*rivals}) == 2 and not {*captions, likeliest} & {*rivals}
        seen |= {*rivals}
    assert seen == set(range(SENTENCES))


def test_sentences_that_name_the_same_are_not_foreign():
    alike = EACH.clone()
    alike[0, 1] = alike[1, 0] = True
    questions, met = Questions(hard_share=0.5), 0
    for _, (caption, _), (prompt, foreign), rivals, _ in clips(
        questions, alike=alike, rounds=100
    ):
        for one, other in ((0, 1), (1, 0)):
            if one in (caption, prompt):
                met += 1
                assert other not in (foreign, *rivals)
    assert met > 20


def test_few_sentences():
    """Of three one is left, whatever was offered."""
    for given in ({}, {"unlikely_share": 1.0}, {"hard_share": 1.0}):
        for _, (caption, _), (prompt, foreign), rivals, _ in clips(
            Questions(**given), alike=EACH[:3, :3], sentences=3
        ):
            assert foreign not in (caption, prompt)
            assert len(rivals) == 1 and rivals[0] not in (caption, prompt)


def test_what_is_drawn_decides():
    """Of the same draws the same questions, for a part of the batch too."""
    questions = Questions(unlikely_share=0.5)
    drawn, similarity = questions.draw(CLIPS, SENTENCES), torch.rand(CLIPS, SENTENCES)
    captions = torch.arange(2 * CLIPS).reshape(CLIPS, 2)
    mixed = torch.arange(CLIPS) % 3 == 0
    whole = questions.choose(drawn, similarity, captions, mixed, EACH)
    part = slice(2, 5)
    some = questions.choose(
        [lot[part] for lot in drawn],
        similarity[part],
        captions[part],
        mixed[part],
        EACH,
    )
    for one, all_of_it in zip(some, whole, strict=True):
        assert torch.equal(one, all_of_it[part])
