//! One server in a client's configuration, in the spelling of that client and in ours.

use serde_json::{Map, Value, json};

use super::known::Spelling;

/// A server found in a client's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The client's name for it.
    pub name: String,
    /// The program and its arguments, for a server the client starts.
    pub command: Option<String>,
    /// Arguments of the program.
    pub args: Vec<String>,
    /// Environment; may hold secrets.
    pub env: Vec<(String, String)>,
    /// Working directory.
    pub cwd: Option<String>,
    /// Address of a server reached over HTTP.
    pub url: Option<String>,
    /// HTTP headers; may hold secrets.
    pub headers: Vec<(String, String)>,
    /// `sse` where the client says so.
    pub sse: bool,
    /// Switched off in the client.
    pub disabled: bool,
    /// What Cella cannot take over as it is, for the user to see to.
    pub notes: Vec<String>,
}

/// Our own entry, as it is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The client starts `cella stdio`, which needs no token: the socket knows who connects.
    Stdio {
        /// Name or path of Cella's program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
    },
    /// The client connects to the node's URL with a token.
    Http {
        /// The node's address.
        url: String,
        /// What it is sent as a bearer token.
        token: String,
    },
}

// === impl Found ===

impl Found {
    /// Reads one server of a file, which may belong to a project's folder; `None` when it is neither a command nor an address (a client's built-in, for example).
    pub fn read(name: &str, value: &Value, spelling: Spelling, project: Option<&str>) -> Option<Self> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let list = |key: &str| -> Vec<String> {
            value[key].as_array().into_iter().flatten().filter_map(|v| Some(v.as_str()?.to_owned())).collect()
        };
        let mut found = Self {
            name: name.to_owned(),
            command: text("command"),
            args: list("args"),
            env: pairs(&value["env"]),
            cwd: text("cwd"),
            url: text("url").or_else(|| text("serverUrl")),
            headers: pairs(&value["headers"]),
            sse: value["type"] == "sse" || value["transport"] == "sse",
            disabled: value["disabled"] == true || value["enabled"] == false,
            notes: Vec::new(),
        };
        match spelling {
            Spelling::Common => {
                found.notes.extend(text("envFile").map(|file| {
                    format!("its envFile `{file}` is not read: write its variables in cella.toml")
                }))
            }
            Spelling::Gemini => {
                found.sse |= found.url.is_some();
                found.url = text("httpUrl").or(found.url);
                found.sse &= value["httpUrl"].is_null();
            }
            Spelling::OpenCode => {
                let mut line = list("command").into_iter();
                found.command = line.next();
                found.args = line.collect();
                found.env = pairs(&value["environment"]);
            }
            Spelling::Goose => {
                found.command = text("cmd");
                found.env = pairs(&value["envs"]);
                found.url = text("uri");
                for key in list("env_keys").into_iter().filter(|k| value["envs"][k].is_null()) {
                    found.notes.push(format!("Goose keeps {key} in its keyring: set {key} for the node"));
                    found.env.push((key.clone(), format!("env:{key}")));
                }
            }
            Spelling::Codex => found.headers = pairs(&value["http_headers"]),
        }
        found.translate(spelling, project);
        if spelling == Spelling::Codex {
            found.env.extend(list("env_vars").into_iter().map(|name| (name.clone(), format!("env:{name}"))));
            let named = pairs(&value["env_http_headers"]).into_iter();
            found.headers.extend(named.map(|(header, variable)| (header, format!("env:{variable}"))));
            let bearer = text("bearer_token_env_var").map(|variable| format!("Bearer ${{{variable}}}"));
            found.headers.extend(bearer.map(|value| ("Authorization".to_owned(), value)));
        }
        (found.command.is_some() || found.url.is_some()).then_some(found)
    }

    /// True when this entry is Cella itself, so that nobody imports a node into itself.
    pub fn is_cella(&self) -> bool {
        let program = self.command.as_deref().and_then(|c| c.rsplit('/').next());
        self.name == "cella" || (program == Some("cella") && self.args.first().is_some_and(|a| a == "stdio"))
    }
}

// === impl Entry ===

impl Entry {
    /// The entry in a client's spelling.
    pub fn spelled(&self, spelling: Spelling) -> Value {
        match (self, spelling) {
            (Self::Stdio { command, args }, Spelling::OpenCode) => {
                let line: Vec<&String> = std::iter::once(command).chain(args).collect();
                json!({ "type": "local", "command": line, "enabled": true })
            }
            (Self::Stdio { command, args }, Spelling::Goose) => json!({
                "type": "stdio", "name": "cella", "cmd": command, "args": args, "enabled": true, "timeout": 300,
            }),
            (Self::Stdio { command, args }, Spelling::Common) => {
                json!({ "type": "stdio", "command": command, "args": args })
            }
            (Self::Stdio { command, args }, _) => json!({ "command": command, "args": args }),
            (Self::Http { url, token }, spelling) => {
                let headers = json!({ "Authorization": format!("Bearer {token}") });
                match spelling {
                    Spelling::Common => json!({ "type": "http", "url": url, "headers": headers }),
                    Spelling::Gemini => json!({ "httpUrl": url, "headers": headers }),
                    Spelling::OpenCode => {
                        json!({ "type": "remote", "url": url, "headers": headers, "enabled": true })
                    }
                    Spelling::Goose => json!({
                        "type": "streamable_http", "name": "cella", "uri": url, "headers": headers, "enabled": true,
                        "timeout": 300,
                    }),
                    Spelling::Codex => json!({ "url": url, "http_headers": headers }),
                }
            }
        }
    }
}

fn pairs(value: &Value) -> Vec<(String, String)> {
    let empty = Map::new();
    let map = value.as_object().unwrap_or(&empty);
    let plain = |v: &Value| match v {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(v.to_string()),
        _ => None,
    };
    map.iter().filter_map(|(k, v)| Some((k.clone(), plain(v)?))).collect()
}
