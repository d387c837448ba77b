//! Doors over a scripted service, driven by raw bytes: what an agent would see, and nothing else.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bounds;
mod changes;
mod crowds;
mod legacy;
mod modern;
mod parking;
mod pipe;
mod questions;
mod refusals;
mod relayed;
mod scripted;
mod wire;
