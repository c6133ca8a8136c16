"""Every place a plugin attaches: one file a family, one Protocol and one hookspec each.

A plugin implements `register_<family>(register)` and hands over typed factories by name; the
kernel calls the Protocols directly. Source: architecture.md, section 3.
"""

import pluggy

PROJECT = "covenue"
hookimpl = pluggy.HookimplMarker(PROJECT)
hookspec = pluggy.HookspecMarker(PROJECT)
