"""Elements of a page: every text and attribute is escaped by construction.

A page is built as a tree and written once, so that no caller can forget to escape.
"""

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Node = ET.Element


def clean(text: str) -> str:
    """The text with every character that XML forbids replaced by U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)


def element(tag: str, attributes: Mapping[str, str] | None = None, *children: "Node | str") -> Node:
    """An element with its attributes and children; strings become text."""
    made = ET.Element(tag, {name: clean(text) for name, text in (attributes or {}).items()})
    last: Node | None = None
    for child in children:
        if isinstance(child, str):
            if last is None:
                made.text = (made.text or "") + clean(child)
            else:
                last.tail = (last.tail or "") + clean(child)
        else:
            made.append(child)
            last = child
    return made


def html_bytes(root: Node) -> bytes:
    """A whole page as UTF-8, with its doctype."""
    body = ET.tostring(root, encoding="unicode", method="html")
    return f"<!doctype html>\n{body}\n".encode()


def xml_text(root: Node) -> str:
    """One element as XML, for a drawing that stands alone."""
    return ET.tostring(root, encoding="unicode")
