//! Tool parameters that a modern client mirrors into `Mcp-Param-*` headers (2026-07-28, transports, `x-mcp-header`).

/// The mirrored parameters of one tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderParams {
    /// Each with its header name (without `Mcp-Param-`) and the path of property names in `arguments`.
    pub params: Vec<HeaderParam>,
}

/// One mirrored parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderParam {
    /// The header's name without the `Mcp-Param-` prefix, as the schema spells it.
    pub header: Box<str>,
    /// Property names from `arguments` down.
    pub path: Vec<Box<str>>,
}
