"""A plugin with two tasks that need no training: hearing tones, and making them."""

from espnet3_core.fields import FieldDeclaration
from espnet3_core.hookspecs import hookimpl
from espnet3_core.recipe.stages import PACK_DEMO, PACK_MODEL, UPLOAD_DEMO
from espnet3_core.specs import ModelSpec, SystemSpec

STAGES = (PACK_MODEL, PACK_DEMO, UPLOAD_DEMO)


@hookimpl
def espnet3_models():
    yield ModelSpec(name="signals/listener", target="signals_parts:Listener")
    yield ModelSpec(name="signals/speaker", target="signals_parts:Speaker")


@hookimpl
def espnet3_systems():
    yield SystemSpec(
        name="signals/listening",
        stages=STAGES,
        inputs=(FieldDeclaration("speech", "audio", "letters as tones"),),
        outputs=(
            FieldDeclaration("text", "text", "what was heard"),
            FieldDeclaration("words", "segments", "words with their times"),
            FieldDeclaration("level", "number", "how loud it was"),
            FieldDeclaration("voice", "label"),
            FieldDeclaration("vector", "embedding"),
        ),
    )
    yield SystemSpec(
        name="signals/speaking",
        stages=STAGES,
        inputs=(FieldDeclaration("text", "text"), FieldDeclaration("speed", "number", optional=True)),
        outputs=(FieldDeclaration("sound", "audio"),),
    )
