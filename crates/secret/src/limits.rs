//! Every limit, with its unit and the threat it stops.

/// Shortest value that can be bound, in bytes. A shorter one stands in answers by chance, and replacing it there would
/// damage them. Past it: [`BindError::TooShort`](crate::BindError::TooShort).
pub const VALUE_BYTES_MIN: usize = 12;

/// Longest value that can be bound, in bytes: a private key of 8192 bits fits. Every form of every value is part of the
/// search automaton, whose memory grows with it. Past it: [`BindError::TooLong`](crate::BindError::TooLong).
pub const VALUE_BYTES_MAX: usize = 8 * 1024;

/// Deepest nesting of a JSON body in which a place is known. Stops a body that makes the tracker grow. Past it the body
/// has no place for a secret.
pub(crate) const JSON_DEPTH_MAX: usize = 128;

/// Longest name of a JSON member that is compared, in bytes as written. A longer one fits no binding.
pub(crate) const JSON_NAME_BYTES_MAX: usize = 1024;

/// Longest name of a form field that is compared, in bytes as written. A longer one fits no binding.
pub(crate) const FORM_NAME_BYTES_MAX: usize = 1024;

/// Longest excerpt of a request that a refusal repeats, in bytes. Stops a request from filling the ledger.
pub(crate) const EXCERPT_BYTES_MAX: usize = 200;

/// Bytes of an encoded answer that are decoded at one time. Bounds what a step can produce together with the next limit.
pub(crate) const CODED_STEP_BYTES: usize = 1024;

/// Most bytes that one step may decode to. Brotli can make gigabytes of a few hundred bytes, before any ratio over the
/// whole answer could be seen. Past it: [`ScrubError::Bomb`](crate::ScrubError::Bomb).
pub(crate) const DECODED_STEP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes that an answer may decode to whatever its ratio.
pub(crate) const DECODED_FREE_BYTES: u64 = 16 * 1024 * 1024;

/// Most decoded bytes for each encoded one past the free ones. Text rarely goes over 50; gzip ends at 1032. Stops an
/// answer that costs its reader more than its sender. Past it: [`ScrubError::Bomb`](crate::ScrubError::Bomb).
pub(crate) const DECODED_RATIO_MAX: u64 = 200;

/// Largest window of a zstd frame, in bytes: what RFC 8878 (3.1.1.1.2) recommends every decoder to support. Stops a
/// frame that asks for gigabytes. Past it: [`ScrubError::Coding`](crate::ScrubError::Coding).
pub(crate) const ZSTD_WINDOW_BYTES_MAX: u64 = 8 * 1024 * 1024;
