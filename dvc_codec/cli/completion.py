"""dvc-codec completion: what a shell needs to complete our commands and options."""

import argparse

from dvc_codec.cli.options import Commands, Parser

_BASH = """_dvc_codec() {{
  local words
  case "${{COMP_WORDS[1]}}" in
{cases}
    *) words="{commands}" ;;
  esac
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 || $2 == -* ]]; then COMPREPLY=($(compgen -W "$words" -- "$2")); fi
}}
complete -o default -o bashdefault -F _dvc_codec dvc-codec
"""


def add_to(commands: Commands) -> None:
    """Declare the sub-command."""
    parser = commands.add_parser(
        "completion",
        help="print what bash or zsh needs to complete commands and options",
        epilog='bash: eval "$(dvc-codec completion)"; zsh: the same after `autoload -U '
        "bashcompinit; bashcompinit`",
    )
    parser.set_defaults(run=lambda _: print(script(commands.choices), end=""))


def script(commands: dict[str, Parser]) -> str:
    """The bash function, from the parsers themselves."""
    cases = "\n".join(
        f'    {name}) words="{" ".join(options(parser))}" ;;' for name, parser in commands.items()
    )
    return _BASH.format(cases=cases, commands=" ".join(commands))


def options(parser: argparse.ArgumentParser) -> list[str]:
    """Long options of a sub-command."""
    return [word for word in parser._option_string_actions if word.startswith("--")]
