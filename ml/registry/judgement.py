"""The gate's decision about a model, which is kept with its version."""

from pydantic import BaseModel


class Check(BaseModel, frozen=True):
    """The result of one check: the measured value and the required one."""

    name: str
    passed: bool
    measured: float
    required: float


class Judgement(BaseModel, frozen=True):
    """The gate's decision, with the checks it rests on."""

    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()
    """What could not be compared, and why. The text is for people."""

    @property
    def passed(self) -> bool:
        """Whether there was at least one check, and all passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)
