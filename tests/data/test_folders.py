"""Folders of images by the rules of ImageFolder; what is odd in them is named, not guessed at."""

import os
from pathlib import Path

import pytest
from PIL import Image

from numpy_resnet.data import ImageError, find_files
from numpy_resnet.data.decode import EXTENSIONS
from numpy_resnet.data.folders import is_image_folder, read_folder


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names_in(images, folder):
    return [str(path.relative_to(folder)) for path in images.paths]


@pytest.fixture
def unreadable(monkeypatch):
    """A list of folders that cannot be listed, whoever asks."""
    folders, iterdir = [], Path.iterdir

    def refuse(path):
        if path in folders:
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    return folders


def test_classes_are_sorted_and_images_are_in_the_order_of_their_paths(tmp_path):
    touch(tmp_path, "dog/b.png", "dog/a.png", "cat/10.png", "cat/9.png", "cat/A.png", "Zebra/x.png", "cat/a.png")
    parts, classes = read_folder(tmp_path)
    assert classes == ("Zebra", "cat", "dog")
    assert list(parts) == ["train"]
    expected = ["Zebra/x.png", "cat/10.png", "cat/9.png", "cat/A.png", "cat/a.png", "dog/a.png", "dog/b.png"]
    assert names_in(parts["train"], tmp_path) == expected
    assert parts["train"].labels.tolist() == [0, 1, 1, 1, 1, 2, 2]
    assert parts["train"].mode == "RGB"
    assert read_folder(str(tmp_path), mode="L")[0]["train"].mode == "L"


def test_images_are_found_at_any_depth(tmp_path):
    touch(tmp_path, "A/z.png", "A/deep/er/b.png", "A/deep/a.png", "A/deep.png", "B/1/2/3/4/c.png", "B/folder.png/d.png")
    images = read_folder(tmp_path)[0]["train"]
    expected = ["A/deep/a.png", "A/deep/er/b.png", "A/deep.png", "A/z.png", "B/1/2/3/4/c.png", "B/folder.png/d.png"]
    assert names_in(images, tmp_path) == expected
    assert images.paths == sorted(images.paths)
    assert images.labels.tolist() == [0, 0, 0, 0, 1, 1]


def test_every_extension_in_any_case_and_no_other(tmp_path):
    good = [f"{i}{end}" for i, end in enumerate(EXTENSIONS)] + ["x.JPeG", "y.PNG", "two.dots.jpg"]
    touch(tmp_path, *good, "notes.txt", "Thumbs.db", "png", "a.png.part", "a.jpg~", "b.npy", "README")
    assert [path.name for path in find_files(tmp_path)] == sorted(good)


def test_hidden_names_and_those_of_macos_are_passed_over(tmp_path):
    touch(tmp_path, "A/a.png", "A/.a.png", "A/._a.png", "A/.cache/b.png", "A/__MACOSX/c.png", "B/b.png")
    touch(tmp_path, ".git/a.png", "__MACOSX/A/a.png", "top.png", "notes.txt")
    parts, classes = read_folder(tmp_path)
    assert classes == ("A", "B")
    assert names_in(parts["train"], tmp_path) == ["A/a.png", "B/b.png"]


@pytest.mark.parametrize("given", [("train",), ("train", "test"), ("train", "val"), ("train", "val", "test")])
def test_parts(tmp_path, given):
    for part in given:
        touch(tmp_path, f"{part}/A/{part}1.png", f"{part}/A/{part}2.png", f"{part}/B/{part}3.png")
    touch(tmp_path, "README.md", "extra.png")
    parts, classes = read_folder(tmp_path)
    assert classes == ("A", "B")
    assert tuple(parts) == given
    for part, images in parts.items():
        assert names_in(images, tmp_path / part) == [f"A/{part}1.png", f"A/{part}2.png", f"B/{part}3.png"]
        assert images.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "two at least; there is none: make it look like train/NORMAL"),
        (["a.png", "b.png"], "two at least; there is none"),
        (["A/a.png"], "there is one, 'A'"),
        (["Training/A/a.png", "Testing/A/a.png"], "or train/, val/ and test/; it has 'Testing', 'Training': rename"),
        (["val/A/a.png", "test/A/a.png"], "it has 'test', 'val': rename them"),
        (["A/a.png", ".B/b.png", "__MACOSX/c.png"], "there is one, 'A'"),
        (["A/a.png", "B/b.txt", "C/.c.png"], r"must have an image; 'B', 'C' has none of \.jpg \.jpeg .*: add"),
        (["train/a.png", "A/a.png", "B/b.png"], "train must hold a folder of images for each class"),
        (["train/A/a.png", "train/B/b.png", "test/A/a.png", "test/b/b.png"], "test must have .* they differ in B, b$"),
        (["train/A/a.png", "train/B/b.png", "val/A/a.png"], "there is one, 'A'"),
        (["train/A/a.png", "train/B/b.png", "val/A/1.png", "val/B/1.png", "val/C/1.png"], "they differ in C$"),
        (["train/A/a.png", "train/B/b.png", "test/A/a.png", "test/B/b"], "test: every class must have .* 'B' has"),
    ],
)
def test_refused(tmp_path, names, message):
    touch(tmp_path, *names)
    with pytest.raises(ValueError, match=message) as caught:
        read_folder(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))


def test_what_may_be_a_folder_of_images(tmp_path):
    assert not is_image_folder(tmp_path)
    touch(tmp_path, "a.png", ".git/a.png", "__MACOSX/a.png")
    assert not is_image_folder(tmp_path)
    touch(tmp_path, "A/a.png")
    assert is_image_folder(tmp_path)


