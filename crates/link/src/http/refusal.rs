//! What an HTTP status other than success means.

use cella_mcp::{Era, Message, Response as RpcResponse, RpcError, codes, modern};
use http::{HeaderMap, StatusCode, header::LOCATION};

use crate::{Challenge, LinkError, LinkOptions, error};
use cella_transport::Failure;

/// A response without success.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The JSON-RPC error in its body.
    pub(crate) error: Option<RpcError>,
    challenge: Challenge,
    location: Option<String>,
    said: String,
}

/// What to do about a refusal of a call.
#[derive(Debug)]
pub(super) enum Meaning {
    /// It is the server's answer.
    Answer(RpcError),
    /// The headers did not fit the tool as the server has it now.
    StaleHeaders,
    /// The server has forgotten us or speaks another era now; the request was not processed.
    Negotiate,
    /// Perhaps it has, or it only dislikes this request: a sign of life tells. Many servers answer a session that they
    /// have forgotten with 400 and a code of their own.
    Doubt,
    /// Credentials are missing.
    Auth,
    /// Nothing that could be mended.
    Final,
}

impl Refusal {
    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8], options: &LinkOptions) -> Self {
        let error = match Message::parse(body, &options.limits.message) {
            Ok(Message::Response(RpcResponse { outcome: Err(error), .. })) => Some(error),
            _ => None,
        };
        let text = String::from_utf8_lossy(body.get(..1024).unwrap_or(body));
        let said = match &error {
            Some(error) => error::quote(&error.message),
            None => error::quote(text.trim()),
        };
        let location = headers.get(LOCATION).and_then(|l| l.to_str().ok());
        Self {
            status,
            error,
            challenge: Challenge::read(status, headers),
            location: location.map(|l| error::quote(l.split('?').next().unwrap_or(l))),
            said,
        }
    }

    /// True when the server wants credentials: a 403 without a challenge is some other prohibition.
    pub(crate) fn is_auth(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
            || (self.status == StatusCode::FORBIDDEN && !self.challenge.scheme.is_empty())
    }

    pub(crate) fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// What it means for a call. `session`: a session id was sent along.
    pub(super) fn meaning(&self, era: Era, session: bool) -> Meaning {
        if self.is_auth() {
            return Meaning::Auth;
        }
        let lost = self.status == StatusCode::NOT_FOUND;
        let doubtful = matches!(self.status.as_u16(), 400 | 404 | 405);
        match (&self.error, era) {
            (None, Era::Legacy) if session && lost => Meaning::Negotiate,
            (None, _) if doubtful => Meaning::Doubt,
            (None, _) => Meaning::Final,
            (Some(error), Era::Legacy) if session && lost && !is_settled(error.code) => Meaning::Negotiate,
            (Some(error), Era::Legacy) if modern::is_modern_error(error.code) => Meaning::Negotiate,
            (Some(error), Era::Modern) if error.code == codes::UNSUPPORTED_PROTOCOL_VERSION => {
                Meaning::Negotiate
            }
            (Some(error), Era::Modern) if error.code == codes::HEADER_MISMATCH => Meaning::StaleHeaders,
            (Some(error), _) if doubtful && !is_settled(error.code) => Meaning::Doubt,
            (Some(error), _) => Meaning::Answer(error.clone()),
        }
    }

    /// The failure of a call that nothing can mend.
    pub(super) fn to_failure(&self) -> Failure {
        if let Some(error) = &self.error {
            return Failure::Peer(error.clone());
        }
        Failure::Fault(match &self.location {
            Some(to) if self.status.is_redirection() => LinkError::Redirected { to: to.clone() }.into_fault(),
            _ if self.is_auth() => error::auth_required(&self.challenge),
            _ => error::status(self.status.as_u16(), &self.said()),
        })
    }

    /// The failure of an opening.
    pub(crate) fn to_error(&self, what: &'static str) -> LinkError {
        if self.is_auth() {
            return LinkError::AuthRequired { challenge: Box::new(self.challenge.clone()) };
        }
        match (&self.location, &self.error) {
            (Some(to), _) if self.status.is_redirection() => LinkError::Redirected { to: to.clone() },
            (_, Some(error)) => LinkError::Refused { what, error: error.clone() },
            _ => LinkError::Status { what, status: self.status.as_u16(), said: self.said() },
        }
    }

    fn said(&self) -> String {
        if self.said.is_empty() { String::new() } else { format!(": {}", self.said) }
    }
}

/// Codes that say what is wrong with this one request, whatever era the server speaks.
const fn is_settled(code: i64) -> bool {
    matches!(code, codes::METHOD_NOT_FOUND | codes::INVALID_PARAMS | codes::INTERNAL_ERROR)
        || modern::is_modern_error(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        let status = StatusCode::from_u16(status).unwrap();
        Refusal::read(status, &HeaderMap::new(), body.as_bytes(), &LinkOptions::new("s"))
    }

    fn rpc(code: i64) -> String {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{{\"code\":{code},\"message\":\"m\"}}}}")
    }

    #[test]
    fn lost_sessions_and_changed_eras_are_negotiated_again() {
        for (status, body, era) in [
            (404, rpc(-32001), Era::Legacy),
            (404, String::new(), Era::Legacy),
            (400, rpc(-32020), Era::Legacy),
            (400, rpc(-32022), Era::Legacy),
            (400, rpc(-32022), Era::Modern),
        ] {
            let meaning = refusal(status, &body).meaning(era, true);
            assert!(matches!(meaning, Meaning::Negotiate), "{status} {body} {era:?} {meaning:?}");
        }
    }

    #[test]
    fn what_may_be_a_lost_session_or_one_bad_request_is_looked_into_first() {
        for (status, body, era, session) in [
            (400, rpc(-32000), Era::Legacy, true),
            (400, "no".into(), Era::Legacy, true),
            (404, String::new(), Era::Legacy, false),
            (400, rpc(-32000), Era::Modern, false),
            (405, "no".into(), Era::Modern, false),
        ] {
            let meaning = refusal(status, &body).meaning(era, session);
            assert!(matches!(meaning, Meaning::Doubt), "{status} {body} {era:?} {meaning:?}");
        }
    }

    #[test]
    fn answers_of_the_server_pass() {
        for (status, code, era) in [
            (404, -32601, Era::Modern),
            (404, -32601, Era::Legacy),
            (400, -32602, Era::Modern),
            (400, -32021, Era::Modern),
            (500, -32603, Era::Legacy),
            (400, -32602, Era::Legacy),
        ] {
            let meaning = refusal(status, &rpc(code)).meaning(era, true);
            assert!(matches!(meaning, Meaning::Answer(e) if e.code == code), "{status} {code}");
        }
        assert!(matches!(refusal(400, &rpc(-32020)).meaning(Era::Modern, false), Meaning::StaleHeaders));
        assert!(matches!(refusal(401, "").meaning(Era::Modern, false), Meaning::Auth));
        assert!(matches!(refusal(403, "").meaning(Era::Modern, false), Meaning::Final));
        assert!(matches!(refusal(503, "<html>").meaning(Era::Legacy, true), Meaning::Final));
    }
}
