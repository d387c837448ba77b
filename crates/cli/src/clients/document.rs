//! Reading and editing configuration files as text, whatever their syntax.

mod json;
mod toml;
mod yaml;

use super::{Client, Entry, Format, Found};

/// Why a client's file could not be read or edited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum EditError {
    /// The file is not what its name says.
    #[error("it is not valid {syntax}: {said}")]
    Syntax { syntax: &'static str, said: String },
    /// Something else stands where the servers should be.
    #[error("`{key}` in it is not a table of servers")]
    Shape { key: String },
}

/// The servers a client's file names.
pub(crate) fn read(client: &Client, text: &str) -> Result<Vec<Found>, EditError> {
    let whole = match client.format {
        Format::Json => json::value(text)?,
        Format::Toml => toml::value(text)?,
        Format::Yaml => yaml::value(text)?,
    };
    let mut at = &whole;
    for key in client.key {
        at = &at[*key];
    }
    let servers = match at {
        serde_json::Value::Object(map) => map,
        serde_json::Value::Null => return Ok(Vec::new()),
        _ => return Err(EditError::Shape { key: client.key.join(".") }),
    };
    Ok(servers.iter().filter_map(|(name, value)| Found::read(name, value, client.spelling)).collect())
}

/// The text with our entry in it, under the name `cella`.
pub(crate) fn write(client: &Client, text: &str, entry: &Entry) -> Result<String, EditError> {
    let value = entry.spelled(client.spelling);
    match client.format {
        Format::Json => json::set(text, client.key, "cella", &value),
        Format::Toml => toml::set(text, client.key, "cella", &value),
        Format::Yaml => yaml::set(text, client.key, "cella", &value),
    }
}

/// The text without the entry of that name.
pub(crate) fn remove(client: &Client, text: &str, name: &str) -> Result<String, EditError> {
    match client.format {
        Format::Json => json::remove(text, client.key, name),
        Format::Toml => toml::remove(text, client.key, name),
        Format::Yaml => yaml::remove(text, client.key, name),
    }
}

#[cfg(test)]
mod tests;
