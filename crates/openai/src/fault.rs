//! Why a client gets no answer, in the words of its own protocol.

use cella_agency::{AgentError, ApiError, NotAllowed};
use cella_dialogue::{Dialect, Failure, FailureClass};
use cella_kernel::{EndStatus, State};
use cella_model::NotCarried;
use cella_pursuit::{Broken, StartError};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::door::{Body, whole};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The request is wrong.
    #[error("CE1601: {}", .0.why)]
    Request(#[from] NotCarried),
    /// Nobody has that name.
    #[error(
        "CE1602: there is no model and no agent {name:?}: expected PROVIDER/MODEL with one of the providers {providers}, or one of the agents {agents}"
    )]
    NoSuchModel { name: String, providers: String, agents: String },
    /// An agent cannot do what the client wants of it.
    #[error("CE1603: {why}")]
    Agent { param: &'static str, why: String },
    /// There is nothing at that path.
    #[error(
        "CE1604: there is nothing at {method} {path}: see /v1/models, /v1/chat/completions, /v1/responses, /v1/embeddings, /v1/messages"
    )]
    NoSuchPath { method: String, path: String },
    /// An agent's file is wrong.
    #[error(transparent)]
    Unusable(#[from] AgentError),
    /// The run did not begin.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Whoever asks may not do it.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The run that this was to go on with cannot be had.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Its pursuit broke off.
    #[error("{0}")]
    Broken(#[from] Broken),
    /// The provider gave no answer.
    #[error("{}", .0.message)]
    Provider(Failure),
    /// The run ended without an answer, or waits.
    #[error("{code}: {why}")]
    Run { code: String, why: String },
}

/// What a protocol says about a fault.
struct Words {
    status: StatusCode,
    /// OpenAI's `type`.
    kind: &'static str,
    /// OpenAI's `code`.
    code: Option<String>,
    param: Option<String>,
    /// The same request may succeed a little later. The official clients try again by themselves, unless they are told not to.
    again: bool,
    retry_after_ms: Option<u64>,
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

// === impl Fault ===

impl Fault {
    /// The fault of a run that gave no answer.
    pub(crate) fn of_run(state: &State) -> Self {
        if let Some((code, why)) = state.pause() {
            let why = format!("{why}; go on with: cella resume {}", state.run());
            return Self::Run { code: code.to_owned(), why };
        }
        let ending = state.ending();
        let why =
            ending.and_then(|ending| ending.why.clone()).unwrap_or_else(|| "the run is not over".into());
        let cancelled = ending.is_some_and(|ending| ending.status == EndStatus::Cancelled);
        let code = ending.and_then(|ending| ending.code.clone());
        let code = code.unwrap_or_else(|| if cancelled { "cancelled" } else { "failed" }.to_owned());
        Self::Run { code, why }
    }

    /// The whole answer.
    pub(crate) fn response(&self, dialect: Dialect) -> Response<Body> {
        let words = self.words();
        let mut response = whole(words.status, &self.body(dialect, &words));
        let headers = response.headers_mut();
        let again = if words.again { "true" } else { "false" };
        headers.insert("x-should-retry", HeaderValue::from_static(again));
        if let Some(ms) = words.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1_000)));
        }
        response
    }

    /// The last event of a stream that broke off.
    pub(crate) fn event(&self, dialect: Dialect) -> String {
        let body = self.body(dialect, &self.words());
        match dialect {
            Dialect::Chat | Dialect::Embeddings => format!("data: {body}\n\n"),
            Dialect::Messages => format!("event: error\ndata: {body}\n\n"),
            Dialect::Responses => {
                let error = &body["error"];
                let event = json!({
                    "type": "error", "code": error["code"], "message": error["message"],
                    "param": error["param"], "sequence_number": 0,
                });
                format!("event: error\ndata: {event}\n\n")
            }
        }
    }

    fn body(&self, dialect: Dialect, words: &Words) -> Value {
        let message = self.to_string();
        if dialect == Dialect::Messages {
            let kind = match words.status.as_u16() {
                401 | 403 => "authentication_error",
                404 => "not_found_error",
                413 => "request_too_large",
                429 => "rate_limit_error",
                400..=499 => INVALID,
                503 | 529 => "overloaded_error",
                504 => "timeout_error",
                _ => "api_error",
            };
            return json!({ "type": "error", "error": { "type": kind, "message": message } });
        }
        let error =
            json!({ "message": message, "type": words.kind, "param": words.param, "code": words.code });
        json!({ "error": error })
    }

    fn words(&self) -> Words {
        let says = |status: StatusCode, kind, code: Option<&str>| Words {
            status,
            kind,
            code: code.map(str::to_owned),
            param: None,
            again: false,
            retry_after_ms: None,
        };
        match self {
            Self::Request(fault) => {
                Words { param: fault.param.clone(), ..says(StatusCode::BAD_REQUEST, INVALID, None) }
            }
            Self::NoSuchModel { .. } => Words {
                param: Some("model".into()),
                ..says(StatusCode::NOT_FOUND, INVALID, Some("model_not_found"))
            },
            Self::Agent { param, .. } => {
                Words { param: Some((*param).to_owned()), ..says(StatusCode::BAD_REQUEST, INVALID, None) }
            }
            Self::Api(ApiError::NotAllowed(_)) | Self::NotAllowed(_) => {
                says(StatusCode::FORBIDDEN, INVALID, Some("permission_denied"))
            }
            Self::Api(_) => says(StatusCode::NOT_FOUND, INVALID, Some("not_found")),
            Self::NoSuchPath { .. } => says(StatusCode::NOT_FOUND, INVALID, Some("unknown_url")),
            Self::Unusable(fault) => says(StatusCode::UNPROCESSABLE_ENTITY, SERVER, Some(fault.code())),
            Self::Start(StartError::Draining) | Self::Broken(Broken::Draining) => {
                Words { again: true, ..says(StatusCode::SERVICE_UNAVAILABLE, SERVER, Some("draining")) }
            }
            Self::Start(_) | Self::Broken(_) => says(StatusCode::INTERNAL_SERVER_ERROR, SERVER, None),
            Self::Provider(failure) => of_provider(failure),
            Self::Run { code, .. } => of_run(code),
        }
    }
}

