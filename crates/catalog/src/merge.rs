//! What does the one list look like that stands for the lists of many servers?
//!
//! Servers in the order of their names, within a server its own order: the same list for every client, so that clients
//! and model providers can cache it (2026-07-28, server/tools: deterministic order). Definitions pass through byte for
//! byte but for the name. The result is encoded once and then handed out as it is.

use std::{collections::HashMap, sync::Arc, time::Duration};

use cella_mcp::{CacheHints, CacheScope, Era, ListKind, Object, Raw, TtlPlace, build_list, raw_json};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    Item, Missing, ServerList, View, list,
    names::{self, Collision, NameTable},
    uris,
};

/// Most items on one page of a merged list. Clients read pages one after the other, so a page is as large as is safe.
pub const PAGE_ITEMS_MAX: usize = 2_000;
/// Most bytes of items on one page, so that a page stays well below the 16 MiB at which peers refuse a message.
pub const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long clients may keep a list of servers that do not say (all before 2026-07-28). Clients that listen for changes
/// hear of them at once; this is the bound for those that do not.
pub const TTL_UNSAID: Duration = Duration::from_secs(5);
/// Where a merged list says what it does not show.
pub const MISSING_KEY: &str = "dev.cella/missing";

/// A merged list, encoded.
#[derive(Debug)]
pub struct Merged {
    /// Exposed name to server and own name. Empty for resources and templates.
    pub table: NameTable,
    /// Names that two items would have had; none of them is offered.
    pub collisions: Vec<Collision>,
    pages: Vec<(Arc<RawValue>, Option<TtlPlace>)>,
    tag: Box<str>,
}

/// One server's part of a merged list.
#[derive(Clone, Debug)]
pub struct Part {
    /// The server's configured name.
    pub server: Arc<str>,
    /// Its list.
    pub list: Arc<ServerList>,
}

/// A cursor that leads nowhere, for example because the list has changed since it was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not valid any more; start again without one")]
pub struct StaleCursor;

/// What a merged list is made of.
#[derive(Clone, Debug)]
pub struct Ingredients<'a> {
    /// Which list.
    pub kind: ListKind,
    /// The era to write it in.
    pub era: Era,
    /// The servers' lists, in the order of the servers' names.
    pub parts: &'a [Part],
    /// Shows a part only; `None` shows everything.
    pub view: Option<&'a View>,
    /// Items of Cella itself; they come first.
    pub own: &'a [Raw],
    /// What is not shown, and why.
    pub missing: &'a [Missing],
}

/// An item on its way into the list.
struct Candidate<'a> {
    server: &'a str,
    item: &'a Item,
    exposed: Box<str>,
}

// === impl Merged ===

impl Merged {
    /// Merges and encodes.
    #[must_use]
    pub fn new(from: &Ingredients<'_>) -> Self {
        let candidates = candidates(from);
        let (table, collisions) = match from.kind {
            ListKind::Tools | ListKind::Prompts => {
                NameTable::build(candidates.iter().map(|c| (c.exposed.clone(), c.server, &*c.item.key)))
            }
            ListKind::Resources | ListKind::ResourceTemplates => <(NameTable, Vec<Collision>)>::default(),
        };
        let refused = |c: &Candidate<'_>| collisions.iter().any(|collision| collision.exposed == c.exposed);
        let offered = candidates.iter().filter(|c| !refused(c)).map(|c| c.under_its_name(from.kind));
        let items: Vec<Raw> = from.own.iter().cloned().chain(offered).collect();
        let tag = tag(&items);
        let pages = paginate(&items);
        let count = pages.len();
        let pages = pages.into_iter().enumerate().map(|(i, page)| {
            let next = (i + 1 < count).then(|| format!("{}.{tag}", i + 1));
            let page = from.encode(page, next.as_deref());
            let ttl = TtlPlace::find(&page);
            (page.into(), ttl)
        });
        Self { table, collisions, pages: pages.collect(), tag: tag.clone() }
    }

    /// The page to which a cursor leads; none leads to the first.
    ///
    /// # Errors
    /// [`StaleCursor`] for a cursor of another list, or one that was never given out.
    pub fn page(&self, cursor: Option<&str>) -> Result<&Arc<RawValue>, StaleCursor> {
        self.find(cursor).map(|(page, _)| page)
    }

