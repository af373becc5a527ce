"""The worst of names and words stays out: a short list, which the glossary of `docs/contributing.md` explains."""

import ast
import re
from collections import defaultdict

from tests.style.source import ROOT, modules

IRREGULAR = {"chosen", "done", "drawn", "gone", "hidden", "kept", "known", "laid", "said", "seen", "shown", "taken", "told", "written"}
# Each process and each model has its own.
REPEATED = {"Settings", "Hyperparameters"}
WORDS = ("told", "whoever", "likest", "every now and then", "lets there be", "as long as it is let")
DOCUMENTS = ("README.md", "CHANGELOG.md", "docs", "proto")


def is_property(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = {node.id for decorator in function.decorator_list for node in ast.walk(decorator) if isinstance(node, ast.Name)}
    return bool(names & {"property", "cached_property"})


def test_a_function_is_named_for_what_it_does_or_returns() -> None:
    """Never a bare participle: `laid`, `added`, `kept`. A property may say in what state something is."""
    participles = [
        f"{module.name}: {function.name}"
        for module in modules()
        for function in module.functions()
        if not is_property(function)
        if (name := function.name.strip("_")) in IRREGULAR or re.fullmatch(r"[a-z]+[^e]ed", name)
    ]
    assert participles == []


def test_no_two_classes_have_one_name() -> None:
    where = defaultdict(list)
    for module in modules():
        for defined in module.classes():
            where[defined.name].append(module.name)
    assert {name: places for name, places in where.items() if len(places) > 1 and name not in REPEATED} == {}


def test_plain_words_are_used() -> None:
    texts = {module.name: module.text for module in modules()}
    for document in DOCUMENTS:
        path = ROOT / document
        files = [path] if path.is_file() else [file for pattern in ("*.md", "*.proto") for file in path.rglob(pattern)]
        texts |= {str(file.relative_to(ROOT)): file.read_text() for file in files}
    words = re.compile(rf"\b({'|'.join(WORDS)})\b", re.IGNORECASE)
    assert [f"{name}: {match}" for name, text in texts.items() for match in words.findall(text)] == []
