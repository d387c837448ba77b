"""What an attempt is. Each one is a function that runs inside a cell, with a sentence that says what it tries.

The function never decides whether it got out: that is said by an oracle, a function that looks at the host afterwards
(see `oracles`). Where a system call itself is what must not be reachable, and nothing on the host would show it, the
oracle is `oracles.call`, and the matrix marks the attempt with `(call)`.
"""

import ast
import inspect
import textwrap
from dataclasses import dataclass, field
from typing import Any, Callable

# How the control run, the same attempt without a cell, is made.
USER = "user"  # an ordinary user
ROOT = "root"  # the administrator
APART = "apart"  # the administrator, with mounts of his own so that nothing stays on the machine
HIDDEN = "hidden"  # the same, and an empty directory covers the canary's
NAIVE = "naive"  # an ordinary user, below a launcher that keeps all output until nobody has memory left

# Longest run of an attempt that says nothing else, in seconds. Past it everything it started is killed.
PATIENCE = 20


@dataclass
class Attempt:
    """One thing that is tried."""

    name: str
    says: str
    inside: Callable
    out: Callable
    before: Callable | None = None
    during: Callable | None = None
    control: str = USER
    # A control that could hurt the machine is bounded: the attempt stops by itself soon after the limit.
    bounded: bool = False
    # What the contract grants beside a directory to read and one to write.
    limits: dict = field(default_factory=dict)
    egress: Callable | None = None
    secrets: dict = field(default_factory=dict)
    patience: int = PATIENCE
    by_call: bool = False
    # True for what every cell must be able to do.
    allowed: bool = False

    @property
    def needs_egress(self) -> bool:
        """Whether it makes sense only where connections to granted hosts work."""
        return self.egress is not None

    @property
    def one_preset(self) -> bool:
        """Presets differ in limits: what names its own need not be tried under each."""
        return bool(self.limits)

    def source(self, arguments: dict[str, Any]) -> str:
        """The text that a Python inside the cell reads from its standard input."""
        tree = ast.parse(textwrap.dedent(inspect.getsource(self.inside)))
        function = tree.body[0]
        function.decorator_list = []
        return f"{ast.unparse(function)}\nbegin({function.name}, {arguments!r})\n"


ALL: list[Attempt] = []


def attempt(subject: str, **terms: Any) -> Callable:
    """Registers a function as an attempt; its name and its first sentence are what the matrix shows."""

    def register(function: Callable) -> Callable:
        name = f"{subject}.{function.__name__.strip('_').replace('_', '-')}"
        says = " ".join((function.__doc__ or "").split("\n\n")[0].split())
        assert says and name not in {known.name for known in ALL}, name
        ALL.append(Attempt(name=name, says=says, inside=function, **terms))
        return function

    return register
