"""What training uses, right or with one fault that is asked for."""

import random
from typing import Any

import torch
from lightning.pytorch import Callback
from toy_parts import Fault


class Marker(Callback):
    def __init__(self, config: Fault) -> None:
        self.fault, self.mark = config.fault, random.random()

    def state_dict(self) -> dict[str, Any]:
        return {"mark": self.mark}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.mark = 0 if self.fault == "state" else state_dict["mark"]


def make_callback(config: Fault) -> Any:
    return object() if config.fault == "kind" else Marker(config)


class Momentum(torch.optim.SGD):
    """Steps that grow, counted in the state or beside it."""

    def __init__(self, config: Fault, *, parameters: Any) -> None:
        super().__init__(parameters, lr=0.05)
        self.fault, self.count = config.fault, 0

    def step(self, closure: Any = None) -> Any:
        self.count += 1
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                state["count"] = state.get("count", 0) + 1
                count = self.count if self.fault == "state" else state["count"]
                sign = -1 if self.fault == "ascends" else 1
                parameter.data -= sign * group["lr"] * parameter.grad / (1 + 0.1 * count)


def make_optimizer(config: Fault, *, parameters: Any) -> Any:
    return object() if config.fault == "kind" else Momentum(config, parameters=parameters)


class Halving(torch.optim.lr_scheduler.LambdaLR):
    def __init__(self, config: Fault, *, optimizer: Any) -> None:
        self.fault = config.fault
        super().__init__(optimizer, lambda step: (-1 if self.fault == "negative" else 1) * 0.5**step)

    def load_state_dict(self, state_dict: Any) -> None:
        if self.fault != "state":
            super().load_state_dict(state_dict)
