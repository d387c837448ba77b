//! Every reason for which a placeholder stays a placeholder and the request goes nowhere.

use crate::{Ambiguity, SigV4Refusal};

/// A placeholder at a place where its secret has no business. Names what was expected and what came; never a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// There is no TLS, so nobody proved to be the host.
    #[error("the secret `{secret}` may only travel over TLS")]
    NoTls {
        /// The secret.
        secret: String,
    },
    /// The request goes to a host that the binding does not name.
    #[error("the secret `{secret}` is bound to {}, not to {got}", list(expected))]
    Host {
        /// The secret.
        secret: String,
        /// Hosts of the binding.
        expected: Vec<String>,
        /// Server name that the cell asked for.
        got: String,
    },
    /// The connection's address is not one that the host resolved to.
    #[error("the address behind {host} was not vetted for it, so the secret `{secret}` stays here")]
    Address {
        /// The secret.
        secret: String,
        /// Server name.
        host: String,
    },
    /// The server did not prove to be the host.
    #[error(
        "the server at {host} has no valid certificate for this name, so the secret `{secret}` stays here"
    )]
    Certificate {
        /// The secret.
        secret: String,
        /// Server name.
        host: String,
    },
    /// `Host` or `:authority` says something else than the server name.
    #[error(
        "the request is addressed to {got} over a connection to {expected}; the secret `{secret}` stays here"
    )]
    Authority {
        /// The secret.
        secret: String,
        /// Server name.
        expected: String,
        /// What the request says.
        got: String,
    },
    /// The binding does not name the method.
    #[error("the secret `{secret}` is bound to {}, not to {got}", list(expected))]
    Method {
        /// The secret.
        secret: String,
        /// Methods of the binding.
        expected: Vec<String>,
        /// Method of the request.
        got: String,
    },
    /// No pattern of the binding fits the path.
    #[error("the secret `{secret}` is bound to the paths {}, not to {got}", list(expected))]
    Path {
        /// The secret.
        secret: String,
        /// Patterns of the binding.
        expected: Vec<String>,
        /// Path of the request, normalised, perhaps cut.
        got: String,
    },
    /// The path could be read in two ways.
    #[error("the path {got} is ambiguous: {why}; the secret `{secret}` stays here")]
    AmbiguousPath {
        /// The secret.
        secret: String,
        /// Path of the request, perhaps cut.
        got: String,
        /// What is wrong with it.
        why: Ambiguity,
    },
    /// The placeholder stands where the binding does not allow it.
    #[error("the secret `{secret}` may stand in {}, not in {got}", list(expected))]
    Place {
        /// The secret.
        secret: String,
        /// Places of the binding.
        expected: Vec<String>,
        /// Where it stands.
        got: String,
    },
    /// The placeholder of another cell.
    #[error("a placeholder of another cell stands in {got}")]
    Foreign {
        /// The cell it was made for.
        owner: String,
        /// Where it stands.
        got: String,
    },
    /// The placeholder is written in another way than the place demands.
    #[error("the placeholder of `{secret}` stands in {got} as {form}; it must stand there as it was given")]
    Encoded {
        /// The secret.
        secret: String,
        /// Where it stands.
        got: String,
        /// How it is written.
        form: &'static str,
    },
    /// A compressed body towards a host with a binding: nobody can look into it on the way.
    #[error(
        "the body is encoded as {got}; towards {host}, to which secrets are bound, it must not be encoded"
    )]
    EncodedBody {
        /// Server name.
        host: String,
        /// `Content-Encoding` of the request.
        got: String,
    },
    /// The value has bytes that this place cannot hold.
    #[error(
        "the value of the secret `{secret}` cannot stand in {got}: it has bytes that do not belong there"
    )]
    Unfit {
        /// The secret.
        secret: String,
        /// Where it should stand.
        got: String,
    },
    /// A request for AWS could not be signed.
    #[error("the request could not be signed with `{secret}`: {why}")]
    SigV4 {
        /// The secret.
        secret: String,
        /// Why.
        why: SigV4Refusal,
    },
}

// === impl Violation ===

impl Violation {
    /// The stable code, with a page in `docs/errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Host { .. } | Self::NoTls { .. } => "CE2331",
            Self::Address { .. } => "CE2332",
            Self::Certificate { .. } => "CE2333",
            Self::Authority { .. } => "CE2334",
            Self::Method { .. } => "CE2335",
            Self::Path { .. } => "CE2336",
            Self::AmbiguousPath { .. } => "CE2337",
            Self::Place { .. } => "CE2338",
            Self::Foreign { .. } => "CE2339",
            Self::Encoded { .. } => "CE2340",
            Self::EncodedBody { .. } => "CE2341",
            Self::Unfit { .. } => "CE2342",
            Self::SigV4 { why, .. } => why.code(),
        }
    }

    /// The secret meant, where it is one of this cell.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::NoTls { secret }
            | Self::Host { secret, .. }
            | Self::Address { secret, .. }
            | Self::Certificate { secret, .. }
            | Self::Authority { secret, .. }
            | Self::Method { secret, .. }
            | Self::Path { secret, .. }
            | Self::AmbiguousPath { secret, .. }
            | Self::Place { secret, .. }
            | Self::Encoded { secret, .. }
            | Self::Unfit { secret, .. }
            | Self::SigV4 { secret, .. } => Some(secret),
            Self::Foreign { .. } | Self::EncodedBody { .. } => None,
        }
    }
}

fn list(words: &[String]) -> String {
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}
