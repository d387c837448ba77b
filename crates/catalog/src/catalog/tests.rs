//! The catalogue over servers that live in memory: time is the test's, nothing sleeps.

mod apart;
mod changes;
mod fake;
mod figures;
mod life;
mod listing;
mod routing;
