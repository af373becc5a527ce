"""The errors of reading and writing the lake."""


class LakeError(Exception):
    """The lake cannot be read or written. The text is for the user."""


class StoreError(LakeError):
    """The S3 store answered a request with an error."""


class StoreUnavailable(StoreError):
    """The S3 store cannot be reached, or cannot serve a request now."""


class ObjectChanged(LakeError):
    """An object is no longer the version that a conditional write expects."""


class PublishConflict(LakeError):
    """Another run published while this one was working; what it published stands."""

    def __init__(self) -> None:
        super().__init__("Another job published clean data while this one was running: run it again.")


class InvalidCleanData(LakeError):
    """The clean data is missing, or is not what its manifest says."""


class UnreadableFile(LakeError):
    """A raw file is not a complete file of sales."""

    def __init__(self, name: str, fault: str) -> None:
        self.message = f"{name} {fault}."
        super().__init__(self.message)
