"""An MCP server that writes files of a MiB: as many as it is asked for, each with other bytes.

usage: disk.py DIR
"""

import json
import os
import sys

TOOLS = [{"name": "write", "inputSchema": {"type": "object", "properties": {"files": {"type": "integer"}}}}]


def call(params):
    files = params["arguments"]["files"]
    for at in range(files):
        with open(os.path.join(sys.argv[1], f"f{at}"), "wb") as file:
            file.write(os.urandom(1 << 20))
    return {"content": [{"type": "text", "text": f"{files} files"}]}


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "disk", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        return call(params)
    return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = answer(message["method"], message.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
