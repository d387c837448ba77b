//! YAML. Nobody keeps a YAML editor for Rust that preserves comments, so an entry is exchanged as whole lines below its
//! top-level key; every other line stays as it is.

use serde_json::Value;

use super::EditError;

pub(super) fn value(text: &str) -> Result<Value, EditError> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_saphyr::from_str::<Value>(text).map_err(|e| EditError::Syntax {
        syntax: "YAML",
        said: e.to_string().lines().next().unwrap_or("").into(),
    })
}

pub(super) fn set(text: &str, path: &[&str], name: &str, value: &Value) -> Result<String, EditError> {
    let cleared = remove(text, path, name)?;
    let key = path.join(".");
    let mut lines: Vec<String> = cleared.lines().map(str::to_owned).collect();
    let head = lines.iter().position(|l| is_key(l, 0, &key));
    let at = match head {
        Some(at) => {
            // `extensions: {}` and the like: an empty flow map becomes a block.
            if lines[at]
                .split_once(':')
                .is_some_and(|(_, rest)| !rest.trim().is_empty() && !rest.trim().starts_with('#'))
            {
                if lines[at].trim_end().ends_with("{}") {
                    lines[at] = format!("{key}:");
                } else {
                    return Err(EditError::Shape { key });
                }
            }
            at + 1
        }
        None => {
            lines.push(format!("{key}:"));
            lines.len()
        }
    };
    let indent = lines.get(at).map_or(2, |l| indent(l).max(2));
    let mut block = vec![format!("{}{name}:", " ".repeat(indent))];
    for (key, value) in value.as_object().into_iter().flatten() {
        // JSON is YAML: values on one line need no quoting rules of our own.
        block.push(format!("{}{key}: {value}", " ".repeat(indent * 2)));
    }
    lines.splice(at..at, block);
    let edited = lines.join("\n") + "\n";
    // What was written must read back, else nothing is written at all.
    self::value(&edited)?;
    Ok(edited)
}

pub(super) fn remove(text: &str, path: &[&str], name: &str) -> Result<String, EditError> {
    value(text)?;
    let lines: Vec<&str> = text.lines().collect();
    let Some(head) = lines.iter().position(|l| is_key(l, 0, &path.join("."))) else {
        return Ok(text.to_owned());
    };
    let inside = |l: &&str| l.trim().is_empty() || indent(l) > 0 || l.starts_with('#');
    let end = head + 1 + lines[head + 1..].iter().take_while(|l| inside(l)).count();
    let level = lines[head + 1..end].iter().find(|l| !l.trim().is_empty() && !l.trim().starts_with('#'));
    let Some(level) = level.map(|l| indent(l)) else { return Ok(text.to_owned()) };
    let Some(start) = lines[head + 1..end].iter().position(|l| is_key(l, level, name)) else {
        return Ok(text.to_owned());
    };
    let start = head + 1 + start;
    let body = lines[start + 1..end].iter().take_while(|l| !l.trim().is_empty() && indent(l) > level).count();
    let kept: Vec<&str> = [&lines[..start], &lines[start + 1 + body..]].concat();
    Ok(kept.join("\n") + "\n")
}

fn is_key(line: &str, level: usize, key: &str) -> bool {
    let Some((found, _)) = line.split_once(':') else { return false };
    indent(line) == level && found.trim().trim_matches(['"', '\'']) == key
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}
