//! The codes a door gives to its refusals, each with a page in `docs/errors`.

/// The `Host` name is not one of this node's.
pub(super) const HOST: &str = "CE3050";
/// The `Origin` may not use this node.
pub(super) const ORIGIN: &str = "CE3051";
/// The body is too large.
pub(super) const BODY_TOO_LARGE: &str = "CE3052";
/// The body did not arrive, or not in time.
pub(super) const BODY_UNREAD: &str = "CE3053";
/// The body is not declared as JSON.
pub(super) const NOT_JSON: &str = "CE3054";
/// `Accept` allows nothing that could be sent.
pub(super) const NOT_ACCEPTABLE: &str = "CE3055";
/// There is no such server or view.
pub(super) const NO_SUCH_ENDPOINT: &str = "CE3056";
/// The named protocol revision is not spoken here.
pub(super) const REVISION: &str = "CE3057";
/// The request belongs to no session and names no revision.
pub(super) const NO_SESSION: &str = "CE3058";
/// The session is unknown or has ended.
pub(super) const SESSION_GONE: &str = "CE3059";
/// Too many sessions are open.
pub(super) const TOO_MANY_SESSIONS: &str = "CE3060";
/// Too many calls wait for answers of their clients.
pub(super) const TOO_MANY_PARKED: &str = "CE3061";
/// The request state is not valid.
pub(super) const REQUEST_STATE: &str = "CE3062";
/// The client cannot be asked what the server wants to ask.
pub(super) const CANNOT_ASK: &str = "CE3064";
/// A call asks too much.
pub(super) const TOO_MANY_QUESTIONS: &str = "CE3065";
/// The client did not answer a question in time.
pub(super) const NO_ANSWER: &str = "CE3066";
/// Too many requests or streams are in progress.
pub(super) const TOO_MANY_CALLS: &str = "CE3067";
/// The request id is in use.
pub(super) const ID_IN_USE: &str = "CE3068";
/// The node is shutting down.
pub(super) const DRAINING: &str = "CE3069";
/// The service did not admit the request.
pub(super) const NOT_ADMITTED: &str = "CE3070";
/// A resource cannot be watched, or too many are.
pub(super) const CANNOT_WATCH: &str = "CE3071";
/// A request was asked for more after its end: a fault of ours.
pub(super) const AFTER_THE_END: &str = "CE3072";
