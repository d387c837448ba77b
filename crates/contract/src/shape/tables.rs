//! The keys of `cella.toml` and of contract files.

use super::{Field, Kind, Shape};

pub(super) const fn field(key: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { key, kind, doc }
}

const ISOLATION: &[&str] = &["shared", "client", "run"];
const PRESETS: &[&str] = &["trusted", "semi-trusted", "untrusted"];
const CLASSES: &[&str] = &["process", "vm"];
const VMS: &[&str] = &["gvisor", "qemu", "auto"];
const EFFECTS: &[&str] = &["pure", "read", "idempotent", "reversible", "irreversible"];

pub(crate) static CONFIG: Shape = Shape {
    what: "the configuration",
    fields: &[
        field("servers", Kind::Named(&SERVER), "MCP servers by name."),
        field("views", Kind::Named(&VIEW), "Curated tool sets, each at /mcp/views/NAME."),
        field("node", Kind::Table(&NODE), "The node itself."),
        field("ledger", Kind::Table(&LEDGER), "The record of everything."),
        field("providers", Kind::Named(&super::agents::PROVIDER), "Providers of models by name."),
        field(
            "prices",
            Kind::Named(&super::agents::PRICE),
            "What models cost, by \"provider/model\" or \"provider/*\".",
        ),
        field(
            "budgets",
            Kind::Named(&super::agents::BUDGET),
            "What accounts may spend, by their path: \"acme\", \"acme/sales\", \"acme/sales/invoices\".",
        ),
        field(
            "principals",
            Kind::Named(&super::agents::PRINCIPAL),
            "Who is let in beside the owner, by a token of their own, and what for.",
        ),
        field(
            "rates",
            Kind::Named(&super::agents::RATE),
            "How often tools may be called, by \"SERVER__TOOL\" or a pattern with *.",
        ),
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
            "Environment of the program; nothing else is inherited. vault:, env:, file: and cmd: refer to secrets.",
        ),
        field("cwd", Kind::Text, "Working directory of the program."),
        field(
            "port",
            Kind::Count,
            "The program speaks HTTP on this port of its cell instead of on its pipes.",
        ),
        field("path", Kind::Text, "Path of that endpoint; /mcp when absent."),
        field("url", Kind::Text, "Address of a remote server, instead of command."),
        field(
            "headers",
            Kind::TextMap,
            "HTTP headers for the remote server. vault:, env:, file: and cmd: refer to secrets.",
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
        field(
            "warm",
            Kind::Flag,
            "A cell waits, made but for its program, for the next process. Absent: where processes are not shared.",
        ),
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
        field("agents", Kind::Text, "Directory of agents' files, relative to this one; agents when absent."),
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
            "Hosts the cell may reach, each \"host:port\", \"*.domain:port\", \"address:port\" or \"network/prefix:port\". None when absent.",
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
        field(
            "class",
            Kind::Word(CLASSES),
            "process: confined by this machine's kernel. vm: behind a kernel of its own. process when absent.",
        ),
        field(
            "vm",
            Kind::Word(VMS),
            "For class vm, whose kernel: gvisor, qemu, or auto, the first that works here. auto when absent.",
        ),
    ],
};

static FILE: Shape = Shape {
    what: "a file grant",
    fields: &[
        field("path", Kind::Text, "A file or directory of the host; relative to this file."),
        field(
            "mode",
            Kind::Word(&["read", "write", "copy"]),
            "read: look at it. write: change it too, at once. copy: change a copy of the directory; the difference is kept until it is committed or discarded.",
        ),
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
        field("connections", Kind::Count, "Connections to granted hosts at the same time; 256 when absent."),
        field("connection_rate", Kind::Count, "New connections in a second; 200 when absent."),
        field("copy_bytes", Kind::Size, "What the copies of a cell may come to; 4GiB when absent."),
        field(
            "egress_bytes",
            Kind::Size,
            "Bytes sent to granted hosts in the life of a cell; no limit when absent.",
        ),
    ],
};

static TOOL: Shape = Shape {
    what: "a tool",
    fields: &[
        field("effect", Kind::Word(EFFECTS), "What a call does to the world; irreversible when absent."),
        field("allow", Kind::Flag, "false: calls are refused before the server hears of them."),
        field(
            "delegate",
            Kind::Flag,
            "true: its server may call other tools in the phase of the run, by a token that comes with the call.",
        ),
        field("undo", Kind::Text, "The tool that takes a reversible call back."),
        field("probe", Kind::Text, "The tool that tells whether a call in doubt happened."),
        field(
            "key_argument",
            Kind::Text,
            "The argument into which the idempotency key goes, beside _meta; none when absent.",
        ),
        field(
            "key_header",
            Kind::Text,
            "The HTTP header in which the idempotency key goes to a server over HTTP; none when absent.",
        ),
        field("phases", Kind::Texts, "Phases of a plan in which it may be called; any when absent."),
        field("locks", Kind::Texts, "Resources it holds, for example \"write fs:/invoices/**\"."),
    ],
};

static SECRET: Shape = Shape {
    what: "a secret",
    fields: &[
        field("from", Kind::Text, "Where it comes from: vault:, env:, file: or cmd:."),
        field(
            "hosts",
            Kind::Texts,
            "Hosts towards which it may be used, \"*.domain\" for all below one. None when absent.",
        ),
        field("env", Kind::Text, "Variable under which the server expects it."),
        field("methods", Kind::Texts, "Methods with which it may be used; any when absent."),
        field(
            "paths",
            Kind::Texts,
            "Paths at which it may be used, * for part of a segment, /** at the end for all below; any when absent.",
        ),
        field(
            "in",
            Kind::Texts,
            "Where in a request it may stand: header, header:NAME, basic, query, query:NAME, form, form:NAME, json:FIELD.PATH, sigv4; header and basic when absent.",
        ),
        field(
            "format",
            Kind::Text,
            "What stands for it in the cell: cella, ghp, github_pat, sk, sk-ant, xoxb, akia, aws-secret, uuid, hex:N or a template like key-{alnum:32}.",
        ),
        field("pair", Kind::Text, "For an access key id that signs: the secret that holds its secret key."),
    ],
};
