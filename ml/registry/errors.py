"""The refusal of a model that is not what it should be. It is here by itself for those who know no models, which are large."""


class Refused(Exception):
    """A folder that is no artifact of the kind asked for, or not as it was saved. The text names the file and says what is wrong."""
