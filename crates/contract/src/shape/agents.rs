//! The keys of agents' files and of providers.

use super::{Kind, Shape, tables::field};

const WIRES: &[&str] = &["openai-chat", "openai-responses", "anthropic-messages", "cassette"];
const APPROVE: &[&str] = &["irreversible", "writes", "always", "never"];

pub(crate) static AGENT: Shape = Shape {
    what: "an agent",
    fields: &[
        field("version", Kind::Count, "Format of this file: 1."),
        field("description", Kind::Text, "What it is good for, for people and for other agents."),
        field("instructions", Kind::Text, "What the model is told before everything else."),
        field("instructions_file", Kind::Text, "The same in a file; relative to this one."),
        field("model", Kind::Table(&MODEL), "Which models are asked."),
        field("tools", Kind::Table(&TOOLS), "Which tools it may call; all of the catalogue when absent."),
        field("agents", Kind::Texts, "Agents that it may give a task to, each in a run of its own."),
        field("board", Kind::Flag, "true: it has a blackboard for the length of a run."),
        field(
            "phases",
            Kind::Texts,
            "Phases of its runs in their order; contracts may allow a tool in some only.",
        ),
        field("output", Kind::Table(&OUTPUT), "The shape of its final answer; any text when absent."),
        field(
            "account",
            Kind::Text,
            "The account it spends from, from the organisation down: acme/sales/invoices.",
        ),
        field("limits", Kind::Table(&LIMITS), "Where a run ends that does not end by itself."),
        field(
            "budget",
            Kind::Table(&OF_A_RUN),
            "What a run may spend, those that it gives tasks to included; 2,000,000 tokens when absent.",
        ),
    ],
};

pub(super) static PRICE: Shape = Shape {
    what: "a price",
    fields: &[
        field("input", Kind::Text, "For a million tokens of input, in US dollars: \"2.50\"."),
        field("output", Kind::Text, "For a million tokens of output."),
        field(
            "cached_input",
            Kind::Text,
            "For a million tokens of input from the provider's cache; as input when absent.",
        ),
        field(
            "cache_write",
            Kind::Text,
            "For a million tokens of input into the cache; as input when absent.",
        ),
    ],
};

static OF_A_RUN: Shape = Shape { what: "the budget of a run", fields: &SPENT };

pub(super) static BUDGET: Shape = Shape { what: "a budget", fields: &BUDGET_FIELDS };

static SPENT: [super::Field; 3] = [
    field("money", Kind::Text, "Money, in the currency of the prices (US dollars): \"2.50\"."),
    field("tokens", Kind::Count, "Tokens of models, input and output together."),
    field("calls", Kind::Count, "Calls of tools."),
];

static BUDGET_FIELDS: [super::Field; 4] = [
    field("money", Kind::Text, "Money, in the currency of the prices (US dollars): \"2.50\"."),
    field("tokens", Kind::Count, "Tokens of models, input and output together."),
    field("calls", Kind::Count, "Calls of tools."),
    field(
        "per",
        Kind::Word(&["total", "day", "month"]),
        "Over which time it holds, in UTC; total when absent.",
    ),
];

static MODEL: Shape = Shape {
    what: "the model",
    fields: &[
        field("use", Kind::Text, "provider/model: who is asked first."),
        field("fallbacks", Kind::List(&FALLBACK), "Who is asked when it fails, in order."),
        field("canary", Kind::Table(&CANARY), "A model on trial for a share of the runs."),
        field("retries", Kind::Number, "Further attempts with the same model; 2 when absent."),
        field("max_output", Kind::Count, "Most tokens of one answer."),
        field("first_token", Kind::Duration, "Longest time to the first token; 60s when absent."),
        field("between_tokens", Kind::Duration, "Longest silence within an answer; 60s when absent."),
        field("total", Kind::Duration, "Longest time of an answer; 10m when absent."),
        field("extra", Kind::Free, "More parameters of the provider's requests, such as temperature."),
    ],
};

static FALLBACK: Shape = Shape {
    what: "a fallback",
    fields: &[
        field("use", Kind::Text, "provider/model."),
        field(
            "on",
            Kind::Texts,
            "After failures of these classes; all where another may do better when absent.",
        ),
    ],
};

