"""Make torchaudio importable next to a torch without CUDA.

The torchaudio wheels carry extension libraries that link CUDA, so that next to a CPU
build of torch `import torchaudio` ends in "libc10_cuda.so: cannot open shared object
file". torchaudio runs without them (what it loses is forced alignment, RNN-T and the
prefix CTC decoder, none of which is used here). They are renamed, not deleted: take
the `.unused` away again to undo.
"""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import torch


def import_error():
    """First error that `import torchaudio` meets, None when it works."""
    command = [sys.executable, "-c", "import torchaudio"]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    # of a chain of errors the first is the cause
    return next((x for x in lines if re.match(r"\w+Error: ", x)), None)


def main():
    """Set the libraries aside where they are what keeps torchaudio from loading."""
    error = None if torch.version.cuda else import_error()
    if error is None:
        print("torchaudio: nothing to mend")
        return
    print(f"torchaudio does not load next to torch {torch.__version__}: {error}")
    if error.startswith("OSError"):
        package = importlib.util.find_spec("torchaudio").submodule_search_locations[0]
        for library in sorted((Path(package) / "lib").glob("*.so")):
            library.rename(library.with_name(library.name + ".unused"))
            print(f"  set aside, as it needs CUDA: {library}")
        error = import_error()
    if error is not None:
        sys.exit(f"torchaudio still does not load: {error}")
    print("torchaudio loads now")


if __name__ == "__main__":
    main()
