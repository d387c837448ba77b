//! Who is asking, and how often may they? The kernel's word on a unix socket and tokens on TCP say who somebody is; rates say how
//! often tools may be called, by whom. The node's own token is made and kept here too (`secret_file`).
//!
//! Refuses to do: what each may do (`agency`'s rights), looking tokens up (the node).

mod identity;
mod pace;
mod secret_file;

pub use identity::{Doorkeeper, PUBLIC, TOKEN_CHARS_MIN, Tokens};
pub use pace::{Paces, TooOften};
pub use secret_file::{SecretError, UNUSABLE_FILE, private_dir, read_or_create, unwritten};
