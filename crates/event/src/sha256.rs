//! SHA-256 over parts. `ring` where it builds (the house has it for TLS anyway): on processors without SHA
//! instructions its assembly takes 0.57 of the time of `sha2`, and hashing is most of what an event costs. `sha2` for
//! WebAssembly, where verifiers run and `ring` needs a C compiler.

use crate::Hash;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Hash::from_bytes(bytes)
}

#[cfg(target_arch = "wasm32")]
pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    use sha2::{Digest as _, Sha256};

    let hasher = parts.iter().fold(Sha256::new(), |hasher, part| hasher.chain_update(part));
    Hash::from_bytes(hasher.finalize().into())
}
