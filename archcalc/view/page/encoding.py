"""Embeds JSON in HTML: names cannot end the script or become markup, and large data is compressed."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import msgspec


def encoded(value: Any) -> str:
    """Return a value as JSON. A file name may not be valid UTF-8, and is escaped then."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":"))


def in_html(value: Any) -> str:
    r"""Return JSON that no HTML parser takes for markup.

    >>> print(in_html(["</script>", "<!--"]))
    ["\u003c/script\u003e","\u003c!--"]
    """
    text = encoded(value)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def packed(value: Any) -> str:
    """Return compressed JSON in base64, for repetitive data that is only read on request."""
    return base64.b64encode(zlib.compress(encoded(value).encode(), 6)).decode()
