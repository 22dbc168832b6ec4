"""Text of unknown encoding made safe to store."""

import re

# NUL is refused by PostgreSQL, the others by XML and by terminals; tab and line feed are text.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_COMMENT_ENCODINGS = {b"ASCII": None, b"JIS": "iso2022_jp", b"": None}


def decode_text(data: bytes) -> str:
    """Decode UTF-8; what is not, as Windows-1252, which most old software meant, and never fails."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # the five bytes that Windows-1252 leaves undefined say nothing in any encoding that was meant here
        return data.decode("cp1252", errors="ignore")


def decode_utf16(data: bytes, *, default: str = "little") -> str:
    """Decode UTF-16 with or without a byte order mark; a cut or broken pair becomes U+FFFD."""
    order = {b"\xff\xfe": "little", b"\xfe\xff": "big"}.get(data[:2])
    body = data[2:] if order else data
    return body.decode("utf-16-le" if (order or default) == "little" else "utf-16-be", errors="replace")


def decode_comment(data: bytes, *, byte_order: str) -> str:
    """Decode a tag whose first eight bytes name its encoding (EXIF 2.32, UserComment)."""
    label = data[:8].rstrip(b"\x00 ").upper()
    if label == b"UNICODE":
        return decode_utf16(data[8:], default=byte_order)
    if label not in _COMMENT_ENCODINGS:
        return decode_text(data)  # written without the eight bytes, against the standard
    encoding = _COMMENT_ENCODINGS[label]
    return data[8:].decode(encoding, errors="replace") if encoding else decode_text(data[8:])


def clean_text(text: str) -> str:
    """Strip, drop control characters, replace lone surrogates: text that a database and JSON take as it is."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text)).strip()
