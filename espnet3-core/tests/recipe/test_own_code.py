import pytest
from espnet3_core.errors import UserError
from espnet3_core.recipe.own_code import named_errors


def run_file(path):
    exec(compile(path.read_text(), str(path), "exec"), {})


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def build():\n    return 1 / 0\nbuild()\n", "src/model.py:2, in build: ZeroDivisionError"),
        ("import json\njson.loads('nonsense')\n", "src/model.py:2, in <module>: JSONDecodeError"),
        ("x = (1\n", "src/model.py:1: SyntaxError"),
    ],
)
def test_errors_in_a_recipes_code_name_its_line(tmp_path, code, expected):
    path = tmp_path / "src/model.py"
    path.parent.mkdir()
    path.write_text(code)
    with pytest.raises(UserError) as caught, named_errors(tmp_path):
        run_file(path)
    assert str(caught.value).startswith(expected)


def test_other_errors_pass(tmp_path):
    with pytest.raises(ZeroDivisionError), named_errors(tmp_path):
        1 / 0  # noqa: B018
    with pytest.raises(UserError, match="as it was"), named_errors(tmp_path):
        raise UserError("as it was")
