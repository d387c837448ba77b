//! What may a cell touch, what do its tools promise, and what does the operator's configuration say?
//!
//! `cella.toml` and contract files are read from text, strictly: an unknown key, a wrong type or a contradiction is an
//! error with its place and a remedy, and all errors of a file are reported at once. What is not granted is denied. A
//! decision about a call is a [`Permit`], which nothing else can make.
//!
//! Refuses to do: reading files, looking at the environment, resolving secrets. Texts and look-ups come from outside.

mod agent;
mod binding;
mod capture;
mod class;
mod codes;
mod config;
mod contract;
mod decide;
mod diagnostic;
mod digest;
mod edit;
mod effect;
mod egress;
mod pattern;
mod schema;
mod shape;
mod text;
mod units;

pub use agent::{
    AGENT_VERSION, AgentConfig, AgentLimits, Approve, ModelName, ModelTerms, Source, ToolSelection,
};
pub use binding::{Alphabet, Format, JsonStep, Location, Part, PathPattern};
pub use capture::Capture;
pub use class::{CellClass, VmChoice};
pub use config::{
    BudgetConfig, BudgetPeriod, CellEndpoint, Config, InstallConfig, Isolation, LedgerConfig, NodeConfig,
    PriceConfig, PrincipalConfig, ProviderConfig, RateConfig, Remote, Run, ServerConfig, Start, StdioProgram,
    Transport, ViewConfig,
};
pub use contract::{
    CONTRACT_VERSION, Contract, ContractSource, FileGrant, Limits, Mode, Preset, SecretTerms, ToolTerms,
};
pub use decide::{Permit, Refusal, Wanted, decide};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, masked_line};
pub use edit::{
    EditError, NewServer, Pairs, add_egress, add_file, add_server, remove_server, set_contract, set_value,
};
pub use effect::{Effect, Hints, effective_effect};
pub use egress::{DomainName, EgressFault, EgressGrant, EgressHost, NameFault, Network};
pub use pattern::fits_pattern;
pub use schema::{agent_schema, config_schema, contract_schema};
pub use text::{Text, expand, is_vault_name, looks_like_secret};
pub use units::{Rate, parse_duration, parse_rate, parse_size};
