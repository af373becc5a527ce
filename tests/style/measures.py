"""Measures of the code's health: `make measures` prints them.

They tell where to look; no test holds anybody to them.
"""

import ast
from functools import cache
from statistics import median, quantiles

import grimp

from tests.style.source import PACKAGES, modules

LONG_MODULE = 350


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function from its `def` to its end."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def import_graph() -> dict[str, set[str]]:
    """The modules that each module imports."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def components(graph: dict[str, set[str]]) -> list[set[str]]:
    """The strongly connected components, each after those that it imports (Tarjan, 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for imported in graph[module]:
            if imported not in order:
                visit(imported)
                low[module] = min(low[module], low[imported])
            elif imported in stack:
                low[module] = min(low[module], order[imported])
        if low[module] == order[module]:
            place = stack.index(module)
            found.append(set(stack[place:]))
            del stack[place:]

    for module in sorted(graph):
        if module not in order:
            visit(module)
    return found


def longest_chain(graph: dict[str, set[str]]) -> list[str]:
    """The longest chain of modules of which each imports the next. The graph has no cycle."""

    @cache
    def chain(module: str) -> list[str]:
        longest: list[str] = []
        for imported in graph[module]:
            longest = max(longest, chain(imported), key=len)
        return [module, *longest]

    return max(map(chain, graph), key=len)


def main() -> None:
    print(f"{'package':10}{'modules':>8}{'functions':>11}{'median':>8}{'90 %':>6}{'longest':>9}{'try per 100':>13}")
    for package in (*PACKAGES, ""):
        sources = modules(package) if package else modules()
        lengths = [lines_of(function) for module in sources for function in module.functions()]
        tries = sum(isinstance(node, ast.Try | ast.TryStar) for module in sources for node in ast.walk(module.tree))
        tenth = quantiles(lengths, n=10)[-1]
        numbers = f"{len(lengths):11}{median(lengths):8.0f}{tenth:6.0f}{max(lengths):9}{100 * tries / len(lengths):13.1f}"
        print(f"{package or 'all':10}{len(sources):8}{numbers}")
    graph = import_graph()
    cycles = [component for component in components(graph) if len(component) > 1]
    print(f"import cycles: {len(cycles)}", *(", ".join(sorted(cycle)) for cycle in cycles), sep="\n  ")
    if not cycles:
        chain = longest_chain(graph)
        print(f"longest import chain: {len(chain)}", " -> ".join(chain), sep="\n  ")
    for module in modules():
        if (count := len(module.text.splitlines())) > LONG_MODULE:
            print(f"{module.name}: {count} lines")


if __name__ == "__main__":
    main()
