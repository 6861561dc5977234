"""A plugin with two tasks that need no training: hearing tones, and making them."""

from espnet3_core.fields import FieldDeclaration
from espnet3_core.hookspecs import hookimpl
from espnet3_core.recipe.stages import PACK_MODEL
from espnet3_core.specs import ModelSpec, SystemSpec


@hookimpl
def espnet3_models():
    yield ModelSpec(name="tones/listener", target="tones_parts:Listener")
    yield ModelSpec(name="tones/speaker", target="tones_parts:Speaker")


@hookimpl
def espnet3_systems():
    yield SystemSpec(
        name="tones/listening",
        stages=(PACK_MODEL,),
        inputs=(FieldDeclaration("speech", "audio"),),
        outputs=(FieldDeclaration("text", "text"), FieldDeclaration("words", "segments")),
    )
    yield SystemSpec(
        name="tones/speaking",
        stages=(PACK_MODEL,),
        inputs=(FieldDeclaration("text", "text"), FieldDeclaration("speed", "number", optional=True)),
        outputs=(FieldDeclaration("sound", "audio"),),
    )
