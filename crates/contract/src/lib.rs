//! What may a cell touch, what do its tools promise, and what does the configuration say?
//!
//! This crate turns the text of `cella.toml` and of contract files into typed values, says everything that is wrong with
//! them with place, cause and fix, and decides whether a call is allowed: [`decide`] gives a [`Permit`] or a
//! [`Refusal`]. It refuses to read files, variables or secrets itself, to look whether a path exists, and to enforce
//! anything: it computes, others act.
//!
//! Defaults deny. A server without a contract is [`Preset::Untrusted`], a tool without terms is
//! [`Effect::Irreversible`], and a key that nothing reads is an error.

mod code;
mod config;
mod contract;
mod decide;
mod diagnostic;
mod effect;
mod egress;
mod grant;
mod name;
mod pattern;
mod place;
mod preset;
mod rates;
mod read;
mod schema;
mod secret;
mod suggest;
mod template;
mod terms;
mod texts;
mod toml_text;
mod units;

pub use code::Code;
pub use config::{
    CALL_TIMEOUT, CONFIG_VERSION, Capture, Client, Config, ContractRef, DRAIN, Filter, IDLE_STOP, Install,
    ItemName, LedgerSettings, NodeLimits, NodeSettings, Program, Redaction, Registry, Remote,
    RemoteTransport, START_TIMEOUT, Server, Start, Target, View,
};
pub use contract::{CONTRACT_VERSION, Contract, ContractDigest};
pub use decide::{Permit, Refusal, Request, Subject, decide};
pub use diagnostic::{Checked, Diagnostic, Mistakes, Severity};
pub use effect::{Annotations, Effect, effective_effect};
pub use egress::{Egress, EgressHost};
pub use grant::{FileGrant, Mode, grantable};
pub use name::{
    BadName, EnvName, HeaderName, HostName, Lock, Phase, SERVER_NAME_MAX, ServerName, TOOL_NAME_MAX, ToolName,
};
pub use pattern::ItemPattern;
pub use place::{Origin, PathError, Place};
pub use preset::Preset;
pub use rates::Rates;
pub use schema::{config_schema, contract_schema};
pub use secret::{SecretRef, looks_secret, names_secret};
pub use template::{FillError, Filled, Part, Template};
pub use terms::{Isolation, Limits, Location, SecretTerms, Term, Terms, ToolTerms, Wall};
pub use units::{ByteSize, CpuShare, Rate, duration_text};
