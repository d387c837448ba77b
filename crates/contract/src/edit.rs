//! Adding a server to a configuration, and taking one out, with every comment and line of the rest kept.

use toml_edit::{Array, DocumentMut, Item, Table, TomlError, value};

/// A server to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewServer {
    /// Its name.
    pub name: String,
    /// The program, for one that runs here.
    pub command: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// Its working directory.
    pub cwd: Option<String>,
    /// The address, for a remote one.
    pub url: Option<String>,
    /// HTTP headers.
    pub headers: Vec<(String, String)>,
    /// `sse`, where that is known.
    pub transport: Option<String>,
    /// A preset or a file.
    pub contract: Option<String>,
    /// False: written, but switched off.
    pub disabled: bool,
    /// A remark for the reader, without `#`.
    pub remark: Option<String>,
}

/// Which pairs of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairs {
    /// `env`.
    Env,
    /// `headers`.
    Headers,
}

/// Why an edit is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditError {
    /// The text is not TOML.
    Syntax(String),
    /// `servers` is not a table.
    Shape,
    /// There is one of that name already.
    Taken(String),
    /// There is none of that name.
    Absent(String),
    /// The server has no such key.
    NoKey(String),
}

/// Adds a server at the end.
///
/// # Errors
/// The text is no configuration, or has a server of that name.
pub fn add_server(text: &str, server: &NewServer) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|e: TomlError| EditError::Syntax(e.to_string()))?;
    let servers = document.entry("servers").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let servers = servers.as_table_mut().ok_or(EditError::Shape)?;
    if servers.contains_key(&server.name) {
        return Err(EditError::Taken(server.name.clone()));
    }
    servers.insert(&server.name, Item::Table(section(server)));
    let after = document.to_string();
    // The empty line above a section parts it from the one before.
    Ok(if text.trim().is_empty() { after.trim_start().to_owned() } else { after })
}

/// Takes a server out.
///
/// # Errors
/// The text is no configuration, or has no such server.
pub fn remove_server(text: &str, name: &str) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|e: TomlError| EditError::Syntax(e.to_string()))?;
    let servers = document.get_mut("servers").and_then(Item::as_table_mut);
    match servers.and_then(|s| s.remove(name)) {
        Some(_) => Ok(document.to_string()),
        None => Err(EditError::Absent(name.to_owned())),
    }
}

/// Exchanges one value of a server's environment or headers; comments and blanks around it stay.
///
/// # Errors
/// The text is no configuration, or has no such server or key.
pub fn set_value(text: &str, server: &str, of: Pairs, key: &str, new: &str) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|e: TomlError| EditError::Syntax(e.to_string()))?;
    let servers = document.get_mut("servers").and_then(Item::as_table_like_mut).ok_or(EditError::Shape)?;
    let server = servers.get_mut(server).ok_or_else(|| EditError::Absent(server.to_owned()))?;
    let name = match of {
        Pairs::Env => "env",
        Pairs::Headers => "headers",
    };
    let pairs = server.get_mut(name).and_then(Item::as_table_like_mut);
    let place = pairs.and_then(|pairs| pairs.get_mut(key)).and_then(Item::as_value_mut);
    let place = place.ok_or_else(|| EditError::NoKey(format!("{name}.{key}")))?;
    let decor = place.decor().clone();
    *place = new.into();
    *place.decor_mut() = decor;
    Ok(document.to_string())
}

impl std::fmt::Display for EditError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Syntax(said) => write!(f, "it is not valid TOML: {said}"),
            Self::Shape => f.write_str("`servers` in it is not a table"),
            Self::Taken(name) => write!(f, "there is a server `{name}` already"),
            Self::Absent(name) => write!(f, "there is no server `{name}`"),
            Self::NoKey(key) => write!(f, "there is no `{key}`"),
        }
    }
}

impl std::error::Error for EditError {}

fn section(server: &NewServer) -> Table {
    let mut table = Table::new();
    let mut text = |key: &str, content: &Option<String>| {
        if let Some(content) = content {
            table.insert(key, value(content));
        }
    };
    text("command", &server.command);
    text("url", &server.url);
    text("transport", &server.transport);
    text("cwd", &server.cwd);
    text("contract", &server.contract);
    if !server.args.is_empty() {
        table.insert("args", value(server.args.iter().collect::<Array>()));
    }
    for (key, pairs) in [("env", &server.env), ("headers", &server.headers)] {
        if !pairs.is_empty() {
            let inline: toml_edit::InlineTable =
                pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            table.insert(key, value(inline));
        }
    }
    if server.disabled {
        table.insert("enabled", value(false));
    }
    let remark = server.remark.as_ref().map(|r| format!("# {r}\n")).unwrap_or_default();
    table.decor_mut().set_prefix(format!("\n{remark}"));
    table
}
