"""Entry point of ``espnet3``: finds the verb, imports it alone, and turns errors into messages."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

from espnet3_core.errors import EXIT_BUG, EXIT_RESUMABLE, EXIT_USER, UserError
from espnet3_core.names import did_you_mean


@dataclass(frozen=True)
class Verb:
    """A verb of the command line.

    Attributes:
        arguments: ``module:function`` that adds the arguments to a parser.
        run: ``module:function`` called with the parsed arguments.
        summary: One line for the overview.
        provider: Distribution that adds it, empty for core's own.
    """

    arguments: str
    run: str
    summary: str
    provider: str = ""


def _own(module: str, summary: str) -> Verb:
    return Verb(f"espnet3_core.cli.{module}:arguments", f"espnet3_core.cli.{module}:run", summary)


VERBS = {
    "run": _own("run", "run the stages of a recipe"),
    "status": _own("status", "what of a recipe is done, and what is out of date"),
    "report": _own(
        "report", "an experiment as one HTML page: curves, scores, worst utterances, configuration"
    ),
    "compare": _own("compare", "the difference of two experiments' scores, with a paired bootstrap"),
    "check": _own("check", "find all mistakes in a recipe's configuration, without running it"),
    "data": _own("data", "decode all data of a recipe and find bad utterances"),
    "config": _own("config", "show a resolved configuration, or compare two"),
    "pack": _own("pack", "put a trained model into a bundle"),
    "verify": _own("verify", "a bundle's hashes, and its sample in a fresh process"),
    "inspect": _own("inspect", "what a bundle is, needs, takes and gives"),
    "fetch": _own("fetch", "bring a bundle from an address into the cache"),
    "average": _own("average", "average selected models of a training again"),
    "new": _own("new", "write a new recipe"),
    "list": _own("list", "components by kind, and who provides them"),
    "show": _own("show", "one component: its options with types, defaults and meaning"),
    "plugin": _own("plugin", "write, check and list plugins; make one of a recipe"),
    "doctor": _own("doctor", "this installation: plugins, failures, torch, codecs, devices"),
}


_NO_COMMAND = "espnet3 --help lists the commands; tasks bring theirs, for example pip install espnet3-asr"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are user errors, with a did-you-mean for options."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        hint = f"see {self.prog} --help"
        unknown = message.removeprefix("unrecognized arguments: ").split()
        if message.startswith("unrecognized arguments: ") and unknown[0].startswith("-"):
            options = [option for action in self._actions for option in action.option_strings]
            hint = did_you_mean(unknown[0].partition("=")[0], options) or hint
        raise UserError(message, hint=hint)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _guarded(lambda: _dispatch(words))
    except BrokenPipeError:
        # The reader of our output has gone (``| head``): nothing is left to tell it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _guarded(action: Callable[[], int]) -> int:
    try:
        return action()
    except UserError as error:
        print(f"espnet3: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("espnet3: interrupted", file=sys.stderr)
        return EXIT_RESUMABLE
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EPERM):
            return _bug()
        print(f"espnet3: {error.strerror}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        return EXIT_USER
    except Exception:
        return _bug()


def _bug() -> int:
    import traceback

    traceback.print_exc()
    blame = "unless the trace ends in code of yours or of a library you chose, this is a bug of espnet3"
    print(f"espnet3: {blame}: please report it with the output of espnet3 doctor", file=sys.stderr)
    return EXIT_BUG


def _dispatch(words: list[str]) -> int:
    if "--no-plugins" in words:
        words.remove("--no-plugins")
        os.environ["ESPNET3_DISABLE_PLUGINS"] = "all"
    if words[:1] in (["--version"], ["-V"]):
        from espnet3_core.discovery import distribution_version

        print(f"espnet3-core {distribution_version('espnet3-core')}")
        return 0
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    name, verbs = words[0], VERBS
    if name not in verbs:
        verbs = all_verbs()
    if name not in verbs:
        hint = did_you_mean(name, verbs, otherwise=_NO_COMMAND)
        raise UserError(f"there is no command {name!r}", hint=hint)
    verb = verbs[name]
    parser = Parser(prog=f"espnet3 {name}", description=verb.summary, allow_abbrev=False)
    _import(verb.arguments)(parser)
    code = _import(verb.run)(parser.parse_args(words[1:]))
    return int(code or 0)


def _import(target: str) -> Callable[..., int]:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)  # type: ignore[no-any-return]


def all_verbs() -> dict[str, Verb]:
    """Core's verbs and those of plugins; a plugin cannot replace one of core's."""
    from espnet3_core.catalog import current_catalog

    added = {
        spec.name: Verb(spec.arguments, spec.run, spec.summary, entry.distribution)
        for spec, entry in current_catalog().commands()
    }
    return {**added, **VERBS}


def overview() -> str:
    """What ``espnet3 --help`` prints."""
    rows = [
        f"  {name:<10} {verb.summary}" + (f"  [{verb.provider}]" if verb.provider else "")
        for name, verb in sorted(
            all_verbs().items(), key=lambda item: (bool(item[1].provider), item[0] not in VERBS)
        )
    ]
    return "\n".join(
        [
            "usage: espnet3 COMMAND …",
            "",
            "Train, run, score and publish speech systems; every task is a plugin.",
            "",
            "commands:",
            *rows,
            "",
            "  espnet3 COMMAND --help   the options of a command",
            "  --version, --no-plugins  work with every command",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
