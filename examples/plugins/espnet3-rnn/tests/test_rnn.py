"""The conformance kit says what a plugin and a model have to offer."""

from espnet3_core.testing import ModelConformance, PluginConformance


class TestPlugin(PluginConformance):
    """rnn."""

    namespace = "rnn"


class TestRNNCTC(ModelConformance):
    """rnn/ctc."""

    name = "rnn/ctc"
    config = {"hidden_size": 8}
    variants = ({"num_layers": 1}, {"stack": 1})
