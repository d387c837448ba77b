//! `.env` files, as Docker and the shells read them: `NAME=VALUE` lines, `export`, quotes, comments. Nothing is replaced in
//! a value: a `$` in a password is a `$`, and a library that expands it would store another password.

use cella_vault::Secret;

/// The variables of a text, in its order.
///
/// # Errors
/// The number of the line that is none; its text may be a secret and is not repeated.
pub(super) fn read(text: &str) -> Result<Vec<(String, Secret)>, usize> {
    let mut found = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let pair = line.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let (name, value) = pair.filter(|(name, _)| is_name(name)).ok_or(n + 1)?;
        let value = unquoted(value).ok_or(n + 1)?;
        found.push((name.to_owned(), Secret::from(value)));
    }
    Ok(found)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// The value without quotes and without the remark after it; `None` where a quote has no end.
fn unquoted(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('\'') {
        let (value, rest) = inner.split_once('\'')?;
        return is_rest(rest).then(|| value.to_owned());
    }
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(" #").or_else(|| text.find("\t#")).unwrap_or(text.len());
        return Some(text[..end].trim_end().to_owned());
    };
    let (mut value, mut chars) = (String::with_capacity(inner.len()), inner.chars());
    loop {
        match chars.next()? {
            '"' => return is_rest(chars.as_str()).then_some(value),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

/// True for what may stand after a closing quote.
fn is_rest(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty() || text.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_as_they_are() {
        let text =
            "# mine\n\nA=1\nexport B = two words # why\nC='a $b #c' # d\nD=\"x\\ny\\\"z\"\nE=\nF=p$w#1\r\n";
        let found = read(text).expect("read");
        let pairs: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.expose_text().unwrap_or(""))).collect();
        let wanted =
            [("A", "1"), ("B", "two words"), ("C", "a $b #c"), ("D", "x\ny\"z"), ("E", ""), ("F", "p$w#1")];
        assert_eq!(pairs, wanted);
    }

    #[test]
    fn a_line_that_is_none_is_named_by_its_number_alone() {
        for (text, line) in
            [("A=1\nnothing\n", 2), ("A='x\n", 1), ("A=\"x\n", 1), ("A b=1\n", 1), ("A='x'y\n", 1)]
        {
            assert_eq!(read(text).err(), Some(line), "{text}");
        }
    }
}
