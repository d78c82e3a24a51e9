"""The Hugging Face hub, when it answers, and its local cache when it does not."""

import ssl
import threading
import urllib.error
import urllib.request
from pathlib import Path

from speechbrain_lmac.errors import CheckpointError

SECONDS = 5  # in which the hub must answer


def fetch(repository, files, remedy, savedir=None, revision=None):
    """Some files of a repository, in a local folder.

    Arguments
    ---------
    repository : str
        Its id.
    files : list of str
        Names or patterns of what is wanted.
    remedy : str
        What the user may do where the hub does not give it, for the error.
    savedir : str | Path, optional
        Where to put the files; the hub's cache by default.
    revision : str, optional
        Commit, tag or branch.

    Returns
    -------
    Path
        A folder with those of the files that the repository has. CheckpointError, in
        one line and within seconds, where neither hub nor cache has it.
    """
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            local_dir=savedir,
            allow_patterns=files,
            local_files_only=not answers(),
        )
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{repository}: no such folder, and the hub did not give it "
            f"({type(error).__name__}); {remedy}"
        ) from error
    return Path(folder)


def answers():
    """Whether the hub can be reached, found out in ``SECONDS`` at most.

    Returns
    -------
    bool
        False at once where ``HF_HUB_OFFLINE`` is set. Without this question a hub that
        a firewall keeps silent is waited for without end (huggingface_hub 2.4).
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    answered = threading.Event()

    def ask():
        """Notes whether anything answers."""
        request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=SECONDS).close()
        except urllib.error.HTTPError:
            pass  # it did answer
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ssl.SSLError):  # certificates: not ours
                return
        except OSError:
            return
        answered.set()

    # a thread, since looking up the host has no time limit
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SECONDS)
    return answered.is_set()
