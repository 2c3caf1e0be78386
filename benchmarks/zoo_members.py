"""The networks of the zoo: on which data, made how, trained how, and in what way some are broken."""

import hashlib
from dataclasses import dataclass

ROWS = 20_000  # of real data that a network may see


@dataclass(frozen=True)
class Member:
    """A network of the zoo; ``broken`` says in what way, "" is a sound one."""

    name: str
    data: str
    maker: str
    steps: int = 2000
    noise: float = 0.0
    rows: int = ROWS
    beta: float = 0.0
    contract: float = 0.0
    sparse: float = 0.0
    scale: float = 1.0
    broken: str = ""
    classifier: str = ""

    @property
    def half(self) -> str:
        return "AB"[hashlib.sha256(self.name.encode()).digest()[1] % 2]


def _family(data_name: str) -> list[Member]:
    short = {"mnist": "mnist", "fashion_mnist": "fashion"}[data_name]
    return [
        Member(f"{short}-mlp-plain", data_name, "image_mlp_32"),
        Member(f"{short}-mlp-noise.4", data_name, "image_mlp_32", noise=0.4),
        Member(f"{short}-mlp128-noise.7", data_name, "image_mlp_128", noise=0.7),
        Member(f"{short}-conv-plain", data_name, "image_conv_64"),
        Member(f"{short}-conv-noise.5", data_name, "image_conv_64", noise=0.5),
        Member(f"{short}-vae-beta1", data_name, "image_vae_16", beta=1.0),
        Member(f"{short}-vae-beta.1", data_name, "image_vae_16", beta=0.1),
    ]


MEMBERS: list[Member] = [
    *_family("mnist"),
    *_family("fashion_mnist"),
    Member("mnist-conv-linear-noise.2", "mnist", "image_conv_64_linear", noise=0.2),
    Member("mnist-contractive", "mnist", "image_mlp_32_linear", contract=0.1),
    Member("mnist-sparse", "mnist", "image_mlp_128", sparse=0.02),
    Member("mnist-vq", "mnist", "image_vq"),
    Member("mnist-pca", "mnist", "image_pca_48"),
    Member("mnist-narrow", "mnist", "image_mlp_4"),
    Member("fashion-wide", "fashion_mnist", "image_mlp_1024"),
    Member("fashion-overfit", "fashion_mnist", "image_mlp_128", rows=300, steps=4000),
    Member("mnist-half-trained", "mnist", "image_mlp_32", steps=150),
    Member("digits-mlp-plain", "digits", "digit_mlp_16"),
    Member("digits-mlp-noise.4", "digits", "digit_mlp_16", noise=0.4),
    Member("digits-vae", "digits", "digit_vae_8", beta=1.0),
    Member("digits-pca", "digits", "digit_pca_12"),
    Member("features-mlp-plain", "features", "feature_mlp_32"),
    Member("features-mlp-noise.2", "features", "feature_mlp_32", noise=0.2),
    Member("features-vae", "features", "feature_vae_16", beta=0.3),
    Member("broken-untrained", "mnist", "image_conv_64", steps=0, broken="never trained"),
    Member("broken-untrained-mlp", "fashion_mnist", "image_mlp_32", steps=0, broken="never trained"),
    Member("broken-collapsed", "mnist", "image_vae_16", beta=300.0, broken="posterior collapse: r is constant"),
    Member(
        "broken-range", "fashion_mnist", "image_mlp_32_linear", scale=255.0, broken="trained on 0..255, used on 0..1"
    ),
    Member("broken-gain", "mnist", "image_gain", broken="walks diverge"),
    Member("broken-random", "mnist", "image_noisy", broken="random at every call"),
    Member(
        "broken-classifier",
        "mnist",
        "image_mlp_32",
        noise=0.4,
        broken="the classifier was never trained",
        classifier="none",
    ),
    Member(
        "broken-one-class",
        "fashion_mnist",
        "image_mlp_32",
        noise=0.4,
        broken="the classifier answers one class",
        classifier="one",
    ),
]
