//! Reading typed values out of a TOML tree, with the place of everything that is wrong.
//!
//! A table is declared once, with [`table!`]: its fields are its keys, their doc comments the descriptions in the JSON
//! Schema, their types the parser and the schema of their values. Parser and schema so cannot say different things.

mod fault;
mod reader;
mod slot;
mod tables;
mod word;

pub(crate) use fault::Fault;
pub(crate) use reader::{KeySpec, Node, Read, Reader};
pub(crate) use slot::{Located, Named, Slot};
pub(crate) use tables::{object, strict_table, table};
pub(crate) use word::{Word, choices, reads_text, unknown_word};
