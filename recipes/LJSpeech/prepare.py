"""Writes the CSV manifest of LJSpeech or of any folder of speech (see README.md)."""

import sys

from speechbrain_lmac.data.recipe import prepare_command
from speechbrain_lmac.data.speech import prepare

if __name__ == "__main__":
    sys.exit(prepare_command(prepare, __doc__))
