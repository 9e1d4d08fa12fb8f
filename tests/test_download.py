"""Downloads, against a server of our own: good and bad archives, cut connections, no network."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import re
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chatbot.corpus import download, open_corpus
from chatbot.corpus.download import SOURCES, Source, fetch, wanted
from chatbot.errors import CorpusError

DATA = Path(__file__).parent / "data" / "cornell"
FOLDER = "cornell movie-dialogs corpus"


def packed(extra: dict[str, bytes] | None = None) -> bytes:
    """An archive like the published one, with a bad member or two."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("movie_lines.txt", "movie_conversations.txt"):
            archive.writestr(f"{FOLDER}/{name}", (DATA / name).read_bytes())
        archive.writestr(f"{FOLDER}/README.txt", "theirs")
        archive.writestr(f"__MACOSX/{FOLDER}/._README.txt", "rubbish")
        archive.writestr(f"{FOLDER}/.DS_Store", "rubbish")
        for name, content in (extra or {}).items():
            member = zipfile.ZipInfo("placeholder")
            member.filename = name  # as it is: the constructor would make \ a /
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def source_of(archive: bytes, url: str = "http://127.0.0.1:9/corpus.zip") -> Source:
    return Source(
        url=url,
        size=len(archive),
        sha256=hashlib.sha256(archive).hexdigest(),
        folder=FOLDER,
        licence="ours",
        unpacked_limit=100_000,
        files=("movie_lines.txt", "movie_conversations.txt"),
    )


@dataclasses.dataclass
class Server:
    """What the next requests are answered with, and what was asked."""

    url: str = ""
    content: bytes = b""
    cut_at: int | None = None  # bytes after which the connection is closed
    ranges: bool = True
    lie: str = ""  # a Content-Range that nobody asked for
    status: int = 0
    asked: list[str | None] = dataclasses.field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wish = self.headers.get("Range")
            told.asked.append(wish)
            start = int(re.findall(r"\d+", wish)[0]) if wish and told.ranges else 0
            body = told.content[start:]
            self.send_response(told.status or (206 if start else 200))
            self.send_header("Content-Length", str(len(body)))
            if start:
                sent = f"bytes {start}-{len(told.content) - 1}/{len(told.content)}"
                self.send_header("Content-Range", told.lie or sent)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body if told.cut_at is None else body[: told.cut_at])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        told.url = f"http://127.0.0.1:{httpd.server_port}/corpus.zip"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        httpd.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "corpora" / "cornell"
    made.mkdir(parents=True)
    (made / "README.md").write_text("ours")
    (made / "README.txt").write_text("ours")
    return made


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


NOTES = ["README.md", "README.txt"]
WHOLE = [*NOTES, "movie_conversations.txt", "movie_lines.txt"]


def test_a_good_archive_becomes_a_corpus_and_nothing_else_changes(server: Server, folder: Path) -> None:
    server.content = packed()
    seen: list[tuple[int, int]] = []
    fetch(source_of(server.content), folder, lambda done, size: seen.append((done, size)), url=server.url)
    assert names(folder) == WHOLE
    assert (folder / "README.txt").read_text() == "ours"
    assert len(list(open_corpus(folder))) == 4
    assert seen[-1] == (len(server.content), len(server.content))
    assert seen == sorted(seen)
    assert names(folder.parent.parent) == [
        "corpora",
        "corpora/cornell",
        *(f"corpora/cornell/{n}" for n in WHOLE),
    ]


def test_a_missing_folder_is_made(server: Server, tmp_path: Path) -> None:
    server.content = packed()
    fetch(source_of(server.content), tmp_path / "a" / "b", url=server.url)
    assert len(list(open_corpus(tmp_path / "a" / "b"))) == 4


def test_a_cut_connection_is_resumed_where_it_stopped(server: Server, folder: Path) -> None:
    server.content, server.cut_at = packed(), 300
    source = source_of(server.content)
    with pytest.raises(CorpusError, match="stopped at 300 of") as error:
        fetch(source, folder, url=server.url)
    assert "run again" in error.value.hint
    assert names(folder) == [*NOTES, "corpus.zip.part"]
    server.cut_at = None
    fetch(source, folder, url=server.url)
    assert server.asked == [None, "bytes=300-"]
    assert names(folder) == WHOLE


def test_all_starts_again_where_the_server_ignores_ranges_or_sends_another(
    server: Server, folder: Path
) -> None:
    server.content = packed()
    source = source_of(server.content)
    part = folder / "corpus.zip.part"
    part.write_bytes(server.content[:300])
    server.ranges = False
    fetch(source, folder, url=server.url)
    assert names(folder) == WHOLE
    assert server.asked == ["bytes=300-"]


def test_a_range_that_was_not_asked_for_is_not_appended(server: Server, folder: Path) -> None:
    server.content, server.lie = packed(), "bytes 5-9/10"
    part = folder / "corpus.zip.part"
    part.write_bytes(server.content[:300])
    with pytest.raises(CorpusError, match="stopped at"):  # the wrong bytes, taken as a new beginning
        fetch(source_of(server.content), folder, url=server.url)
    assert part.stat().st_size == len(server.content) - 300


def test_a_wrong_checksum_removes_the_part_and_shows_both_sums(server: Server, folder: Path) -> None:
    source = source_of(packed())
    server.content = bytes(len(packed()))
    with pytest.raises(CorpusError) as error:
        fetch(source, folder, url=server.url)
    assert source.sha256 in error.value.what
    assert hashlib.sha256(server.content).hexdigest() in error.value.what
    assert names(folder) == NOTES