static CANARY: Shape = Shape {
    what: "the canary",
    fields: &[
        field("use", Kind::Text, "provider/model."),
        field("percent", Kind::Count, "Runs of a hundred that ask it first; the names of runs decide which."),
    ],
};

static TOOLS: Shape = Shape {
    what: "the tools",
    fields: &[
        field("servers", Kind::Texts, "Servers whose tools it may call; all when absent."),
        field("allow", Kind::Texts, "Tool names or patterns with *, as clients see them; all when absent."),
        field("deny", Kind::Texts, "Tool names or patterns left out, even when allowed."),
        field(
            "approve",
            Kind::WordOrTexts(APPROVE),
            "Calls that a human must agree to: irreversible (when absent), writes, always, never, or names and patterns.",
        ),
    ],
};

static OUTPUT: Shape = Shape {
    what: "the output",
    fields: &[
        field("name", Kind::Text, "A short name, which some providers ask for; answer when absent."),
        field("schema", Kind::Free, "JSON Schema of the final answer."),
        field("schema_file", Kind::Text, "The same in a JSON file; relative to this one."),
    ],
};

static LIMITS: Shape = Shape {
    what: "the limits",
    fields: &[
        field("turns", Kind::Count, "Answers of the model; 50 when absent."),
        field("calls", Kind::Count, "Calls of tools; 200 when absent."),
        field("parallel", Kind::Count, "Calls at the same time; 8 when absent."),
        field(
            "time",
            Kind::Duration,
            "From the start of a run, waiting for humans included; no limit when absent.",
        ),
        field(
            "output_retries",
            Kind::Number,
            "Answers of the wrong shape that are asked again; 2 when absent.",
        ),
        field("bad_calls", Kind::Number, "Calls of unknown tools or with broken arguments; 5 when absent."),
        field("tries", Kind::Number, "Tries about one call in doubt before a human is asked; 3 when absent."),
    ],
};

pub(super) static PROVIDER: Shape = Shape {
    what: "a provider",
    fields: &[
        field("wire", Kind::Word(WIRES), "How it is spoken to; known for openai, anthropic and ollama."),
        field("url", Kind::Text, "Its base address, for example https://api.openai.com/v1."),
        field(
            "key",
            Kind::Text,
            "Its key: env:NAME, file:PATH, cmd:PROGRAM or vault:NAME; never the key itself.",
        ),
        field("headers", Kind::TextMap, "More headers of each request."),
        field("concurrency", Kind::Count, "Requests at the same time; 16 when absent."),
        field(
            "rate",
            Kind::Text,
            "Requests in a time: 5/s, 60/min, 1000/h; further ones wait. No limit when absent.",
        ),
        field("file", Kind::Text, "For the wire cassette: the recording, relative to this file."),
        field(
            "clear_text",
            Kind::Flag,
            "true: the key may be sent over http:// to another machine. Without it, that is refused.",
        ),
    ],
};

pub(super) static PRINCIPAL: Shape = Shape {
    what: "a principal",
    fields: &[
        field(
            "token",
            Kind::Text,
            "Its token: vault:NAME, env:NAME, file:PATH or cmd:PROGRAM; never the token itself.",
        ),
        field("servers", Kind::Texts, "Servers it may use; all when absent."),
        field(
            "allow",
            Kind::Texts,
            "Tools it may call, as SERVER__TOOL, with *; all of these servers when absent.",
        ),
        field("deny", Kind::Texts, "Tools it may not call, even when allowed."),
        field("agents", Kind::Texts, "Agents it may give tasks to; none when absent."),
        field("models", Kind::Texts, "Models it may use, as PROVIDER/MODEL, with *; none when absent."),
        field("approve", Kind::Texts, "Agents of whose runs it may approve calls; none when absent."),
        field("account", Kind::Text, "What its runs spend from, from the organisation down."),
        field("admin", Kind::Flag, "true: it may use the admin door: status, log, cells, everybody's runs."),
        field("rate", Kind::Text, "Calls of tools in a time: 5/s, 60/min, 1000/h."),
    ],
};

pub(super) static RATE: Shape = Shape {
    what: "a rate",
    fields: &[
        field("all", Kind::Text, "By everybody together: 5/s, 60/min, 1000/h."),
        field("each", Kind::Text, "By each principal."),
    ],
};
