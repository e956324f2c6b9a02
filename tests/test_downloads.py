"""Downloads from a server on this machine that stalls, cuts off, lies, redirects, or sends something else."""

import contextlib
import hashlib
import http.server
import threading

import pytest

from numpy_resnet import downloads
from numpy_resnet.cli import main
from numpy_resnet.downloads import DownloadError, Remote, fetch

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DIGEST = f"sha256:{SHA256[:8]}"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        """The client may have gone."""


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        """Quiet."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        getattr(self, f"send_{self.path.strip('/')}")()

    def head(self, code=200, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def start(self):
        return int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def part(self, most=None, content=CONTENT):
        """From where it is asked for, at most so many bytes before the connection is closed."""
        start, size = self.start(), len(content)
        if start >= size:
            self.head(416)
        elif start:
            self.head(206, Content_Length=size - start, Content_Range=f"bytes {start}-{size - 1}/{size}")
        else:
            self.head(Content_Length=size)
        self.wfile.write(content[start:][:most])

    def send_good(self):
        self.part()

    def send_cut(self):
        self.part(100_000)

    def send_nothing(self):
        self.part(0)

    def send_whole(self):
        """A server that knows no Range."""
        self.head(Content_Length=len(CONTENT))
        self.wfile.write(CONTENT)

    def send_unsaid(self):
        """Without a length."""
        self.head()
        self.wfile.write(CONTENT)

    def send_short(self):
        """Says fewer than it has."""
        self.head(Content_Length=1000)
        self.wfile.write(CONTENT)

    def send_claim(self):
        self.head(Content_Length=2**40)

    def send_endless(self):
        self.head()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(CONTENT)

    def send_page(self):
        self.part(content=b"<html>please log in</html>")

    def send_moved(self):
        self.head(302, Location="/good", Content_Length=0)

    def send_file(self):
        self.head(302, Location="file:///etc/passwd", Content_Length=0)

    def send_ftp(self):
        self.head(302, Location="ftp://localhost/x", Content_Length=0)

    def send_circle(self):
        self.head(302, Location="/circle", Content_Length=0)

    def send_none(self):
        self.head(404, Content_Length=0)

    def send_stall(self):
        self.head(Content_Length=len(CONTENT))
        self.wfile.write(CONTENT[:1000])
        self.wfile.flush()
        self.server.over.wait(10)


@pytest.fixture(scope="module")
def running():
    server = Server(("127.0.0.1", 0), Handler)
    server.asked, server.over = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(running):
    running.asked.clear()
    return running


def remote(server, path, digest=DIGEST):
    return Remote(f"http://127.0.0.1:{server.server_port}/{path}", "weights/file.pth", digest)


def said(server, folder, path, **options):
    lines = []
    place = fetch(remote(server, path), folder, say=lines.append, **options)
    assert place.read_bytes() == CONTENT
    assert [*place.parent.iterdir()] == [place]
    return lines


def complaint(server, folder, path, **options):
    with pytest.raises(DownloadError) as caught:
        fetch(remote(server, path), folder, say=lambda line: None, **options)
    assert not (folder / "weights/file.pth").exists()
    return str(caught.value)


@pytest.mark.parametrize("path", ["good", "whole", "unsaid", "moved"])
def test_a_good_file(server, tmp_path, path):
    assert said(server, tmp_path, path) == [f"{tmp_path}/weights/file.pth: 256,000 bytes, SHA-256 {SHA256}"]


def test_a_file_that_is_there_needs_no_server(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/file.pth").write_bytes(CONTENT)
    lines = []
    fetch(Remote("http://127.0.0.1:9/", "weights/file.pth", DIGEST), tmp_path, say=lines.append)
    assert lines == [f"{tmp_path}/weights/file.pth is there"]


def test_a_wrong_file_that_is_there_is_fetched_anew(server, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/file.pth").write_bytes(b"old")
    said(server, tmp_path, "good")


@pytest.mark.parametrize("path", ["good", "whole"])
def test_it_goes_on_where_it_stopped(server, tmp_path, path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/.file.pth.part").write_bytes(CONTENT[:1000])
    said(server, tmp_path, path)
    assert server.asked == [(f"/{path}", "bytes=1000-")]


def test_a_connection_that_breaks(server, tmp_path):
    said(server, tmp_path, "cut")
    assert [asked for _, asked in server.asked] == [None, "bytes=100000-", "bytes=200000-"]


def test_a_connection_that_breaks_too_often(server, tmp_path):
    message = complaint(server, tmp_path, "cut", tries=2)
    assert "closed after 200,000 of 256,000 bytes; 200,000 bytes are kept, to go on from" in message
    said(server, tmp_path, "good")
    assert server.asked[-1] == ("/good", "bytes=200000-")


def test_nothing_comes(server, tmp_path):
    assert "closed after 0 of 256,000 bytes" in complaint(server, tmp_path, "nothing")
    assert len(server.asked) == 4


@pytest.mark.parametrize("start", [b"something else", CONTENT + b"more"])
def test_a_part_of_another_file(server, tmp_path, start):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/.file.pth.part").write_bytes(start)
    said(server, tmp_path, "good")


def test_another_file(server, tmp_path):
    message = complaint(server, tmp_path, "page")
    came = hashlib.sha256(b"<html>please log in</html>").hexdigest()
    assert message.endswith(f"must have the digest {DIGEST}; what came has {came}")
    assert not [*(tmp_path / "weights").iterdir()]
    assert "what came has" in complaint(server, tmp_path, "short")


def test_md5(server, tmp_path):
    for digits in (hashlib.md5(CONTENT).hexdigest(), "0" * 32):
        there = remote(server, "good", f"md5:{digits}")
        with contextlib.suppress(DownloadError) if digits == "0" * 32 else contextlib.nullcontext():
            assert fetch(there, tmp_path, say=lambda line: None).read_bytes() == CONTENT
            assert digits != "0" * 32
        (tmp_path / "weights/file.pth").unlink(missing_ok=True)


def test_more_than_a_file_may_have(server, tmp_path):
    assert "says that it has 1,099,511,627,776 bytes" in complaint(server, tmp_path, "claim")
    assert "has more than 1,000,000 bytes" in complaint(server, tmp_path, "endless", most=10**6)
    assert not [*(tmp_path / "weights").iterdir()]


@pytest.mark.parametrize("path", ["file", "ftp", "circle", "none"])
def test_addresses_that_lead_nowhere(server, tmp_path, path):
    why = {"file": "not allowed", "ftp": "unknown url type: ftp", "circle": "infinite loop", "none": "Not Found"}[path]
    assert why in complaint(server, tmp_path, path)
    assert not [*(tmp_path / "weights").iterdir()]


def test_a_silent_server(server, tmp_path):
    assert "timed out; 1,000 bytes are kept" in complaint(server, tmp_path, "stall", timeout=0.1, tries=1)


def test_no_server(tmp_path):
    with pytest.raises(DownloadError, match=r"did not come: .*refused"):
        fetch(Remote("http://127.0.0.1:9/x", "x", DIGEST), tmp_path, tries=1)


def test_the_registry_is_whole(tmp_path):
    for entry in downloads.REGISTRY.values():
        assert entry.licence
        assert entry.citation
        for there in entry.remotes:
            algorithm, digits = there.digest.split(":")
            assert there.address.startswith(("https://", "http://fashion-mnist."))
            assert len(digits) == (32 if algorithm == "md5" else 8)
    with pytest.raises(ValueError, match="'resnet19' is not known; what can be fetched is resnet18, "):
        downloads.download("resnet19", tmp_path)


def test_on_the_command_line(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    entry = downloads.Entry((remote(server, "good"),), "free", "Nobody 2026")
    monkeypatch.setitem(downloads.REGISTRY, "resnet18", entry)
    assert main(["download"]) == 0
    assert "resnet18         not there  free           Nobody 2026" in capsys.readouterr().out
    assert main(["predict", "--weights", "imagenet", str(tmp_path)]) == 2
    assert "`numpy-resnet download resnet18` fetches it" in capsys.readouterr().err
    assert main(["download", "resnet18"]) == 0
    assert "licence: free; to be cited: Nobody 2026" in capsys.readouterr().out
    assert (tmp_path / "numpy_resnet/weights/file.pth").read_bytes() == CONTENT
    assert main(["predict", "--weights", "imagenet", str(tmp_path)]) == 2
    assert "file.pth: expected weights" in capsys.readouterr().err  # it is no checkpoint, but it is found
    assert main(["download", "resnet18", "resnet19"]) == 2
    assert capsys.readouterr().err.startswith("numpy-resnet: 'resnet19' is not known")
    monkeypatch.setitem(
        downloads.REGISTRY, "mnist", downloads.Entry((remote(server, "none")._replace(place="x"),), "", "")
    )
    assert main(["download", "mnist"]) == 2
    assert "did not come: Not Found" in capsys.readouterr().err
