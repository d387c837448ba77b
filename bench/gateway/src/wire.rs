//! The requests of both eras, as bytes.

/// The revision a legacy client names.
pub const LEGACY: &str = "2025-11-25";
/// The revision a modern client names.
pub const MODERN: &str = "2026-07-28";

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// Handshake and session.
    Legacy,
    /// Every request stands alone.
    Modern,
}

impl Era {
    /// Both, in the order in which they are reported.
    pub const ALL: [Self; 2] = [Self::Legacy, Self::Modern];

    /// Its name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }

    /// The revision in the `MCP-Protocol-Version` header.
    #[must_use]
    pub fn revision(self) -> &'static str {
        match self {
            Self::Legacy => LEGACY,
            Self::Modern => MODERN,
        }
    }

    /// A call of the echo tool.
    #[must_use]
    pub fn call(self, id: u64, tool: &str, text: &str) -> String {
        let params = format!("\"name\":\"{tool}\",\"arguments\":{{\"text\":\"{text}\"}}");
        self.request(id, "tools/call", &params)
    }

    /// A request for the tool list.
    #[must_use]
    pub fn list(self, id: u64) -> String {
        self.request(id, "tools/list", "")
    }

    fn request(self, id: u64, method: &str, params: &str) -> String {
        let meta = match self {
            Self::Legacy => String::new(),
            Self::Modern => format!(
                "{}\"_meta\":{{\"io.modelcontextprotocol/protocolVersion\":\"{MODERN}\",\
                 \"io.modelcontextprotocol/clientInfo\":{{\"name\":\"bench\",\"version\":\"1\"}},\
                 \"io.modelcontextprotocol/clientCapabilities\":{{}}}}",
                if params.is_empty() { "" } else { "," }
            ),
        };
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{{{params}{meta}}}}}")
    }

    /// The handshake.
    #[must_use]
    pub fn initialize() -> String {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{{\"protocolVersion\":\"{LEGACY}\",\
             \"capabilities\":{{}},\"clientInfo\":{{\"name\":\"bench\",\"version\":\"1\"}}}}}}"
        )
    }

    /// The end of the handshake.
    pub const INITIALIZED: &'static str = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
}
