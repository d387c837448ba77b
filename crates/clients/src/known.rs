//! The clients Cella knows, and where each keeps its servers.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// A client program.
#[derive(Debug)]
pub struct Client {
    /// What the user types, for example `claude-code`.
    pub id: &'static str,
    /// What the user calls it.
    pub title: &'static str,
    /// How the file is written.
    pub format: Format,
    /// The key of the map of servers, from the top.
    pub key: &'static [&'static str],
    /// How one server is spelled.
    pub spelling: Spelling,
    /// Only programs it starts itself, no URLs.
    pub stdio_only: bool,
    /// Files relative to the home directory, the first of which is written when none exists.
    home_files: &'static [&'static str],
    /// Files relative to the project (read by import, never written).
    project_files: &'static [&'static str],
}

/// Syntax of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, with or without comments.
    Json,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

/// How a client spells one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `command`, `args`, `env`, `url`, `headers`, `type`: most clients.
    Common,
    /// Gemini CLI: `httpUrl` for Streamable HTTP, `url` for SSE.
    Gemini,
    /// OpenCode: `type: local|remote`, `command` is the whole line, `environment`.
    OpenCode,
    /// Goose: `cmd`, `args`, `envs`, `uri`, `type: stdio|streamable_http|sse`.
    Goose,
    /// Codex: as common, with `http_headers`.
    Codex,
}

/// Every client Cella can import from and set up.
pub static KNOWN: [Client; 9] = [
    Client {
        id: "claude-code",
        title: "Claude Code",
        format: Format::Json,
        key: &["mcpServers"],
        spelling: Spelling::Common,
        stdio_only: false,
        home_files: &[".claude.json"],
        project_files: &[".mcp.json"],
    },
    Client {
        id: "claude-desktop",
        title: "Claude Desktop",
        format: Format::Json,
        key: &["mcpServers"],
        spelling: Spelling::Common,
        stdio_only: true,
        home_files: &[
            ".config/Claude/claude_desktop_config.json",
            "Library/Application Support/Claude/claude_desktop_config.json",
        ],
        project_files: &[],
    },
    Client {
        id: "cursor",
        title: "Cursor",
        format: Format::Json,
        key: &["mcpServers"],
        spelling: Spelling::Common,
        stdio_only: false,
        home_files: &[".cursor/mcp.json"],
        project_files: &[".cursor/mcp.json"],
    },
    Client {
        id: "vscode",
        title: "VS Code",
        format: Format::Json,
        key: &["servers"],
        spelling: Spelling::Common,
        stdio_only: false,
        home_files: &[".config/Code/User/mcp.json", "Library/Application Support/Code/User/mcp.json"],
        project_files: &[".vscode/mcp.json"],
    },
    Client {
        id: "codex",
        title: "Codex",
        format: Format::Toml,
        key: &["mcp_servers"],
        spelling: Spelling::Codex,
        stdio_only: false,
        home_files: &[".codex/config.toml"],
        project_files: &[".codex/config.toml"],
    },
    Client {
        id: "gemini",
        title: "Gemini CLI",
        format: Format::Json,
        key: &["mcpServers"],
        spelling: Spelling::Gemini,
        stdio_only: false,
        home_files: &[".gemini/settings.json"],
        project_files: &[".gemini/settings.json"],
    },
    Client {
        id: "goose",
        title: "Goose",
        format: Format::Yaml,
        key: &["extensions"],
        spelling: Spelling::Goose,
        stdio_only: false,
        home_files: &[".config/goose/config.yaml"],
        project_files: &[],
    },
    Client {
        id: "opencode",
        title: "OpenCode",
        format: Format::Json,
        key: &["mcp"],
        spelling: Spelling::OpenCode,
        stdio_only: false,
        home_files: &[".config/opencode/opencode.json", ".config/opencode/opencode.jsonc"],
        project_files: &["opencode.json", "opencode.jsonc"],
    },
    Client {
        id: "windsurf",
        title: "Windsurf",
        format: Format::Json,
        key: &["mcpServers"],
        spelling: Spelling::Common,
        stdio_only: false,
        home_files: &[".codeium/windsurf/mcp_config.json"],
        project_files: &[],
    },
];

/// The client of that id.
pub fn find(id: &str) -> Option<&'static Client> {
    KNOWN.iter().find(|c| c.id == id)
}

// === impl Client ===

impl Client {
    /// The file of this user that exists, or the one that would be made; `CODEX_HOME` and the like are honoured.
    pub fn file(&self, home: &Path, var: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
        if self.id == "codex"
            && let Some(dir) = var("CODEX_HOME")
        {
            return PathBuf::from(dir).join("config.toml");
        }
        if self.id == "claude-code"
            && let Some(dir) = var("CLAUDE_CONFIG_DIR")
        {
            return PathBuf::from(dir).join(".claude.json");
        }
        let all: Vec<PathBuf> = self.home_files.iter().map(|f| home.join(f)).collect();
        all.iter().find(|f| f.exists()).unwrap_or(&all[0]).clone()
    }

    /// True when this client was ever used here: its file or its directory exists.
    pub fn is_present(&self, home: &Path, var: &dyn Fn(&str) -> Option<OsString>) -> bool {
        let file = self.file(home, var);
        file.exists() || file.parent().is_some_and(|dir| dir != home && dir.exists())
    }

    /// Files of a project that may name servers.
    pub fn project_files(&self, project: &Path) -> Vec<PathBuf> {
        self.project_files.iter().map(|f| project.join(f)).collect()
    }
}
