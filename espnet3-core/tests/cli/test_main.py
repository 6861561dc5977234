import errno
import os

import pytest
from espnet3_core.cli import main as cli
from espnet3_core.errors import Interrupted, UserError


def test_help_lists_every_verb(run_command):
    code, out, _ = run_command("--help")
    assert code == 0
    for verb in cli.VERBS:
        assert f"  {verb} " in out


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_explains_itself_by_an_example(capsys, verb):
    with pytest.raises(SystemExit, match="0"):
        cli.main([verb, "--help"])
    assert f"xample: espnet3 {verb} " in " ".join(capsys.readouterr().out.split())


def test_a_misspelt_verb_is_told_the_nearest(run_command):
    code, _, err = run_command("chek")
    assert code == 2
    assert "there is no command 'chek'" in err
    assert "did you mean 'check'?" in err


def test_a_misspelt_option_is_told_the_nearest(run_command):
    code, _, err = run_command("list", "--jsn")
    assert code == 2
    assert "did you mean '--json'?" in err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UserError("bad", hint="mend it"), 2, "espnet3: bad\n  -> mend it"),
        (Interrupted("saved at step 3"), 75, "saved at step 3"),
        (KeyboardInterrupt(), 75, "interrupted"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/y"), 2, "No space left on device: /x/y"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "/x/y"), 2, "Read-only file system: /x/y"),
        (RuntimeError("ours"), 1, "a bug of espnet3"),
    ],
)
def test_errors_become_exit_codes(monkeypatch, capsys, error, code, text):
    def fail(words):
        raise error

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert cli.main(["list"]) == code
    err = capsys.readouterr().err
    assert text in err
    assert ("Traceback" in err) == (code == 1)


def test_show_names_provider_and_every_option(run_command):
    code, out, _ = run_command("show", "core/manifest")
    assert code == 0
    assert "dataset from espnet3-core" in out
    assert "path: str" in out


def test_show_lists_the_keys_of_a_group():
    from espnet3_core.cli.show import option_lines
    from espnet3_core.config.fields import fields_of
    from espnet3_core.config.roles import CheckpointConfig

    lines = option_lines(fields_of(CheckpointConfig), "")
    assert "  monitor: str = valid/loss" in lines
    assert lines.index("  keep: int = 3") < lines.index("every_steps: int or null = null")


def test_show_suggests(run_command):
    code, _, err = run_command("show", "core/manifst")
    assert code == 2
    assert "did you mean 'core/manifest'?" in err
    code, _, err = run_command("show", "nowhere/x")
    assert "pip install espnet3-nowhere" in err


def test_list_knows_its_kinds(run_command):
    code, out, _ = run_command("list", "datasets")
    assert code == 0
    assert "core/manifest" in out
    code, _, err = run_command("list", "datset")
    assert code == 2
    assert "did you mean 'dataset'?" in err


def test_doctor_reports_torch_codecs_and_disk(run_command):
    code, out, _ = run_command("doctor")
    assert "torch " in out
    assert "flac yes" in out
    assert "GB free" in out
    assert code in (0, 2)


def test_a_plugin_adds_a_verb(plugins):
    plugins.add(
        "hello",
        "@hookimpl\ndef espnet3_commands():\n"
        "    yield CommandSpec(name='greet', run='greeting:run', arguments='greeting:arguments')\n",
    )
    (plugins.directory / "greeting.py").write_text(
        "def arguments(parser): parser.add_argument('who')\ndef run(args): print('hello', args.who)\n"
    )
    assert "greet" in plugins.espnet3("--help").stdout
    assert plugins.espnet3("greet", "you").stdout == "hello you\n"
    assert plugins.espnet3("greet", "you", ESPNET3_DISABLE_PLUGINS="hello").returncode == 2
