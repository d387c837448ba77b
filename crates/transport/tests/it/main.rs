//! Integration tests of both sides, one binary.
