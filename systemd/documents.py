# ruff: noqa: INP001 - a script, not a module
"""Writes the documents about settings and commands from their declarations.

usage: documents.py FOLDER

Makes in FOLDER: preppald.env (the env file, every setting with its meaning and default), preppald.env.5 and
preppald.8 (manual pages), preppald.bash (shell completion). The sources are settings.settings() and each command's
argparse declarations, so none of it can be out of date.
"""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
import os
from pathlib import Path
import re
import sys
import textwrap

from preppald import __version__, cli
from preppald.config.settings import Setting, settings

WIDTH = 100
# The settings that an operator must fill in, in this order; all other settings have a default that works.
ASKED_FOR = ("JWT_SECRET", "WORKER_SHARED_SECRET", "GEMINI_API_KEY", "NEXT_PUBLIC_API_URL")
HEAD = """\
The configuration of preppald, read by systemd: see preppald.env(5). NAME=value, one a line, no `export`.
After a change: preppald check (below), then systemctl restart preppald, which lets interviews finish first.

  PREPPALD_ENV_FILE=/etc/preppald/preppald.env preppald check --online

Durations read as seconds or as 90s, 15m, 1h. A name that begins with PREPPALD_ and is not here is a fault.
"""
ASK = "To fill in. The service is not started before the secrets are here."
# The pages that the package installs; Debian compresses what is larger than 4 KiB.
PAGES = {
    "Install, proxies, TLS, upgrade, metrics, and what to do when something is wrong": "operating.md.gz",
    "Prompt, feedback and recordings": "configuration.md.gz",
    "For the page's and the backend's developers": "protocol.md.gz",
}
REST = "Everything else works as it is: remove the # before a line to change it."


def _commented(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())


def _meaning(item: Setting) -> str:
    first = item.doc[0].upper() + item.doc[1:]
    return f"{first}. Needed." if item.needed else f"{first}."


def env_file() -> str:
    """Return /etc/preppald/preppald.env as it is installed."""
    items = {item.env: item for item in settings().values()}
    asked = [items.pop(name) for name in ASKED_FOR]

    def entry(item: Setting, mark: str) -> str:
        meaning = textwrap.fill(_meaning(item), WIDTH, initial_indent="# ", subsequent_indent="# ")
        return f"\n{meaning}\n{mark}{item.env}={item.default}\n"

    return "".join([
        _commented(HEAD),
        f"\n# --- {ASK}\n",
        *(entry(item, "") for item in asked),
        f"\n# --- {REST}\n",
        *(entry(item, "#") for item in items.values()),
    ])  # fmt: skip


# ---------------------------------------------------------------- manual pages


def roff(text: str) -> str:
    """Return the text with everything harmless that roff would obey."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("–", "\\(en")  # noqa: RUF001 - a dash
    return re.sub(r"^([.'])", r"\\&\1", escaped, flags=re.MULTILINE)


def _title(name: str, section: int) -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    date = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return f'.TH {roff(name)} {section} {date:%Y-%m-%d} "preppald {__version__}" "System administration"\n.nh\n.ad l\n'


def _section(name: str, *paragraphs: str) -> str:
    return f".SH {name}\n" + ".PP\n".join(f"{paragraph}\n" for paragraph in paragraphs)


def _as_it_is(text: str) -> str:
    return f".PP\n.nf\n{roff(text.rstrip())}\n.fi\n"


def env_page() -> str:
    """Return preppald.env(5)."""

    def entry(item: Setting) -> str:
        default = f" (default {roff(item.default)})" if item.default else ""
        files = (
            f"\nAlso from the file that\n.B {item.env}_FILE\nnames, or systemd's credential of that name."
            * (item.secret)
        )
        files += f"\nAlso systemd's credential\n.BR {item.env} ." * item.credential
        return f".TP\n\\fB{roff(item.env)}\\fR=\\fIvalue\\fR{default}\n{roff(_meaning(item))}{files}\n"

    return "".join([
        _title("PREPPALD.ENV", 5),
        _section("NAME", "preppald.env \\- configuration of preppald(8)"),
        _section(
            "DESCRIPTION",
            "The settings of\n.BR preppald (8),\nread by systemd as the environment of its service"
            " (EnvironmentFile= in\n.BR systemd.exec (5)):\none NAME=value a line; lines that begin with # are"
            " comments.",
            "Durations read as seconds or as 90s, 15m, 1h."
            ' All faults are reported at once when the service starts, and by\n.BR "preppald check" ;\n'
            "a name that begins with PREPPALD_ and is not listed here is one.",
        ),
        ".SH SETTINGS\n",
        *(entry(item) for item in settings().values()),
        _section(
            "FILES",
            ".I /etc/preppald/preppald.env\nThe settings of all instances.",
            ".I /etc/preppald/preppald\\-INSTANCE.env\nWhat differs for preppald@INSTANCE.service; it counts before the"
            " other.",
        ),
        _section("SEE ALSO", ".BR preppald (8),\n.I /usr/share/doc/preppald/docs/configuration.md.gz"),
    ])  # fmt: skip


def _option(formatter: argparse.HelpFormatter, action: argparse.Action) -> str:
    names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    heading = f"\\fB{roff(names)}\\fR"
    if action.option_strings and action.nargs != 0:
        heading += f" \\fI{roff(str(action.metavar or action.dest.upper()))}\\fR"
    # There is no public way to have %(default)s replaced.
    words = formatter._expand_help(action) if action.help else ""  # noqa: SLF001
    return f".TP\n{heading}\n{roff(words)}\n"


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to walk a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _options(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [
        action
        for action in parser._actions  # noqa: SLF001
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)  # noqa: SLF001
        and action.help is not argparse.SUPPRESS
    ]


def _command(parser: argparse.ArgumentParser, level: str = "SS") -> Iterator[str]:
    usage = " ".join(parser.format_usage().removeprefix("usage: ").replace(" [-h]", "").split())
    yield f".{level} {roff(parser.prog)}\n{roff(usage)}\n.PP\n{roff(parser.description or '')}\n"
    for action in _options(parser):
        yield _option(parser._get_formatter(), action)  # noqa: SLF001
    if parser.epilog:
        yield _as_it_is(parser.epilog)
    for nested in _subcommands(parser).values():
        yield from _command(nested)


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return every command with its arguments."""
    return {name: _subcommands(cli.parser(name))[name] for name in cli.COMMANDS}


