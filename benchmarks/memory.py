"""Peak memory of `reinject sample` with 1,000,000 and with 100,000 samples, each in a process of its own."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from reinject.networks import Inputs, MLPClassifier, MLPDenoiser

INPUTS = Inputs((1, 8, 8), mean=0.3, std=0.3, class_names=tuple("0123456789"))


def peak(models: Path, out: Path, walks: int) -> float:
    code = (
        f"import sys, resource; sys.argv = ['reinject', 'sample', {str(models)!r}, '--out', {str(out)!r},"
        f" '--walks', '{walks}', '--preset', 'paper']\n"
        "from reinject.cli import main\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        models = Path(name) / "models"
        MLPDenoiser(INPUTS, width=64).save_pretrained(models / "autoencoder")
        MLPClassifier(INPUTS, hidden=(64,)).save_pretrained(models / "classifier")
        mebibytes = {n: peak(models, Path(name) / str(n), n // 9 + 1) for n in (100_000, 1_000_000)}
    ratio = mebibytes[1_000_000] / mebibytes[100_000]
    print(json.dumps({"peak MiB": mebibytes, "ratio": round(ratio, 3)}))
    sys.exit(0 if ratio <= 1.10 else 1)


if __name__ == "__main__":
    main()