def test_more_bytes_than_published_are_not_written(server: Server, folder: Path) -> None:
    source = source_of(packed())
    server.content = packed() + bytes(1_000_000)
    with pytest.raises(CorpusError, match="larger than"):
        fetch(source, folder, url=server.url)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 100


@pytest.mark.parametrize(
    "name",
    ["../outside.txt", "/etc/outside.txt", f"{FOLDER}/../../outside.txt", "..\\outside.txt", "C:outside.txt"],
)
def test_a_member_that_leads_out_of_the_folder_stops_everything(
    server: Server, folder: Path, name: str
) -> None:
    server.content = packed({name: b"evil"})
    with pytest.raises(CorpusError, match="leads out of the folder"):
        fetch(source_of(server.content), folder, url=server.url)
    assert not [n for n in names(folder.parent.parent) if "outside" in n or "movie" in n or "unpacking" in n]


def test_a_link_is_not_unpacked(folder: Path) -> None:
    buffer = io.BytesIO(packed())
    with zipfile.ZipFile(buffer, "a") as archive:
        link = zipfile.ZipInfo(f"{FOLDER}/link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    (folder / "corpus.zip").write_bytes(buffer.getvalue())
    with pytest.raises(CorpusError, match="leads out of the folder"):
        fetch(source_of(buffer.getvalue()), folder)


def test_an_archive_that_unpacks_to_too_much_is_given_up(server: Server, folder: Path) -> None:
    server.content = packed({f"{FOLDER}/bomb.txt": bytes(5_000_000)})
    assert len(server.content) < 10_000
    with pytest.raises(CorpusError, match="unpacks to over 100,000 bytes"):
        fetch(source_of(server.content), folder, url=server.url)
    assert "bomb.txt" not in names(folder)


@pytest.mark.parametrize("content", [b"no archive at all", packed()[:-30]])
def test_what_is_no_archive_is_an_error_even_with_the_right_sum(folder: Path, content: bytes) -> None:
    (folder / "corpus.zip").write_bytes(content)
    with pytest.raises(CorpusError, match="cannot be unpacked"):
        fetch(source_of(content), folder)
    assert names(folder) == [*NOTES, "corpus.zip"]


def test_an_archive_without_the_corpus_in_it_is_an_error(folder: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("movie_lines.txt", "")
    (folder / "corpus.zip").write_bytes(buffer.getvalue())
    with pytest.raises(CorpusError, match=r"holds no movie_conversations\.txt"):
        fetch(source_of(buffer.getvalue()), folder)


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_without_a_network_one_error_says_what_to_put_where(folder: Path) -> None:
    url = f"http://127.0.0.1:{closed_port()}/corpus.zip"
    with pytest.raises(CorpusError, match="cannot be reached") as error:
        fetch(source_of(packed(), url), folder)
    assert error.value.hint == f"download {url} on another machine and put it as {folder / 'corpus.zip'}"
    assert names(folder) == NOTES


def test_a_page_that_is_gone_is_an_error_with_the_same_advice(server: Server, folder: Path) -> None:
    server.status = 404
    with pytest.raises(CorpusError, match="answers 404") as error:
        fetch(source_of(packed()), folder, url=server.url)
    assert "another machine" in error.value.hint


def test_an_archive_put_there_by_hand_is_used_without_a_network(folder: Path) -> None:
    (folder / "corpus.zip").write_bytes(packed())
    fetch(source_of(packed()), folder)
    assert names(folder) == sorted([*WHOLE, "corpus.zip"])


def test_a_wrong_archive_put_there_by_hand_is_named_and_kept(folder: Path) -> None:
    (folder / "corpus.zip").write_bytes(b"something else")
    with pytest.raises(CorpusError, match="not the published archive"):
        fetch(source_of(packed()), folder)
    assert (folder / "corpus.zip").read_bytes() == b"something else"


def test_ctrl_c_leaves_only_what_can_be_resumed(server: Server, folder: Path) -> None:
    server.content = packed()

    def interrupt(done: int, size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(source_of(server.content), folder, interrupt, url=server.url)
    assert names(folder) == [*NOTES, "corpus.zip.part"]
    fetch(source_of(server.content), folder, url=server.url)
    assert names(folder) == WHOLE


def test_a_full_disk_is_one_clear_error(
    folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.content = packed()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_receive", full)
    with pytest.raises(CorpusError, match="No space left on device"):
        fetch(source_of(server.content), folder, url=server.url)


def test_only_a_known_name_without_data_is_wanted(tmp_path: Path) -> None:
    cornell = tmp_path / "cornell"
    assert wanted(cornell) is SOURCES["cornell"]
    assert wanted(tmp_path / "my-chats") is None
    cornell.mkdir()
    (cornell / "README.md").write_text("notes")
    (cornell / ".unpacking-x").mkdir()
    (cornell / "movie_lines.txt").write_text("half of a corpus")
    assert wanted(cornell) is SOURCES["cornell"]
    (cornell / "movie_conversations.txt").write_text("the other half")
    assert wanted(cornell) is None


def test_data_of_ones_own_under_a_known_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cornell").write_text("a file")
    assert wanted(tmp_path / "cornell") is None
    (tmp_path / "x" / "cornell").mkdir(parents=True)
    (tmp_path / "x" / "cornell" / "utterances.jsonl").write_text("{}")
    assert wanted(tmp_path / "x" / "cornell") is None
