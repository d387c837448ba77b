//! The values of a contract's secrets, looked up where it says.

use std::{collections::BTreeMap, path::PathBuf};

use cella_egress::{NoValue, Value, Values};
use cella_secret::SecretBytes;

use crate::{launcher::env, vault::Secrets};

/// Looks values up, and keeps none.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    /// Name of each secret, and where it is from.
    pub(super) from: BTreeMap<String, Option<String>>,
    pub(super) base: PathBuf,
    pub(super) vault: Secrets,
}

impl Values for Lookup {
    fn value<'a>(&'a self, secret: &'a str) -> Value<'a> {
        Box::pin(async move {
            let missing = || NoValue {
                code: env::NO_VALUE,
                message: "the contract does not say where it is from".into(),
            };
            let from = self.from.get(secret).and_then(Option::as_ref).ok_or_else(missing)?;
            let value = env::value_of(secret, from, &self.base, &self.vault).await;
            let value = value.map_err(|error| NoValue { code: error.code, message: error.message })?;
            Ok(SecretBytes::new(value.into_bytes()))
        })
    }
}
