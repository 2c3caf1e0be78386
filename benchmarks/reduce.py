"""Copy a folder of PNGs at a fraction of their size, for pages in git: half as wide, few colours."""

import argparse
from pathlib import Path

from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--width", type=int, default=560, help="Widest, pixels.")
    parser.add_argument("--colours", type=int, default=8)
    options = parser.parse_args()
    options.target.mkdir(parents=True, exist_ok=True)
    for path in sorted(options.source.glob("*.png")):
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((options.width, options.width), Image.Resampling.LANCZOS)
        reduced = picture.quantize(options.colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        reduced.save(options.target / path.name, optimize=True)
        print(path.name, (options.target / path.name).stat().st_size, "bytes")


if __name__ == "__main__":
    main()
