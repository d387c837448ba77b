//! What do people ask of a ledger? Its last events, one event, a query, why a call went as it did, whether anything was
//! changed, the whole of it: answered as JSON, for the admin door and for a command without a node.
//!
//! Refuses to do: writing events (ledger's); finding the ledger of a node (node's); printing answers (the command line's).

mod error;
mod history;

pub use error::{AskError, UNOPENED, UNREADABLE};
pub use history::{Checked, History, event, number};
