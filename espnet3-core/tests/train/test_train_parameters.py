import pytest
import torch
from espnet3_core.config.roles import ParameterRule
from espnet3_core.errors import UserError
from espnet3_core.train import optimizers
from espnet3_core.train.config import AdamConfig, AdamWConfig, SGDConfig
from espnet3_core.train.parameters import check_group_options, freeze, parameter_groups
from torch import nn


def model():
    return nn.ModuleDict(
        {"encoder": nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4)), "decoder": nn.Linear(4, 2)}
    )


def test_groups_hold_each_trainable_parameter_once_and_the_first_rule_counts():
    net = model()
    rules = [
        ParameterRule(match="encoder.0.*", freeze=True),
        ParameterRule(match="*.bias", options={"weight_decay": 0.0}),
        ParameterRule(match="encoder.*", options={"lr": 1e-4}),
    ]
    assert freeze(net, rules) == 3 * 4 + 4
    groups = parameter_groups(net, rules)
    assert [{k: v for k, v in group.items() if k != "params"} for group in groups] == [
        {},
        {"weight_decay": 0.0},
        {"lr": 1e-4},
    ]
    names = {id(value): name for name, value in net.named_parameters()}
    assert [[names[id(value)] for value in group["params"]] for group in groups] == [
        ["decoder.weight"],
        ["encoder.1.bias", "decoder.bias"],
        ["encoder.1.weight"],
    ]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["encodr.*"], r"0\.match: 'encodr\.\*' matches no parameter.*\n.*did you mean 'encoder\.\*'"),
        (["joiner.*"], r"names start with: decoder, encoder"),
        (["encoder.*", "encoder.0.*"], r"1\.match: .*earlier rules take all 2 parameters"),
    ],
)
def test_a_rule_for_nothing(rules, message):
    with pytest.raises(UserError, match=message):
        freeze(model(), [ParameterRule(match=match) for match in rules])


def test_everything_frozen():
    with pytest.raises(UserError, match="every parameter of the model is frozen"):
        freeze(model(), [ParameterRule(match="*", freeze=True)])


def test_an_option_that_the_optimizer_does_not_have():
    rules = [ParameterRule(match="encoder.*", options={"weight_deca": 0.0})]
    optimizer = torch.optim.AdamW(parameter_groups(model(), rules))
    with pytest.raises(UserError, match=r"options\.weight_deca: .*\n.*did you mean 'weight_decay'"):
        check_group_options(optimizer, rules)


@pytest.mark.parametrize(
    ("factory", "config", "reference"),
    [
        (
            optimizers.adamw,
            AdamWConfig(lr=0.1, betas=(0.8, 0.9), weight_decay=0.2),
            lambda p: torch.optim.AdamW(
                p, lr=0.1, betas=(0.8, 0.9), weight_decay=0.2, foreach=False, fused=False
            ),
        ),
        (
            optimizers.adam,
            AdamConfig(lr=0.1, eps=1e-3),
            lambda p: torch.optim.Adam(p, lr=0.1, eps=1e-3, foreach=False, fused=False),
        ),
        (
            optimizers.sgd,
            SGDConfig(lr=0.1, momentum=0.9, nesterov=True),
            lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, foreach=False, fused=False),
        ),
    ],
)
def test_named_optimizers_are_torchs(factory, config, reference):
    results = []
    for make in (lambda p: factory(config, parameters=[{"params": p}]), reference):
        torch.manual_seed(0)
        net = nn.Linear(5, 3).double()
        optimizer = make(list(net.parameters()))
        for _ in range(5):
            optimizer.zero_grad()
            net(torch.randn(7, 5, dtype=torch.float64)).square().sum().backward()
            optimizer.step()
        results.append(net.weight.detach())
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-12)
