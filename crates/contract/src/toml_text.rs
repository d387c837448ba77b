//! From text to tree: what TOML itself forbids, all of it at once.

use toml::de::DeTable;

use crate::{
    Code,
    read::{Fault, Read, Reader},
};

/// Largest file that is read, in bytes. A larger one is not a configuration; it would only cost memory.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 20;

/// Reads the top-level table. `None`: the file is not a table of that kind at all, which has been said.
///
/// After a syntax error the rest is still read, so that all mistakes are told in one go.
pub(crate) fn read<T: Read>(text: &str, reader: &mut Reader<'_>) -> Option<T> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes", text.len());
        let fault = Fault::new(Code::TOO_LARGE, message).cause(format!("at most {FILE_BYTES_MAX} are read"));
        reader.error(0..0, "too large", fault);
        return None;
    }
    let (tree, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let what = error.message();
        if what.starts_with("duplicate key") {
            let key = text.get(span.clone()).unwrap_or_default().trim();
            let fault = Fault::new(Code::DUPLICATE_KEY, format!("{key} stands here a second time"))
                .fix("keep one of the two");
            reader.error(span, "again", fault);
        } else {
            reader.error(span, "", Fault::new(Code::SYNTAX, format!("not TOML: {what}")));
        }
    }
    let span = tree.span();
    T::read(&toml::Spanned::new(span, toml::de::DeValue::Table(tree.into_inner())), reader)
}
