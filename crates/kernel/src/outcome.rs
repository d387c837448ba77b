//! Reading what a tool answered: an MCP `CallToolResult`, from a server that is not trusted.

use cella_dialogue::Json;
use serde::Deserialize;
use serde_json::Value;

/// Longest text of one result that a model is shown, in bytes. Stops one answer from filling the model's window for the rest of the
/// run; past it the model sees the start and how much is missing. The ledger has all of it.
pub const RESULT_BYTES_MAX: usize = 256 * 1024;

/// What a model is told of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) is_error: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallToolResult {
    #[serde(default)]
    content: Vec<Value>,
    #[serde(default)]
    structured_content: Option<Value>,
    #[serde(default)]
    is_error: bool,
}

/// What a model is told of a result: its text, an MCP `CallToolResult`.
#[must_use]
pub fn result_text(result: &Json) -> String {
    told(result).text
}

/// The result in words for the model.
pub(crate) fn told(result: &Json) -> Told {
    let Ok(read) = serde_json::from_str::<CallToolResult>(result.text()) else {
        return Told { text: clipped(result.text().to_owned()), is_error: false };
    };
    let mut text = String::new();
    for block in &read.content {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&words(block));
    }
    if text.is_empty()
        && let Some(structured) = &read.structured_content
    {
        text = structured.to_string();
    }
    Told { text: clipped(text), is_error: read.is_error }
}

/// What a probe says: whether the call was done. `None`: it does not say.
///
/// A probe answers with `happened` as a boolean, in its structured content or in a text that is a JSON object; what the call
/// came to may stand beside it as `result`.
pub(crate) fn happened(result: &Json) -> Option<(bool, Option<String>)> {
    let read: CallToolResult = serde_json::from_str(result.text()).ok()?;
    if read.is_error {
        return None;
    }
    let texts = read.content.iter().filter_map(|block| block.get("text")?.as_str());
    let parsed = texts.filter_map(|text| serde_json::from_str::<Value>(text).ok());
    let answer = read.structured_content.into_iter().chain(parsed).find(|v| v.get("happened").is_some())?;
    let happened = answer.get("happened")?.as_bool()?;
    let result = answer.get("result").map(|r| r.as_str().map_or_else(|| r.to_string(), str::to_owned));
    Some((happened, result))
}

fn words(block: &Value) -> String {
    let field = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
    match field("type") {
        "text" => field("text").to_owned(),
        "resource_link" => format!("[link {}]", field("uri")),
        "resource" => {
            let resource = block.get("resource");
            let text = resource.and_then(|r| r.get("text")).and_then(Value::as_str);
            let uri = resource.and_then(|r| r.get("uri")).and_then(Value::as_str).unwrap_or_default();
            text.map_or_else(|| format!("[resource {uri}]"), str::to_owned)
        }
        other => {
            let bytes = field("data").len() / 4 * 3;
            format!("[{other} {}, about {bytes} bytes]", field("mimeType"))
        }
    }
}

pub(crate) fn clipped(mut text: String) -> String {
    // What is clipped already is a little longer, by the words that say so.
    if text.len() > RESULT_BYTES_MAX + 64 {
        let missing = text.len() - RESULT_BYTES_MAX;
        text.truncate(text.floor_char_boundary(RESULT_BYTES_MAX));
        text.push_str(&format!("\n[{missing} bytes more are left out here]"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text).expect("JSON")
    }

    #[test]
    fn a_result_is_told_in_words() {
        let result = json(
            r#"{"content":[{"type":"text","text":"a"},{"type":"image","data":"AAAA","mimeType":"image/png"}],"isError":true}"#,
        );
        let told = told(&result);
        assert_eq!(told.text, "a\n[image image/png, about 3 bytes]");
        assert!(told.is_error);
        assert_eq!(super::told(&json(r#"{"structuredContent":{"x":1}}"#)).text, r#"{"x":1}"#);
    }

    #[test]
    fn a_probe_that_does_not_say_is_no_answer() {
        let says = |text: &str| happened(&json(text));
        assert_eq!(says(r#"{"structuredContent":{"happened":true}}"#), Some((true, None)));
        let text = r#"{"content":[{"type":"text","text":"{\"happened\":false,\"result\":\"x\"}"}]}"#;
        assert_eq!(says(text), Some((false, Some("x".into()))));
        assert_eq!(says(r#"{"content":[{"type":"text","text":"yes"}]}"#), None);
        assert_eq!(says(r#"{"structuredContent":{"happened":"yes"}}"#), None);
        assert_eq!(says(r#"{"structuredContent":{"happened":true},"isError":true}"#), None);
    }

    #[test]
    fn a_long_result_says_how_much_is_missing() {
        let text = "ä".repeat(RESULT_BYTES_MAX);
        let result = json(&serde_json::json!({"content": [{"type": "text", "text": text}]}).to_string());
        let told = told(&result);
        assert!(told.text.len() < RESULT_BYTES_MAX + 64);
        assert!(told.text.ends_with(&format!("[{RESULT_BYTES_MAX} bytes more are left out here]")));
    }
}
