//! Which door does a path lead to? A pure function, so that paths stay in one place.

use cella_transport::Scope;

/// Where a request is headed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The MCP endpoint of a scope.
    Mcp(Scope),
    /// The stream of the HTTP+SSE transport of 2024-11-05.
    OldStream(Scope),
    /// The POST endpoint that goes with it; the session tells the scope.
    OldPost,
    /// Not ours: the service's own paths.
    Other,
}

/// The POST endpoint of the old transport, announced in its `endpoint` event.
pub(super) const OLD_POST: &str = "/messages";

/// Decides by the path alone. Names are one segment of unreserved characters, so that nothing needs decoding.
pub(super) fn route(path: &str) -> Route {
    match path {
        "/mcp" | "/mcp/" => return Route::Mcp(Scope::All),
        "/sse" | "/mcp/sse" => return Route::OldStream(Scope::All),
        OLD_POST => return Route::OldPost,
        _ => {}
    }
    let (scope, rest): (fn(Box<str>) -> Scope, &str) =
        if let Some(rest) = path.strip_prefix("/mcp/servers/").or_else(|| path.strip_prefix("/servers/")) {
            (Scope::Server, rest)
        } else if let Some(rest) = path.strip_prefix("/mcp/views/").or_else(|| path.strip_prefix("/views/")) {
            (Scope::View, rest)
        } else {
            return Route::Other;
        };
    let (name, tail) = rest.split_once('/').unwrap_or((rest, ""));
    match tail {
        _ if !is_name(name) => Route::Other,
        "" if path.starts_with("/mcp/") => Route::Mcp(scope(name.into())),
        "sse" => Route::OldStream(scope(name.into())),
        _ => Route::Other,
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcp_paths_lead_to_their_scopes() {
        assert_eq!(route("/mcp"), Route::Mcp(Scope::All));
        assert_eq!(route("/mcp/servers/git"), Route::Mcp(Scope::Server("git".into())));
        assert_eq!(route("/mcp/views/ops.read/"), Route::Mcp(Scope::View("ops.read".into())));
        assert_eq!(route("/sse"), Route::OldStream(Scope::All));
        assert_eq!(route("/servers/git/sse"), Route::OldStream(Scope::Server("git".into())));
        assert_eq!(route("/messages"), Route::OldPost);
    }

    #[test]
    fn anything_else_is_the_services_own() {
        for path in [
            "/",
            "",
            "/livez",
            "/mcp/servers/",
            "/mcp/servers/a/b",
            "/mcp/servers/%2e",
            "/servers/git",
            "/mcpx",
        ] {
            assert_eq!(route(path), Route::Other, "{path}");
        }
    }
}