def check_skipped(folder, names, problem, path):
    """Named in a warning and passed over, or an error."""
    with pytest.warns(UserWarning, match=f"^skipped: .* {problem}") as caught:
        parts, _ = read_folder(folder)
    assert len(caught) == 1
    assert str(path) in str(caught[0].message)
    assert names_in(parts["train"], folder) == names
    with pytest.raises(ValueError, match=f"^(?!skipped).* {problem}"):
        read_folder(folder, strict=True)


@pytest.mark.parametrize("target", ["A", "A/deep", ".", ".."])
def test_links_that_lead_back_up(tmp_path, target):
    """Else the images of one class would be found in another, too."""
    folder = tmp_path / "data"
    touch(folder, "A/deep/a.png", "A/z.png", "B/b.png")
    touch(tmp_path, "elsewhere/c.png")
    (folder / "A" / "deep" / "link").symlink_to(folder / target, target_is_directory=True)
    problem = "is a link that leads back to a folder above it"
    check_skipped(folder, ["A/deep/a.png", "A/z.png", "B/b.png"], problem, folder / "A" / "deep" / "link")


def test_a_class_that_is_a_link_to_all_classes(tmp_path):
    touch(tmp_path, "A/a.png", "B/b.png")
    (tmp_path / "C").symlink_to(tmp_path)
    with pytest.warns(UserWarning, match="C is a link"), pytest.raises(ValueError, match="'C' has none"):
        read_folder(tmp_path)


def test_links_to_themselves_are_nothing(tmp_path):
    touch(tmp_path, "A/a.png", "B/b.png")
    for link in (tmp_path / "C", tmp_path / "A" / "self"):
        link.symlink_to(link)
    parts, classes = read_folder(tmp_path, strict=True)
    assert classes == ("A", "B")
    assert len(parts["train"]) == 2


def test_links_to_other_places_are_followed(tmp_path):
    touch(tmp_path, "data/A/a.png", "data/B/b.png", "elsewhere/c.png", "d.png")
    (tmp_path / "data" / "A" / "folder").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "A" / "link.png").symlink_to(tmp_path / "d.png")
    (tmp_path / "data" / "C").symlink_to(tmp_path / "elsewhere")
    parts, classes = read_folder(tmp_path / "data", strict=True)
    assert classes == ("A", "B", "C")
    expected = ["A/a.png", "A/folder/c.png", "A/link.png", "B/b.png", "C/c.png"]
    assert names_in(parts["train"], tmp_path / "data") == expected


def test_folders_that_cannot_be_listed(tmp_path, unreadable):
    touch(tmp_path, "A/a.png", "A/closed/c.png", "A/z.png", "B/b.png")
    unreadable.append(tmp_path / "A" / "closed")
    names = ["A/a.png", "A/z.png", "B/b.png"]
    check_skipped(tmp_path, names, "cannot be read: Permission denied", tmp_path / "A" / "closed")


def test_every_problem_is_named(tmp_path, unreadable):
    touch(tmp_path, "a.png", "1/a.png", "2/a.png", "3/a.png")
    unreadable += [tmp_path / "1", tmp_path / "3"]
    with pytest.warns(UserWarning, match="cannot be read") as caught:
        found = find_files(tmp_path)
    assert found == [tmp_path / "2" / "a.png", tmp_path / "a.png"]
    assert [str(warning.message).split()[1] for warning in caught] == [str(path) for path in unreadable]


def test_a_broken_link_is_found_and_named_when_it_is_read(tmp_path):
    touch(tmp_path, "B/b.png")
    (tmp_path / "A").mkdir()
    Image.new("L", (3, 2), 7).save(tmp_path / "A" / "b.png")
    (tmp_path / "A" / "a.png").symlink_to(tmp_path / "nowhere.png")
    images = read_folder(tmp_path)[0]["train"]
    assert names_in(images, tmp_path) == ["A/a.png", "A/b.png", "B/b.png"]
    with pytest.raises(ImageError) as caught:
        images.read(0)
    assert str(caught.value).startswith(str(tmp_path / "A" / "a.png"))
    assert images.read(1).getpixel((0, 0)) == (7, 7, 7)


def test_a_relative_folder_gives_relative_paths(tmp_path, monkeypatch):
    touch(tmp_path, "A/a.png", "b.png")
    monkeypatch.chdir(tmp_path / "A")
    assert find_files(".") == [Path("a.png")]
    assert find_files("..") == [Path("../A/a.png"), Path("../b.png")]


def test_folders_beside_the_parts_are_named(tmp_path):
    touch(tmp_path, "train/A/a.png", "train/B/b.png", "valid/A/a.png", "notes/a.txt", ".git/a")
    with pytest.warns(UserWarning, match="not used: 'notes', 'valid' in .*, which is none of train, val, test"):
        parts, _ = read_folder(tmp_path)
    assert list(parts) == ["train"]


def test_one_entry_that_cannot_be_looked_at_hides_no_other(tmp_path, monkeypatch):
    """A link into a folder that may not be entered: every stat of it fails."""
    touch(tmp_path, "a.png", "b.png", "c.png")
    stat = os.stat

    def refuse(path, *args, **options):
        if str(path).endswith("b.png"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *args, **options)

    monkeypatch.setattr(os, "stat", refuse)
    assert [path.name for path in find_files(tmp_path)] == ["a.png", "b.png", "c.png"]  # reading b.png will say why not


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_no_image(tmp_path):
    touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert [path.name for path in find_files(tmp_path)] == ["a.png"]
