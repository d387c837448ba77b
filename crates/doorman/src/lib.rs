//! Who is asking, and how often may they? Secrets of the node in files of its own, the kernel's word on a unix socket and tokens on TCP say who somebody is; rates say how often
//! tools may be called, by whom.
//!
//! Refuses to do: what each may do (`agency`'s rights), looking tokens up (the node).

mod identity;
mod pace;
mod secret_file;

pub use identity::{Doorkeeper, PUBLIC, TOKEN_CHARS_MIN, Tokens};
pub use pace::{Paces, TooOften};
pub use secret_file::{SecretError, UNUSABLE_FILE, private_dir, read_or_create, unwritten};
