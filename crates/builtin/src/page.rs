//! Turning what a web server sent into text a model can read.

/// The text of a page: Markdown for HTML, the body itself for other text, `None` for bytes that are not text.
pub(crate) fn readable(content_type: &str, body: &[u8], raw: bool) -> Option<String> {
    let text = String::from_utf8(body.to_vec()).ok().or_else(|| latin1(content_type, body))?;
    let html =
        content_type.contains("html") || text.trim_start().to_ascii_lowercase().starts_with("<!doctype html");
    if raw || !html {
        return Some(text);
    }
    let converter =
        htmd::HtmlToMarkdown::builder().skip_tags(vec!["script", "style", "noscript", "svg", "head"]).build();
    Some(converter.convert(&text).unwrap_or(text))
}

/// One window of a text, in characters, and where the next begins.
pub(crate) fn window(text: &str, start: usize, length: usize) -> (String, Option<usize>) {
    let part: String = text.chars().skip(start).take(length).collect();
    let end = start + part.chars().count();
    let more = text.chars().nth(end).is_some();
    (part, more.then_some(end))
}

fn latin1(content_type: &str, body: &[u8]) -> Option<String> {
    let latin = ["iso-8859-1", "windows-1252"].iter().any(|c| content_type.to_ascii_lowercase().contains(c));
    (latin && content_type.starts_with("text/")).then(|| body.iter().map(|&b| char::from(b)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_markdown_without_scripts() {
        let page = b"<!doctype html><html><head><title>t</title></head><body><h1>Hi</h1><script>evil()</script><p>a <b>b</b></p></body></html>";
        let text = readable("text/html", page, false).expect("text");
        assert!(text.contains("# Hi") && text.contains("**b**") && !text.contains("evil"), "{text}");
    }

    #[test]
    fn a_window_says_where_the_next_begins() {
        assert_eq!(window("äbcd", 1, 2), ("bc".into(), Some(3)));
        assert_eq!(window("äbcd", 3, 9), ("d".into(), None));
    }
}
