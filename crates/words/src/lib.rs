//! How is what Cella knows said to a person, and to a script? A contract, what a cell did outside, what a run changed: each as
//! lines and as JSON.
//!
//! Refuses to do: printing, colours and exit codes (the command line's), and finding anything out but what a file of a
//! difference holds.

mod contract;
mod difference;
mod report;
mod traffic;
mod workspace;

pub use contract::{as_json as contract_json, granted, grants};
pub use difference::difference;
pub use report::report_lines;
pub use traffic::Traffic;
pub use workspace::{facts, moment, shown, sum};
