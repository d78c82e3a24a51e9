"""LMAC-ZS: listenable maps for zero-shot audio classifiers.

Light on purpose: nothing here imports torch or speechbrain before it is asked for.
"""

__version__ = "0.1.0"
__all__ = ["LMACZSInterpreter"]


def __getattr__(name):
    if name == "LMACZSInterpreter":
        from speechbrain_lmac.interpreter import LMACZSInterpreter

        return LMACZSInterpreter
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
