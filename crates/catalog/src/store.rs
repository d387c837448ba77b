//! Lists that survive a restart of the node, so that a client sees every tool before a single server has started.

use std::sync::Arc;

use cella_mcp::{Era, ListKind, Revision, ServerFacts};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ServerList;

/// Layout of a stored entry; another number is not read.
const FORMAT: u32 = 1;
/// Largest entry that is stored or read, in bytes. Stops one server's list from filling the disk.
pub const ENTRY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Keeps bytes under a key. A cache: losing it costs a start of the servers, nothing else.
pub trait ListStore: Send + Sync + 'static {
    /// The bytes saved last under the key.
    fn load(&self, key: &ListKey) -> Option<Vec<u8>>;
    /// Saves bytes. Called outside the async threads; may take its time.
    fn save(&self, key: &ListKey, bytes: &[u8]);
}

/// Names an entry: lists are only good for the very configuration with which they were fetched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListKey {
    /// The server's name.
    pub server: Arc<str>,
    /// [`ServerPlan::digest`](crate::ServerPlan::digest)
    pub digest: [u8; 32],
}

/// What is known of a server without asking it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) facts: Option<Arc<ServerFacts>>,
    pub(crate) lists: Vec<Arc<ServerList>>,
    /// It asks within calls.
    pub(crate) takes_turns: bool,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    format: u32,
    revisions: Vec<String>,
    capabilities: Box<RawValue>,
    info: Option<Box<RawValue>>,
    instructions: Option<String>,
    lists: Vec<EntryList>,
    #[serde(default)]
    takes_turns: bool,
}

#[derive(Serialize, Deserialize)]
struct EntryList {
    method: String,
    pages: Vec<EntryPage>,
}

#[derive(Serialize, Deserialize)]
struct EntryPage {
    cursor: Option<Box<str>>,
    /// A revision of the era the page is written in.
    revision: String,
    result: Box<RawValue>,
}

// === impl Stored ===

impl Stored {
    /// The entry as bytes; `None` when there is nothing worth keeping or too much of it.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let facts = self.facts.as_ref()?;
        let entry = Entry {
            format: FORMAT,
            revisions: facts.revisions.iter().map(|r| r.as_str().to_owned()).collect(),
            capabilities: facts.capabilities.clone(),
            info: facts.info.clone(),
            instructions: facts.instructions.clone(),
            lists: self.lists.iter().map(|list| EntryList::of(list)).collect(),
            takes_turns: self.takes_turns,
        };
        serde_json::to_vec(&entry).ok().filter(|bytes| bytes.len() <= ENTRY_BYTES_MAX)
    }

    /// Reads an entry; anything unexpected is as good as no entry.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return None;
        }
        let entry: Entry = serde_json::from_slice(bytes).ok().filter(|e: &Entry| e.format == FORMAT)?;
        let facts = ServerFacts {
            revisions: entry.revisions.iter().filter_map(|r| Revision::parse(r)).collect(),
            capabilities: entry.capabilities,
            info: entry.info,
            instructions: entry.instructions,
        };
        let lists = entry.lists.into_iter().map(|list| list.read().map(Arc::new)).collect::<Option<_>>()?;
        Some(Self { facts: Some(Arc::new(facts)), lists, takes_turns: entry.takes_turns })
    }
}

impl EntryList {
    fn of(list: &ServerList) -> Self {
        let pages = list.pages.iter().map(|page| EntryPage {
            cursor: page.cursor.clone(),
            revision: era_mark(page.era).to_owned(),
            result: (*page.result).to_owned(),
        });
        Self { method: list.kind.method().to_owned(), pages: pages.collect() }
    }

    fn read(self) -> Option<ServerList> {
        let pages: Option<Vec<_>> = self
            .pages
            .into_iter()
            .map(|page| Some((page.cursor, page.result, Revision::parse(&page.revision)?.era())))
            .collect();
        ServerList::read(ListKind::of_method(&self.method)?, pages?).ok()
    }
}

// === free functions ===

/// Any revision of the era stands for it: eras have no written form of their own.
fn era_mark(era: Era) -> &'static str {
    Revision::ALL.into_iter().rev().find(|r| r.era() == era).map_or("", Revision::as_str)
}

#[cfg(test)]
mod tests {
    use cella_mcp::raw_json;

    use super::*;

    #[test]
    fn what_was_stored_is_read_back_byte_for_byte() {
        let page = r#"{"tools":[{"name":"a", "x":1.50}],"nextCursor":"n"}"#;
        let era = Revision::ALL[0].era();
        let list = ServerList::read(ListKind::Tools, [(None, raw_json(page).unwrap(), era)]).unwrap();
        let facts = ServerFacts {
            revisions: vec![Revision::ALL[1]],
            capabilities: raw_json("{\"tools\":{}}").unwrap(),
            info: None,
            instructions: Some("say please".into()),
        };
        let stored = Stored { facts: Some(Arc::new(facts)), lists: vec![Arc::new(list)], takes_turns: true };
        let back = Stored::from_bytes(&stored.to_bytes().unwrap()).unwrap();
        assert!(back.lists[0].same_as(&stored.lists[0]));
        assert_eq!(back.lists[0].pages[0].result.get(), page);
        assert_eq!(back.lists[0].pages[0].era, era);
        assert!(back.takes_turns);
        assert_eq!(back.facts.unwrap().instructions.as_deref(), Some("say please"));
    }

    #[test]
    fn a_damaged_entry_is_no_entry() {
        for bytes in [&b""[..], b"{}", b"{\"format\":2}", b"\xff"] {
            assert!(Stored::from_bytes(bytes).is_none());
        }
    }
}
