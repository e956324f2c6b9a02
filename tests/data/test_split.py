"""What is held out looks like what is kept, and no group is on both sides."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from numpy_resnet.data import groups_of, split

PERSONS = r"person(\d+)|IM-(\d+)"
SHARES = st.floats(0.01, 0.99)
SEEDS = st.integers(0, 2**40)


def check_parts(labels, kept, held, groups):
    """Sorted, complete, every class on both sides, no group on both sides."""
    for part in (kept, held):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    assert sorted([*kept, *held]) == list(range(len(labels)))
    sides = [{labels[i] for i in part} for part in (kept, held)]
    assert sides[0] == sides[1] == set(labels)
    assert not {groups[i] for i in kept} & {groups[i] for i in held}


@given(st.lists(st.integers(2, 40), min_size=1, max_size=4), SHARES, SEEDS, st.randoms())
def test_shares_are_those_of_each_class_within_half_an_image(counts, share, seed, random):
    labels = [k for k, n in enumerate(counts) for _ in range(n)]
    random.shuffle(labels)
    kept, held = split(labels, share, seed=seed)
    check_parts(labels, kept, held, range(len(labels)))
    for k, n in enumerate(counts):
        assert abs(sum(labels[i] == k for i in held) - min(max(share * n, 1), n - 1)) <= 0.5 + 1e-9


@given(st.lists(st.lists(st.integers(1, 30), min_size=2, max_size=12), min_size=1, max_size=3), SHARES, SEEDS)
def test_with_groups_of_one_class_there_is_always_a_split_and_it_is_close(sizes, share, seed):
    """At most half a group away, unless one group alone is more than what is wanted, or all that can be kept."""
    labels = [k for k, groups in enumerate(sizes) for n in groups for _ in range(n)]
    groups = [f"{k}, {j}" for k, groups in enumerate(sizes) for j, n in enumerate(groups) for _ in range(n)]
    kept, held = split(labels, share, seed=seed, groups=groups)
    check_parts(labels, kept, held, groups)
    for k, own in enumerate(sizes):
        n = sum(labels[i] == k for i in held)
        alone = 1 in [len({groups[i] for i in part if labels[i] == k}) for part in (kept, held)]
        assert abs(n - share * sum(own)) <= max(own) / 2 + 0.5 or alone


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=2, max_size=12), SHARES, SEEDS)
def test_groups_of_several_classes_are_whole_too(images, share, seed):
    labels, groups = zip(*images, strict=True)
    try:
        kept, held = split(labels, share, seed=seed, groups=groups)
    except ValueError:
        assume(False)
    check_parts(labels, kept, held, groups)


def test_a_split_for_groups_of_several_classes_is_rarely_missed():
    """To find one whenever there is one may take trying all: here all are tried."""
    rng, missed, there = np.random.default_rng(0), 0, 0
    for seed in range(300):
        labels, groups = rng.integers(0, 3, 12), rng.integers(0, 6, 12)
        sides = ({labels[(choice >> groups & 1) == side].tobytes() for side in (0, 1)} for choice in range(2**6))
        exists = any(all(len(set(np.frombuffer(s, np.int64))) == len(set(labels)) for s in side) for side in sides)
        try:
            split(labels, 0.3, seed=seed, groups=groups.tolist())
        except ValueError:
            missed += exists
        else:
            assert exists
        there += exists
    assert there > 100
    assert missed <= there / 50


def patients(sizes):
    return [0] * sum(sizes), np.repeat(np.arange(len(sizes)), sizes).tolist()


@pytest.mark.parametrize(
    ("sizes", "share", "held"),
    [
        ([1, 9], 0.1, {1}),
        ([4, 6], 0.1, {4}),  # both are more than is wanted: the smaller
        ([5, 5], 0.1, {5}),
        ([30, *[1] * 10], 0.1, {4}),  # the large one never
        ([30, *[1] * 10], 0.8, {32}),
        ([1, 9], 0.9, {9}),
        ([18, *[1] * 82], 0.1, {10}),
        ([3, 3, 3, 3], 0.4, {6}),  # 5 are wanted
        ([4] * 5, 0.45, {8}),  # 9 are wanted
        ([4] * 5, 0.5, {8}),  # 8 and 12 are equally near
    ],
)
def test_uneven_groups(sizes, share, held):
    labels, groups = patients(sizes)
    assert {len(split(labels, share, seed=seed, groups=groups)[1]) for seed in range(30)} == held


def test_large_groups_are_held_as_often_as_small_ones():
    """Or the images that are held would be those of few patients, or of unusual ones."""
    labels, groups = patients([1, 2, 3, 4] * 50)
    held = Counter()
    for seed in range(20):
        held.update(Counter(groups[i] for i in split(labels, 0.2, seed=seed, groups=groups)[1]))
    images = defaultdict(int)
    for group, n in held.items():
        images[group % 4 + 1] += n
    for size, n in images.items():
        assert n / (20 * 50 * size) == pytest.approx(0.2, abs=0.03)


def test_a_group_of_several_classes_counts_for_each():
    labels, groups = [0, 1] * 40 + [0] * 20, [i // 2 for i in range(80)] + list(range(40, 60))
    for seed in range(10):
        kept, held = split(labels, 0.25, seed=seed, groups=groups)
        check_parts(labels, kept, held, groups)
        assert (np.abs(np.bincount(np.take(labels, held)) - [15, 10]) <= 2).all()


def test_a_rare_class_counts_as_much_as_a_frequent_one():
    """Class 1 is in two groups of twenty images each: one goes to either side, though class 0 has its share."""
    labels, groups = [0] * 60 + ([0] * 19 + [1]) * 2, [*range(60), *[60] * 20, *[61] * 20]
    for seed in range(10):
        kept, held = split(labels, 0.1, seed=seed, groups=groups)
        check_parts(labels, kept, held, groups)

    labels, groups = [0] * 200 + [0, 0, 0, 0, 0, 0, 1, 1, 1, 1] * 10, [*range(200), *np.repeat(range(200, 210), 10)]
    for seed in range(30):
        assert np.bincount(np.take(labels, split(labels, 0.3, seed=seed, groups=groups)[1]))[1] == 12


def test_the_split_depends_on_the_seed_and_nothing_else():
    labels, groups = np.arange(200) % 3, np.arange(200) // 2
    splits = [split(labels, 0.2, seed=seed, groups=groups.tolist())[1].tolist() for seed in (0, 0, 1, 2**40)]
    assert splits[0] == splits[1]
    assert len({tuple(held) for held in splits}) == 3
    renamed = split(labels + 5, 0.2, seed=0, groups=[f"{group:03}" for group in groups])[1]  # in the same order
    assert renamed.tolist() == splits[0]
    for seed in (0, 1):  # images far from each other, not the first ones
        held = split(labels, 0.2, seed=seed)[1]
        assert held.max() - held.min() > 100
        assert len(set(np.diff(held))) > 3


@pytest.mark.parametrize(
    ("labels", "share", "groups", "message"),
    [
        ([0, 0, 1, 1], 0, None, "between 0 and 1; got 0"),
        ([0, 0, 1, 1], 1, None, "between 0 and 1; got 1"),
        ([0, 0, 1, 1], -0.2, None, "between 0 and 1; got -0.2"),
        ([0, 0, 1, 1], float("nan"), None, "between 0 and 1; got nan"),
        ([0, 0, 1], 0.5, None, "class 1 has 1 in too few groups: add images"),
        ([0, 0, 1, 1, 1], 0.5, "abccc", "class 1 has 3 in too few groups"),
        ([0, 1, 0, 1], 0.5, "aaaa", "class 0 has 2 in too few groups"),
        ([0, 0, 1, 1], 0.5, "abc", "groups must be 4 names, one for each label; got 3"),
    ],
)
def test_refused(labels, share, groups, message):
    with pytest.raises(ValueError, match=message):
        split(labels, share, seed=0, groups=groups)


def test_groups_are_what_the_pattern_finds_or_the_name_itself():
    names = ["person12_virus_3.jpeg", "person12_bacteria_4.jpeg", "person1_virus_3.jpeg", "NORMAL2-IM-0927-0001.jpeg"]
    found = ["12|", "12|", "1|", "|0927"]
    assert groups_of([*names, "other.png"], PERSONS) == [*found, "other.png"]
    whole = ["person12", "person12", "person1", "IM-0927", "other.png"]
    assert groups_of([*names, "other.png"], r"person\d+|IM-\d+") == whole
    assert groups_of([], PERSONS) == []


def test_parentheses_say_what_tells_groups_apart():
    names = ["patient12_scan1.png", "patient12_scan2.png", "patient2_scan1.png", "IM-12-1.png", "IM-12-2.png"]
    assert groups_of(names[:3], r"patient(\d+)_scan\d+") == ["12", "12", "2"]
    assert groups_of(names, r"patient(\d+)|IM-(\d+)") == ["12|", "12|", "2|", "|12", "|12"]  # two patients
    assert groups_of(names[:1], "patient(x)?") == ["patient"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", r"must be a regular expression; '\(' is none: missing \)"),
        (r"patient\d", r"must find something; it occurs in none of 2 names: look at one, 'a.png'"),
        ("", "must find something"),
        ("x*", "must find something"),
    ],
)
def test_patterns_that_are_refused(pattern, message):
    with pytest.raises(ValueError, match=message):
        groups_of(["a.png", "b.png"], pattern)
