//! The catalogue over real server processes, without cells.

mod processes;
mod real;
