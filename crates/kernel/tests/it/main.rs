//! Runs of the kernel in a world that is made up but keeps count.

mod golden;
mod rules;
mod simulator;
mod told;
mod world;
