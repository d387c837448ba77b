//! Every limit of a door: its unit, the threat it stops, and what the peer sees past it.

use std::time::Duration;

/// Bytes of one request body. Stops memory exhaustion by one POST; past it the peer gets 413 (CE3052).
pub const BODY_MAX: usize = 8 * 1024 * 1024;
/// Bytes of one line on stdio. Same threat as [`BODY_MAX`]; past it the line is answered with -32600 and skipped.
pub const LINE_MAX: usize = BODY_MAX;
/// Time for a whole request body. Stops slow-body attacks; past it the peer gets 408 (CE3053).
pub const BODY_READ_MAX: Duration = Duration::from_secs(30);
/// Bytes of a request head. Stops header floods; past it the peer gets 431 and the connection is closed.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Header fields of a request. Stops header floods; past it the peer gets 431 and the connection is closed.
pub const HEAD_FIELDS_MAX: usize = 100;
/// Time from the first byte of a request head to its end. Stops slow-header attacks; past it the connection is closed.
pub const HEAD_READ_MAX: Duration = Duration::from_secs(15);
/// Time a kept-alive connection may wait for its next request. Frees descriptors of clients that are gone; past it the
/// connection is closed. Longer than the pools of common clients keep a connection, so that they close first.
pub const IDLE_MAX: Duration = Duration::from_secs(180);
/// Time a connection may take none of the bytes that wait for it. Stops readers that hold memory by not reading; past
/// it the connection is closed.
pub const WRITE_STALL_MAX: Duration = Duration::from_secs(30);
/// How often connections are looked at for the three times above, which are thereby exact to one such step.
pub const TICK: Duration = Duration::from_secs(5);
/// Bytes hyper may hold per connection and direction. Bounds memory per connection; no peer ever sees it.
pub const BUFFER_MAX: usize = 256 * 1024;
/// Connections of one listener. Stops descriptor exhaustion; past it new connections wait in the kernel's backlog.
pub const CONNECTIONS_MAX: usize = 4096;

/// Time after which a call that has said nothing is answered with an event stream rather than one JSON body, so that
/// keep-alive comments hold proxies and clients.
pub const STREAM_AFTER: Duration = Duration::from_secs(1);
/// Time between keep-alive comments on a quiet event stream.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The `retry` field of a resumable stream: how long a client waits before it comes back.
pub const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Messages written to a stream but not yet taken by its connection. Bounds memory per slow reader; past it the server
/// behind is read no further.
pub const UNREAD_MESSAGES_MAX: usize = 64;
/// Bytes of such messages; one message may be larger. Same threat, same effect.
pub const UNREAD_BYTES_MAX: usize = 1024 * 1024;
/// Messages of a resumable stream kept for replay. Bounds memory per stream; older ones are not replayed.
pub const REPLAY_MESSAGES_MAX: usize = 64;
/// Bytes of them; the last message always stays. Same threat, same effect.
pub const REPLAY_BYTES_MAX: usize = 1024 * 1024;
/// Time a call goes on after its client lost the stream. Bounds work for clients that never come back; past it the call
/// is cancelled.
pub const RESUME_WITHIN: Duration = Duration::from_secs(120);
/// Finished streams kept per session for clients that come back. Bounds memory per session; past it the oldest is
/// forgotten. Unfinished ones are as many as there are calls in progress ([`CALLS_PER_SESSION_MAX`]).
pub const STREAMS_KEPT_MAX: usize = 32;

/// Time to wait, after a server's first question, for further ones that belong into the same `input_required` result.
pub const GATHER: Duration = Duration::from_millis(15);
/// Time a parked call waits for the client's retry. Frees servers from questions nobody answers; past it the call is
/// cancelled and the retry gets -32602 (CE3062).
pub const PARKED_MAX_AGE: Duration = Duration::from_secs(600);
/// Parked calls of one principal. Stops one client from holding every server; past it a further question is refused
/// with CE3061.
pub const PARKED_PER_PRINCIPAL_MAX: usize = 64;
/// Parked calls in total. Bounds memory; past it a further question is refused with CE3061.
pub const PARKED_TOTAL_MAX: usize = 1024;
/// Questions of one call that may be open at once. Stops a server that floods its client; a further one is answered
/// with an error.
pub const ASKS_PER_CALL_MAX: usize = 16;
/// Time a client with a session may take to answer a question of a server. People answer these; past it the server gets
/// an error.
pub const ASK_MAX: Duration = Duration::from_secs(600);
/// Rounds in which one call may ask for input. Stops endless loops between a server and an automatic client; past it
/// the call fails with CE3065.
pub const INPUT_ROUNDS_MAX: usize = 16;

