"""The error of an invalid model, in a module that imports no model library."""


class InvalidArtifact(Exception):
    """An artifact that is not of the expected kind, is not as it was saved, or does not answer as it did. The text names the file."""
