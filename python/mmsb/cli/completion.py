"""`mmsb completion`: the script that makes a shell complete commands, options, pages and branches."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
SETUP = {
    "bash": 'eval "$(mmsb completion bash)"  in ~/.bashrc',
    "zsh": 'eval "$(mmsb completion zsh)"  in ~/.zshrc',
    "fish": "mmsb completion fish | source  in ~/.config/fish/config.fish",
}


@click.command(epilog="\b\n" + "\n".join(SETUP.values()))
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def completion(ctx: click.Context, shell: str, as_json: bool) -> None:
    """Print the script that lets a shell complete."""
    from mmsb.cli.output import emit

    kind = get_completion_class(shell)
    assert kind is not None
    # The text alone, without click's look at the installed shell's version.
    script = kind.source_template % kind(ctx.find_root().command, {}, "mmsb", "_MMSB_COMPLETE").source_vars()
    # bash takes what is completed as it is; the other shells quote a name with a space themselves.
    script = script.replace("COMPREPLY+=($value)", """COMPREPLY+=("$(printf '%q' "$value")")""")
    if as_json:
        emit({"shell": shell, "script": script})
    else:
        click.echo(script)
