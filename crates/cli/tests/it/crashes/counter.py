"""An MCP server that does things which can be counted: each call is a line in its own log, flushed to the disk before it answers.

usage: counter.py LOG
"""

import json
import os
import sys

LOG = sys.argv[1]
OBJECT = {"type": "object", "properties": {"n": {"type": "string"}, "idempotency_key": {"type": "string"}}}
TOOLS = ["look", "set", "create", "remove", "pay", "was_paid", "send"]


def lines():
    try:
        with open(LOG, encoding="utf-8") as log:
            return [line.rstrip("\n").split(" ") for line in log]
    except FileNotFoundError:
        return []


def write(what, key, n):
    with open(LOG, "a", encoding="utf-8") as log:
        log.write(f"{what} {key or '-'} {n}\n")
        log.flush()
        os.fsync(log.fileno())


def text(words):
    return {"content": [{"type": "text", "text": words}]}


def call(params):
    arguments = params.get("arguments") or {}
    name, n = params["name"], arguments.get("n", "")
    key = arguments.get("idempotency_key") or (params.get("_meta") or {}).get("io.cella/idempotency-key")
    if name == "was_paid":
        happened = any(line[:2] == ["pay", key] for line in lines())
        return {"content": [], "structuredContent": {"happened": happened, "result": f"pay {n}"}}
    if name == "set" and any(line[:2] == ["set", key] for line in lines()):
        return text(f"set {n}")
    write(name, key, n)
    return text(f"{name} {n}")


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "counter", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": [{"name": name, "inputSchema": OBJECT} for name in TOOLS]}
    if method == "tools/call":
        return call(params)
    return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = answer(message["method"], message.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
