//! The file with the authorities that a cell trusts: those of the machine and its own. It lies on the host only until the
//! cell is made; what is mounted stays.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use cella_cell::{Access, Mount, Spec};

use crate::{confine::ConfineError, fresh};

/// Where a cell sees it.
const INSIDE: &str = "/etc/cella/ca.pem";

/// What programs look for it in: OpenSSL (and with it Python, Ruby, curl) and Go and rustls, Node, requests, curl's own, pip,
/// the AWS SDKs, git, Deno, cargo.
const VARIABLES: [&str; 9] = [
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "DENO_CERT",
    "CARGO_HTTP_CAINFO",
];

/// The file on the host. Dropping this removes it.
#[derive(Debug)]
pub(super) struct Certificates {
    path: PathBuf,
}

// === impl Certificates ===

impl Certificates {
    pub(super) fn write(dir: &Path, text: &str) -> Result<Self, ConfineError> {
        let failed = |path: &Path, cause| ConfineError::Certificates { path: path.to_owned(), cause };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        // Cells are shown nothing that a link leads to.
        let dir = made.and_then(|()| fs::canonicalize(dir)).map_err(|e| failed(dir, e))?;
        let name = fresh::hex::<16>().map_err(|e| failed(&dir, std::io::Error::other(e.to_string())))?;
        let path = dir.join(format!("ca-{name}.pem"));
        // Certificates are for everybody, and a cell has a user of its own.
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path);
        let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
        let this = Self { path };
        written.map_err(|e| failed(&this.path, e))?;
        Ok(this)
    }

    /// Shows it to a cell. What its configuration says about certificates stays.
    pub(super) fn show(&self, spec: &mut Spec) {
        let target = PathBuf::from(INSIDE);
        spec.mounts.push(Mount { source: self.path.clone(), target, access: Access::Read });
        for variable in VARIABLES {
            spec.env.entry(variable.to_owned()).or_insert_with(|| INSIDE.to_owned());
        }
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "a file of certificates stays");
        }
    }
}