    /// Like [`Merged::page`]; the page says that it is fresh for `left` when it says more.
    ///
    /// # Errors
    /// As of [`Merged::page`].
    pub fn page_aged(&self, cursor: Option<&str>, left: Option<Duration>) -> Result<Raw, StaleCursor> {
        self.find(cursor).map(|(page, ttl)| list::aged(page, ttl.as_ref(), left))
    }

    fn find(&self, cursor: Option<&str>) -> Result<&(Arc<RawValue>, Option<TtlPlace>), StaleCursor> {
        let index = match cursor {
            None => 0,
            Some(text) => self.index_of(text).ok_or(StaleCursor)?,
        };
        self.pages.get(index).ok_or(StaleCursor)
    }

    /// Number of pages, at least one.
    #[must_use]
    pub fn page_count(&self) -> usize {
        self.pages.len()
    }

    fn index_of(&self, text: &str) -> Option<usize> {
        let (index, tag) = text.split_once('.')?;
        (tag == &*self.tag).then(|| index.parse().ok()).flatten()
    }
}

// === impl Ingredients ===

impl Ingredients<'_> {
    /// Nobody may keep a list of which something is missing: the missing may be there a second later.
    fn hints(&self) -> CacheHints {
        let said = self.parts.iter().map(|p| p.list.ttl.unwrap_or(TTL_UNSAID)).min().unwrap_or(TTL_UNSAID);
        let ttl = if self.missing.is_empty() { said } else { Duration::ZERO };
        let private = self.parts.iter().any(|p| p.list.private);
        let scope = if private { CacheScope::Private } else { CacheScope::Public };
        CacheHints { ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(0), scope }
    }

    fn encode(&self, items: &[Raw], next: Option<&str>) -> Raw {
        let items = items.iter().map(|raw| &**raw);
        let result = build_list(self.kind, items, next, self.era, Some(self.hints()));
        let said = serde_json::to_string(self.missing).ok().and_then(|text| raw_json(text).ok());
        match said {
            Some(missing) if !self.missing.is_empty() => {
                let mut object = Object::parse_or_empty(Some(&result));
                object.edit_object("_meta", |meta| meta.set(MISSING_KEY, &missing));
                object.to_raw()
            }
            _ => result,
        }
    }
}

// === impl Candidate ===

impl Candidate<'_> {
    fn under_its_name(&self, kind: ListKind) -> Raw {
        if self.exposed == self.item.key {
            return (*self.item.raw).to_owned();
        }
        self.item.renamed(kind, &self.exposed)
    }
}

// === free functions ===

fn candidates<'a>(from: &Ingredients<'a>) -> Vec<Candidate<'a>> {
    let mut offers: HashMap<&str, usize> = HashMap::new();
    for item in from.parts.iter().flat_map(|part| &part.list.items) {
        *offers.entry(&item.key).or_default() += 1;
    }
    let shown = |server: &str, key: &str| from.view.is_none_or(|v| v.shows(server, key));
    let mut out = Vec::new();
    for part in from.parts {
        for item in part.list.items.iter().filter(|item| shown(&part.server, &item.key)) {
            let exposed = match (from.kind, from.view) {
                (ListKind::Tools | ListKind::Prompts, Some(view)) => view.name(&part.server, &item.key),
                (ListKind::Tools | ListKind::Prompts, None) => names::exposed(&part.server, &item.key),
                _ if offers.get(&*item.key).is_some_and(|n| *n > 1) => {
                    uris::qualified(&part.server, &item.key)
                }
                _ => item.key.clone(),
            };
            out.push(Candidate { server: &part.server, item, exposed });
        }
    }
    out
}

/// Names this very list, so that a cursor of another one is told apart.
fn tag(items: &[Raw]) -> Box<str> {
    let mut sha = Sha256::new();
    for item in items {
        sha.update((item.get().len() as u64).to_be_bytes());
        sha.update(item.get().as_bytes());
    }
    sha.finalize()[..8].iter().map(|b| format!("{b:02x}")).collect::<String>().into()
}

/// Cuts the items into pages; always at least one, maybe empty.
fn paginate(items: &[Raw]) -> Vec<&[Raw]> {
    let mut pages = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (i, item) in items.iter().enumerate() {
        let len = item.get().len();
        if i > start && (i - start >= PAGE_ITEMS_MAX || bytes + len > PAGE_BYTES_MAX) {
            pages.push(&items[start..i]);
            (start, bytes) = (i, 0);
        }
        bytes += len;
    }
    pages.push(&items[start..]);
    pages
}

#[cfg(test)]
mod tests;
