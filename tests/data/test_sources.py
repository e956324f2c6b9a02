"""A name or a path becomes a data set: the content says what it is, and what has no part of its own is split off."""

import os
import struct
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from image_folders import make_folder

from numpy_resnet import data, files
from numpy_resnet.data import groups_of, load
from numpy_resnet.data.cifar import CLASSES
from numpy_resnet.data.sources import SOURCES, data_folders

RNG = np.random.default_rng(3)
LABELS = np.arange(60) % 3
GREY = RNG.integers(0, 256, (60, 6, 5), np.uint8)
COLOUR = RNG.integers(0, 256, (60, 6, 5, 3), np.uint8)
PERSONS = r"person(\d+)|IM-(\d+)"


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Neither the user's data nor the user's cache."""
    monkeypatch.delenv("NUMPY_RESNET_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def make_flat(path):
    """60 images in three classes, two of each person."""
    make_folder(path.parent, parts=(path.name,), n=20, classes="ABC", size=(6, 5))


def make_parts(path):
    make_folder(path, parts=("train", "val", "test"), n=20, classes="ABC", size=(6, 5))


def make_idx(path, parts=("train", "t10k")):
    path.mkdir(parents=True)
    for part in parts:
        for kind, array in (("images", GREY), ("labels", LABELS.astype(np.uint8))):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (path / f"{part}-{kind}-idx{array.ndim}-ubyte").write_bytes(header + array.tobytes())


def make_cifar(path, parts=("data_batch_1", "data_batch_2", "test_batch")):
    path.mkdir(parents=True)
    for part in parts:
        records = RNG.integers(0, 256, (30, 3073), np.uint8)
        records[:, 0] = np.arange(30) % 3
        (path / f"{part}.bin").write_bytes(records.tobytes())


def make_cifar_archive(path):
    make_cifar(path.parent / "unpacked")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(path.parent / "unpacked", "cifar-10-batches-bin")


def make_npz(path, parts=(), pixels=COLOUR):
    arrays = {"images": pixels, "labels": LABELS}
    for part in parts:
        arrays |= {f"x_{part}": arrays["images"], f"y_{part}": arrays["labels"]}
    files.write_npz(path, {name: array for name, array in arrays.items() if not parts or name[1] == "_"})


KINDS = {  # path: what makes it, number of images to train on, to choose by and to be judged by, mode
    "flat": (make_flat, 42, 6, 12, "RGB"),
    "parts": (make_parts, 60, 60, 60, "RGB"),
    "MNIST": (make_idx, 54, 6, 60, "L"),
    "cifar": (make_cifar, 54, 6, 30, "RGB"),
    "cifar.tar.gz": (make_cifar_archive, 54, 6, 30, "RGB"),
    "colour.npz": (make_npz, 42, 6, 12, "RGB"),
    "GREY.NPZ": (lambda path: make_npz(path, ("train", "val", "test"), GREY), 60, 60, 60, "L"),
    "no_test.npz": (lambda path: make_npz(path, ("train", "val")), 48, 60, 12, "RGB"),
}
WITHOUT_NAMES = [kind for kind in KINDS if kind not in ("flat", "parts")]


def texts(images):
    """What identifies an image: its file, or its pixels."""
    if isinstance(images, data.FileImages):
        return [str(path) for path in images.paths]
    return [pixels.tobytes() for pixels in images.pixels]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_path(tmp_path, kind):
    make, *sizes, mode = KINDS[kind]
    make(tmp_path / kind)
    dataset = load(tmp_path / kind)
    assert dataset.name == kind
    assert [len(part) for part in (dataset.train, dataset.val, dataset.test)] == sizes
    for part in (dataset.train, dataset.val, dataset.test):
        assert (part.mode, part.read(0).mode) == (mode, mode)
        counts = np.bincount(part.labels)
        assert counts.max() - counts.min() <= 1  # stratified: here all classes have equally many
    assert isinstance(dataset.classes, tuple)
    assert dataset.classes == (
        tuple("ABC") if kind in ("flat", "parts") else CLASSES if "cifar" in kind else ("0", "1", "2")
    )
    assert [a.fingerprint() for a in dataset[2:]] == [a.fingerprint() for a in load(str(tmp_path / kind))[2:]]


def test_short_ways_to_say_where(tmp_path, monkeypatch):
    make_flat(tmp_path / "flat")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "flat")
    for path in ("~/flat", ".", "../flat/"):
        dataset = load(path)
        assert (dataset.name, dataset.classes) == ("flat", tuple("ABC"))


@pytest.mark.parametrize("kind", KINDS)
def test_grey(tmp_path, kind):
    KINDS[kind][0](tmp_path / kind)
    colour, grey = load(tmp_path / kind), load(tmp_path / kind, grey=True)
    for part, other in zip(grey[2:], colour[2:], strict=True):
        assert (part.mode, part.channels, part.read(1).mode) == ("L", 1, "L")
        assert texts(part) == texts(other)
        np.testing.assert_array_equal(part.read(1), other.read(1).convert("L"))


@pytest.mark.parametrize("kind", ["flat", "colour.npz"])
def test_what_is_split_off_is_in_one_part_only(tmp_path, kind):
    KINDS[kind][0](tmp_path / kind)
    for options in ({}, {"val": 0.25, "test": 0.25}):
        train, val, test = load(tmp_path / kind, **options)[2:]
        every = texts(train) + texts(val) + texts(test)
        assert len(every) == len(set(every)) == 60
    assert [len(train), len(val), len(test)] == [33, 12, 15]


@pytest.mark.parametrize("kind", ["flat", "MNIST", "colour.npz"])
def test_the_split_depends_on_split_seed(tmp_path, kind):
    KINDS[kind][0](tmp_path / kind)
    vals = [texts(load(tmp_path / kind, split_seed=seed).val) for seed in (0, 0, 1)]
    assert vals[0] == vals[1] != vals[2]
    tests = [texts(load(tmp_path / kind, split_seed=seed).test) for seed in (0, 1)]
    assert (tests[0] == tests[1]) == (kind == "MNIST")  # which has its own


def test_labels_stay_with_their_images(tmp_path):
    make_flat(tmp_path / "flat")
    make_npz(tmp_path / "a.npz")
    for part in load(tmp_path / "flat")[2:]:
        assert [path.parent.name for path in part.paths] == ["ABC"[label] for label in part.labels]
    known = {pixels.tobytes(): label for pixels, label in zip(COLOUR, LABELS, strict=True)}
    for part in load(tmp_path / "a.npz")[2:]:
        assert [known[text] for text in texts(part)] == part.labels.tolist()


@pytest.mark.parametrize("kind", ["parts", "GREY.NPZ"])
def test_a_share_for_val_replaces_the_val_that_is_there(tmp_path, kind):
    KINDS[kind][0](tmp_path / kind)
    own, new = load(tmp_path / kind), load(tmp_path / kind, val=0.25)
    assert [len(part) for part in new[2:]] == [90, 30, 60]
    assert sorted(texts(new.train) + texts(new.val)) == sorted(texts(own.train) + texts(own.val))
    assert texts(new.test) == texts(own.test)


@pytest.mark.parametrize("given", [("train",), ("train", "val")])
def test_a_folder_without_test_images_gives_some_of_those_to_train_on(tmp_path, given):
    make_folder(tmp_path, parts=given, n=20, classes="ABC")
    own = {part: set((tmp_path / part).glob("*/*")) for part in given}
    for options, n in (({}, 12), ({"test": 0.5}, 30)):
        dataset = load(tmp_path, **options)
        assert len(dataset.test) == n
        assert set(dataset.test.paths) < own["train"]
        rest = set(dataset.train.paths) | set(dataset.val.paths)
        assert rest == (own["train"] | own.get("val", set())) - set(dataset.test.paths)
        if "val" in given:
            assert set(dataset.val.paths) == own["val"]


@pytest.mark.parametrize("kind", ["parts", "MNIST", "cifar", "GREY.NPZ"])
def test_a_share_for_test_is_refused_where_there_is_a_test_part(tmp_path, kind):
    KINDS[kind][0](tmp_path / kind)
    with pytest.raises(ValueError, match=r"has a test part of its own: leave out the share for testing, 0\.3"):
        load(tmp_path / kind, test=0.3)


@pytest.mark.parametrize("options", [{"val": 0}, {"val": 1.0}, {"test": 0}, {"test": -1}])
def test_shares_that_are_none(tmp_path, options):
    make_npz(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="the share to hold out must be between 0 and 1"):
        load(tmp_path / "a.npz", **options)


@pytest.mark.parametrize("kind", WITHOUT_NAMES)
def test_a_group_pattern_needs_file_names(tmp_path, kind):
    KINDS[kind][0](tmp_path / kind)
    with pytest.raises(ValueError, match=r"a group pattern is for file names, .*: leave out 'person"):
        load(tmp_path / kind, group=PERSONS)


def test_no_person_is_in_two_parts_that_are_split_off(tmp_path):
    make_flat(tmp_path / "flat")
    for seed in range(5):
        parts = load(tmp_path / "flat", group=PERSONS, split_seed=seed)[2:]
        persons = [set(groups_of([path.name for path in part.paths], PERSONS)) for part in parts]
        assert not persons[0] & persons[1]
        assert not (persons[0] | persons[1]) & persons[2]
        assert sum(map(len, persons)) == 30
    apart = load(tmp_path / "flat")[2:]
    persons = [set(groups_of([path.name for path in part.paths], PERSONS)) for part in apart]
    assert persons[0] & persons[2]  # without the pattern they are


def touch(folder, part, names):
    """Files of two classes, every other one of each."""
    for i, name in enumerate(names):
        path = folder / part / "AB"[i % 2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize("part", ["train", "val"])
def test_persons_in_test_images_that_are_in_others_too(tmp_path, part):
    for p, own in enumerate(("train", "val", "test")):
        touch(tmp_path, own, [f"person{100 * p + i}_1.png" for i in range(20)])
    load(tmp_path, group=PERSONS)  # without a warning
    touch(tmp_path, part, [f"person{200 + i}_2.png" for i in (3, 11, 12)])
    with pytest.warns(
        UserWarning, match=r"^3 of the 20 groups of the test .* \(such as that of person212_1.png\)"
    ) as caught:
        load(tmp_path, group=PERSONS)
    assert caught[0].filename == __file__


def test_names_without_a_person_are_not_compared(tmp_path):
    """0.png of the test images is not 0.png of the others; and their names may follow another pattern."""
    touch(tmp_path, "train", [f"person{i}.png" for i in range(20)] + ["0.png", "1.png"])
    touch(tmp_path, "test", [f"{i}.png" for i in range(20)])
    load(tmp_path, group=PERSONS)


@pytest.mark.parametrize(("pattern", "message"), [("(", "regular expression"), ("patient", "none of 240 names")])
def test_the_pattern_is_checked_even_where_nothing_is_split(tmp_path, pattern, message):
    make_folder(tmp_path, n=40, parts=("train", "val", "test"))
    with pytest.raises(ValueError, match=message):
        load(tmp_path, group=pattern)


def test_digits():
    dataset = load("digits")
    own = data.digits()
    assert [len(part) for part in dataset[2:]] == [1295, 143, 359]
    assert dataset.test.fingerprint() == own.test.fingerprint()
    assert sorted(texts(dataset.train) + texts(dataset.val)) == sorted(texts(own.train))
    assert (np.abs(np.bincount(dataset.val.labels) - 0.1 * np.bincount(own.train.labels)) <= 0.5).all()


@pytest.mark.parametrize("name", ["mnits", "no/such/folder", "cifar", "~/nothing-like-this"])
def test_unknown_names(name):
    with pytest.raises(
        ValueError, match=f"no data set is called '{name}'.* one of digits, mnist, fashion-mnist, cifar"
    ):
        load(name)


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "fashion-mnist"])
def test_known_names_that_are_not_there_say_where_to_get_them(tmp_path, monkeypatch, name):
    source = SOURCES[name]
    with pytest.raises(ValueError, match=f"^{name} is not on this machine") as caught:
        load(name)
    message = str(caught.value)
    assert source.origin in message
    assert f"put it into {tmp_path / 'cache' / 'numpy_resnet' / source.places[0]} (NUMPY_RESNET_DATA can" in message
    monkeypatch.setenv("NUMPY_RESNET_DATA", str(tmp_path / "own"))
    with pytest.raises(ValueError, match="not on this machine") as caught:
        load(name)
    places = [tmp_path / "own" / source.places[0], tmp_path / "cache" / "numpy_resnet" / source.places[0]]
    assert str(caught.value).endswith(f"put it into {places[0]} or {places[1]}")


def test_where_known_names_are_looked_for(monkeypatch):
    monkeypatch.setenv("HOME", "/home/reader")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert data_folders() == [Path("/caches/numpy_resnet")]
    for unset in (lambda: monkeypatch.setenv("XDG_CACHE_HOME", ""), lambda: monkeypatch.delenv("XDG_CACHE_HOME")):
        unset()
        assert data_folders() == [Path("/home/reader/.cache/numpy_resnet")]
    monkeypatch.setenv("NUMPY_RESNET_DATA", "~/data")
    assert data_folders() == [Path("/home/reader/data"), Path("/home/reader/.cache/numpy_resnet")]


@pytest.mark.parametrize(
    ("name", "place", "make"),
    [
        ("mnist", "mnist", make_idx),
        ("mnist", "MNIST/raw", make_idx),
        ("cifar10", "cifar-10-batches-bin", make_cifar),
        ("cifar10", "cifar-10-binary.tar.gz", make_cifar_archive),
        ("chest-xray", "chest_xray", make_parts),
    ],
)
@pytest.mark.parametrize("own", [True, False])
def test_known_names_are_found(tmp_path, monkeypatch, name, place, make, own):
    folder = tmp_path / "own" if own else tmp_path / "cache" / "numpy_resnet"
    if own:
        monkeypatch.setenv("NUMPY_RESNET_DATA", str(folder))
    (folder / place).parent.mkdir(parents=True)
    make(folder / place)
    dataset = load(name)
    assert dataset.name == name
    assert dataset.test.fingerprint() == load(folder / place).test.fingerprint()
    assert dataset.classes == load(folder / place).classes


def test_ones_own_folder_comes_before_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMPY_RESNET_DATA", str(tmp_path))
    make_idx(tmp_path / "mnist")
    make_idx(tmp_path / "cache" / "numpy_resnet" / "mnist", parts=("train",))
    assert len(load("mnist").test) == 60


def test_garments_have_their_names(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMPY_RESNET_DATA", str(tmp_path))
    make_idx(tmp_path / "fashion-mnist")
    classes = load("fashion-mnist").classes
    assert len(classes) == 10
    assert (classes[0], classes[1], classes[9]) == ("T-shirt/top", "Trouser", "Ankle boot")


@pytest.mark.parametrize("name", ["empty", "notes.txt", "notes.tar.gz", "only-files"])
def test_paths_that_are_no_data_set(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "only-files").mkdir()
    for file in ("notes.txt", "notes.tar.gz", "only-files/a.png"):
        (tmp_path / file).write_text("hello")
    with pytest.raises(ValueError, match=r"is no data set that can be read here: expected a folder") as caught:
        load(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_broken_data_are_named(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"a\.npz: expected an \.npz file"):
        load(tmp_path / "a.npz")
    make_cifar(tmp_path / "cifar")
    with open(tmp_path / "cifar" / "test_batch.bin", "ab") as file:
        file.write(b"more")
    with pytest.raises(ValueError, match=r"test_batch\.bin: it must hold records"):
        load(tmp_path / "cifar")


def test_strict_goes_on_to_the_folder(tmp_path):
    make_flat(tmp_path / "flat")
    (tmp_path / "flat" / "A" / "up").symlink_to(tmp_path / "flat")
    with pytest.warns(UserWarning, match="leads back"):
        assert len(load(tmp_path / "flat").train) == 42
    with pytest.raises(ValueError, match="leads back"):
        load(tmp_path / "flat", strict=True)


# Real data, where they are


def real(place):
    folder = os.environ.get("NUMPY_RESNET_DATA")
    path = Path(folder or "", place)
    why = f"it needs {place} in the folder that NUMPY_RESNET_DATA names" + f", {folder}" * bool(folder)
    return pytest.mark.skipif(not folder or not path.exists(), reason=why), path


CHEST, CHEST_PATH = real("chest_xray_224")
CIFAR, CIFAR_PATH = real("cifar-10-batches-bin")


@CHEST
def test_chest_x_rays(monkeypatch):
    monkeypatch.setenv("NUMPY_RESNET_DATA", str(CHEST_PATH.parent))
    with pytest.warns(UserWarning, match="264 of the 404 groups of the test images are found in training images too"):
        dataset = load("chest-xray")
    assert (dataset.name, dataset.classes) == ("chest-xray", ("NORMAL", "PNEUMONIA"))
    np.testing.assert_array_equal(np.bincount(dataset.train.labels) + np.bincount(dataset.val.labels), [1341, 3875])
    np.testing.assert_array_equal(np.bincount(dataset.test.labels), [234, 390])
    assert dataset.test.read(0).size == (224, 224)


@CHEST
def test_no_patient_is_on_both_sides_of_the_chest_x_rays():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* groups of the test images are found in training images too")
        dataset = load(CHEST_PATH, group=PERSONS)
    patients = [set(groups_of([path.name for path in part.paths], PERSONS)) for part in (dataset.train, dataset.val)]
    assert not patients[0] & patients[1]
    assert min(map(len, patients)) > 100
    np.testing.assert_array_equal(np.bincount(dataset.val.labels), [134, 388])


@CIFAR
def test_cifar_10(monkeypatch):
    monkeypatch.setenv("NUMPY_RESNET_DATA", str(CIFAR_PATH.parent))
    dataset = load("cifar10", val=0.1)
    assert dataset.classes == CLASSES
    assert [len(part) for part in dataset[2:]] == [18_000, 2_000, 1_000]
    assert dataset.train.pixels.shape == (18_000, 32, 32, 3)
    assert (np.bincount(dataset.test.labels, minlength=10) > 80).all()
    assert 110 < dataset.train.pixels.mean() < 130


def test_one_class_is_refused(tmp_path):
    files.write_npz(tmp_path / "a.npz", {"images": np.zeros((9, 4, 4), np.uint8), "labels": np.zeros(9, int)})
    with pytest.raises(ValueError, match="must have two classes at least; it has one, '0'"):
        load(tmp_path / "a.npz")


def test_chest_x_rays_are_grouped_by_patient_without_being_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMPY_RESNET_DATA", str(tmp_path))
    for part, start in (("train", 0), ("test", 500)):
        touch(tmp_path / "chest_xray", part, [f"person{start + i // 4}_{i}.jpeg" for i in range(80)])
    parts = load("chest-xray", val=0.25)
    persons = [set(groups_of([path.name for path in part.paths], PERSONS)) for part in (parts.train, parts.val)]
    assert not persons[0] & persons[1]
    same = load("chest-xray", val=0.25, group=PERSONS)
    assert same.val.paths == parts.val.paths


def test_persons_in_val_images_that_are_trained_on(tmp_path):
    for part, start in (("train", 0), ("val", 10), ("test", 100)):
        touch(tmp_path, part, [f"person{start + i}_1.png" for i in range(20)])
    with pytest.warns(UserWarning, match="10 of the 20 groups of the val images are found in training images too"):
        load(tmp_path, group=PERSONS)
