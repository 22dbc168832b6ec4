"""The harness's own parts: what they do wrong would be taken for the pipeline's doing."""

import io
import json
import random
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest
from PIL import Image

from faults import orders
from faults.events import EventFile
from faults.measures import commits_per_run, percentile, recoveries, rung_again
from faults.ordered import PLACES, in_turn
from faults.orders import Order, OrderBook
from faults.pictures import Pictures, with_comment
from faults.points import POINTS
from faults.proxy import PASS, Mode, Proxy

CLAIM = {"kind": "claim", "stage": "exif", "worker": "w", "task": "t", "pid": 1, "seconds": 0.001}


def encoded(image_format: str) -> bytes:
    content = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(content, image_format)
    return content.getvalue()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_comment_makes_another_file_of_the_same_picture(image_format: str) -> None:
    plain = encoded(image_format)
    one, other = with_comment(plain, b"photo 1"), with_comment(plain, b"photo 2")
    assert len({plain, one, other}) == 3
    for data in (one, other):
        image = Image.open(io.BytesIO(data))
        image.verify()
        assert Image.open(io.BytesIO(data)).tobytes() == Image.open(io.BytesIO(plain)).tobytes()


def test_a_seed_decides_the_photos(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(encoded("JPEG") + bytes([number]))
    (tmp_path / "not-a-photo.jpg").write_bytes(b"no")

    def taken(seed: int) -> list[tuple[str, bytes]]:
        stream = Pictures(tmp_path, seed=seed)
        return [(picture.source, picture.data) for picture, _ in zip(stream, range(12), strict=False)]

    assert taken(1) == taken(1)
    assert [source for source, _ in taken(1)] != [source for source, _ in taken(2)]
    assert len({data for _, data in taken(1)}) == 12
    assert {source for source, _ in taken(1)} == {f"{number}.jpg" for number in range(5)}


def test_an_order_is_taken_once_and_only_where_it_is_for(tmp_path: Path) -> None:
    book = OrderBook(tmp_path)
    order = Order(fault="f", point="after_claim", action=orders.SLEEP, stage="exif", worker="ingest")
    name = book.arm(order)
    assert book.take(point="after_claim", stage="renditions", worker="ingest1@h", attempts=[1]) is None
    assert book.take(point="before_claim", stage="exif", worker="ingest1@h", attempts=[1]) is None
    assert book.take(point="after_claim", stage="exif", worker="faces1@h", attempts=[1]) is None
    assert book.take(point="after_claim", stage="exif", worker="ingest1@h", attempts=[2]) is None
    assert book.armed() == [name]
    with ThreadPoolExecutor(8) as pool:
        takers = [
            pool.submit(book.take, point="after_claim", stage="exif", worker="ingest1@h", attempts=[1])
            for _ in range(32)
        ]
        taken = [taker.result() for taker in takers]
    assert [one for one in taken if one] == [(name, order)]
    assert book.armed() == []


def test_an_order_that_nobody_took_is_taken_back(tmp_path: Path) -> None:
    book = OrderBook(tmp_path)
    name = book.arm(Order(fault="f", point="after_read", action=orders.KILL_CHILD))
    assert book.disarm() == [name]
    assert book.take(point="after_read", stage="exif", worker="w", attempts=[1]) is None
    with pytest.raises(ValueError, match="no action"):
        Order(fault="f", point="after_read", action="shout")


def test_places_come_in_turn() -> None:
    places = list(islice(in_turn(PLACES, random.Random(1)), 36))
    for start in range(0, 36, 9):
        assert {point for point, _ in places[start : start + 9]} == set(POINTS)
    assert set(places) == set(PLACES)
    assert places == list(islice(in_turn(PLACES, random.Random(1)), 36))


def test_events_of_many_writers_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    def write(number: int) -> None:
        for index in range(50):
            EventFile(path).write(kind="claim", number=number, index=index)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = EventFile(path).read(kind="claim")
    assert sorted((event["number"], event["index"]) for event in events) == [
        (n, i) for n in range(8) for i in range(50)
    ]
    with path.open("a") as file:
        file.write(json.dumps({"t": 1})[:-1])  # on its way
    assert len(EventFile(path).read()) == 400


def test_recovery_is_the_next_claim_of_what_was_held() -> None:
    lost = [{"run": "a", "subject": "p", "attempt": 1}, {"run": "b", "subject": "q", "attempt": 1}]
    injection = {"t": 10.0, "stage": "exif", "point": "after_claim", "company": 2, "runs": lost}
    history = [
        {**CLAIM, "t": 9.0, "runs": lost},
        {**CLAIM, "t": 12.5, "runs": [{"run": "a", "subject": "p", "attempt": 1}]},
        {**CLAIM, "t": 13.0, "runs": [{"run": "a", "subject": "p", "attempt": 2}]},
    ]
    first, second = recoveries([injection], history)
    assert (first.seconds, first.next_attempt, first.is_counted_right) == (2.5, 1, True)
    assert (second.seconds, second.next_attempt, second.is_counted_right) == (None, None, False)
    alone = {**injection, "company": 1, "runs": lost[:1]}
    assert [one.is_counted_right for one in recoveries([alone], history)] == [False]
    committed = [*history, {"t": 11.0, "kind": "commit", "run": "b", "pid": 1}]
    assert [one.seconds for one in recoveries([injection], committed, ends={"commit"})] == [2.5, 1.0]
    assert commits_per_run(committed) == {"b": 1}


def test_a_photo_that_rang_in_vain_waits_for_its_first_claim() -> None:
    injection = {"t": 10.0, "stage": "exif", "point": "before_claim", "rung_by": ["p", "q", "r"], "runs": []}
    history = [
        {**CLAIM, "t": 9.0, "runs": [{"run": "c", "subject": "r", "attempt": 1}]},
        {**CLAIM, "t": 14.0, "runs": [{"run": "a", "subject": "p", "attempt": 1}]},
        {**CLAIM, "t": 15.0, "stage": "renditions", "runs": [{"run": "b", "subject": "q", "attempt": 1}]},
    ]
    assert rung_again([injection], history) == [4.0, None]


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile([7.0], 0.99) == 7.0


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that says back what it hears."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer(connection: socket.socket) -> None:
            with connection:
                while data := _received(connection):
                    connection.sendall(data)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


@pytest.fixture
def proxy(echo: tuple[str, int]) -> Iterator[Proxy]:
    made = Proxy("echo", *echo)
    yield made
    made.close()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def exchange(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    return connection.recv(65536)


def test_a_proxy_passes_refuses_and_passes_again(proxy: Proxy) -> None:
    with connect(proxy) as open_one:
        assert exchange(open_one, b"hello") == b"hello"
        proxy.set(Mode(refuse=True))
        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        with pytest.raises(ConnectionResetError):
            exchange(open_one, b"are you there?")
    proxy.set(PASS)
    with connect(proxy) as connection:
        assert exchange(connection, b"hello") == b"hello"


def test_a_proxy_that_hangs_goes_on_where_it_stopped(proxy: Proxy) -> None:
    with connect(proxy) as connection:
        assert exchange(connection, b"one") == b"one"
        proxy.set(Mode(hang=True))
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            exchange(connection, b"two")
        proxy.set(PASS)
        connection.settimeout(5)
        assert connection.recv(65536) == b"two"


def test_a_proxy_cuts_a_reply_after_so_many_bytes(proxy: Proxy) -> None:
    proxy.set(Mode(cut_reply_after=4))
    with connect(proxy) as connection:
        connection.sendall(b"0123456789")
        received = b"".join(iter(lambda: _received(connection), b""))
    assert received in (b"", b"0123")  # a reset may overtake what was sent before it
    with connect(proxy) as connection:
        assert exchange(connection, b"0123456789") == b"0123456789"
