//! Whole lists, page by page, with an end to every patience.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use cella_mcp::{CacheHints, Era, HeaderParams, ListItem, ListKind, ListPage, codes, member, with_cursor};

use super::{carrier::Carrier, error, interests::Interests};
use cella_transport::{Failure, Fault};

/// A whole list of a server.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The entries, in the server's order.
    pub items: Vec<ListItem>,
    /// How long and by whom the whole may be cached; `None` when the server does not say.
    pub hints: Option<CacheHints>,
    /// Entries that could not be read. The list is not complete when this is not 0.
    pub unreadable: usize,
    /// Tools that must not be offered, with the reason (2026-07-28, `x-mcp-header`).
    pub rejected: Vec<(Box<str>, String)>,
}

/// Reads all pages of a list. A list that the server does not offer is empty.
pub(super) async fn collect(
    carrier: &Carrier,
    kind: ListKind,
    interests: &Interests,
) -> Result<Listing, Failure> {
    let Some(terms) = carrier.terms() else { return Err(Failure::Fault(error::link_closed(false))) };
    if !terms.offers(kind.capability()) {
        return Ok(Listing::default());
    }
    let mut gathered = Gathered::default();
    let mut cursor: Option<Box<str>> = None;
    loop {
        let params = cursor.as_deref().map(|cursor| with_cursor(None, Some(cursor)));
        let within = carrier.options().deadlines.idle;
        let result = match carrier.request(kind.method(), params, interests, within).await {
            // Offering resources does not mean offering templates.
            Err(Failure::Peer(error))
                if kind == ListKind::ResourceTemplates && error.code == codes::METHOD_NOT_FOUND =>
            {
                return Ok(Listing::default());
            }
            other => other?,
        };
        let page =
            ListPage::parse(kind, &result).map_err(|e| Failure::Fault(error::garbage(&e.to_string())))?;
        cursor = gathered.add(page, result.get().len(), carrier).map_err(Failure::Fault)?;
        if cursor.is_none() {
            break;
        }
    }
    let mut listing = gathered.listing;
    if kind == ListKind::Tools
        && terms.era() == Era::Modern
        && let Carrier::Http(link) = carrier
    {
        link.learn_header_params(screen(&mut listing, &carrier.options().name));
    }
    Ok(listing)
}

#[derive(Default)]
struct Gathered {
    listing: Listing,
    pages: usize,
    bytes: usize,
    cursors: HashSet<Box<str>>,
}

impl Gathered {
    /// Adds a page and returns the cursor of the next one.
    fn add(&mut self, page: ListPage, bytes: usize, carrier: &Carrier) -> Result<Option<Box<str>>, Fault> {
        let limits = &carrier.options().limits;
        self.pages += 1;
        self.bytes += bytes;
        self.listing.unreadable += page.unreadable;
        self.listing.hints = match (self.listing.hints, page.hints) {
            (Some(before), Some(now)) => Some(before.and(now)),
            (None, now) if self.pages == 1 => now,
            _ => None,
        };
        self.listing.items.extend(page.items);
        let items = self.listing.items.len();
        let Some(cursor) = page.next_cursor else {
            return if items > limits.list_items {
                Err(error::past_limit(format!("the list has more than {} entries", limits.list_items)))
            } else {
                Ok(None)
            };
        };
        let past = if self.pages >= limits.list_pages {
            Some(format!("the list has more than {} pages", limits.list_pages))
        } else if items > limits.list_items {
            Some(format!("the list has more than {} entries", limits.list_items))
        } else if self.bytes > limits.list_bytes {
            Some(format!("the list has more than {} bytes", limits.list_bytes))
        } else if !self.cursors.insert(cursor.clone()) {
            Some("the list goes in a circle: a cursor came back".to_owned())
        } else {
            None
        };
        past.map_or(Ok(Some(cursor)), |what| Err(error::past_limit(what)))
    }
}

/// Takes tools with invalid header annotations out, and returns the mirrored parameters of the others.
fn screen(listing: &mut Listing, server: &str) -> HashMap<Box<str>, Arc<HeaderParams>> {
    let mut all = HashMap::new();
    let mut rejected = Vec::new();
    listing.items.retain(|tool| {
        let Some(schema) = member(&tool.raw, "inputSchema") else { return true };
        match HeaderParams::from_schema(schema) {
            Ok(None) => true,
            Ok(Some(params)) => {
                all.insert(tool.name.clone(), Arc::new(params));
                true
            }
            Err(why) => {
                let name = error::quote(&tool.name);
                tracing::warn!(server, tool = name, %why, "the tool is left out");
                rejected.push((tool.name.clone(), why.to_string()));
                false
            }
        }
    });
    listing.rejected = rejected;
    all
}
