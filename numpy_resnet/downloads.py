"""Weights and data sets of others, for people with a network: what there is, and how it comes into the cache folder.

A file is used once its digest is right, and not before: it has a name of its own until then, so that a transfer that
was cut off goes on where it stopped. Of torchvision's weights the first eight digits of the SHA-256 are known, which
are a part of their names.
"""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from numpy_resnet import files

MOST = 2**31  # bytes of any file here
CHUNK = 2**16


class DownloadError(OSError):
    """A file that did not come, or is not what it should be."""

    def __init__(self, message):
        super().__init__(message)
        self.strerror = message


class Remote(NamedTuple):
    """One file: where it is, its place in the cache folder, and its digest, or the beginning of that."""

    address: str
    place: str
    digest: str  # "sha256:..." or "md5:..."


class Entry(NamedTuple):
    """What a name means."""

    remotes: tuple[Remote, ...]
    licence: str
    citation: str


def _weights(name, digits):
    file = f"{name}-{digits}.pth"
    remote = Remote(f"https://download.pytorch.org/models/{file}", f"weights/{file}", f"sha256:{digits}")
    return Entry((remote,), "BSD 3-Clause", "torchvision, IMAGENET1K_V1; He et al. 2015, arXiv:1512.03385")


def _idx(base, folder, digests, licence, citation):
    names = (f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))
    remotes = (Remote(f"{base}/{n}", f"{folder}/{n}", f"md5:{d}") for n, d in zip(names, digests, strict=True))
    return Entry(tuple(remotes), licence, citation)


REGISTRY = {
    "resnet18": _weights("resnet18", "f37072fd"),
    "resnet34": _weights("resnet34", "b627a593"),
    "resnet50": _weights("resnet50", "0676ba61"),
    "resnet101": _weights("resnet101", "63fe2227"),
    "resnet152": _weights("resnet152", "394f9c45"),
    "cifar10": Entry(
        (
            Remote(
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                "cifar-10-binary.tar.gz",
                "md5:c32a1d4ab5d03f1284b67883e8d87530",
            ),
        ),
        "none stated",
        "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
    ),
    "fashion-mnist": _idx(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "fashion-mnist",
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
        "MIT",
        "Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747",
    ),
    "mnist": _idx(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "mnist",
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        "CC BY-SA 3.0",
        "LeCun, Cortes & Burges 1998",
    ),
    "pneumonia-mnist": Entry(
        (
            Remote(
                "https://zenodo.org/records/10519652/files/pneumoniamnist.npz?download=1",
                "pneumoniamnist.npz",
                "md5:28209eda62fecd6e6a2d98b1501bb15f",
            ),
        ),
        "CC BY 4.0",
        "Yang et al. 2023, MedMNIST v2; Kermany et al. 2018",
    ),
}


def download(name, folder=None, *, say=print):
    """The files of a name, fetched into the cache folder unless they are there.   -> list of Path

    Raises ValueError for a name that is not known, DownloadError for what does not come, or is not what it should be.
    """
    if name not in REGISTRY:
        raise ValueError(f"{name!r} is not known; what can be fetched is {', '.join(REGISTRY)}")
    folder = files.cache_folder() if folder is None else Path(folder)
    return [fetch(remote, folder, say=say) for remote in REGISTRY[name].remotes]


def places(name, folder=None):
    """Where the files of a name are, or would be."""
    folder = files.cache_folder() if folder is None else Path(folder)
    return [folder / remote.place for remote in REGISTRY[name].remotes]


def fetch(remote, folder, *, timeout=30, tries=4, most=MOST, say=print):
    """One file, into its place below the folder.   -> Path

    A connection that breaks, or is silent for `timeout` seconds, is tried again from where it broke.
    """
    target = Path(folder) / remote.place
    if target.exists() and _is_right(target, remote.digest):
        say(f"{target} is there")
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    for left in reversed(range(tries)):
        resumed = part.exists()
        try:
            _transfer(remote.address, part, timeout, most)
        except DownloadError:
            part.unlink(missing_ok=True)
            raise
        except (OSError, http.client.HTTPException) as error:
            refused = isinstance(error, urllib.error.HTTPError)
            if refused:
                error.close()
                part.unlink(missing_ok=True)  # it may be longer than the file
            if not left or (refused and not resumed):
                kept = f"; {part.stat().st_size:,} bytes are kept, to go on from" if part.exists() else ""
                raise DownloadError(f"{remote.address} did not come: {_why(error)}{kept}") from error
            continue
        if _is_right(part, remote.digest):
            break
        came = _digest(part, remote.digest.partition(":")[0])
        part.unlink()
        if not (resumed and left):  # else what was there before may have been of another file
            raise DownloadError(f"{remote.address} must have the digest {remote.digest}; what came has {came}")
    sha256 = _digest(part, "sha256")
    os.replace(part, target)
    say(f"{target}: {target.stat().st_size:,} bytes, SHA-256 {sha256}")
    return target


def _why(error):
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def _transfer(address, part, timeout, most):
    """Write what is still missing behind what is there.   Raises OSError where the connection breaks"""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={start}-"} if start else {})
    with _opener().open(request, timeout=timeout) as response:
        goes_on = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        start, missing = start if goes_on else 0, response.length
        total = None if missing is None else start + missing
        if total is not None and total > most:
            raise DownloadError(f"{address} says that it has {total:,} bytes; {most:,} are the most that it may have")
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=part.name[1:-5], disable=None)
        with bar, open(part, "ab" if goes_on else "wb") as file:
            while content := response.read1(CHUNK):
                file.write(content)
                bar.update(len(content))
                if file.tell() > most:
                    raise DownloadError(f"{address} has more than {most:,} bytes, the most that it may have")
            if total is not None and file.tell() < total:
                raise ConnectionError(f"the connection was closed after {file.tell():,} of {total:,} bytes")


def _opener():
    """HTTP and HTTPS, redirected to either, and nothing else."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler, urllib.request.HTTPErrorProcessor, urllib.request.HTTPDefaultErrorHandler,
        urllib.request.UnknownHandler,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


def _digest(path, algorithm):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _is_right(path, digest):
    algorithm, _, digits = digest.partition(":")
    return _digest(path, algorithm).startswith(digits)
