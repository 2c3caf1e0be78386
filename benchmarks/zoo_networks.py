"""Plain networks as people write them: nothing of reinject in here, as in anybody's training script.

``python benchmarks/zoo.py`` trains them; ``reinject import zoo_networks.py:NAME --weights FILE`` takes them in.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn


class MLP(nn.Module):
    """n -> hidden -> code -> hidden -> n."""

    def __init__(self, n: int, hidden: int, code: int, sigmoid: bool = True, shape: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.shape = shape or (n,)
        self.encoder = nn.Sequential(nn.Linear(n, hidden), nn.ReLU(), nn.Linear(hidden, code))
        self.decoder = nn.Sequential(nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, n))
        self.last = nn.Sigmoid() if sigmoid else nn.Identity()

    def encode(self, x: Tensor) -> Tensor:
        h: Tensor = self.encoder(x.flatten(1))
        return h

    def decode(self, h: Tensor) -> Tensor:
        y: Tensor = self.last(self.decoder(h))
        return y.reshape(-1, *self.shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class VAE(MLP):
    """The same with a mean and a variance of the code; eval uses the mean."""

    def __init__(self, n: int, hidden: int, code: int, shape: tuple[int, ...] = ()) -> None:
        super().__init__(n, hidden, code, shape=shape)
        self.log_var = nn.Linear(hidden, code)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.decode(self.encode(x))
        h = self.encoder[:2](x.flatten(1))
        self.mu, self.lv = self.encoder[2](h), self.log_var(h)
        return self.decode(self.mu + (self.lv / 2).exp() * torch.randn_like(self.mu))


class VQ(MLP):
    """Codes rounded to the nearest of a book, group by group."""

    def __init__(self, n: int, hidden: int, groups: int, width: int, book: int, shape: tuple[int, ...] = ()) -> None:
        super().__init__(n, hidden, groups * width, shape=shape)
        self.groups, self.width = groups, width
        self.book = nn.Parameter(torch.randn(groups, book, width) * 0.5)

    def encode(self, x: Tensor) -> Tensor:
        h = self.encoder(x.flatten(1)).reshape(len(x), self.groups, self.width)
        nearest = torch.cdist(h.transpose(0, 1), self.book).argmin(2)
        q = torch.stack([self.book[g][nearest[g]] for g in range(self.groups)], 1)
        self.commitment = (q - h.detach()).square().mean() + 0.25 * (h - q.detach()).square().mean()
        code: Tensor = (h + (q - h).detach()).flatten(1)
        return code


class Conv(nn.Module):
    """Two strided convolutions, a linear code, and the way back."""

    def __init__(self, code: int, channels: int = 16, sigmoid: bool = True) -> None:
        super().__init__()
        c = channels
        self.encoder = nn.Sequential(
            *(nn.Conv2d(1, c, 4, 2, 1), nn.ReLU(), nn.Conv2d(c, 2 * c, 4, 2, 1), nn.ReLU(), nn.Flatten()),
            nn.Linear(2 * c * 49, code),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(code, 2 * c * 49), nn.ReLU(), nn.Unflatten(1, (2 * c, 7, 7))),
            *(nn.ConvTranspose2d(2 * c, c, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(c, 1, 4, 2, 1)),
            nn.Sigmoid() if sigmoid else nn.Identity(),
        )

    def encode(self, x: Tensor) -> Tensor:
        h: Tensor = self.encoder(x)
        return h

    def decode(self, h: Tensor) -> Tensor:
        y: Tensor = self.decoder(h)
        return y

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))


class Classifier(nn.Module):
    """Convolutions for images of 28 x 28, linear layers for the rest."""

    def __init__(self, n: int, classes: int = 10) -> None:
        super().__init__()
        self.n = n
        self.body = (
            nn.Sequential(
                *(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Flatten()),
                *(nn.Linear(32 * 49, 128), nn.ReLU()),
            )
            if n == 784
            else nn.Sequential(nn.Flatten(), nn.Linear(n, 128), nn.ReLU())
        )
        self.head = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.body(x))
        return y


class Noisy(MLP):
    """Dropout that evaluation does not switch off: random at every call."""

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(nn.functional.dropout(self.encode(x), 0.5, training=True))


class Gain(MLP):
    """A network whose output was scaled once too often: walks diverge."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.6 * super().forward(x) + 0.9 * (x - 0.5)


IMAGE, DIGIT, FEATURES = (1, 28, 28), (1, 8, 8), (128,)
MAKERS: dict[str, Callable[[], nn.Module]] = {
    "image_mlp_32": partial(MLP, 784, 256, 32, shape=IMAGE),
    "image_mlp_32_linear": partial(MLP, 784, 256, 32, sigmoid=False, shape=IMAGE),
    "image_mlp_128": partial(MLP, 784, 256, 128, shape=IMAGE),
    "image_mlp_4": partial(MLP, 784, 256, 4, shape=IMAGE),
    "image_mlp_1024": partial(MLP, 784, 1024, 1024, sigmoid=False, shape=IMAGE),
    "image_vae_16": partial(VAE, 784, 256, 16, shape=IMAGE),
    "image_vq": partial(VQ, 784, 256, 16, 4, 32, shape=IMAGE),
    "image_pca_48": partial(
        nn.Sequential, nn.Flatten(), nn.Linear(784, 48), nn.Linear(48, 784), nn.Unflatten(1, IMAGE)
    ),
    "image_conv_64": partial(Conv, 64),
    "image_conv_64_linear": partial(Conv, 64, sigmoid=False),
    "image_noisy": partial(Noisy, 784, 256, 32, shape=IMAGE),
    "image_gain": partial(Gain, 784, 256, 32, sigmoid=False, shape=IMAGE),
    "image_classifier": partial(Classifier, 784),
    "digit_mlp_16": partial(MLP, 64, 128, 16, shape=DIGIT),
    "digit_vae_8": partial(VAE, 64, 128, 8, shape=DIGIT),
    "digit_pca_12": partial(nn.Sequential, nn.Flatten(), nn.Linear(64, 12), nn.Linear(12, 64), nn.Unflatten(1, DIGIT)),
    "digit_classifier": partial(Classifier, 64),
    "feature_mlp_32": partial(MLP, 128, 256, 32, sigmoid=False),
    "feature_vae_16": partial(VAE, 128, 256, 16),
    "feature_classifier": partial(Classifier, 128),
}


def __getattr__(name: str) -> Callable[[], nn.Module]:
    if name in MAKERS:
        return MAKERS[name]
    raise AttributeError(name)
