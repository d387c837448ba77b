//! What does a server's behaviour say of the contract that it needs?
//!
//! From an [`Observation`] to a [`Proposal`] with the reason of each line, and from the refusals on record to the grants that
//! would end them. Pure: this crate refuses to start anything, to grant anything, and to propose what no contract should
//! name (metadata services, addresses inside).

mod attempts;
mod denied;
mod observation;
mod proposal;
mod variables;

pub use attempts::{Attempt, Wanted, gathered};
pub use denied::{Refused, denied};
pub use observation::Observation;
pub use proposal::{Proposal, Reason};
pub use variables::missed;