/// Sessions in total. Bounds memory; past it idle ones are put out of memory, then `initialize` gets 503 (CE3060).
pub const SESSIONS_MAX: usize = 8192;
/// Time without traffic after which a session whose identifier can bring it back is put out of memory. Unseen by
/// clients, but for what they set after `initialize`, which the identifier cannot hold: subscriptions to single resources
/// end, and the level of log messages is the one of a new session again.
pub const SESSION_IDLE_SEALED: Duration = Duration::from_secs(600);
/// The same for a session that cannot be brought back (its client's self-description is too long to be sealed into
/// the identifier); past it requests get 404 and the client starts anew.
pub const SESSION_IDLE_PLAIN: Duration = Duration::from_secs(3600);
/// Age past which a session identifier no longer brings a session back. Bounds the use of an old identifier; past it
/// requests get 404.
pub const SESSION_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes of a session identifier. Header limits of proxies start at 4 kB; a longer self-description is not sealed.
pub const SESSION_ID_MAX: usize = 1024;
/// Identifiers of ended sessions that are remembered as ended. Bounds memory; past it the oldest could be brought back
/// by its own principal.
pub const ENDED_MAX: usize = 4096;
/// Requests in progress per session or stdio connection. Stops one client from filling memory; past it a request gets
/// CE3067.
pub const CALLS_PER_SESSION_MAX: usize = 256;
/// Resources one session or `subscriptions/listen` may watch. Bounds memory; past it the request gets CE3071.
pub const WATCHED_MAX: usize = 1024;
/// Event streams, and requests on pipes, in progress at once, in total. Bounds memory; past it a request for a stream gets
/// CE3067, and a call that has begun is answered by one JSON body.
pub const STREAMS_MAX: usize = 4096;
/// Time for requests on a pipe to end after the client closed its end. Clients that close their end are mostly gone, so
/// what they left must not run on; scripts that pipe requests in wait for the answers.
pub const LINGER: Duration = Duration::from_secs(5);
/// How often parked calls and sessions are looked at for their ages.
pub const SWEEP: Duration = Duration::from_secs(5);

/// The limits an operator or a test may set. The rest are fixed.
#[derive(Clone, Debug)]
pub struct Limits {
    /// See [`BODY_MAX`].
    pub body: usize,
    /// See [`BODY_READ_MAX`].
    pub body_read: Duration,
    /// See [`HEAD_READ_MAX`].
    pub head_read: Duration,
    /// See [`IDLE_MAX`].
    pub idle: Duration,
    /// See [`WRITE_STALL_MAX`].
    pub write_stall: Duration,
    /// See [`TICK`].
    pub tick: Duration,
    /// See [`CONNECTIONS_MAX`].
    pub connections: usize,
    /// See [`STREAM_AFTER`].
    pub stream_after: Duration,
    /// See [`KEEP_ALIVE`].
    pub keep_alive: Duration,
    /// See [`RESUME_WITHIN`].
    pub resume_within: Duration,
    /// See [`GATHER`].
    pub gather: Duration,
    /// See [`PARKED_MAX_AGE`].
    pub parked_age: Duration,
    /// See [`PARKED_PER_PRINCIPAL_MAX`].
    pub parked_per_principal: usize,
    /// See [`PARKED_TOTAL_MAX`].
    pub parked: usize,
    /// See [`ASK_MAX`].
    pub ask: Duration,
    /// See [`STREAMS_MAX`].
    pub streams: usize,
    /// See [`SESSIONS_MAX`].
    pub sessions: usize,
    /// See [`SESSION_IDLE_SEALED`].
    pub session_idle_sealed: Duration,
    /// See [`SESSION_IDLE_PLAIN`].
    pub session_idle_plain: Duration,
    /// See [`LINGER`].
    pub linger: Duration,
    /// See [`SWEEP`].
    pub sweep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: BODY_MAX,
            body_read: BODY_READ_MAX,
            head_read: HEAD_READ_MAX,
            idle: IDLE_MAX,
            write_stall: WRITE_STALL_MAX,
            tick: TICK,
            connections: CONNECTIONS_MAX,
            stream_after: STREAM_AFTER,
            keep_alive: KEEP_ALIVE,
            resume_within: RESUME_WITHIN,
            gather: GATHER,
            parked_age: PARKED_MAX_AGE,
            parked_per_principal: PARKED_PER_PRINCIPAL_MAX,
            parked: PARKED_TOTAL_MAX,
            ask: ASK_MAX,
            streams: STREAMS_MAX,
            sessions: SESSIONS_MAX,
            session_idle_sealed: SESSION_IDLE_SEALED,
            session_idle_plain: SESSION_IDLE_PLAIN,
            linger: LINGER,
            sweep: SWEEP,
        }
    }
}
