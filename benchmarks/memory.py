"""Peak memory of one training step.

    python benchmarks/memory.py --classifier laion --batch 8 --pairs_per_pass 8

With the paper's loss a batch of 8 has 64 pairs. Weights are random. On a CPU the peak
is that of the whole process, on a GPU that of torch's tensors.
"""

import argparse
import resource
import time

import torch
from speed import make_classifier, make_step


def peak(device):
    """In GB, since the process began."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--classifier", default="laion", choices=["mini", "laion", "hf"]
    )
    parser.add_argument("--loss", default="paper", choices=["default", "paper"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, help="of a clip; default: the window")
    parser.add_argument("--pairs_per_pass", type=int, default=8)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.manual_seed(0)
    classifier = make_classifier(given.classifier, given.device)
    step = make_step(
        classifier,
        given.loss,
        given.batch,
        given.seconds,
        pairs_per_pass=given.pairs_per_pass,
    )
    before, start = peak(given.device), time.perf_counter()
    step()
    print(
        f"{given.classifier}, {given.loss}, batch {given.batch}, "
        f"{given.pairs_per_pass} pairs a pass: {peak(given.device):.1f} GB at the peak "
        f"({before:.1f} GB before the step, {time.perf_counter() - start:.0f} s)"
    )


if __name__ == "__main__":
    main()
