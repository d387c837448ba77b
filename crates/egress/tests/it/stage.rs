//! A cell with a secret, and the API that the secret is for.

use std::{
    collections::HashMap,
    io::{Read, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use cella_contract::Contract;
use cella_egress::{Authority, Bound, Limits, NoValue, Placeholders, Secrets, Trust, Value, Values};
use cella_secret::{Placeholder, SecretBytes};
use tempfile::TempPath;

use crate::{
    api::{Api, Ca},
    cell::{Cell, Outcome, grants, has},
};

/// With characters that the forms write differently.
pub(crate) const KEY: &str = "sk-live/9f8e7d+6c5b4a";
pub(crate) const OTHER: &str = "other-value-0123456789";

/// Values of a test, and how often they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) values: Mutex<HashMap<String, String>>,
    pub(crate) asked: AtomicUsize,
}

/// A cell, an API, and the certificate that the cell trusts.
pub(crate) struct Stage {
    pub(crate) cell: Cell,
    pub(crate) api: Api,
    pub(crate) placeholders: HashMap<String, String>,
    pub(crate) table: Arc<Table>,
    pub(crate) trusted: TempPath,
}

impl Values for Table {
    fn value<'a>(&'a self, secret: &'a str) -> Value<'a> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let found = self.values.lock().expect("unpoisoned").get(secret).cloned();
        let missing = NoValue { code: "CE2401", message: "no secret of that name".into() };
        Box::pin(async move { found.map(|v| SecretBytes::from(v.as_bytes())).ok_or(missing) })
    }
}

/// Makes what a cell with this contract needs.
fn secrets(
    cell: &str,
    contract: &str,
    ca: &Ca,
    all: &Arc<Placeholders>,
) -> (Secrets, HashMap<String, String>, Arc<Table>) {
    let contract = format!("egress = [\"api.example:443\", \"other.example:443\"]\n{contract}");
    let contract = Contract::parse("test.toml", &contract).expect("a contract");
    let table = Arc::<Table>::default();
    let bound: Vec<Bound> = contract.secrets.iter().map(|(name, terms)| bound(name, terms)).collect();
    let values = [("KEY", KEY), ("OTHER", OTHER)].map(|(k, v)| (k.to_owned(), v.to_owned()));
    table.values.lock().expect("unpoisoned").extend(values);
    let hosts: Vec<&str> = bound.iter().flat_map(|b| b.terms.hosts.iter().map(String::as_str)).collect();
    let authority = Authority::new(hosts, SystemTime::now()).expect("an authority");
    let placeholders = bound.iter().map(|b| (b.name.clone(), b.placeholder.to_string())).collect();
    let secrets = Secrets {
        cell: cell.into(),
        bound,
        values: table.clone(),
        placeholders: all.clone(),
        authority,
        trust: Trust::of_pem(&ca.pem()).expect("trust"),
    };
    (secrets, placeholders, table)
}

fn bound(name: &str, terms: &cella_contract::SecretTerms) -> Bound {
    let format = terms.format.clone().unwrap_or_default();
    let mut random = vec![0; Placeholder::random_bytes(&format)];
    std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut random)).expect("randomness");
    let placeholder = Placeholder::generate(&format, &random).expect("a placeholder");
    Bound { name: name.to_owned(), terms: terms.clone(), placeholder }
}

/// A file with this text, gone when it is dropped.
pub(crate) fn written(text: &str) -> TempPath {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    file.into_temp_path()
}

pub(crate) const ONE: &str = "[secrets.KEY]\nfrom = \"env:KEY\"\nhosts = [\"api.example\"]\n";

impl Stage {
    /// A cell whose secrets have these terms, and the API at `api.example`; `None` where there are no namespaces.
    pub(crate) fn set(terms: &str) -> Option<Self> {
        Self::among(terms, &Arc::default(), &Ca::new(), &[])
    }

    pub(crate) fn among(terms: &str, all: &Arc<Placeholders>, ca: &Ca, more: &[(&str, u16)]) -> Option<Self> {
        if !has("curl") || !has("python3") {
            return None;
        }
        let api = ca.api("api.example");
        Self::with(terms, all, ca, (api, more))
    }

    pub(crate) fn with(
        terms: &str,
        all: &Arc<Placeholders>,
        ca: &Ca,
        apis: (Api, &[(&str, u16)]),
    ) -> Option<Self> {
        Self::leading_to("127.0.0.1", terms, all, ca, apis)
    }

    /// The same, where the names lead elsewhere.
    pub(crate) fn leading_to(
        address: &str,
        terms: &str,
        all: &Arc<Placeholders>,
        ca: &Ca,
        (api, more): (Api, &[(&str, u16)]),
    ) -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let id = format!("cell-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let (secrets, placeholders, table) = secrets(&id, terms, ca, all);
        let trusted = written(&format!("{}{}", secrets.authority.pem(), ca.pem()));
        let hosts: Vec<(&str, u16)> =
            [("api.example", api.port)].into_iter().chain(more.iter().copied()).collect();
        let granted: Vec<_> = hosts.iter().flat_map(|(name, port)| grants(name, *port)).collect();
        let names: Vec<_> = hosts.iter().map(|(name, _)| (*name, address)).collect();
        let cell = Cell::start_with(&granted, &names, Limits::default(), Some(secrets))?;
        Some(Self { cell, api, placeholders, table, trusted })
    }

    pub(crate) fn key(&self) -> &str {
        &self.placeholders["KEY"]
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://api.example:{}{path}", self.api.port)
    }

    pub(crate) fn curl(&self, args: &[&str]) -> Outcome {
        let trusted = self.trusted.display().to_string();
        self.cell.run(&[&["curl", "-sS", "-m", "20", "--cacert", &trusted], args].concat())
    }

    /// What `curl` prints for a path, with the placeholder as bearer.
    pub(crate) fn get(&self, path: &str, args: &[&str]) -> String {
        let (url, bearer) = (self.url(path), format!("Authorization: Bearer {}", self.key()));
        self.curl(&[&["-H", &bearer, &url], args].concat()).printed().to_owned()
    }

    /// Python: `s` speaks TLS to the API.
    pub(crate) fn python(&self, script: &str) -> Outcome {
        self.cell.python(&format!(
            "import socket, ssl\n\
             c = ssl.create_default_context(cafile='{}')\n\
             s = c.wrap_socket(socket.create_connection(('api.example', {}), 20), server_hostname='api.example')\n\
             key = '{}'; port = {}\n{script}",
            self.trusted.display(),
            self.api.port,
            self.key(),
            self.api.port
        ))
    }

    /// Asserts that a request is refused with a code, that nothing of it arrived, and that it is on record.
    pub(crate) fn refused(&mut self, code: &str, args: &[&str]) {
        let before = self.api.seen().len();
        let said = self.curl(args);
        assert!(
            said.out.contains(code) && said.out.contains("\"from\":\"cella\""),
            "{code}: {}{}",
            said.out,
            said.err
        );
        assert!(!said.out.contains(KEY), "{}", said.out);
        assert_eq!(self.api.seen().len(), before, "{code}: nothing is sent");
        self.cell.refusal(code);
    }
}
