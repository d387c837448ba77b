//! Who is asking? The kernel's word on a unix socket, a token on TCP; nobody is anonymous.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;

use http::{StatusCode, header::AUTHORIZATION, request::Parts};
use sha2::{Digest, Sha256};

use cella_transport::{Peer, Refusal};

/// Paths that say nothing but that the node lives; open so that a supervisor needs no secret.
pub const PUBLIC: [&str; 4] = ["/livez", "/readyz", "/healthz", "/version"];

/// Where clients of Anthropic's interface put a token.
const API_KEY: &str = "x-api-key";

/// Decides who may enter.
#[derive(Debug)]
pub struct Doorkeeper {
    /// Only a digest is held, so that neither a memory dump nor a timing difference gives the token away.
    token: [u8; 32],
    own_uid: u32,
    by_token: Arc<str>,
    local: Arc<str>,
    public: Arc<str>,
    others: Tokens,
}

/// The tokens of principals, by their digests. Cheap to clone; a clone has the same.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Arc<ArcSwap<HashMap<[u8; 32], Arc<str>>>>);

/// Shortest token of a principal, in characters: 128 bits in hexadecimal. Stops one that can be guessed.
pub const TOKEN_CHARS_MIN: usize = 32;

// === impl Tokens ===

impl Tokens {
    /// Takes these tokens, each with the principal that it lets in, instead of those before.
    pub fn set(&self, tokens: impl IntoIterator<Item = (String, String)>) {
        let digest = |(token, principal): (String, String)| {
            (Sha256::digest(token.as_bytes()).into(), principal.into())
        };
        self.0.store(Arc::new(tokens.into_iter().map(digest).collect()));
    }

    fn of(&self, digest: &[u8; 32]) -> Option<Arc<str>> {
        self.0.load().get(digest).cloned()
    }
}

// === impl Doorkeeper ===

impl Doorkeeper {
    /// For the user this process runs as, and holders of `token`.
    #[must_use]
    pub fn new(token: &str, own_uid: u32) -> Self {
        Self {
            token: Sha256::digest(token.as_bytes()).into(),
            own_uid,
            by_token: "token:default".into(),
            local: format!("local:uid={own_uid}").into(),
            public: "public".into(),
            others: Tokens::default(),
        }
    }

    /// The tokens of principals, to be filled.
    #[must_use]
    pub const fn tokens(&self) -> &Tokens {
        &self.others
    }

    /// The principal of the user this process runs as.
    #[must_use]
    pub fn local(&self) -> Arc<str> {
        self.local.clone()
    }

    /// The principal behind a request.
    ///
    /// # Errors
    /// 401 or 403, with a sentence for the client's user.
    pub fn admit(&self, head: &Parts, peer: &Peer) -> Result<Arc<str>, Refusal> {
        match peer {
            Peer::Stdio => Ok(self.local.clone()),
            Peer::Unix { uid, .. } if *uid == self.own_uid => Ok(self.local.clone()),
            Peer::Unix { uid: 0, .. } => Ok("local:uid=0".into()),
            Peer::Unix { uid, .. } => Err(Refusal {
                status: StatusCode::FORBIDDEN,
                challenge: None,
                message: format!(
                    "this node belongs to uid {}; uid {uid} may not use its socket",
                    self.own_uid
                ),
            }),
            Peer::Tcp(_) if PUBLIC.contains(&head.uri.path()) => Ok(self.public.clone()),
            Peer::Tcp(_) => self.check_token(head),
        }
    }

    fn check_token(&self, head: &Parts) -> Result<Arc<str>, Refusal> {
        let refused = |message: &str, error: &str| Refusal {
            status: StatusCode::UNAUTHORIZED,
            challenge: Some(format!("Bearer realm=\"cella\"{error}")),
            message: message.to_owned(),
        };
        let mut values = head.headers.get_all(AUTHORIZATION).iter();
        let given = match (values.next(), values.next(), head.headers.get(API_KEY)) {
            // Anthropic's clients know no other place for it.
            (None, _, Some(key)) => key.to_str().unwrap_or_default().trim(),
            (Some(value), None, _) => match value.to_str().unwrap_or_default().split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
                _ => return Err(refused("only `Authorization: Bearer TOKEN` is understood", "")),
            },
            _ => {
                return Err(refused(
                    "a token is needed: Authorization: Bearer TOKEN; `cella config path` says where it is",
                    "",
                ));
            }
        };
        let digest: [u8; 32] = Sha256::digest(given.as_bytes()).into();
        if digest == self.token {
            Ok(self.by_token.clone())
        } else if let Some(principal) = self.others.of(&digest) {
            Ok(principal)
        } else {
            Err(refused("the token is not this node's", ", error=\"invalid_token\""))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(path: &str, token: Option<&str>) -> Parts {
        let mut request = http::Request::get(path);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn tcp() -> Peer {
        Peer::Tcp(([127, 0, 0, 1], 1).into())
    }

    #[test]
    fn tcp_needs_the_token_and_a_socket_the_user() {
        let door = Doorkeeper::new("s3cret", 1000);
        assert_eq!(&*door.admit(&head("/mcp", Some("Bearer s3cret")), &tcp()).expect("in"), "token:default");
        for wrong in [None, Some("Bearer s3cre"), Some("Basic s3cret"), Some("Bearer ")] {
            assert_eq!(
                door.admit(&head("/mcp", wrong), &tcp()).expect_err("out").status,
                StatusCode::UNAUTHORIZED
            );
        }
        let mut by_key = head("/v1/messages", None);
        by_key.headers.insert(API_KEY, "s3cret".parse().expect("a value"));
        assert_eq!(&*door.admit(&by_key, &tcp()).expect("in"), "token:default");
        let unix = |uid| Peer::Unix { pid: None, uid };
        assert_eq!(&*door.admit(&head("/mcp", None), &unix(1000)).expect("in"), "local:uid=1000");
        assert_eq!(
            door.admit(&head("/mcp", None), &unix(1001)).expect_err("out").status,
            StatusCode::FORBIDDEN
        );
    }

    #[test]
    fn a_principal_comes_in_by_its_own_token_until_it_is_taken_away() {
        let door = Doorkeeper::new("s3cret", 1000);
        let by = |token: &str| door.admit(&head("/mcp", Some(&format!("Bearer {token}"))), &tcp());
        assert!(by("other").is_err());
        door.tokens().set([("other".to_owned(), "principal:ci".to_owned())]);
        assert_eq!(&*by("other").expect("in"), "principal:ci");
        assert_eq!(&*by("s3cret").expect("in"), "token:default");
        door.tokens().set([]);
        assert!(by("other").is_err());
    }

    #[test]
    fn liveness_is_public_and_metrics_are_not() {
        let door = Doorkeeper::new("s3cret", 1000);
        assert_eq!(&*door.admit(&head("/livez", None), &tcp()).expect("in"), "public");
        assert!(door.admit(&head("/metrics", None), &tcp()).is_err());
        assert!(door.admit(&head("/mcp?token=s3cret", None), &tcp()).is_err());
    }
}
