//! One list of one server, as the server gave it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use cella_mcp::{
    CacheHints, CacheScope, Era, HeaderParams, ListItem, ListKind, ListPage, NotAList, Object, Raw, TtlPlace,
    member, raw_json,
};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Most items of one list that are kept. Stops a server from filling memory with a list without end; what is past it is
/// left out and reported.
pub const ITEMS_MAX: usize = 20_000;
/// Most items left out that are reported by name, for the same reason.
const LEFT_OUT_MAX: usize = 100;

/// A server's list: every page as it came, and the items in it.
#[derive(Clone, Debug)]
pub struct ServerList {
    /// Which list.
    pub kind: ListKind,
    /// The pages in order; at least one.
    pub pages: Vec<Page>,
    /// The items of all pages in the server's order. One name is there once: the first counts.
    pub items: Vec<Item>,
    /// Items that are not offered, and why.
    pub left_out: Vec<LeftOut>,
    /// How long the server calls the list fresh (2026-07-28, caching), the shortest of its pages; `None` when one of them
    /// does not say.
    pub ttl: Option<Duration>,
    /// False only when the server says `public` on every page.
    pub private: bool,
    index: HashMap<Box<str>, usize>,
    digest: [u8; 32],
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page {
    /// The cursor that leads to this page; none leads to the first.
    pub cursor: Option<Box<str>>,
    /// The result as the server wrote it, but for items that are left out.
    pub result: Arc<RawValue>,
    /// The era it is written in.
    pub era: Era,
    /// Where it says for how long it is fresh.
    ttl: Option<TtlPlace>,
}

/// One tool, prompt, resource or template.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name or URI at the server.
    pub key: Box<str>,
    /// The whole definition as the server wrote it. Shared: every call of a tool looks at it.
    pub raw: Arc<RawValue>,
    /// For a tool: what a client mirrors into headers, when there is something.
    pub header_params: Option<Arc<HeaderParams>>,
}

/// An item that a server listed and that is not offered.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// Its name or URI, as far as it has one.
    pub key: Box<str>,
    /// Why, for a person.
    pub reason: Box<str>,
}

/// Reads pages one after the other.
struct Reader {
    list: ServerList,
    hints: Option<CacheHints>,
    seen: HashSet<Box<str>>,
    sha: Sha256,
}

// === impl ServerList ===

impl ServerList {
    /// Reads the pages of a list: the cursor that led to each, its result, and the era the result is written in.
    ///
    /// Tools whose `x-mcp-header` marks break the rules are left out, the others stay (2026-07-28, server/tools).
    ///
    /// # Errors
    /// [`NotAList`] when a page does not hold the array.
    pub fn read(
        kind: ListKind,
        pages: impl IntoIterator<Item = (Option<Box<str>>, Raw, Era)>,
    ) -> Result<Self, NotAList> {
        let mut reader = Reader::new(kind);
        for (cursor, result, era) in pages {
            reader.page(cursor, result, era)?;
        }
        Ok(reader.finish())
    }

    /// True when both offer the same items in the same order, definitions included.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// The item of that name or URI.
    #[must_use]
    pub fn item(&self, key: &str) -> Option<&Item> {
        self.index.get(key).and_then(|at| self.items.get(*at))
    }

    /// The page to which a cursor leads.
    #[must_use]
    pub fn page(&self, cursor: Option<&str>) -> Option<&Page> {
        self.pages.iter().find(|page| page.cursor.as_deref() == cursor)
    }
}

impl Page {
    /// The result, which says that it is fresh for what is left of the time that the server gave. `None`: the server gave
    /// none.
    #[must_use]
    pub fn aged(&self, left: Option<Duration>) -> Raw {
        aged(&self.result, self.ttl.as_ref(), left)
    }
}

impl Item {
    /// The definition under another name; nothing else changes.
    #[must_use]
    pub fn renamed(&self, kind: ListKind, name: &str) -> Raw {
        let mut object = Object::parse_or_empty(Some(&self.raw));
        object.set_str(kind.key(), name);
        object.to_raw()
    }
}

