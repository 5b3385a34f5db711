"""JSON inside HTML: no name in it can end the script or become markup, and what is large is compressed."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import msgspec


def encoded(value: Any) -> str:
    """A value as JSON. The name of a file need not be UTF-8, and then is escaped."""
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":"))


def in_html(value: Any) -> str:
    r"""JSON that no parser of HTML takes for markup.

    >>> print(in_html(["</script>", "<!--"]))
    ["\u003c/script\u003e","\u003c!--"]
    """
    text = encoded(value)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def packed(value: Any) -> str:
    """JSON, compressed, in base64: for what repeats itself and is read only when it is asked for."""
    return base64.b64encode(zlib.compress(encoded(value).encode(), 6)).decode()
