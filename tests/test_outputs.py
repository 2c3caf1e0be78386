"""Of all that a network returns the reconstruction is found, whatever holds it; what has none gets a sentence."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reinject import wrap
from reinject.base.errors import ModelError
from reinject.walks.execution import Execution
from reinject.walks.outputs import choose, name_of, tensor_at, tensors_in

X = torch.linspace(-1, 1, 8).reshape(2, 4)
CODE = torch.zeros(2, 2)
Pair = namedtuple("Pair", "z x_hat")


@dataclass
class Out:
    mu: Tensor
    reconstruction: Tensor


class Constraint:
    """An object that is neither a mapping nor a tuple, as some libraries return."""

    def __init__(self, x: Tensor) -> None:
        self.loss, self.recon_x = torch.zeros(()), x


RETURNS = {
    "variational": lambda x: (CODE, CODE, 2 * x),
    "code first": lambda x: (CODE, 2 * x),
    "a list": lambda x: [2 * x, CODE],
    "a dict": lambda x: {"z": x + 1, "x_hat": 2 * x},
    "a library's": lambda x: OrderedDict(loss=torch.zeros(()), logits=2 * x),
    "named": lambda x: Pair(CODE, 2 * x),
    "a dataclass": lambda x: Out(x + 1, 2 * x),
    "an object": lambda x: Constraint(2 * x),
    "inside": lambda x: {"losses": (torch.zeros(()),), "outputs": {"decoded": 2 * x}},
    "the input too": lambda x: (x, 2 * x),
    "flat": lambda x: (CODE, (2 * x).reshape(2, 2, 2)),
}


@pytest.mark.parametrize("returns", RETURNS.values(), ids=RETURNS.keys())
def test_the_reconstruction_is_found(returns: Any) -> None:
    value = returns(X)
    found = tensor_at(value, choose(value, X, "autoencoder"))
    assert torch.equal(found.reshape(X.shape), 2 * X)


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "16 bits"])
def test_wrap_chooses_as_well(compiled: bool) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Any:
            return {"z": x[:, :2], "recon": self.layer(x)}

    net = Net()
    r = wrap(net, (4,), execution=Execution(2, "bf16-mixed" if compiled else "32-true"))
    with torch.no_grad():
        torch.testing.assert_close(r(torch.ones(5, 4)), net.layer(torch.ones(5, 4)), rtol=0.05, atol=0.05)
    told = wrap(lambda x, sigma: (sigma, x * sigma[:, None]), (4,), noise_conditioned=True, sigma=3.0)
    assert torch.equal(told(torch.ones(1, 4)), torch.full((1, 4), 3.0))


def test_scores_of_classes_are_found() -> None:
    scores = torch.zeros(2, 3)
    assert choose({"hidden": torch.zeros(2, 9), "logits": scores}, X, "classifier") == ("logits",)
    assert choose((torch.zeros(2, 3, 3), scores), X, "classifier") == (1,)
    assert choose(scores, X, "classifier") == ()


def test_what_has_none_is_told_with_names_and_shapes() -> None:
    with pytest.raises(ModelError, match=r"with mu \(2, 2\), logvar \(2, 2\)\. .*an encoder needs its decoder"):
        choose({"mu": CODE, "logvar": CODE}, X, "autoencoder")
    with pytest.raises(ModelError, match=r"wrapped: returns a tuple for \(2, 4\), with \[0\] \(2, 2\), \[1\] \(2, 2\)"):
        wrap(lambda _: (CODE, CODE), (4,), name="wrapped")
    with pytest.raises(ModelError, match="no tensor in it"):
        choose("text", X, "autoencoder")
    with pytest.raises(ModelError, match=r"x_hat this time"):
        tensor_at({"z": CODE}, ("x_hat",))
    assert name_of(tensors_in({"a": [CODE, X]})[1][0]) == "a[1]"
