"""Docstrings, in the manner of SpeechBrain's check_docstrings, and their lists."""

import ast
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "speechbrain_lmac").rglob("*.py"))


def name(path):
    """Path as the ID of a test."""
    return path.relative_to(ROOT).as_posix()


# ---- every definition has one ----


def unseen(source):
    """Definitions without a docstring that SpeechBrain's check would see.

    It looks at functions inside others too, and skips lines with the signs of a
    doctest: a docstring may not begin with one.
    """
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("_"):
                continue
        elif not isinstance(node, ast.ClassDef):
            continue
        if not ast.get_docstring(node):
            yield f"{node.name}: no docstring"
        else:
            first = lines[node.body[0].lineno - 1].strip()
            if not first.startswith(('"', 'r"')):
                yield f"{node.name}: a docstring begins with double quotes"
            elif "..." in first or ">>>" in first:
                yield f"{node.name}: its first line has the signs of a doctest"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_definition_has_a_docstring(path):
    source = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(source)) or not source, "the module has none"
    assert not list(unseen(source))


def test_it_looks_at_every_definition():
    source = '''
def _maker():
    def made(clip):
        return clip
    return made

class _Cut:
    def cut(self, clip):
        """Clips [..., N] to shorter ones."""

    def _left(self):
        pass

    def right(self):
        # why
        r"""The rest.

        [..., N] to [..., T].
        """
'''
    assert sorted(unseen(source)) == [
        "_Cut: no docstring",
        "cut: its first line has the signs of a doctest",
        "made: no docstring",
    ]


# ---- and it lists what there is ----


def sections(docstring):
    """Titles of a docstring's sections with the names that each lists."""
    found, lines = {}, inspect.cleandoc(docstring or "").splitlines()
    title = None
    for i, line in enumerate(lines):
        if i + 1 < len(lines) and line and lines[i + 1] == "-" * len(line):
            title = line
            found[title] = []
        elif title and line and not line[0].isspace() and line != "-" * len(title):
            found[title] += line.partition(" :")[0].replace("*", "").split(", ")
    return found


def own(node):
    """Nodes of a function without those of the functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            yield child
            yield from own(child)


def arguments(node):
    """Names that a function, or the making of an object of a class, asks for."""
    if isinstance(node, ast.ClassDef):
        for child in node.body:
            if isinstance(child, ast.FunctionDef) and child.name == "__init__":
                return arguments(child)
        if "dataclass" in "".join(map(ast.unparse, node.decorator_list)):
            return [x.target.id for x in node.body if isinstance(x, ast.AnnAssign)]
        return []
    args = node.args
    every = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
    names = [x.arg for x in every if x is not None]
    return [x for x in names if x not in ("self", "cls") and not x.startswith("_")]


def complaints(node, inside=""):
    """What a definition's docstring lacks.

    A function, or a class, lists its arguments in their order and says what comes back;
    a method may leave the list out, but a list that is there is a whole one.
    """
    is_class = isinstance(node, ast.ClassDef)
    where = inside + node.name
    docstring = ast.get_docstring(node)
    if not docstring:
        return
    found, expected = sections(docstring), arguments(node)
    # the arguments of a command have their own help texts
    command = any(
        re.search(r"\.(command|callback)\b", ast.unparse(x))
        for x in node.decorator_list
    )
    if "Arguments" in found or (expected and not inside and not command):
        listed = found.get("Arguments", [])
        if listed != expected:
            yield f"{where}: Arguments lists {listed}, the definition has {expected}"
        gives = any(
            isinstance(x, ast.Yield) or (isinstance(x, ast.Return) and x.value)
            for x in own(node)
        )
        if not is_class and gives and not {"Returns", "Yields"} & found.keys():
            yield f"{where}: no Returns"
    if is_class:
        for child in node.body:
            if isinstance(child, ast.FunctionDef) and not child.name.startswith("_"):
                yield from complaints(child, inside=f"{where}.")


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_lists(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [
        complaint
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        for complaint in complaints(node)
    ]


def test_the_check_of_lists_complains():
    """The check itself, on a function with one argument left out and no Returns."""
    source = '''
def mask(clip, floor=0):
    """Mask of a clip.

    Arguments
    ---------
    clip : torch.Tensor
        Its waveform: [B, N].
    """
    return clip
'''
    assert list(complaints(ast.parse(source).body[0])) == [
        "mask: Arguments lists ['clip'], the definition has ['clip', 'floor']",
        "mask: no Returns",
    ]
