"""Collect an archive's verdict, the faults from a comparison with real data, and the next command."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from reinject import data
from reinject.archive import Archive
from reinject.base.files import is_remote
from reinject.base.outcome import command_line
from reinject.evaluation.findings import Chosen, Classes, findings
from reinject.evaluation.judgement import Judgement
from reinject.evaluation.utility import Utility
from reinject.sampling.presets import Settings, words_of
from reinject.sampling.provenance import shares
from reinject.walks.diagnostics import class_shares
from reinject.walks.verdict import Verdict

_OF_THE_NETWORK = re.compile(r"\br\b")  # a reason in the autoencoder, which no other walk cures


def verdict_of(archive: Archive) -> Verdict | None:
    """Read the verdict from the manifest; None for older archives without verdicts."""
    found = archive.manifest.get("verdict")
    return None if found is None else Verdict(**found)


def found_wrong(
    archive: Archive, judged: Utility | None, found: Mapping[str, Sequence[Judgement]], dataset: data.Dataset
) -> list[Verdict]:
    """List the faults from the comparison of an archive with real data, worst first.

    Arguments:
        archive: the archive.
        judged: utility of the archive; None: not judged.
        found: group -> other judgements.
        dataset: the real data.
    """
    classes = Classes()
    if archive.class_names and sum(archive.manifest["counts"]["per_class"]):
        walks = archive.manifest["parameters"].get("walks")
        real = class_shares(dataset.train.y, len(archive.class_names))
        walks = walks if isinstance(walks, int) else archive.rows
        classes = Classes(archive.class_names, shares(archive), real, walks)
    return findings(judged, found, classes)


def next_command(archive: Archive, worst: Sequence[Verdict], models: Sequence[Path] = ()) -> str:
    """Return the command to try next for a broken set; else "".

    The command is ``reinject inspect`` if the reason lies in the autoencoder or there are no labels. Else it is
    ``reinject tune``.

    Arguments:
        archive: the archive.
        worst: faults, worst first.
        models: folders of the models; default: the manifest's, if below the working folder.
    """
    if not worst or worst[0].level != "broken":
        return ""
    folders = [str(one) for one in models] or _below(archive) or ["MODELS"]
    if not archive.class_names or _OF_THE_NETWORK.search(worst[0].reason):
        return command_line("inspect", folders[0])
    return command_line("tune", *folders)


def _below(archive: Archive) -> list[str]:
    """Name the models' folders relative to the working folder; none if one is elsewhere."""
    noted = archive.manifest["models"].get("autoencoders", [])
    if is_remote(archive.folder):
        return []
    here = Path.cwd().resolve()
    places = [(archive.folder / entry["folder"]).resolve().parent for entry in noted]
    there = all(one.is_relative_to(here) and one.is_dir() for one in places)
    return [str(one.relative_to(here)) for one in places] if there else []


def chosen_of(archive: Archive) -> Chosen | None:
    """Read why the walk of an archive was chosen; None for given settings or older archives."""
    manifest = archive.manifest
    found = manifest.get("chosen")
    if found is None or "settings" not in manifest["parameters"]:
        return None
    words = words_of(Settings.from_json(manifest["parameters"]["settings"]), archive.class_names)
    return Chosen.of(" ".join(words), found)
