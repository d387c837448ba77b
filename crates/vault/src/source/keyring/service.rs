//! The Secret Service itself (`org.freedesktop.secrets`). On a thread of its own, because a D-Bus client waits in a runtime
//! of its own, which cannot be started within another.

use std::{
    collections::HashMap,
    fmt::Display,
    path::PathBuf,
    sync::mpsc::{RecvTimeoutError, sync_channel},
    time::Duration,
};

use zbus::{
    blocking::Connection,
    zvariant::{DynamicType, ObjectPath, OwnedObjectPath, OwnedValue, Value},
};
use zeroize::Zeroizing;

use crate::{
    SourceKind, VaultError,
    key::{Key, system_random},
};

/// What people see in their keyring's window.
const LABEL: &str = "Key of a Cella vault";

/// How the value is described to the keyring.
const CONTENT_TYPE: &str = "text/plain";

/// The service's name on the bus.
const SERVICE: &str = "org.freedesktop.secrets";

/// Its first object.
const ROOT: &str = "/org/freedesktop/secrets";

/// Longest wait for the keyring. It asks nobody here, so it answers at once; stops one that does not from holding a start
/// for ever. Past it: `CE2417`.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// A value as it travels: session, parameters, value, content type.
type Carried = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

/// An open session with an unlocked collection.
struct Keyring {
    bus: Connection,
    session: OwnedObjectPath,
    collection: OwnedObjectPath,
}

/// Why no new vault can have its key there.
pub(in crate::source) fn usable() -> Result<(), String> {
    let bus = std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("bus"));
    if !bus && !runtime.is_some_and(|bus| bus.exists()) {
        return Err("there is no D-Bus session here".into());
    }
    apart(|| Keyring::open().map(drop)).map_err(|error| match error {
        VaultError::Source { why, .. } => why,
        other => other.to_string(),
    })
}

/// The key of that vault.
pub(in crate::source) fn read(vault: &str) -> Result<Key, VaultError> {
    let (vault, kind) = (vault.to_owned(), SourceKind::Keyring);
    apart(move || Keyring::open()?.find(&vault))?
        .ok_or_else(|| VaultError::NoKey { kind, why: "the keyring has no entry for this vault".into() })
}

/// The key of that vault, or a new one.
pub(in crate::source) fn make(vault: &str) -> Result<Key, VaultError> {
    let vault = vault.to_owned();
    apart(move || {
        let keyring = Keyring::open()?;
        if let Some(key) = keyring.find(&vault)? {
            return Ok(key);
        }
        let key = Key::fresh(&mut system_random)?;
        keyring.store(&vault, &key)?;
        Ok(key)
    })
}

// === impl Keyring ===

impl Keyring {
    fn open() -> Result<Self, VaultError> {
        let bus = Connection::session().map_err(|e| failed(&e))?;
        // Unencrypted on the bus: it never leaves the machine, and whoever could listen on it could ask as well.
        let plain = ("plain", Value::from(""));
        let (_, session): (OwnedValue, OwnedObjectPath) = call(&bus, ROOT, "Service", "OpenSession", &plain)?;
        let collection: OwnedObjectPath = call(&bus, ROOT, "Service", "ReadAlias", &("default",))?;
        if collection.as_str() == "/" {
            return Err(failed(&"it has no default collection"));
        }
        let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) =
            call(&bus, ROOT, "Service", "Unlock", &(vec![collection.clone()],))?;
        let keyring = Self { bus, session, collection };
        keyring.answered(&prompt).map(|()| keyring)
    }

    /// A question to the user has no place in a node's start; whoever is logged in has an unlocked keyring.
    fn answered(&self, prompt: &ObjectPath<'_>) -> Result<(), VaultError> {
        if prompt.as_str() == "/" { Ok(()) } else { Err(failed(&"it is locked")) }
    }

    fn find(&self, vault: &str) -> Result<Option<Key>, VaultError> {
        let wanted = (attributes(vault),);
        let items: Vec<OwnedObjectPath> =
            call(&self.bus, self.collection.as_str(), "Collection", "SearchItems", &wanted)?;
        let Some(item) = items.first() else { return Ok(None) };
        let (carried,): (Carried,) = call(&self.bus, item.as_str(), "Item", "GetSecret", &(&self.session,))
            .map(|carried| (carried,))?;
        let text = Zeroizing::new(carried.2);
        let (kind, place) = (SourceKind::Keyring, format!("`{LABEL}`"));
        Key::parse(&text).map(Some).ok_or(VaultError::KeyText { kind, place })
    }

    fn store(&self, vault: &str, key: &Key) -> Result<(), VaultError> {
        let properties = HashMap::from([
            ("org.freedesktop.Secret.Item.Label", Value::from(LABEL)),
            ("org.freedesktop.Secret.Item.Attributes", Value::from(attributes(vault))),
        ]);
        let text = key.hex();
        let carried = (&self.session, &[][..] as &[u8], text.as_bytes(), CONTENT_TYPE);
        let (_, prompt): (OwnedObjectPath, OwnedObjectPath) = call(
            &self.bus,
            self.collection.as_str(),
            "Collection",
            "CreateItem",
            &(properties, carried, false),
        )?;
        self.answered(&prompt)
    }
}

/// One method of the Secret Service, with its answer.
fn call<B, T>(bus: &Connection, path: &str, interface: &str, method: &str, body: &B) -> Result<T, VaultError>
where
    B: serde::Serialize + DynamicType,
    T: serde::de::DeserializeOwned + zbus::zvariant::Type,
{
    let interface = format!("org.freedesktop.Secret.{interface}");
    let answer = bus
        .call_method(Some(SERVICE), path, Some(interface.as_str()), method, body)
        .map_err(|e| failed(&e))?;
    answer.body().deserialize().map_err(|e| failed(&e))
}

fn attributes(vault: &str) -> HashMap<&str, &str> {
    HashMap::from([("application", "cella"), ("vault", vault)])
}

/// Does the work on a thread of its own, which is left behind when the keyring does not answer.
fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    let (done, answer) = sync_channel(1);
    std::thread::spawn(move || done.send(work()));
    answer.recv_timeout(ANSWER_TIME_MAX).unwrap_or_else(|e| {
        Err(failed(&match e {
            RecvTimeoutError::Timeout => "it does not answer",
            RecvTimeoutError::Disconnected => "its client ended",
        }))
    })
}

fn failed(why: &dyn Display) -> VaultError {
    VaultError::Source { kind: SourceKind::Keyring, why: why.to_string() }
}
