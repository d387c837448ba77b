//! Adding a server to a configuration, and taking one out, with every comment and line of the rest kept.

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TomlError, value};

use crate::Mode;

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

/// Names the contract of a server; what it was before is replaced.
///
/// # Errors
/// The text is no configuration, or has no such server.
pub fn set_contract(text: &str, server: &str, contract: &str) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|e: TomlError| EditError::Syntax(e.to_string()))?;
    let servers = document.get_mut("servers").and_then(Item::as_table_like_mut).ok_or(EditError::Shape)?;
    let place = servers.get_mut(server).and_then(Item::as_table_like_mut);
    let place = place.ok_or_else(|| EditError::Absent(server.to_owned()))?;
    match place.get_mut("contract").and_then(Item::as_value_mut) {
        Some(named) => {
            let decor = named.decor().clone();
            *named = contract.into();
            *named.decor_mut() = decor;
        }
        None => {
            place.insert("contract", value(contract));
        }
    }
    Ok(document.to_string())
}

/// Adds a host and port to the `egress` of a contract file, with a remark above it; one that stands there already is left as
/// it is.
///
/// # Errors
/// The text is no contract.
pub fn add_egress(text: &str, grant: &str, remark: Option<&str>) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|e: TomlError| EditError::Syntax(e.to_string()))?;
    let list = document.entry("egress").or_insert_with(|| value(Array::new()));
    let list = list.as_array_mut().ok_or_else(|| EditError::NoKey("egress".to_owned()))?;
    if list.iter().any(|entry| entry.as_str() == Some(grant)) {
        return Ok(text.to_owned());
    }
    let laid_out = |entry: &toml_edit::Value| {
        entry.decor().prefix().and_then(|raw| raw.as_str()).is_some_and(|prefix| prefix.contains('\n'))
    };
    let lines = list.is_empty() || remark.is_some() || list.iter().any(laid_out);
    list.push(grant);
    if lines && let Some(entry) = list.get_mut(list.len() - 1) {
        let remark = remark.map(|remark| format!("    # {}\n", one_line(remark))).unwrap_or_default();
        entry.decor_mut().set_prefix(format!("\n{remark}    "));
        list.set_trailing("\n");
        list.set_trailing_comma(true);
    }
    Ok(document.to_string())
}

/// Adds a file grant at the end of a contract file, with a remark above it.
///
/// # Errors
/// The text is no contract.
pub fn add_file(text: &str, path: &str, mode: Mode, remark: &str) -> Result<String, EditError> {
    let mut document: DocumentMut = text.parse().map_err(|e: TomlError| EditError::Syntax(e.to_string()))?;
    let files = document.entry("files").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let files = files.as_array_of_tables_mut().ok_or_else(|| EditError::NoKey("files".to_owned()))?;
    let mut table = Table::new();
    table.insert("path", value(path));
    table.insert("mode", value(mode.as_str()));
    table.decor_mut().set_prefix(format!("\n# {}\n", one_line(remark)));
    files.push(table);
    Ok(document.to_string())
}

/// A remark cannot end its line and go on as something that grants.
fn one_line(remark: &str) -> String {
    remark.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
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

#[cfg(test)]
mod tests {
    use super::{add_egress, add_file, set_contract};
    use crate::{Contract, Mode};

    #[test]
    fn a_host_is_added_and_everything_else_stays() {
        let before = "# mine\negress = [\"a.example:443\"] # one\n\n[limits]\nmemory = \"1GiB\"\n";
        let after = add_egress(before, "b.example:443", None).expect("edited");
        assert_eq!(after, before.replace("443\"]", "443\", \"b.example:443\"]"));
        assert_eq!(add_egress(&after, "a.example:443", None).expect("edited"), after);
        let fresh = add_egress("[limits]\ncpu = 50\n", "b.example:443", Some("asked\nfor")).expect("edited");
        let contract = Contract::parse("c", &fresh).expect(&fresh);
        assert_eq!((contract.egress, contract.limits.cpu), (vec!["b.example:443".to_owned()], Some(50)));
        assert!(fresh.contains("# asked for\n"), "{fresh}");
    }

    #[test]
    fn a_file_with_an_odd_name_is_one_grant() {
        let after = add_file("", "/a \"b\"\n[limits]", Mode::Read, "named").expect("edited");
        let contract = Contract::parse("c", &after).expect(&after);
        assert_eq!(contract.files.len(), 1, "{after}");
    }

    #[test]
    fn a_contract_is_named_in_the_servers_entry() {
        let before = "[servers.a]\ncommand = \"x\" # why\n\n[servers.b]\ncommand = \"y\"\ncontract = \"trusted\" # old\n";
        let after = set_contract(before, "a", "contracts/a.toml").expect("edited");
        assert_eq!(after, before.replace("# why\n", "# why\ncontract = \"contracts/a.toml\"\n"));
        let after = set_contract(before, "b", "c.toml").expect("edited");
        assert_eq!(after, before.replace("\"trusted\"", "\"c.toml\""));
        assert!(set_contract(before, "c", "c.toml").is_err());
    }
}
