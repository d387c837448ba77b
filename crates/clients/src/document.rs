//! Reading and editing configuration files as text, whatever their syntax.

mod json;
mod toml;
mod yaml;

use super::{Client, Entry, Format, Found};

/// Why a client's file could not be read or edited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The file is not what its name says.
    #[error("it is not valid {syntax}: {said}")]
    Syntax {
        /// What it should be: JSON, TOML or YAML.
        syntax: &'static str,
        /// From its reader.
        said: String,
    },
    /// Something else stands where the servers should be.
    #[error("`{key}` in it is not a table of servers")]
    Shape {
        /// Where the servers should be.
        key: String,
    },
    /// An entry cannot be parted from what stands around it.
    #[error("`{name}` cannot be taken out without changing more than that entry: take it out by hand")]
    Tangled {
        /// The entry.
        name: String,
    },
}

/// What a text has around its content, taken off before it is edited and put back after: editors for TOML and YAML know
/// neither.
#[derive(Clone, Copy)]
struct Dress {
    /// A byte order mark, as Windows' editors write it.
    mark: bool,
    /// Every line ends in CR LF.
    carriage_returns: bool,
}

/// The servers a client's file names; `project` is the folder of the project it belongs to.
pub fn read(client: &Client, text: &str, project: Option<&str>) -> Result<Vec<Found>, EditError> {
    let (_, text) = Dress::off(text);
    let text = text.as_str();
    let whole = value(client, text)?;
    let servers = match at(&whole, client.key) {
        serde_json::Value::Object(map) => map,
        serde_json::Value::Null => return Ok(Vec::new()),
        _ => return Err(EditError::Shape { key: client.key.join(".") }),
    };
    let found =
        |(name, value): (&String, &serde_json::Value)| Found::read(name, value, client.spelling, project);
    Ok(servers.iter().filter_map(found).collect())
}

/// The text with our entry in it, under the name `cella`.
pub fn write(client: &Client, text: &str, entry: &Entry) -> Result<String, EditError> {
    let value = entry.spelled(client.spelling);
    let (dress, text) = Dress::off(text);
    let edited = match client.format {
        Format::Json => json::set(&text, client.key, "cella", &value),
        Format::Toml => toml::set(&text, client.key, "cella", &value),
        Format::Yaml => yaml::set(&text, client.key, "cella", &value),
    };
    edited.map(|text| dress.on(&text))
}

/// The text without the entry of that name.
pub fn remove(client: &Client, text: &str, name: &str) -> Result<String, EditError> {
    let (dress, text) = Dress::off(text);
    let edited = match client.format {
        Format::Json => json::remove(&text, client.key, name),
        Format::Toml => toml::remove(&text, client.key, name),
        Format::Yaml => yaml::remove(&text, client.key, name),
    };
    edited.map(|text| dress.on(&text))
}

/// The text without the entry of that name below `path`, and with everything else: the result is read again and compared,
/// so that a file nobody foresaw is left alone instead of damaged.
pub fn take_out(client: &Client, text: &str, path: &[&str], name: &str) -> Result<String, EditError> {
    let (dress, bare) = Dress::off(text);
    let tangled = || EditError::Tangled { name: name.to_owned() };
    let edited = match client.format {
        Format::Json => json::remove(&bare, path, name),
        Format::Toml => toml::remove(&bare, path, name),
        Format::Yaml => yaml::remove(&bare, path, name),
    }?;
    let mut wanted = value(client, &bare)?;
    let servers = path.iter().try_fold(&mut wanted, |at, key| at.get_mut(*key));
    servers.and_then(|at| at.as_object_mut()?.remove(name)).ok_or_else(tangled)?;
    match value(client, &edited) {
        Ok(is) if is == wanted => Ok(dress.on(&edited)),
        _ => Err(tangled()),
    }
}

/// The entry of that name below `path`, as the client wrote it.
pub fn entry_at(client: &Client, text: &str, path: &[&str], name: &str) -> Option<serde_json::Value> {
    let (_, text) = Dress::off(text);
    at(&value(client, &text).ok()?, path).get(name).cloned()
}

/// The text with an entry that was taken out, where it was; its layout and its comments are gone.
pub fn put_back(
    client: &Client,
    text: &str,
    path: &[&str],
    name: &str,
    entry: &serde_json::Value,
) -> Result<String, EditError> {
    let (dress, bare) = Dress::off(text);
    let edited = match client.format {
        Format::Json => json::set(&bare, path, name, entry),
        Format::Toml => toml::set(&bare, path, name, entry),
        Format::Yaml => yaml::set(&bare, path, name, entry),
    }?;
    if at(&value(client, &edited)?, path).get(name) != Some(entry) {
        return Err(EditError::Tangled { name: name.to_owned() });
    }
    Ok(dress.on(&edited))
}

fn value(client: &Client, text: &str) -> Result<serde_json::Value, EditError> {
    match client.format {
        Format::Json => json::value(text),
        Format::Toml => toml::value(text),
        Format::Yaml => yaml::value(text),
    }
}

fn at<'a>(whole: &'a serde_json::Value, path: &[&str]) -> &'a serde_json::Value {
    path.iter().fold(whole, |at, key| &at[*key])
}

// === impl Dress ===

impl Dress {
    fn off(text: &str) -> (Self, String) {
        let bare = text.strip_prefix('\u{feff}');
        let (mark, bare) = (bare.is_some(), bare.unwrap_or(text));
        let (ends, with_return) = (bare.matches('\n').count(), bare.matches("\r\n").count());
        // A file with both kinds is left as it is: nobody could say which one a new line should have.
        let carriage_returns = ends > 0 && ends == with_return;
        let bare = if carriage_returns { bare.replace("\r\n", "\n") } else { bare.to_owned() };
        (Self { mark, carriage_returns }, bare)
    }

    fn on(self, text: &str) -> String {
        let mark = if self.mark { "\u{feff}" } else { "" };
        let text = if self.carriage_returns { text.replace('\n', "\r\n") } else { text.to_owned() };
        format!("{mark}{text}")
    }
}

#[cfg(test)]
mod tests;