fn of_provider(failure: &Failure) -> Words {
    use FailureClass as Class;
    let (status, kind, code) = match failure.class {
        Class::RateLimited => (429, "rate_limit_error", "rate_limit_exceeded"),
        Class::Quota | Class::OverBudget => (429, "insufficient_quota", "insufficient_quota"),
        Class::Overloaded => (503, SERVER, "server_overloaded"),
        Class::FirstToken | Class::Stalled => (504, SERVER, "timeout"),
        Class::NoSuchModel => (404, INVALID, "model_not_found"),
        Class::TooLong => (400, INVALID, "context_length_exceeded"),
        Class::BadRequest => (400, INVALID, "bad_request"),
        Class::Cancelled => (499, INVALID, "cancelled"),
        // It is the node's key that was refused, and the client has another.
        Class::Auth => (502, SERVER, "upstream_auth"),
        Class::Server | Class::Cut | Class::Malformed | Class::Unreachable => (502, SERVER, "upstream"),
    };
    Words {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY),
        kind,
        code: Some(code.to_owned()),
        param: None,
        again: failure.class.may_pass(),
        retry_after_ms: failure.retry_after_ms,
    }
}

fn of_run(code: &str) -> Words {
    let (status, kind, known) = match code {
        cella_kernel::codes::OVER_BUDGET => {
            (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", "insufficient_quota")
        }
        cella_kernel::codes::NO_MODEL => (StatusCode::SERVICE_UNAVAILABLE, SERVER, code),
        "cancelled" => (StatusCode::CONFLICT, SERVER, code),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, SERVER, code),
    };
    Words { status, kind, code: Some(known.to_owned()), param: None, again: false, retry_after_ms: None }
}
