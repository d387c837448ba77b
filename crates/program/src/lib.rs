//! Which files does a program need, read-only, so that it can start at all?
//!
//! A contract says what a server may *work on*; nobody should have to write down that Python needs its standard library.
//! What is found here is never a home directory, never the root, and never writable. This crate refuses to run anything:
//! it looks at the host and fills in the [`Program`](cella_cell::Program) of a specification.

mod found;
mod needs;
mod roots;
mod script;
mod trail;

#[cfg(test)]
mod tests;

pub use needs::program_files;
