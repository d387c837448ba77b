//! What somebody may have meant by a word that is not known.

use serde_json::Value;

/// Share of a word that may differ before a suggestion is noise.
const SIMILAR_MIN: f64 = 0.6;

/// Words of other programs' configurations, and ours for the same thing.
const FOREIGN: &[(&str, &str)] = &[
    ("mcpservers", "servers"),
    ("mcp_servers", "servers"),
    ("server", "servers"),
    ("cmd", "command"),
    ("program", "command"),
    ("arguments", "args"),
    ("environment", "env"),
    ("working_dir", "cwd"),
    ("workdir", "cwd"),
    ("type", "transport"),
    ("serverurl", "url"),
    ("httpurl", "url"),
    ("endpoint", "url"),
    ("http_headers", "headers"),
    ("disabled", "enabled"),
    ("timeout", "call_timeout"),
    ("tool_timeout_sec", "call_timeout"),
    ("startup_timeout_sec", "start_timeout"),
    ("idle_timeout", "idle_stop"),
    ("prefix", "namespace"),
    ("profiles", "views"),
    ("toolsets", "views"),
    ("network", "egress"),
    ("hosts", "egress"),
    ("mounts", "files"),
    ("volumes", "files"),
    ("pids", "processes"),
    ("mem", "memory"),
    ("ram", "memory"),
    ("cpus", "cpu"),
    ("nofile", "open_files"),
    ("ratelimit", "rate"),
    ("enabled", "allow"),
    ("access", "mode"),
    ("port", "listen"),
    ("bind", "listen"),
    ("address", "listen"),
];

/// What to say about an unknown key.
pub(crate) struct Hint {
    pub(crate) label: String,
    pub(crate) fix: String,
}

/// The word that was probably meant.
pub(crate) fn closest<'w>(written: &str, words: &[&'w str]) -> Option<&'w str> {
    let lower = written.to_lowercase();
    let score = |word: &str| strsim::normalized_damerau_levenshtein(&lower, &word.to_lowercase());
    // The clone bounds the work: a hostile key may be a megabyte long.
    if lower.len() > 64 {
        return None;
    }
    let best = words.iter().map(|word| (score(word), *word)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= SIMILAR_MIN).then_some(best.1)
}

/// A hint for a key that `section` does not have: a similar one, the same one elsewhere in the file, or all there are.
pub(crate) fn key(written: &str, known: &[&str], section: &str, schema: &Value) -> Hint {
    let lower = written.to_lowercase().replace('-', "_");
    let foreign = FOREIGN.iter().find(|(other, ours)| *other == lower && known.contains(ours));
    if let Some(meant) = foreign.map(|(_, ours)| *ours).or_else(|| closest(&lower, known)) {
        return Hint { label: format!("did you mean `{meant}`?"), fix: format!("write `{meant}`") };
    }
    if let Some(place) = elsewhere(&lower, schema, "") {
        return Hint { label: format!("belongs in {place}"), fix: format!("move it to {place}") };
    }
    let known = known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
    Hint { label: "not known here".to_owned(), fix: format!("{section} has {known}") }
}

/// The first table of the file that has the key.
fn elsewhere(key: &str, schema: &Value, path: &str) -> Option<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Some(properties) = properties {
        if !path.is_empty() && properties.contains_key(key) {
            return Some(path.to_owned());
        }
        for (name, inner) in properties {
            let path = path.trim_start_matches('[').trim_end_matches(']');
            let path = if path.is_empty() { format!("[{name}]") } else { format!("[{path}.{name}]") };
            let found = elsewhere(key, inner, &path);
            if found.is_some() {
                return found;
            }
        }
    }
    if let Some(inner) = schema.get("additionalProperties").filter(|v| v.is_object()) {
        let path = format!("{}.NAME]", path.trim_end_matches(']'));
        return elsewhere(key, inner, &path);
    }
    let items = schema.get("items").filter(|items| items.is_object())?;
    elsewhere(key, items, &format!("[{path}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_words_of_other_programs_are_recognised() {
        let known = ["command", "args", "env", "enabled"];
        for (written, meant) in
            [("comand", "command"), ("Args", "args"), ("cmd", "command"), ("disabled", "enabled")]
        {
            assert_eq!(key(written, &known, "[x]", &Value::Null).label, format!("did you mean `{meant}`?"));
        }
        assert_eq!(key("zebra", &known, "[x]", &Value::Null).label, "not known here");
        assert_eq!(closest(&"c".repeat(1 << 20), &known), None);
    }
}
