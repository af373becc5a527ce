"""Arranges a page of candidates by a slot's settings and merchandising rules. Pure functions of what they are given."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from operator import itemgetter
from random import Random
from typing import NamedTuple


class Pin(NamedTuple):
    """A product that a rule shows at a position, counted from 1."""

    position: int
    product_id: str
    rule_id: str


class Move(NamedTuple):
    """What the rules do to the rank of a product."""

    divisor: float
    """Above 1 for a boost, below for a bury."""
    rule_id: str


class Placement(NamedTuple):
    """A product on a page."""

    product_id: str
    propensity: float = 1.0
    """The probability with which it took this position, given the candidates, the slot and the rules."""
    rule_id: str = ""
    """The rule that moved it; empty for none."""
    is_explored: bool = False


class Arrangement(NamedTuple):
    """How the candidates of a list are arranged. The default leaves them as they are."""

    pins: Sequence[Pin] = ()
    """By position, then in the order of precedence."""
    product_moves: Mapping[str, Move] = {}
    category_moves: Mapping[str, Move] = {}
    excluded_ids: Collection[str] = ()
    excluded_categories: Collection[str] = ()
    max_per_category: int = 0
    """On a page; 0 for any number."""
    exploration_share: float = 0

    @property
    def is_plain(self) -> bool:
        """Whether the candidates stay as they are."""
        return not (self.pins or self.product_moves or self.category_moves or self.max_per_category or self.exploration_share)


def arrange(
    candidates: Sequence[str], category_of: Callable[[str], str], pinned: Sequence[Pin], arrangement: Arrangement, size: int, random: Random
) -> list[Placement]:
    """The products of a page, in their order.

    Boosts divide ranks, buries multiply them; pins keep their positions, the others fill the page in their order, no category more often
    than the arrangement allows, pins included. Then each position that is no pin shows, with the probability of `exploration_share`, one
    of the products that would have followed instead, each with the same probability. (With m of these, m < size, only the last m
    positions do.)

    candidates: product ids, best first, without pinned products
    pinned: the pins of this page, with positions from 1 to `size` on it
    """
    categories = Counter(category_of(pin.product_id) for pin in pinned) if arrangement.max_per_category else Counter[str]()
    room = size - len(pinned)
    reranked = _rerank(candidates, category_of, arrangement)
    chosen = _take(reranked, category_of, arrangement.max_per_category, categories, 2 * room if arrangement.exploration_share else room)
    placements = _explore(chosen[:room], chosen[room:], arrangement.exploration_share, random)
    for pin in pinned:
        placements.insert(pin.position - 1, Placement(pin.product_id, rule_id=pin.rule_id))
    return placements


def pins_of_page(pins: Sequence[Pin], is_allowed: Callable[[str], bool], first_position: int, size: int) -> list[Pin]:
    """The pins on the page that begins at a position, with positions on it. Of two at one position, the second takes the next free one.

    is_allowed: whether a product may be shown
    """
    taken: dict[int, Pin] = {}
    seen: set[str] = set()
    for pin in pins:
        position = pin.position
        while position in taken:
            position += 1
        if pin.product_id not in seen and is_allowed(pin.product_id):
            seen.add(pin.product_id)
            taken[position] = pin
    return [
        pin._replace(position=position - first_position + 1)
        for position, pin in sorted(taken.items())
        if first_position <= position < first_position + size
    ]


def combine_moves(moves: Sequence[Move]) -> Move:
    """All moves of a product together, under the name of the strongest."""
    return Move(math.prod(move.divisor for move in moves), max(moves, key=lambda move: abs(math.log(move.divisor))).rule_id)


def _rerank(candidates: Sequence[str], category_of: Callable[[str], str], arrangement: Arrangement) -> list[tuple[str, str]]:
    """The candidates in their new order, each with the rule that moved it."""
    if not arrangement.product_moves and not arrangement.category_moves:
        return [(id, "") for id in candidates]
    keyed = []
    for rank, id in enumerate(candidates, 1):
        of_product, of_category = arrangement.product_moves.get(id), arrangement.category_moves.get(category_of(id))
        moves = [move for move in (of_product, of_category) if move is not None]
        divisor, rule_id = combine_moves(moves) if moves else (1.0, "")
        keyed.append((rank / divisor, id, rule_id))
    keyed.sort(key=itemgetter(0))
    return [(id, rule_id) for _, id, rule_id in keyed]


def _take(
    candidates: Sequence[tuple[str, str]], category_of: Callable[[str], str], most: int, categories: Counter[str], count: int
) -> list[Placement]:
    """The first candidates, no category more often than `most`, unless that is 0.

    categories: how many there are already
    """
    taken: list[Placement] = []
    for id, rule_id in candidates:
        if len(taken) == count:
            break
        if most:
            category = category_of(id)
            if categories[category] >= most:
                continue
            categories[category] += 1
        taken.append(Placement(id, rule_id=rule_id))
    return taken


def _explore(page: list[Placement], following: Sequence[Placement], share: float, random: Random) -> list[Placement]:
    """The page with some of its products replaced by some that follow.

    Each product that follows is as likely as any other to be drawn for a position that explores, so that the probability to see it
    there is the share divided by their number, whichever other positions explore.
    """
    if not share or not following:
        return page
    first = max(len(page) - len(following), 0)
    explored = [index for index in range(first, len(page)) if random.random() < share]
    drawn = random.sample(following, len(explored))
    placements = page[:first] + [placement._replace(propensity=1 - share) for placement in page[first:]]
    for index, placement in zip(explored, drawn, strict=True):
        placements[index] = placement._replace(propensity=share / len(following), is_explored=True)
    return placements
