"""``reinject push``: upload an archive to the Hugging Face hub, as a data set that ``datasets`` loads by its name."""

from pathlib import Path
from typing import cast

from reinject.archive import read_manifest
from reinject.archive.integrity import verify
from reinject.base.errors import ArchiveError, ArgumentError, ReinjectError, reason
from reinject.base.files import is_remote
from reinject.base.outcome import Outcome

_NOT_KNOWN = (401, 403)  # HTTP status: not logged in, or not allowed


def push(folder: Path, repository: str, *, public: bool = False, token: str | None = None) -> Outcome:
    """Upload an archive, its card and its manifest, after a check of every byte.

    Arguments:
        folder: the archive.
        repository: OWNER/NAME; created if missing.
        public: whether everyone can see a new repository; otherwise it is private.
        token: of the hub; default: the one of ``hf auth login``.

    Raises:
        ArchiveError: no archive, an archive with faults, or one that is not on this machine.
        ArgumentError: the repository is not OWNER/NAME.
        ReinjectError: the hub refuses, or is unreachable.
    """
    if is_remote(folder):
        raise ArchiveError(str(folder), "is not on this machine", "Push a copy of it from here")
    _check_name(repository)
    rows = read_manifest(folder)["counts"]["rows"]
    faults = verify(folder)
    if faults:
        raise ArchiveError(str(folder), f"has faults: {faults[0]}", "List them with reinject verify")
    upload(folder, repository, kind="dataset", public=public, token=token)
    return Outcome({"repository": repository, "rows": rows}, [f"{rows:,} samples in {repository} on the hub"])


def upload(folder: Path, repository: str, *, kind: str, public: bool = False, token: str | None = None) -> None:
    """Upload the files of a folder to a repository of the hub.

    Arguments:
        folder: files to upload.
        repository: OWNER/NAME; created if missing.
        kind: "dataset" or "model".
        public: whether everyone can see a new repository; otherwise it is private.
        token: of the hub; default: the one of ``hf auth login``.

    Raises:
        ArgumentError: the repository is not OWNER/NAME.
        ReinjectError: the hub refuses, or is unreachable.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    _check_name(repository)
    bases = cast(tuple[type[Exception], ...], HfHubHTTPError.__bases__)  # what its HTTP library raises
    refused: tuple[type[Exception], ...] = (OSError, *bases)
    try:
        hub = HfApi(token=token)
        hub.create_repo(repository, repo_type=kind, private=not public, exist_ok=True)
        hub.upload_folder(repo_id=repository, repo_type=kind, folder_path=str(folder))
    except HFValidationError as error:
        raise ArgumentError("push", f"{repository!r} is not a repository", "Give OWNER/NAME") from error
    except refused as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        cure = "Log in with hf auth login" if status in _NOT_KNOWN else "Solve this, then run the same command again"
        raise ReinjectError(repository, f"the hub refuses it ({reason(error)})", cure) from error


def _check_name(repository: str) -> None:
    if repository.count("/") != 1:
        raise ArgumentError("push", f"{repository!r} is not a repository", "Give OWNER/NAME")
