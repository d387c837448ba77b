//! The JSON Schemas that editors use. They come out of the same declarations as the parser (see `read`).

use serde_json::Value;

use crate::{config::ConfigTable, contract::ContractTable, read::Read};

/// JSON Schema (draft 2020-12) of `cella.toml`.
#[must_use]
pub fn config_schema() -> String {
    text("cella.toml", ConfigTable::schema())
}

/// JSON Schema (draft 2020-12) of contract files.
#[must_use]
pub fn contract_schema() -> String {
    text("Cella contract", ContractTable::schema())
}

fn text(title: &str, mut schema: Value) -> String {
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = title.into();
    format!("{schema:#}\n")
}
