#!/usr/bin/env python3
"""Tries to get out of Cella's cells, and shows that a cell still lets through what its contract grants.

Each attempt runs three times or more: once with nothing around it (its control: if it fails there, it proves nothing),
then in a cell started by root and in one started by an ordinary user, under each preset. An oracle on the host decides.

  escape.py                              everything, with `cella exec`
  escape.py --only network --presets untrusted
  escape.py --list                       what each attempt tries, in one sentence
  escape.py --launcher bwrap             the same attempts against another confinement
  escape.py --launcher 'run --rules {contract} --'

Ends with 1 if anything got out or something granted did not work.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from escape import after, allowed, egress, files, kernel, neighbours, network, processes, resources, secrets, special
from escape.attempt import ALL
from escape.host import PYTHON, python_is_there
from escape.judge import Matrix, Verdict, control, in_cell, tell
from escape.launch import Identity, Launcher

SUBJECTS = (allowed, files, special, processes, kernel, network, neighbours, resources, secrets, egress)
# Nobody: an ordinary user who owns nothing.
NOBODY = 65534
PRESETS = ("untrusted", "semi-trusted", "trusted")


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--launcher", default="cella", help="cella, bwrap, none, or a command in which {contract} is the contract file")
    parser.add_argument("--cella", default=os.environ.get("CELLA_BIN", "target/release/cella"), help="the program [CELLA_BIN]")
    parser.add_argument("--only", default=os.environ.get("CELLA_TEST_ONLY", ""), metavar="NAME", help="attempts whose name holds this; several by comma")
    parser.add_argument("--as", dest="identities", default="root,user", help="who starts the cells [root,user]")
    parser.add_argument("--presets", default=",".join(PRESETS), help="what the contracts start from")
    parser.add_argument("--egress", choices=("auto", "on", "off"), default="auto", help="whether connections to granted hosts work")
    parser.add_argument("--json", metavar="FILE", help="writes all verdicts with their reasons")
    parser.add_argument("--list", action="store_true", help="says what each attempt tries")
    parser.add_argument("--why", action="store_true", help="says also why an attempt was held")
    return parser.parse_args()


def main():
    """Makes all attempts."""
    options = arguments()
    words = options.only.split(",")
    chosen = [one for one in ALL if any(word in one.name for word in words)]
    if options.list:
        for one in chosen:
            print(f"{one.name:<40} {one.says}")
        return 0
    if not chosen or not python_is_there():
        return impossible(f"no attempt is named like {options.only}" if not chosen else f"there is no {PYTHON}, or this Python is older than 3.11")
    # Where it can be, not below /tmp: every cell covers that with one of its own.
    where = "/srv" if os.access("/srv", os.W_OK) else "/tmp"
    stage = Path(tempfile.mkdtemp(prefix="cella-escape-", dir=where))
    stage.chmod(0o755)
    # Told to end, it still takes away what it made.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        return attempts(options, chosen, stage)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def impossible(why):
    """Nothing can be tried at all, which is a failure too."""
    print(f"failed cells: {why}\n0 passed, 1 failed, 0 skipped")
    return 1


def attempts(options, chosen, stage):
    """The matrix, and the line with the counts."""
    launcher = Launcher(options.launcher, placed(options, stage))
    if launcher.cella is None:
        return impossible(f"there is no program at {options.cella}")
    is_root = os.geteuid() == 0
    user = Identity("user", NOBODY if is_root else os.geteuid())
    columns, skips = columns_of(options, is_root, user)
    closed = {identity.name: closed_egress(options, launcher, chosen, stage, identity) for identity, _ in columns.values()}
    before, matrix = after.Before(stage), Matrix(list(columns))
    counts = {"passed": 0, "failed": 0, "skipped": len(skips)}
    for skip in skips:
        print(f"skipped {skip}")
    print(matrix.head())
    for one in chosen:
        controlled = control(one, stage, user, is_root)
        verdicts = {}
        for name, (identity, preset) in columns.items():
            if one.one_preset and preset != PRESETS[0] and len(options.presets.split(",")) > 1:
                continue
            if one.needs_egress and closed[identity.name]:
                verdicts[name] = Verdict("skipped", closed[identity.name])
            else:
                verdicts[name] = in_cell(launcher, one, stage, identity, preset, controlled)
        print(matrix.add(one, controlled, verdicts))
        report(one, verdicts, counts, options.why)
    leftovers(before, counts)
    if options.json:
        Path(options.json).write_text(json.dumps(matrix.as_json() | counts, indent=1) + "\n")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] else 0


def report(one, verdicts, counts, why):
    """One line a run: it is a test of its own."""
    for name, verdict in verdicts.items():
        counts[verdict.counts] += 1
        print(tell(f"{one.name} as {name}", verdict) + (f" ({verdict.why})" if why and verdict.counts == "passed" else ""), flush=True)


def leftovers(before, counts):
    """Nothing may be left after the last cell."""
    for kind, left in before.left().items():
        verdict = Verdict("held") if not left else Verdict("left behind", "; ".join(left[:5]))
        counts[verdict.counts] += 1
        print(tell(f"after: no {kind} left", verdict))


def placed(options, stage):
    """The program where an ordinary user can execute it; other launchers need none."""
    if options.launcher in ("bwrap", "none"):
        return Path("/nonexistent")
    found = shutil.which(options.cella) or options.cella
    if not os.path.isfile(found):
        return None if "cella" in options.launcher else Path("/nonexistent")
    shutil.copy(found, stage / "cella")
    (stage / "cella").chmod(0o755)
    return stage / "cella"


def columns_of(options, is_root, user):
    """Who starts cells under which preset, and why a column is missing."""
    columns, skips = {}, []
    presets = options.presets.split(",") if options.launcher not in ("bwrap", "none") else PRESETS[:1]
    for word in options.identities.split(","):
        identity = Identity("root", 0) if word == "root" else user
        why = None
        if word == "root" and not is_root:
            why = "the suite is not run by root"
        elif word == "user" and subprocess.run(["unshare", "--user", "true"], capture_output=True, **user.popen).returncode:
            why = "ordinary users may not make user namespaces on this machine"
        if why:
            skips.append(f"cells started by {word}: {why}")
            continue
        columns |= {word if len(presets) == 1 else f"{word} {preset}": (identity, preset) for preset in presets}
    return columns, skips


def closed_egress(options, launcher, chosen, stage, identity):
    """Why attempts on granted connections cannot be made, or None. Asked of the launcher's own report."""
    wanted = [one for one in chosen if one.needs_egress]
    if options.egress == "on" or not wanted:
        return None
    if options.egress == "off":
        return "needs egress, which is switched off by --egress off"
    if options.launcher != "cella":
        return "needs egress, of which this launcher says nothing; switch it on with --egress on"
    place = stage / f"egress-{identity.name}"
    place.mkdir(exist_ok=True)
    os.chown(place, identity.uid, identity.uid) if os.geteuid() == 0 else None
    contract, said = place / "contract.toml", place / "report.json"
    contract.write_text('version = 1\negress = ["host.example:9"]\n')
    command = [str(launcher.cella), "exec", "--contract", str(contract), "--report-file", str(said), "--", "/bin/true"]
    home = {"PATH": os.environ["PATH"], "HOME": str(place), "XDG_RUNTIME_DIR": str(place)}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=place, env=home, **identity.popen)
    try:
        report = json.loads(said.read_text())["report"] or {}
    except (OSError, ValueError, KeyError):
        return f"needs egress, and cella exec refuses it: {' '.join(ended.stderr.split())[:200]}"
    missing = [one["why"] for one in report.get("degraded", []) if one["what"] in ("egress", "network")]
    return f"needs egress, which is not enforced: {missing[0]}" if missing else None


if __name__ == "__main__":
    sys.exit(main())
