//! What one cell may ask of its broker. Past each limit the cell is refused and the broker goes on.

use std::time::Duration;

/// Limits of one cell's traffic. [`Limits::default`] says what each is for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at the same time. Threat: descriptors and memory of the node. Past it: reset at once.
    pub connections: usize,
    /// New connections per second, and as many at once. Threat: processor time of the node, flooding of a granted host.
    /// Past it: reset at once.
    pub connections_per_second: u32,
    /// Names that get an address. Threat: memory, through a wildcard. Past it: SERVFAIL for names not asked before.
    pub names: usize,
    /// Queries per second, and as many at once. Threat: processor time. Past it: no answer.
    pub queries_per_second: u32,
    /// DNS connections over TCP at the same time. Threat: descriptors. Past it: reset at once.
    pub dns_connections: usize,
    /// Names being resolved at the same time. Threat: the threads that the whole node resolves on. Past it: the next waits.
    pub resolutions: usize,
    /// Longest time until an opening is complete. Threat: a client that sends a byte a minute. Past it: reset.
    pub opening_time: Duration,
    /// How long a client that says nothing is waited for before its peer is dialled all the same, because the peer speaks
    /// first. What the client says later is still looked at before it goes on. No threat: the price of protocols such as
    /// SMTP.
    pub silence_time: Duration,
    /// Longest time to resolve a name and to connect, each. Threat: peers that swallow packets. Past it: reset.
    pub dial_time: Duration,
    /// Longest time without a byte either way. Threat: connections that are forgotten. Past it: reset.
    pub idle_time: Duration,
    /// Bytes a cell may send over all its connections, if there is a limit. Threat: data carried off to a granted host.
    /// Past it: reset.
    pub bytes_up: Option<u64>,
}

/// Most bytes of an opening: a hello with post-quantum keys, or a request line and its headers. Threat: memory. Past it: reset.
pub(crate) const OPENING_BYTES_MAX: usize = 16 * 1024;
/// Most headers of a first request. Threat: memory. Past it: reset.
pub(crate) const OPENING_HEADERS_MAX: usize = 128;
/// Longest DNS message, in bytes. A query is a few dozen. Threat: memory. Past it: no answer.
pub(crate) const QUERY_BYTES_MAX: usize = 1232;
/// Longest silence on a DNS connection. Threat: connections that are forgotten. Past it: closed.
pub(crate) const DNS_IDLE: Duration = Duration::from_secs(10);
/// Different refusals that are counted apart: as many as can be new while one is remembered. Threat: memory. Past it: counted
/// together, without name or address.
pub(crate) const REFUSALS_APART: usize = 1024;
/// New refusals that are recorded in a period. Threat: a ledger full of made-up names. Past it: counted together.
pub(crate) const REFUSALS_PER_PERIOD: u32 = 16;
/// The period in which refusals are counted.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);
/// Longest time between reports of one refusal that goes on and on, and how long it is remembered, in periods. Threat: a
/// client that tries for ever.
pub(crate) const PERIODS_MAX: u32 = 64;
/// First and longest pause after a failed `accept`. Threat: a busy loop when the node has no descriptor left.
pub(crate) const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Bytes of a packet that the audit looks at: Ethernet, the longest IPv4 header, TCP. Threat: memory. Past it: cut off.
pub(crate) const AUDIT_BYTES: usize = 128;
/// Addresses of one name that are tried. Threat: a name with hundreds of them. Past it: ignored.
pub(crate) const ADDRESSES_TRIED: usize = 8;
/// Bytes moved at once. Two copies of this exist for a connection while it moves bytes, none while it is quiet.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes one way after which a connection is worth a pipe of its own. Threat: two descriptors for every little request.
pub(crate) const BULK_BYTES: usize = 1 << 20;
/// Bytes in such a pipe. The kernel counts them against the user past 64 MiB in all, and then gives smaller ones.
pub(crate) const PIPE_BYTES: usize = 256 * 1024;

/// How old a value of a secret may be while connections use it. Threat: one that was changed stays in use, or in memory. Past
/// it: read again.
pub(crate) const VALUE_AGE_MAX: Duration = Duration::from_secs(60);
/// Bytes of a request's head towards a host with a secret, and of an answer's. Threat: memory. Past it: 431, or broken off.
pub(crate) const HEAD_BYTES_MAX: usize = 128 * 1024;
/// Headers of a message. Threat: memory, processor time. Past it: 431, or broken off.
pub(crate) const HEADERS_MAX: usize = 256;
/// Requests at the same time on one HTTP/2 connection. Threat: memory. Past it: refused by the protocol.
pub(crate) const STREAMS_MAX: u32 = 128;
/// Bytes of a body in which a value may be put, or which is signed: it is read whole, so that its length is known and nothing
/// is sent of a request that is refused. Threat: memory. Past it: 413.
pub(crate) const REWRITTEN_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a body that is only searched, up to which it is read whole for the same reason. Longer ones are searched as they
/// pass, and broken off at a placeholder.
pub(crate) const SEARCHED_BODY_BYTES_MAX: u64 = 256 * 1024;
/// Bytes of a refused body that are read and thrown away, so that the program reads the answer and does not see a reset; and how
/// long. Threat: a program that sends without end. Past either: reset.
pub(crate) const DRAINED: (usize, Duration) = (8 * 1024 * 1024, Duration::from_secs(5));
/// Bytes of body that one side may be ahead of the other on an HTTP/2 stream, and on the connection. Threat: memory.
pub(crate) const WINDOW_BYTES: (u32, u32) = (256 * 1024, 1024 * 1024);

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            connections_per_second: 200,
            names: 1024,
            queries_per_second: 200,
            dns_connections: 16,
            resolutions: 8,
            opening_time: Duration::from_secs(10),
            silence_time: Duration::from_millis(200),
            dial_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(30 * 60),
            bytes_up: None,
        }
    }
}
