//! What lies in somebody else's image, and how does it come onto the disk without doing harm?
//!
//! A root filesystem is unpacked once, safely, into a place named by what is in it. An image is data of a stranger.
//! Nothing of it is run while it is unpacked, no path of it leads out of the directory made for it (the kernel resolves each
//! below that directory, as `chroot` would), no device and no mode that lends rights is made, and what it may take is
//! capped. This crate refuses to fetch images, and to run anything on them: whoever shows the directory to a program does it
//! read-only.

mod error;
mod unpack;

pub use error::ImageError;
pub use unpack::{ImageCaps, unpack_image};
