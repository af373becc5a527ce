"""What a recommendation is requested for; free of the libraries that models are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Purchase:
    """A product that was bought on a day."""

    product_id: str
    day: date
    quantity: int


@dataclass(frozen=True)
class RecommendationRequest:
    """Everything that is known of the customer. Products that the model does not know are ignored."""

    customer_number: str = ""
    """In the sales history; an unknown one counts as none."""
    purchases: Sequence[Purchase] = ()
    """Purchases, also those that the sales history does not have."""
    viewed: Sequence[str] = ()
    """Ids of products that were viewed."""
    carted: Sequence[str] = ()
    """Ids of products that were put into the basket."""
    basket: Sequence[str] = ()
    """Ids of the products that are in the basket now, which are not recommended."""
    country: str = ""
    """As the sales history names it; if empty, the customer's country there."""
    include_purchased: bool = True
    """Whether products that were bought before may be recommended."""
