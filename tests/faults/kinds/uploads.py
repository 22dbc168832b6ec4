"""Uploads that are cut off, and clients that send the same bytes again."""

import random
import socket
from contextlib import closing, suppress
from functools import partial
from urllib.parse import urlsplit

from faults.fault import Fault, Injected, Judgement
from faults.installation import Installation
from faults.pictures import Picture
from faults.together import together

BOUNDARY = "----cut"
TIMEOUT_SECONDS = 30.0
# the places that matter beside any byte: in the headers, at the end of the body, and after it, before the answer
LAST_BYTES = (1, 2, 40)


class UploadCut(Fault):
    """A request that is cut at any byte; then the same bytes, twice at once."""

    name = "upload_cut"
    title = "an upload cut at any byte, and the same bytes sent again, twice at once"
    criterion = "one photo or none of the cut one, and exactly one after it was sent again"
    times = 60

    def inject(self, world: Installation, chance: random.Random, *, times: int) -> int:
        """Cut, look, send again, look."""
        self.wrong: list[str] = []
        self.after_cut = {0: 0, 1: 0}
        for number in range(times):
            picture = next(world.pictures)
            request = _request(world, picture)
            _send_in_part(world, request, _place(chance, number, len(request)))
            count = _count(world, picture)
            self.after_cut[count] = self.after_cut.get(count, 0) + 1
            again = together(*[partial(world.uploader.upload, picture)] * 2)
            answers = [one.error or one.result for one in again]
            if not isinstance(answers[0], str) or answers[0] != answers[1] or _count(world, picture) != 1:
                self.wrong.append(f"{picture.name} was sent again and gave {answers}, {_count(world, picture)} photos")
        return times

    def judge(self, world: Installation, injected: Injected) -> Judgement:
        """Count photos by their bytes."""
        more = sum(times for count, times in self.after_cut.items() if count > 1)
        return Judgement(
            passed=not self.wrong and not more,
            figure=f"after the cut {self.after_cut[0]} times no photo and {self.after_cut[1]} times one, more {more} "
            f"times; after sending again {len(self.wrong)} wrong",
            remarks=self.wrong,
        )


def _request(world: Installation, picture: Picture) -> bytes:
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="library"\r\n\r\n{world.library}\r\n'.encode(),
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{picture.name}"\r\n\r\n'.encode(),
        picture.data,
        f"\r\n--{BOUNDARY}--\r\n".encode(),
    ]
    body = b"".join(parts)
    headers = {
        "Host": urlsplit(world.url).netloc,
        **world.uploader.client.authorization(),
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Content-Length": str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /api/v1/photos HTTP/1.1\r\n{head}\r\n".encode() + body


def _place(chance: random.Random, number: int, length: int) -> int:
    """Choose where to cut: every fourth time at an end, or behind it, where the answer is lost."""
    if number % 4 == 0:
        return length - chance.choice((0, *LAST_BYTES))
    return chance.randrange(1, length)


def _send_in_part(world: Installation, request: bytes, place: int) -> None:
    address = urlsplit(world.url)
    with closing(socket.create_connection((address.hostname, address.port), timeout=TIMEOUT_SECONDS)) as connection:
        connection.sendall(request[:place])
        if place == len(request):
            return  # all of it: whether it is taken in, nobody waits to hear
        # what is not whole is refused, or the connection is just closed
        connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            while connection.recv(4096):
                pass


def _count(world: Installation, picture: Picture) -> int:
    return world.database.number("SELECT count(*) FROM photos_photo WHERE original_filename = %s", picture.name)