def manual_page() -> str:
    """Return preppald(8)."""
    return "".join([
        _title("PREPPALD", 8),
        _section("NAME", "preppald \\- spoken interviews between browsers and Gemini Live"),
        _section("SYNOPSIS", ".B preppald\n.I COMMAND\n[options]", ".B preppald \\-\\-version"),
        _section(
            "DESCRIPTION",
            roff(cli.DESCRIPTION),
            "It carries the voice both ways, keeps the transcript of both sides, and delivers it to the application's"
            " backend until the backend has it. Its configuration is the environment; as a service, it is\n"
            ".IR /etc/preppald/preppald.env :\nsee\n.BR preppald.env (5).",
        ),
        ".SH COMMANDS\n",
        *(text for parser in commands().values() for text in _command(parser)),
        _section(
            "SIGNALS",
            "SIGTERM and SIGINT drain: no new interviews, those that run may finish, for PREPPALD_DRAIN at most. A"
            " second one ends them now; what was said so far is delivered. Within a second of the first it counts as"
            " the same one, since an init that signals the group sends copies. SIGHUP reloads.",
        ),
        _section(
            "FILES",
            ".I /etc/preppald/preppald.env\nThe configuration.",
            ".I /var/lib/preppald/\nThe journal: transcripts, and what the backend is owed. Readable by the service and"
            " root.",
        ),
        _section(
            "SEE ALSO",
            ".BR preppald.env (5),\n.BR systemctl (1),\n.BR journalctl (1)",
            *(
                f"{roff(words)}:\n.I /usr/share/doc/preppald/docs/{page}"
                for words, page in PAGES.items()
            ),
        ),
    ])  # fmt: skip


# ---------------------------------------------------------------- completion


def completion() -> str:
    """Return the completion for bash: commands, their options, and files."""
    cases = []
    for name, parser in commands().items():
        words = [*_subcommands(parser), "--help"]
        for action in _options(parser):
            words += [option for option in action.option_strings if option.startswith("--")]
        cases.append(f'    {name}) words="{" ".join(words)}" ;;')
    return f"""\
# bash completion for preppald(8), made from its own declarations.
_preppald() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} command= word words
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $word in -*) ;; *) command=$word; break ;; esac
  done
  case $command in
    '') words="{" ".join(cli.COMMANDS)} --help --version" ;;
{chr(10).join(cases)}
    *) return ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  # Any other word may be a file: a recording, a scenario, a token.
  [ ${{#COMPREPLY[@]}} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$current")
}}
complete -o filenames -F _preppald preppald
"""


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    os.environ["COLUMNS"] = str(WIDTH)  # argparse wraps to the terminal's width
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    documents = {
        "preppald.env": env_file(),
        "preppald.env.5": env_page(),
        "preppald.8": manual_page(),
        "preppald.bash": completion(),
    }
    for name, text in documents.items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
