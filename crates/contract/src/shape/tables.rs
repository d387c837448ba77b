//! The keys of `cella.toml` and of contract files.

use super::{Field, Kind, Shape};

const fn field(key: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { key, kind, doc }
}

const ISOLATION: &[&str] = &["shared", "client", "run"];
const PRESETS: &[&str] = &["trusted", "semi-trusted", "untrusted"];
const EFFECTS: &[&str] = &["pure", "read", "idempotent", "reversible", "irreversible"];

pub(crate) static CONFIG: Shape = Shape {
    what: "the configuration",
    fields: &[
        field("servers", Kind::Named(&SERVER), "MCP servers by name."),
        field("views", Kind::Named(&VIEW), "Curated tool sets, each at /mcp/views/NAME."),
        field("node", Kind::Table(&NODE), "The node itself."),
        field("ledger", Kind::Table(&LEDGER), "The record of everything."),
        field("install", Kind::Table(&INSTALL), "Installing packages of npx and uvx."),
    ],
};

static SERVER: Shape = Shape {
    what: "a server",
    fields: &[
        field(
            "command",
            Kind::Text,
            "The program that is the server, run in a cell; builtin:NAME for Cella's own.",
        ),
        field("args", Kind::Texts, "Arguments of the program."),
        field(
            "env",
            Kind::TextMap,
            "Environment of the program; nothing else is inherited. env:, file: and cmd: refer to secrets.",
        ),
        field("cwd", Kind::Text, "Working directory of the program."),
        field("url", Kind::Text, "Address of a remote server, instead of command."),
        field(
            "headers",
            Kind::TextMap,
            "HTTP headers for the remote server. env:, file: and cmd: refer to secrets.",
        ),
        field(
            "transport",
            Kind::Word(&["stdio", "http", "sse"]),
            "How it is spoken to; found out when absent.",
        ),
        field(
            "contract",
            Kind::Text,
            "A preset (trusted, semi-trusted, untrusted) or a contract file. Absent: untrusted.",
        ),
        field(
            "isolation",
            Kind::Word(ISOLATION),
            "Who shares a process of this server; the contract may ask for more.",
        ),
        field("start", Kind::Word(&["lazy", "eager"]), "Start at the first call, or with the node."),
        field("idle_stop", Kind::Duration, "Stop the process after so long without a call."),
        field("start_timeout", Kind::Duration, "Longest time from start to the end of the handshake."),
        field("call_timeout", Kind::Duration, "Longest time without a sign of life in a call."),
        field("instances", Kind::Count, "Most processes of this server at one time."),
        field("enabled", Kind::Flag, "false: keep the entry, do not offer the server."),
        field(
            "build_from_source",
            Kind::Flag,
            "true: the package may run code of its own (install scripts, builds) in the installer's cell.",
        ),
        field(
            "best_effort",
            Kind::Flag,
            "true: run even where this machine cannot enforce all limits of the contract; status says so.",
        ),
    ],
};

static VIEW: Shape = Shape {
    what: "a view",
    fields: &[
        field("servers", Kind::Texts, "Servers whose tools are in the view; all when absent."),
        field("allow", Kind::Texts, "Tool names, or patterns with *, as clients see them; all when absent."),
        field("deny", Kind::Texts, "Tool names or patterns left out, even when allowed."),
        field("rename", Kind::TextMap, "Names as clients see them, and the names they get in this view."),
    ],
};

static NODE: Shape = Shape {
    what: "the node",
    fields: &[
        field(
            "listen",
            Kind::Text,
            "Address of the HTTP door, for example 127.0.0.1:7878; \"none\" for no TCP door.",
        ),
        field("token_file", Kind::Text, "File with the access token; made when absent."),
        field("socket", Kind::Text, "Path of the unix socket."),
        field(
            "allowed_hosts",
            Kind::Texts,
            "Host names under which the HTTP door may be addressed, beside loopback.",
        ),
        field("allowed_origins", Kind::Texts, "Web origins that may use the HTTP door, beside loopback."),
        field("drain", Kind::Duration, "How long calls may finish after SIGTERM."),
        field(
            "first_list_wait",
            Kind::Duration,
            "How long a first list waits for servers that are starting.",
        ),
    ],
};

static LEDGER: Shape = Shape {
    what: "the ledger",
    fields: &[
        field("path", Kind::Text, "Directory of the ledger."),
        field(
            "capture",
            Kind::WordOrTexts(&["full", "digest"]),
            "Payloads: all, digests only, or all but the members with these names.",
        ),
    ],
};

static INSTALL: Shape = Shape {
    what: "installing",
    fields: &[field(
        "egress",
        Kind::Texts,
        "Hosts an installer may reach, \"host:port\", beside the registries that npm, pip and uv are configured for.",
    )],
};

pub(crate) static CONTRACT: Shape = Shape {
    what: "a contract",
    fields: &[
        field("version", Kind::Count, "Format of this file: 1."),
        field("preset", Kind::Word(PRESETS), "What this contract starts from; untrusted when absent."),
        field(
            "egress",
            Kind::Texts,
            "Hosts the cell may reach, \"host:port\" or \"*.host:port\". None when absent.",
        ),
        field("files", Kind::List(&FILE), "Parts of the host the cell may see."),
        field("limits", Kind::Table(&LIMITS), "What the cell may use."),
        field(
            "tools",
            Kind::Named(&TOOL),
            "What the server's tools promise, by name or pattern with *; the most specific entry wins, gaps come from the next.",
        ),
        field("secrets", Kind::Named(&SECRET), "Secrets the server works with, by name."),
        field("isolation", Kind::Word(ISOLATION), "Who shares a process."),
    ],
};

static FILE: Shape = Shape {
    what: "a file grant",
    fields: &[
        field("path", Kind::Text, "A file or directory of the host; relative to this file."),
        field("mode", Kind::Word(&["read", "write"]), "read: look at it. write: change it too."),
    ],
};

static LIMITS: Shape = Shape {
    what: "the limits",
    fields: &[
        field("memory", Kind::Size, "Memory of the whole process tree."),
        field("processes", Kind::Count, "Processes and threads."),
        field("disk", Kind::Size, "Private temporary files."),
        field("cpu", Kind::Count, "Processor share in percent of one core."),
        field("time", Kind::Duration, "Longest time of one call."),
        field("open_files", Kind::Count, "Open files of one process."),
    ],
};

static TOOL: Shape = Shape {
    what: "a tool",
    fields: &[
        field("effect", Kind::Word(EFFECTS), "What a call does to the world; irreversible when absent."),
        field("allow", Kind::Flag, "false: calls are refused before the server hears of them."),
        field("undo", Kind::Text, "The tool that takes a reversible call back."),
        field("probe", Kind::Text, "The tool that tells whether a call in doubt happened."),
        field("phases", Kind::Texts, "Phases of a plan in which it may be called; any when absent."),
        field("locks", Kind::Texts, "Resources it holds, for example \"write fs:/invoices/**\"."),
    ],
};

static SECRET: Shape = Shape {
    what: "a secret",
    fields: &[
        field("from", Kind::Text, "Where it comes from: env:, file: or cmd:."),
        field("hosts", Kind::Texts, "Hosts towards which it may be used."),
        field("env", Kind::Text, "Variable under which the server expects it."),
    ],
};
