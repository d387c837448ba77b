//! Lists of tools, resources, resource templates and prompts: read page by page, rename single items, merge.

use serde_json::value::RawValue;

use crate::{Array, CacheHints, CacheScope, Era, Object, Raw, legacy, object, raw, text};

/// The four lists of MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListKind {
    /// `tools/list`
    Tools,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    ResourceTemplates,
    /// `prompts/list`
    Prompts,
}

/// One entry of a list.
#[derive(Clone, Debug)]
pub struct ListItem {
    /// The name of a tool or prompt, the URI of a resource, the URI template of a template.
    pub name: Box<str>,
    /// The whole entry as the server wrote it.
    pub raw: Raw,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// The entries, in the server's order.
    pub items: Vec<ListItem>,
    /// Entries that are no objects or lack their name; so that a shorter list never looks complete.
    pub unreadable: usize,
    /// Opaque; may be empty. `None` at the last page.
    pub next_cursor: Option<Box<str>>,
    /// How long and by whom the page may be cached; `None` when the server does not say (legacy servers never do).
    pub hints: Option<CacheHints>,
}

/// A result that is no list of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the result has no array {member:?}")]
#[non_exhaustive]
pub struct NotAList {
    /// The member that should hold the entries.
    pub member: &'static str,
}

// === impl ListKind ===

impl ListKind {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Resources, Self::ResourceTemplates, Self::Prompts];

    /// The method that asks for the list.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Resources => "resources/list",
            Self::ResourceTemplates => "resources/templates/list",
            Self::Prompts => "prompts/list",
        }
    }

    /// The member of the result that holds the entries.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }

    /// The member of an entry by which requests name it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::ResourceTemplates => "uriTemplate",
        }
    }

    /// The server capability without which the list is not offered.
    #[must_use]
    pub const fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources | Self::ResourceTemplates => "resources",
            Self::Prompts => "prompts",
        }
    }

    /// The notification that says the list changed.
    #[must_use]
    pub const fn changed(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Resources | Self::ResourceTemplates => "notifications/resources/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
        }
    }

    /// The list that a method asks for.
    #[must_use]
    pub fn of_method(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.method() == method)
    }
}

// === impl ListItem ===

impl ListItem {
    /// Reads one entry; `None` when it is no object or has no name.
    #[must_use]
    pub fn read(kind: ListKind, raw: &RawValue) -> Option<Self> {
        let name = text::unescape(object::member_text(raw.get(), kind.key())?)?;
        Some(Self { name: name.into_owned().into_boxed_str(), raw: raw.to_owned() })
    }

    /// The same entry under another name; nothing else changes.
    #[must_use]
    pub fn renamed(&self, kind: ListKind, name: &str) -> Self {
        let mut object = Object::parse_or_empty(Some(&self.raw));
        object.set_str(kind.key(), name);
        Self { name: name.into(), raw: object.to_raw() }
    }
}

// === impl ListPage ===

impl ListPage {
    /// Reads a result of `kind.method()`.
    ///
    /// # Errors
    /// [`NotAList`] when the result does not hold the array.
    pub fn parse(kind: ListKind, result: &RawValue) -> Result<Self, NotAList> {
        let missing = NotAList { member: kind.member() };
        let page = Object::parse(result).ok_or(missing)?;
        let entries = page.get(kind.member()).and_then(Array::over).ok_or(missing)?;
        let mut items = Vec::new();
        let mut unreadable = 0;
        for entry in entries.raws() {
            match ListItem::read(kind, entry) {
                Some(item) => items.push(item),
                None => unreadable += 1,
            }
        }
        let next_cursor = page.get_str("nextCursor").map(|c| c.into_owned().into_boxed_str());
        Ok(Self { items, unreadable, next_cursor, hints: CacheHints::of_object(&page) })
    }
}

/// The params of a list request for the page at `cursor`, on top of `params`.
#[must_use]
pub fn with_cursor(params: Option<&RawValue>, cursor: Option<&str>) -> Raw {
    let mut object = Object::parse_or_empty(params);
    match cursor {
        Some(cursor) => object.set_str("cursor", cursor),
        None => drop(object.remove("cursor")),
    }
    object.to_raw()
}

/// The cursor of a list request. An empty string is a cursor.
#[must_use]
pub fn cursor(params: Option<&RawValue>) -> Option<Box<str>> {
    let cursor = text::unescape(object::member_text(params?.get(), "cursor")?)?;
    Some(cursor.into_owned().into_boxed_str())
}

/// Puts entries together into a result of `kind.method()`, as the given era writes it ([`legacy::item_to_legacy`]).
///
/// `hints` are written in the modern era only, where they are mandatory: `None` there means stale at once and private.
#[must_use]
pub fn build_list<'a>(
    kind: ListKind,
    items: impl IntoIterator<Item = &'a RawValue>,
    next_cursor: Option<&str>,
    era: Era,
    hints: Option<CacheHints>,
) -> Raw {
    let mut out = String::from(match era {
        Era::Modern => "{\"resultType\":\"complete\",\"",
        Era::Legacy => "{\"",
    });
    out.push_str(kind.member());
    out.push_str("\":[");
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        match era {
            Era::Legacy => out.push_str(legacy::item_to_legacy(item).as_deref().unwrap_or(item).get()),
            Era::Modern => out.push_str(item.get()),
        }
    }
    out.push(']');
    if let Some(cursor) = next_cursor {
        out.push_str(",\"nextCursor\":");
        text::push_string(&mut out, cursor);
    }
    if era == Era::Modern {
        let hints = hints.unwrap_or(CacheHints { ttl_ms: 0, scope: CacheScope::Private });
        out.push_str(",\"ttlMs\":");
        out.push_str(&hints.ttl_ms.to_string());
        out.push_str(",\"cacheScope\":\"");
        out.push_str(hints.scope.as_str());
        out.push('"');
    }
    out.push('}');
    raw::checked(out)
}

#[cfg(test)]
mod tests;
