//! What stands in a cell instead of a secret, when may the value take its place in a request, and how is it taken out of an
//! answer?
//!
//! A cell holds a random [`Placeholder`]. Whoever carries its requests looks for it with a [`Rewriter`], which puts the value
//! in where [`decide`] gives a [`Permit`] and stops the request with a [`Violation`] everywhere else; and it passes answers
//! through a [`Scrubber`], which puts the placeholder back where a server repeats the value. [`sigv4`] signs anew what a
//! cell signed with a placeholder.
//!
//! Refuses to do: I/O, keeping values at rest, telling the time, making randomness. All of it comes from outside.

mod binding;
mod bytes;
mod decide;
mod fold;
mod form;
#[cfg(test)]
mod granted;
mod index;
mod limits;
mod path;
mod patterns;
mod placeholder;
mod rewrite;
mod scrub;
mod sieve;
pub mod sigv4;
mod violation;

pub use binding::{BindError, Binding};
pub use bytes::SecretBytes;
pub use decide::{Facts, Permit, Place, decide};
pub use index::PlaceholderIndex;
pub use limits::{VALUE_BYTES_MAX, VALUE_BYTES_MIN};
pub use path::{Ambiguity, NormalPath};
pub use placeholder::{Placeholder, TooLittleRandomness};
pub use rewrite::{BodyRewriter, Head, Rewriter, Use};
pub use scrub::{ACCEPT_ENCODING, BodyScrubber, ScrubError, Scrubber};
pub use sigv4::SigV4Refusal;
pub use violation::Violation;