// === impl Reader ===

impl Reader {
    fn new(kind: ListKind) -> Self {
        let list = ServerList {
            kind,
            pages: Vec::new(),
            items: Vec::new(),
            left_out: Vec::new(),
            ttl: None,
            private: true,
            index: HashMap::new(),
            digest: [0; 32],
        };
        Self { list, hints: None, seen: HashSet::new(), sha: Sha256::new() }
    }

    fn page(&mut self, cursor: Option<Box<str>>, result: Raw, era: Era) -> Result<(), NotAList> {
        let kind = self.list.kind;
        let page = ListPage::parse(kind, &result)?;
        if page.unreadable > 0 {
            let reason = format!("{} entries have no {}", page.unreadable, kind.key());
            self.leave_out("", &reason);
        }
        let (all, before) = (page.items.len(), self.list.items.len());
        for item in page.items {
            match self.check(&item) {
                Ok(header_params) => self.take(item, header_params),
                Err(reason) => self.leave_out(&item.name, &reason),
            }
        }
        let hints = page.hints.filter(|_| self.hints.is_some() || self.list.pages.is_empty());
        self.hints = hints.map(|h| self.hints.map_or(h, |before| before.and(h)));
        let kept = &self.list.items[before..];
        let result = if kept.len() == all { result } else { with_items(&result, kind, kept) };
        let ttl = TtlPlace::find(&result);
        self.list.pages.push(Page { cursor, result: result.into(), era, ttl });
        Ok(())
    }

    /// The parameters it mirrors into headers, or why it is not offered.
    fn check(&mut self, item: &ListItem) -> Result<Option<HeaderParams>, String> {
        if self.list.items.len() >= ITEMS_MAX {
            return Err(format!("the list has more than {ITEMS_MAX} items"));
        }
        if !self.seen.insert(item.name.clone()) {
            return Err("the server lists it twice; the first one counts".into());
        }
        match (self.list.kind, member(&item.raw, "inputSchema")) {
            (ListKind::Tools, Some(schema)) => HeaderParams::from_schema(schema).map_err(|e| e.to_string()),
            _ => Ok(None),
        }
    }

    fn take(&mut self, item: ListItem, header_params: Option<HeaderParams>) {
        self.sha.update((item.raw.get().len() as u64).to_be_bytes());
        self.sha.update(item.raw.get().as_bytes());
        self.list.index.insert(item.name.clone(), self.list.items.len());
        self.list.items.push(Item {
            key: item.name,
            raw: item.raw.into(),
            header_params: header_params.map(Arc::new),
        });
    }

    fn leave_out(&mut self, key: &str, reason: &str) {
        if self.list.left_out.len() < LEFT_OUT_MAX {
            self.list.left_out.push(LeftOut { key: key.into(), reason: reason.into() });
        }
    }

    fn finish(mut self) -> ServerList {
        self.list.digest = self.sha.finalize().into();
        self.list.ttl = self.hints.map(|h| Duration::from_millis(h.ttl_ms));
        self.list.private = self.hints.is_none_or(|h| h.scope == CacheScope::Private);
        self.list
    }
}

// === free functions ===

/// A result that says that it is fresh for `left`, when it says more.
pub(crate) fn aged(result: &RawValue, ttl: Option<&TtlPlace>, left: Option<Duration>) -> Raw {
    match (ttl, left) {
        (Some(ttl), Some(left)) => ttl.at_most(result, u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
        _ => result.to_owned(),
    }
}

/// A page with fewer items.
fn with_items(page: &RawValue, kind: ListKind, items: &[Item]) -> Raw {
    let texts: Vec<&str> = items.iter().map(|item| item.raw.get()).collect();
    let mut out = Object::parse_or_empty(Some(page));
    if let Ok(array) = raw_json(format!("[{}]", texts.join(","))) {
        out.set(kind.member(), &array);
    }
    out.to_raw()
}

#[cfg(test)]
mod tests;
