//! Towards MCP servers.
