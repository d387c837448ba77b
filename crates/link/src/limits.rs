//! Limits on what a server may do to us. Each names its unit, the threat it stops, and what happens past it.

/// Bytes of response headers. Stops a server from filling memory before a body cap can apply; past it the answer is
/// Garbage (CE3023).
pub(super) const HEADERS_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an HTTP error body that are looked at for a JSON-RPC error. Stops a server from making us hold a page we
/// only quote; past it the body is ignored.
pub(super) const ERROR_BODY_BYTES_MAX: usize = 64 * 1024;
/// Characters of a server's own text that are quoted in a message of ours. Stops a server from flooding logs and the
/// model's context; past it the text is cut.
pub(super) const QUOTE_CHARS_MAX: usize = 200;
/// Connections kept open without a call, per link. Stops an idle node from holding sockets; past it they are closed. Fewer
/// than agents call at once would mean a new connection for every other call; unused ones close after seconds anyway.
pub(super) const IDLE_CONNECTIONS_MAX: usize = 256;
/// Calls in flight, per link. Stops a flood of callers from filling the tables; past it a call is refused (CE3032).
pub(super) const CALLS_MAX: usize = 4096;
/// Questions of a server that wait for an answer within one call. Stops a server from burying a user in questions; past
/// it the server gets an error.
pub(super) const ASKS_MAX: usize = 16;
/// Lines in a row that are no messages. Stops a server that prints something else for ever from costing CPU; past it
/// the link is closed as Garbage (CE3023).
pub(super) const NOISE_LINES_MAX: u32 = 10_000;
/// Changes that wait for the owner of the link. Log lines and updates past it are dropped and counted; the fact that a
/// list changed is never dropped.
pub(super) const EVENTS_WAITING_MAX: usize = 1024;
/// Reconnections of one broken stream without a message in between. Stops a server that closes every stream at once from
/// being asked for ever; past it the call has Crashed (CE3020).
pub(super) const RESUMES_MAX: u32 = 8;
/// Milliseconds that a server may make us wait before a reconnection (`retry`). Stops a server from parking a call for
/// days; past it this much is waited.
pub(super) const RETRY_MS_MAX: u64 = 60_000;
/// Bytes of an event id that are kept for resumption. Stops ids from being used as storage; past it the stream cannot
/// be resumed.
pub(super) const EVENT_ID_BYTES_MAX: usize = 1024;
/// Bytes of a session id. Same threat; past it the handshake fails as Garbage (CE3005).
pub(super) const SESSION_ID_BYTES_MAX: usize = 1024;
/// Resources watched per link. Stops clients from filling the table through us; past it a watch is refused (CE3034).
pub(super) const WATCHED_MAX: usize = 4096;
/// Calls that wait for their turn, per link. Stops a server that asks, and clients that do not answer, from collecting
/// callers; past it a call is refused (CE3037).
pub(super) const TURNS_WAITING_MAX: usize = 256;
/// Questions that are held, per link, until it is clear whose they are. Stops a server from storing questions with us;
/// past it the server gets an error.
pub(super) const HELD_MAX: usize = 256;
/// How long a question is held. Servers give their questions a minute; past it the server gets an error.
pub(super) const QUESTION_HELD: std::time::Duration = std::time::Duration::from_secs(45);
/// Cancelled calls that are remembered for the questions they may still ask. Stops a flood of cancellations from filling
/// memory; past it the oldest are forgotten.
pub(super) const CANCELLED_MAX: usize = 256;
/// Tools that are remembered to answer without asking, per link. Stops callers that make up names from filling memory;
/// past it all are tried again.
pub(super) const TRIED_MAX: usize = 4096;
