//! What is a fact, and how is it written so that it can be checked for ever? An [`Event`] is one immutable fact; its
//! canonical encoding (`spec/event-v1.md`) is RFC 8785 JSON narrowed to safe integers and ASCII keys, and each event
//! names the hash of the one before it. Payloads (arguments, results) never stand in an event: it holds their salted
//! digest, so that they can be deleted later while the chain still verifies.
//!
//! Refuses to do: any I/O, clocks, randomness and storage. Those are the ledger's; the kernel folds events without them.

mod decode;
mod draft;
mod encode;
mod event;
mod hash;
mod key;
mod kind;
mod names;
mod payload;
mod sha256;
mod value;
mod verifier;

pub use decode::DecodeError;
pub use draft::{Draft, Encoded};
pub use encode::{EncodeError, canonical_text};
pub use event::{EVENT_BYTES_MAX, Event, Head, Micros, Seq, VERSION, event_hash};
pub use hash::{Hash, NotAHash};
pub use key::IdempotencyKey;
pub use kind::{BadKind, Kind, OtherKind};
pub use names::{CallId, ID_BYTES_MAX, LABEL_BYTES_MAX, Label, NameError, RunId};
pub use payload::{Kept, PayloadRef, SALT_BYTES, Salt, payload_digest};
pub use value::{DEPTH_MAX, Int, KEY_BYTES_MAX, Key, Map, Value};
pub use verifier::{Link, Refusal, Verifier};
