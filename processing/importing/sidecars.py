"""The file beside a photo that says more of it: found by its name, and read anew when it has changed."""

import io
import os
from dataclasses import dataclass, field
from uuid import UUID

from photos.services import sidecars
from photos.storage import ChangedWhileReadError, FoundFile, Source
from processing.engines.sidecars import (
    MAX_SIDECAR_BYTES,
    Candidate,
    SidecarError,
    candidates,
    read_takeout,
    read_xmp,
)
from processing.engines.sidecars.pairing import XMP
from processing.importing.reading import filename_of, is_of_one_file
from processing.pipeline.positions import follow_positions

TOO_LARGE, UNREADABLE = "sidecar_too_large", "unreadable"


@dataclass(frozen=True, slots=True)
class ReadSidecar:
    """A sidecar that was looked at: `mark` names it as it was; `code` says why nothing is taken from it."""

    mark: str
    path: str
    kind: str
    sha256: str = ""
    values: dict[str, object] = field(default_factory=dict)
    code: str = ""

    def write(self, *, photo_id: UUID, source: str, is_first: bool) -> bool:
        """Write what it says of the photo, as a part of the transaction that is open; gives whether it was written."""
        if self.code:
            return False
        path = f"{source}:{self.path}"
        is_written = sidecars.replace_sidecar(
            photo_id=photo_id, kind=self.kind, path=path, sha256=self.sha256, values=self.values, is_first=is_first
        )
        if is_written:
            follow_positions([photo_id])
        return is_written


def sidecar_of(source: Source, photo: FoundFile, *, known: str) -> ReadSidecar | None:
    """Read the sidecar of a photo; None where there is none, or it is the one that `known` marks, unchanged."""
    folder = photo.path.rpartition("/")[0]
    possible = candidates(filename_of(photo.path))
    names = {os.fsencode(one.name): one for one in possible}
    present = source.present(folder, list(names))
    chosen = next(((one, present[name]) for name, one in names.items() if name in present), None)
    if chosen is None:
        return None
    candidate, found = chosen
    mark = f"{found.size}:{found.stamp}:{found.path.rpartition('/')[2]}"
    return None if mark == known else _read(source, candidate, found, mark)


def _read(source: Source, candidate: Candidate, found: FoundFile, mark: str) -> ReadSidecar | None:
    refused = {"mark": mark, "path": found.path, "kind": candidate.kind}
    if found.size > MAX_SIDECAR_BYTES:
        return ReadSidecar(**refused, code=TOO_LARGE)
    data = io.BytesIO()
    try:
        fetched = source.fetch(found.path, data, limit=MAX_SIDECAR_BYTES)
        read = read_xmp if candidate.kind == XMP else read_takeout
        values = read(data.getvalue())
    except (FileNotFoundError, ChangedWhileReadError):
        return None  # the next import finds what it has become
    except SidecarError as error:
        return ReadSidecar(**refused, code=error.code)
    except Exception as error:
        if not is_of_one_file(error):
            raise
        return ReadSidecar(**refused, code=UNREADABLE)
    return ReadSidecar(mark, found.path, candidate.kind, fetched.sha256, values.as_json())
