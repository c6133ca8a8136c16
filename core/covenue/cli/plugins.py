"""`covenue plugins`: what is installed, read from manifests; no plugin is imported."""

from typing import TYPE_CHECKING, Any

import click

from covenue.cli.printing import figures, json_option, print_json, print_table
from covenue.errors import ContractMismatch, PluginUnknown, replaced

if TYPE_CHECKING:
    from covenue.registry.index import PluginRow
    from covenue.registry.load import Registry


@click.group("plugins")
def command() -> None:
    """List and show installed plugins; none is imported."""


@command.command("list")
@json_option
def list_plugins(as_json: bool) -> None:
    """List installed plugins; a broken one carries its error."""
    from covenue.registry.load import Registry

    rows = Registry().rows()
    if as_json:
        print_json({"plugins": [_brief(row) for row in rows]})
        return
    lines = [
        (row.id, row.version, row.family, ", ".join(row.names), row.error or "ok") for row in rows
    ]
    print_table("installed plugins", ("id", "version", "family", "provides", "state"), lines)


@command.command("show")
@click.argument("plugin", metavar="ID")
@json_option
def show_plugin(plugin: str, as_json: bool) -> None:
    """Show a plugin's manifest, content digest, and whether this host speaks its contracts."""
    from covenue.registry.load import Registry

    registry = Registry()
    row = _row(registry, plugin)
    document = {**_brief(row), "content": row.content, "contracts": _contracts(row)}
    document["manifest"] = row.manifest.model_dump(mode="json") if row.manifest else None
    if as_json:
        print_json(document)
    else:
        print_table(row.id, ("field", "value"), list(figures(document)))


def _row(registry: "Registry", plugin: str) -> "PluginRow":
    """The plugin of an id; `solver-search` will do. Raises PluginUnknown with what was typed."""
    from covenue.registry.names import PREFIX

    ids = {row.id for row in registry.rows()}
    spelling = plugin if plugin in ids else PREFIX + plugin.removeprefix(PREFIX)
    try:
        return registry.row(spelling)
    except PluginUnknown as error:
        what = f"no plugin {plugin!r} is installed"
        raise replaced(error, what=what, field="ID", value=plugin) from error


def _brief(row: "PluginRow") -> dict[str, Any]:
    return {
        "id": row.id,
        "version": row.version,
        "family": row.family,
        "provides": list(row.names),
        "state": "broken" if row.error else "ok",
        "error": row.error,
    }


def _contracts(row: "PluginRow") -> str:
    """What negotiation would say of the plugin's contracts."""
    from covenue.registry.negotiate import check_contracts

    if row.manifest is None:
        return "unknown: no manifest"
    try:
        check_contracts([row])
    except ContractMismatch as error:
        return f"refused: {error.what}"
    return "spoken by this host"
