//! Many connections over one port of a virtual machine: what its program connects to comes out where the node's broker is.
//!
//! In the guest ([`inside`]) every address is local, as in a cell of class `process`, and a relay accepts what the program
//! connects to. Outside ([`outside`]) each connection is made again, to the very address that was asked for, in the network
//! namespace that the machine was started in, where the broker's listeners are. Neither side decides anything: the broker does,
//! and cannot tell such a connection from one of a program that runs there. So a guest that was taken over gains nothing by
//! speaking this protocol itself: it can make connections in that namespace, which any program could.

pub(crate) mod inside;
mod mux;
pub(crate) mod outside;
mod seen;
mod wire;
