//! Integration tests of both sides, one binary.

mod server;
