"""`cairn config`: the node's settings, with where each value comes from."""

import os

from cairn.cli.session import Session, command, new_app

app = new_app("The node's settings.")


@command(app, "show")
def show(session: Session) -> None:
    """List every setting with its value, where it comes from, its bounds and its meaning."""
    from cairn.node.settings import resolve_settings
    from cairn.sdk.local import node_errors

    with node_errors():
        resolved = resolve_settings(session.workspace.directory, flags={}, environment=os.environ)
    rows = [
        {
            "setting": one.setting.name,
            "value": list(one.value) if isinstance(one.value, tuple) else one.value,
            "origin": one.origin,
            "minimum": one.setting.minimum,
            "maximum": one.setting.maximum,
            "help": one.setting.help,
        }
        for one in resolved
    ]
    session.out.rows(("setting", "value", "origin", "minimum", "maximum", "help"), rows)
