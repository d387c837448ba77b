//! Why an image was not unpacked.

use std::path::PathBuf;

/// An image that cannot be unpacked. Nothing of it was kept; another try with the same image ends the same way, unless the
/// disk was full.
#[derive(Debug, thiserror::Error)]
#[error("the image `{}` cannot be unpacked: {cause}", path.display())]
#[non_exhaustive]
pub struct ImageError {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub cause: String,
}

impl ImageError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "CE2014"
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        "use a root filesystem in a directory, as a tar archive, or as an OCI image layout (`skopeo copy ... oci:DIR`)"
    }
}
