"""How bodies are read."""

import io
import json
from typing import Any, BinaryIO

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class BoundedJSONParser(JSONParser):
    """Reads JSON of DATA_UPLOAD_MAX_MEMORY_SIZE bytes at most: the framework reads past Django's own bound.

    Nesting without end is a mistake of the client's, not of ours.
    """

    def parse(self, stream: BinaryIO, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Parse a body. Raises ParseError and RequestDataTooBig."""
        body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise RequestDataTooBig("The body is larger than any that is asked for.")
        try:
            given = super().parse(io.BytesIO(body), media_type=media_type, parser_context=parser_context)
            if b"\\ud" in body.lower():
                # half a character cannot be stored, nor told back
                json.dumps(given, ensure_ascii=False).encode()
        except RecursionError as error:
            raise ParseError("JSON parse error - it is nested too deeply.") from error
        except UnicodeEncodeError as error:
            raise ParseError("JSON parse error - it has half a surrogate pair.") from error
        return given
