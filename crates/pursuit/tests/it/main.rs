//! Runs over a real ledger, with a host that keeps count.

mod host;
mod pursued;
