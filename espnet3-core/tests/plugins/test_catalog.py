import re
from types import SimpleNamespace

import pytest
from espnet3_core.build import registered_of
from espnet3_core.catalog import Catalog, current_catalog, use_catalog
from espnet3_core.component import Component
from espnet3_core.errors import Finding, UserError
from espnet3_core.hookspecs import hookimpl
from espnet3_core.specs import Alias, ModelSpec, ModuleSpec


class Acme:
    @hookimpl
    def espnet3_models(self):
        yield ModelSpec(name="acme/rnn_ctc", target="x:Y", aliases=(Alias("acme/old", "2.0"),))

    @hookimpl
    def espnet3_modules(self):
        return [
            ModuleSpec(name="acme/lstm", role="encoder", target="x:Y"),
            ModuleSpec(name="acme/head", role="decoder", target="x:Y"),
        ]

    @hookimpl
    def espnet3_check_config(self, config):
        raise ValueError("checker broke")

    @hookimpl
    def espnet3_before_publish(self, manifest):
        return [] if manifest.get("license") else [Finding(message="needs a licence")]

    @hookimpl
    def espnet3_resolve_source(self, uri):
        return uri.upper() if uri.startswith("acme://") else None


@pytest.fixture
def catalog():
    return Catalog.from_plugins([("acme", Acme())])


def failing(catalog, *arguments, **options):
    with pytest.raises(UserError) as caught:
        catalog.find(*arguments, **options)
    return str(caught.value)


def test_names_are_found_per_kind_and_role(catalog):
    assert catalog.find("model", "acme/rnn_ctc").spec.target == "x:Y"
    assert catalog.find("module", "acme/lstm", role="encoder").role == "encoder"
    assert [entry.name for entry in catalog.components("module")] == ["acme/head", "acme/lstm"]


def test_errors_say_what_to_do(catalog):
    assert "did you mean acme/rnn_ctc?" in failing(catalog, "model", "acme/rnn_ctx", path="training.model")
    assert failing(catalog, "model", "acme/rnn_ctx", path="training.model").startswith("training.model: ")
    assert "is a module, and a model is needed" in failing(catalog, "model", "acme/lstm")
    assert "did you mean 'acme/rnn_ctc'?" in failing(catalog, "model", "rnn_ctc")
    wrong_role = failing(catalog, "module", "acme/head", role="encoder")
    assert "is a decoder module, and a encoder is needed" in wrong_role
    assert "acme/lstm" in wrong_role
    assert "pip install espnet3-tts" in failing(catalog, "model", "tts/vits")
    with_range = catalog.with_requires(["espnet3-tts>=0.3"])
    assert "pip install 'espnet3-tts>=0.3'" in failing(with_range, "model", "tts/vits")


def test_a_former_name_resolves_with_a_warning(catalog):
    with pytest.warns(
        FutureWarning,
        match=re.escape("acme/old is now acme/rnn_ctc; acme-in-memory 2.0 removes the old name"),
    ):
        assert catalog.find("model", "acme/old").name == "acme/rnn_ctc"


def test_a_former_name_decides_the_kind_where_no_slot_does(catalog):
    with use_catalog(catalog), pytest.warns(FutureWarning, match="acme/old is now acme/rnn_ctc"):
        assert registered_of(Component(name="acme/old")).kind == "model"


def test_checks_and_vetoes_fail_closed(catalog):
    (finding,) = catalog.check_config({})
    assert finding.level == "error"
    assert "checker broke" in finding.message
    assert [f.message for f in catalog.before_publish({})] == ["needs a licence"]
    assert catalog.before_publish({"license": "MIT"}) == []


def test_sources_are_resolved_by_the_first_plugin_that_knows_them(catalog):
    assert catalog.resolve_source("acme://x") == "ACME://X"
    with pytest.raises(UserError, match="no installed plugin reads s3://"):
        catalog.resolve_source("s3://x")


def test_a_recipes_own_plugin_is_seen_in_that_recipe_only(catalog):
    class Own:
        @hookimpl
        def espnet3_models(self):
            return [ModelSpec(name="recipe/mine", target="x:Y")]

    both = catalog.with_plugin("recipe", Own())
    assert both.find("model", "recipe/mine").name == "recipe/mine"
    assert both.find("model", "acme/rnn_ctc").name == "acme/rnn_ctc"
    assert "there is no model" in failing(catalog, "model", "recipe/mine")
    with use_catalog(both):
        assert current_catalog() is both
    assert current_catalog() is not both


def test_stage_hooks_are_called_and_their_errors_stop_the_run():
    seen = []

    class Watcher:
        @hookimpl
        def espnet3_before_stage(self, context):
            seen.append(context.name)

        @hookimpl
        def espnet3_after_stage(self, context):
            raise ValueError("disk is gone")

    catalog = Catalog.from_plugins([("watch", Watcher())])
    catalog.before_stage(SimpleNamespace(name="train"))
    assert seen == ["train"]
    with pytest.raises(UserError, match="disk is gone"):
        catalog.after_stage(SimpleNamespace(name="train"))
