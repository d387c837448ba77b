//! Who may spend what, and how much of it is left? A [`Book`] has accounts in their hierarchy (organisation, team, agent, run, run of a run), each
//! with what was spent and what is reserved. Before something is done, the most that it can cost is reserved on every level or on
//! none; afterwards what it cost is settled. The book is a fold over events: reservations survive a crash.
//!
//! Amounts are integers: micro-units of a currency, tokens, calls, microseconds, bytes. Refuses to do: clocks, I/O, floats.

mod amounts;
mod book;
mod price;
mod table;

pub use amounts::{Amounts, Limits, Resource};
pub use book::{Book, Budget, Exhausted, Left, ReservationId, Window, accounts_above};
pub use price::{Long, Price};
pub use table::{BadTable, Row, Table, vendor, vendors};
