//! What holds of a server that somebody else runs.

use cella_cell::{Report, Shortfall};

/// The report of class `remote` for this address. Only `https` has what the report says of the way there.
#[must_use]
pub fn remote_report(url: &str) -> Report {
    let mut report = Report::remote();
    if url.starts_with("unix:") {
        report.enforced.retain(|wall| wall.what != "transport");
    } else if !url.to_ascii_lowercase().starts_with("https://") {
        report.enforced.retain(|wall| wall.what != "transport");
        report.degraded.push(Shortfall {
            what: "transport".into(),
            why: "the address is http://: whoever is on the way can read and change everything".into(),
            fix: "use https:// for anything but this machine".into(),
        });
    }
    report
}

#[cfg(test)]
mod tests {
    use super::remote_report;

    #[test]
    fn without_tls_nothing_is_said_of_tls() {
        let walls = |url| remote_report(url).enforced.iter().any(|wall| wall.what == "transport");
        assert!(walls("https://mcp.example/mcp"));
        assert!(!walls("http://mcp.example/mcp") && !walls("unix:/run/mcp.sock"));
        assert!(
            remote_report("http://mcp.example/mcp").degraded.iter().any(|short| short.what == "transport")
        );
    }
}
