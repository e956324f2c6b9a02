"""Holding images out: by class, so that both parts look alike, and by group, so that no patient is in both."""

import re
from collections import Counter, defaultdict

import numpy as np


def groups_of(names, pattern):
    """The group of each name: what `pattern` finds in it, or the name itself where it finds nothing -> list of str

    r"person(\\d+)|IM-(\\d+)" makes person12_virus_3.jpeg and person12_virus_4.jpeg one group. Where the pattern has
    parentheses, only what is in them tells groups apart.
    Raises ValueError for a pattern that is no regular expression, or that finds nothing in any name.
    """
    try:
        matches = [re.search(pattern, name) for name in names]
    except re.error as error:
        raise ValueError(f"the group pattern must be a regular expression; {pattern!r} is none: {error}") from None
    found = [_key(match) if match else "" for match in matches]
    if names and not any(found):
        raise ValueError(
            f"the group pattern {pattern!r} must find something; it occurs in none of {len(names)} names: "
            f"look at one, {names[0]!r}"
        )
    return [group or name for group, name in zip(found, names, strict=True)]


def _key(match):
    """What a match has in its parentheses, "12|" and not "|12", or else the whole of it."""
    groups = match.groups()
    return "|".join(group or "" for group in groups) if any(groups) else match.group()


def split(labels, share, *, seed, groups=None):
    """Two sorted index arrays, (kept, held): `held` has about `share` of each class, whole groups only.

    labels (N,); groups: for each image the name of its group, by default each is a group of its own.
    In a random order, groups are held while none of their classes gets more than its share; then the smallest of the
    others, if they bring their classes nearer to it, or if a class has none yet. Each class is on both sides.
    Raises ValueError unless 0 < share < 1, and for a class that cannot be on both sides, such as one with one group.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share to hold out must be between 0 and 1; got {share}")
    if share > 0.5:
        return split(labels, 1 - share, seed=seed, groups=groups)[::-1]
    labels = np.asarray(labels).tolist()
    groups = range(len(labels)) if groups is None else groups
    if len(groups) != len(labels):
        raise ValueError(f"groups must be {len(labels)} names, one for each label; got {len(groups)}")
    members = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    order = list(members.values())
    np.random.default_rng([seed, len(labels)]).shuffle(order)

    left = Counter(labels)
    wanted, held = {c: max(1, round(share * n)) for c, n in left.items()}, set()
    missing = Counter(wanted)  # images of each class still to be held
    for fits, candidates in ((_has_room, order), (_is_nearer, sorted(order, key=len))):
        for indices in candidates:
            new = Counter(labels[i] for i in indices)
            if indices[0] not in held and all(left[c] > new[c] for c in new) and fits(new, missing, wanted):
                held.update(indices)
                left.subtract(new)
                missing.subtract(new)
    for c in sorted(c for c in wanted if missing[c] == wanted[c]):
        raise ValueError(
            f"a class must have images to keep and images to hold out; class {c} has {left[c]} in too few groups: "
            "add images, or split by hand into train/ and val/"
        )
    kept = [i for i in range(len(labels)) if i not in held]
    return np.array(kept, np.int64), np.array(sorted(held), np.int64)


def _has_room(new, missing, wanted):
    return all(n <= missing[c] for c, n in new.items())


def _is_nearer(new, missing, wanted):
    """Whether the classes come nearer to their shares, or one of them has nothing yet."""
    gain = sum((abs(missing[c]) - abs(missing[c] - n)) / wanted[c] for c, n in new.items())
    return gain > 0 or any(missing[c] == wanted[c] for c in new)
