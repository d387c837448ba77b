#!/usr/bin/env python3
"""Checks a ledger export (FILE.ndjson) or the vectors beside this file (no argument). Independent of Cella's code."""
import base64, hashlib, json, pathlib, re, sys

ID, HEX = re.compile(r"[A-Za-z0-9_.:-]{1,64}"), re.compile(r"[0-9a-f]{64}")
KEY, KIND = re.compile(r'[ !#-\[\]-~]{1,64}'), re.compile(r"(?=.{1,64}$)[a-z0-9_]+(\.[a-z0-9_]+)*")
SAFE = 2**53 - 1

def need(ok, what):
    if not ok:
        raise ValueError(what)

def no_float(text):
    raise ValueError("a float: " + text)

def is_value(v, level):
    if isinstance(v, (dict, list)):
        need(level <= 8, "nested too deep")
        if isinstance(v, dict):
            need(all(KEY.fullmatch(k) for k in v), "a bad key")
        for inner in v.values() if isinstance(v, dict) else v:
            is_value(inner, level + 1)
    else:
        need(isinstance(v, (bool, str)) or (type(v) is int and abs(v) <= SAFE), "a bad value")

def text(rule=None, most=256):
    return lambda v: need(isinstance(v, str) and 1 <= len(v.encode()) <= most and (not rule or rule.fullmatch(v)), "a bad text")

def integer(least):
    return lambda v: need(type(v) is int and least <= v <= SAFE, "a bad integer")

def is_body(v):
    need(isinstance(v, dict) and v, "a bad body")
    is_value(v, 1)

def is_payloads(v):
    need(isinstance(v, dict) and v and all(KEY.fullmatch(k) for k in v), "bad payloads")
    for p in v.values():
        need(set(p) in ({"alg", "bytes", "digest"}, {"alg", "bytes", "digest", "kept"}), "bad commitment")
        need(p["alg"] == "sha256-salted" and p.get("kept", "none") in ("none", "redacted"), "bad commitment")
        integer(0)(p["bytes"])
        text(HEX)(p["digest"])

FIELDS = {"body": is_body, "call": text(ID), "kind": text(KIND), "parent": text(ID), "payloads": is_payloads,
          "prev": text(HEX), "principal": text(), "run": text(ID), "seq": integer(1), "server": text(),
          "time": integer(-SAFE), "tool": text(), "v": lambda v: need(type(v) is int and v == 1, "another version")}

def sha(domain, *parts):
    return hashlib.sha256(domain.encode() + b"\0" + b"".join(parts)).hexdigest()

def event(canonical):
    need(len(canonical) <= 61440, "too large")
    e = json.loads(canonical.decode(), parse_float=no_float)
    again = json.dumps(e, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    need(again == canonical, "not canonical")
    need({"kind", "prev", "seq", "time", "v"} <= set(e), "a field is missing")
    for name, value in e.items():
        need(name in FIELDS, "an unknown field")
        FIELDS[name](value)
    return e, sha("cella/event/v1", canonical)

def link(canonical, seq, prev):
    e, digest = event(canonical)
    need(e["seq"] == seq + 1, f"gap: expected event {seq + 1}, got {e['seq']}")
    need(e["prev"] == prev, f"event {e['seq']}: expected predecessor {prev}, got {e['prev']}")
    return e, digest

def payload(ref, salt, data):
    need(len(data) == ref["bytes"], "payload: another length")
    need(sha("cella/payload/v1", salt, data) == ref["digest"], "payload: another digest")

def idempotency(run, step, digest):
    sized = lambda t: len(t.encode()).to_bytes(4, "big") + t.encode()
    return sha("cella/idempotency/v1", sized(run or ""), sized(step), bytes.fromhex(digest))

def export(path):
    lines = open(path, "rb").read().splitlines()
    first, last = json.loads(lines[0]), json.loads(lines[-1])
    need(first["cella"] == "ledger" and first["v"] == 1, "not a ledger export")
    need("head" in last, "cut off: the last line is missing")
    seq, prev, checked = first["after"]["seq"], first["after"]["hash"], 0
    for line in lines[1:-1]:
        # The canonical bytes stand between `{"event":` and `,"hash":"`, which is the last such text outside payloads.
        record = json.loads(line)
        canonical = json.dumps(record["event"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        need(line.startswith(b'{"event":' + canonical + b',"hash":"'), f"event {seq + 1}: not canonical")
        e, digest = link(canonical, seq, prev)
        need(record["hash"] == digest, f"event {e['seq']}: expected hash {record['hash']}, got {digest}")
        for name, p in record.get("payloads", {}).items():
            if "text" in p or "base64" in p:
                data = p["text"].encode() if "text" in p else base64.b64decode(p["base64"], validate=True)
                payload(e["payloads"][name], bytes.fromhex(p["salt"]), data)
                checked += 1
        seq, prev = e["seq"], digest
    need(last["head"] == {"hash": prev, "seq": seq}, "the head is another")
    return f"{len(lines) - 2} events and {checked} payloads verify; head {seq} {prev}"

def vectors(folder):
    load = lambda name: json.loads((folder / name).read_text(encoding="utf-8"))
    seq, prev = 0, "0" * 64
    for v in load("chain.json"):
        e, prev = link(v["canonical"].encode(), seq, prev)
        need(prev == v["hash"], f"event {e['seq']}: expected hash {v['hash']}, got {prev}")
        seq = e["seq"]
    for v in load("payloads.json"):
        need(sha("cella/payload/v1", bytes.fromhex(v["salt"]), bytes.fromhex(v["bytes"])) == v["digest"], "payload")
    for v in load("idempotency.json"):
        need(idempotency(v["run"], v["step"], v["arguments"]) == v["key"], "idempotency key")
    for v in load("refused.json"):
        try:
            link(bytes.fromhex(v["bytes"]), 0, "0" * 64)
        except (ValueError, RecursionError):
            continue
        raise ValueError("accepted: " + v["name"])
    return "vectors verify"

if __name__ == "__main__":
    try:
        print(export(sys.argv[1]) if len(sys.argv) > 1 else vectors(pathlib.Path(__file__).parent))
    except (ValueError, KeyError, TypeError, IndexError) as fault:
        sys.exit(f"refused: {fault}")
