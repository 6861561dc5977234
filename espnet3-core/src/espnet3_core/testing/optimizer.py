"""What an optimizer and a schedule must offer: steps that help, and a state that goes on."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from espnet3_core.testing.compare import difference
from espnet3_core.testing.conformance import Conformance


class OptimizerConformance(Conformance):
    """A ``torch.optim.Optimizer``.

    Attributes:
        steps: Steps in which it must lower a quadratic loss.
    """

    kind = "optimizer"
    steps: ClassVar[int] = 20

    def _after(self, steps: int, resumed_at: int | None = None) -> tuple[float, list[float]]:
        """Loss before, and losses of the steps; state and weights pass through a state_dict on the way."""
        import torch

        goal = torch.tensor([1.0, -2.0, 0.5])
        weight = torch.nn.Parameter(torch.zeros(3))
        optimizer = self.build(parameters=[{"params": [weight]}], params=[{"params": [weight]}])
        self.expect(
            isinstance(optimizer, torch.optim.Optimizer),
            f"it builds a {type(optimizer).__name__}",
            "target(config, *, parameters) returns a torch.optim.Optimizer",
        )
        losses = []
        for step in range(steps):
            if step == resumed_at:
                weight = torch.nn.Parameter(weight.detach().clone())
                state = optimizer.state_dict()
                optimizer = self.build(parameters=[{"params": [weight]}], params=[{"params": [weight]}])
                optimizer.load_state_dict(state)
            optimizer.zero_grad()
            loss = (weight - goal).square().sum()
            losses.append(loss.item())
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return (weight - goal).square().sum().item(), losses

    def test_steps_lower_the_loss(self) -> None:
        """Of a quadratic function, from its default options or those of the class."""
        last, losses = self._after(self.steps)
        self.expect(
            math.isfinite(last) and last < losses[0],
            f"after {self.steps} steps the loss is {last:.4g}, from {losses[0]:.4g}",
            "see the sign of its update, or choose a smaller `lr` in the class",
        )

    def test_it_continues_from_its_state(self) -> None:
        """With its ``state_dict``, a new one takes the same steps."""
        apart = difference(
            self._after(self.steps), self._after(self.steps, self.steps // 2), place="the loss"
        )
        self.expect(not apart, f"resumed in the middle: {apart}", "keep all of its state in self.state")


class SchedulerConformance(Conformance):
    """A learning-rate schedule.

    Attributes:
        total_steps: Length of the training.
    """

    kind = "scheduler"
    total_steps: ClassVar[int] = 20

    def _rates(self, resumed_at: int | None = None) -> list[float]:
        import torch

        weight = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([weight], lr=0.1)
        schedule = self._schedule(optimizer)
        rates = []
        for step in range(self.total_steps):
            if step == resumed_at:
                state, groups = schedule.state_dict(), optimizer.state_dict()
                optimizer = torch.optim.SGD([weight], lr=0.1)
                schedule = self._schedule(optimizer)
                optimizer.load_state_dict(groups)
                schedule.load_state_dict(state)
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            self.step(schedule, step)
        return rates

    def _schedule(self, optimizer: Any) -> Any:
        steps = {"total_steps": self.total_steps, "steps_per_epoch": 5}
        return self.build(optimizer=optimizer, **steps)

    def step(self, schedule: Any, number: int) -> None:
        """One step; schedules that watch a value get one that does not improve."""
        if "metrics" in schedule.step.__code__.co_varnames:
            schedule.step(1.0)
        else:
            schedule.step()

    def test_rates_are_legal(self) -> None:
        """Finite, never negative, and not zero all the time."""
        rates = self._rates()
        legal = all(math.isfinite(rate) and rate >= 0 for rate in rates) and any(rates)
        self.expect(legal, f"its rates are {rates}", "rates are factors of the optimizer's `lr`")

    def test_it_continues_from_its_state(self) -> None:
        """With its ``state_dict``, a new one gives the same rates."""
        apart = difference(self._rates(), self._rates(self.total_steps // 2), place="the rates")
        self.expect(not apart, f"resumed in the middle: {apart}", "keep all of its state in its state_dict")
