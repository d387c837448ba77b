"""How runs become words, and words a matrix."""

from dataclasses import asdict, dataclass

from .attempt import Attempt
from .host import Host
from .launch import Identity, Launcher, Run, control_identity, start

# What `cella exec` ends with where the machine cannot enforce what a contract asks.
CANNOT_ENFORCE = 5


@dataclass
class Verdict:
    """What one run, of a control or in a cell, came to."""

    word: str
    why: str = ""
    seconds: float = 0.0

    @property
    def counts(self):
        """passed, failed or skipped."""
        return {"held": "passed", "works": "passed", "skipped": "skipped", "inconclusive": "skipped"}.get(self.word, "failed")


def made(launcher: Launcher, attempt: Attempt, stage, identity: Identity, preset, control=None) -> tuple[Run | None, str | None]:
    """One run against a host of its own, and the evidence that the oracle found. The first is None if it could not be made."""
    host = Host(stage, identity, launcher)
    try:
        arguments = attempt.before(host) if attempt.before else {}
        run = start(launcher, attempt, host, preset, arguments, control)
        return run, attempt.out(host, run)
    except LookupError as error:
        return None, str(error)
    finally:
        host.end()


def control(attempt: Attempt, stage, user: Identity, is_root: bool) -> Verdict:
    """The attempt with nothing around it: if it fails there, its failing in a cell says nothing."""
    identity = control_identity(attempt, user)
    if identity.uid == 0 and not is_root:
        return Verdict("no", "its control run needs root")
    run, evidence = made(Launcher("none", None), attempt, stage, identity, "untrusted", attempt.control)
    if run is None:
        return Verdict("no", evidence)
    return Verdict("ok", evidence, run.seconds) if evidence else Verdict("no", run.why(), run.seconds)


def in_cell(launcher: Launcher, attempt: Attempt, stage, identity: Identity, preset, controlled: Verdict) -> Verdict:
    """The attempt in a cell."""
    run, evidence = made(launcher, attempt, stage, identity, preset)
    if run is None:
        return Verdict("skipped", evidence)
    if evidence and not attempt.allowed:
        return Verdict("OUT", evidence, run.seconds)
    if not run.began:
        if attempt.limits and run.code == CANNOT_ENFORCE:
            return Verdict("skipped", f"this machine cannot enforce the limit: {run.why()}")
        return Verdict("broken", f"the attempt was never made: {run.why()}", run.seconds)
    if controlled.word != "ok":
        return Verdict("inconclusive", f"without a cell it fails as well: {controlled.why}", run.seconds)
    if attempt.allowed:
        return Verdict("works", "", run.seconds) if evidence else Verdict("broken", run.why(), run.seconds)
    return Verdict("held", run.why(), run.seconds)


class Matrix:
    """All verdicts, one row an attempt and one column a way to start cells."""

    def __init__(self, columns):
        self.columns, self.rows = columns, []

    def head(self):
        """The names of the columns."""
        return f"{'attempt':<44} {'control':<16}" + "".join(f" {name:<20}" for name in self.columns)

    def add(self, attempt: Attempt, controlled: Verdict, verdicts: dict):
        """Adds a row and gives its line."""
        self.rows.append((attempt, controlled, verdicts))
        name = attempt.name + (" (call)" if attempt.by_call else "")
        how = attempt.control + (", bounded" if attempt.bounded else "")
        words = [verdicts[name].word if name in verdicts else "-" for name in self.columns]
        return f"{name:<44} {controlled.word + ' ' + how:<16}" + "".join(f" {word:<20}" for word in words)

    def as_json(self):
        """Everything, for other programs."""
        rows = []
        for attempt, controlled, verdicts in self.rows:
            rows.append({"attempt": attempt.name, "says": attempt.says, "allowed": attempt.allowed, "oracle": "call" if attempt.by_call else "host",
                         "control": {"as": attempt.control, "bounded": attempt.bounded, **asdict(controlled)},
                         "runs": {name: asdict(verdict) for name, verdict in verdicts.items()}})
        return {"schema": "cella/escape/v1", "columns": self.columns, "attempts": rows}


def tell(name, verdict: Verdict):
    """The line that the suites' runner counts."""
    match verdict.counts:
        case "passed":
            return f"passed {name}"
        case counts:
            return f"{counts} {name}: {verdict.word}: {verdict.why}"
