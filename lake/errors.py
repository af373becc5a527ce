"""What can go wrong with the lake itself."""


class Overtaken(Exception):
    """Another run published while this one was working; what it published stands."""

    def __init__(self) -> None:
        super().__init__("Another job published clean data while this one was running: run it again.")
