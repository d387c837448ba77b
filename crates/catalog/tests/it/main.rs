//! The catalogue over real server processes, without cells.
//! (`cfg(test)` tells the lints that these are tests.)

#[cfg(test)]
mod processes;
#[cfg(test)]
mod real;
