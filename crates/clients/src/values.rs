//! Values of a client's file in Cella's spelling: each client has its own way to say "the variable NAME".
//!
//! Cella reads `${NAME}` and `${NAME:-otherwise}`, and `env:`, `file:` as a whole value. What has no counterpart becomes a
//! note for the user, never a silent loss.

use super::{known::Spelling, server::Found};

/// What stands for the folder of a project, in VS Code and Cursor.
const FOLDER: &str = "${workspaceFolder}";

// === impl Found ===

impl Found {
    /// Puts every value into Cella's spelling. `project` is the folder of the project the file belongs to.
    pub(super) fn translate(&mut self, spelling: Spelling, project: Option<&str>) {
        let mut notes = std::mem::take(&mut self.notes);
        let mut one = |text: &mut String| *text = translated(text, spelling, project, &mut notes);
        self.command.iter_mut().for_each(&mut one);
        self.args.iter_mut().for_each(&mut one);
        self.cwd.iter_mut().for_each(&mut one);
        self.url.iter_mut().for_each(&mut one);
        self.env.iter_mut().for_each(|(_, value)| one(value));
        self.headers.iter_mut().for_each(|(_, value)| one(value));
        self.notes = notes;
        self.at_home_in(project);
        if self.args.iter().chain(&self.url).any(|text| holds_secret(text)) {
            self.notes.push("an argument or the URL looks like a secret, and stays in cella.toml".into());
        }
        self.notes.dedup();
    }

    /// A client starts a project's servers in the project's folder, and their relative paths count from there.
    fn at_home_in(&mut self, project: Option<&str>) {
        let relative = |text: &String| text.starts_with("./") || text.starts_with("../");
        match (project, &self.cwd) {
            (Some(folder), Some(cwd)) if !cwd.starts_with(['/', '$', '~']) => {
                self.cwd = Some(std::path::Path::new(folder).join(cwd).display().to_string());
            }
            (Some(folder), None) if self.command.iter().chain(&self.args).any(relative) => {
                self.cwd = Some(folder.to_owned());
            }
            (None, Some(cwd)) if !cwd.starts_with(['/', '$', '~']) => {
                self.notes
                    .push(format!("its directory `{cwd}` is relative: write the whole path in cella.toml"));
            }
            _ => {}
        }
    }
}

fn translated(text: &str, spelling: Spelling, project: Option<&str>, notes: &mut Vec<String>) -> String {
    match spelling {
        Spelling::OpenCode => braces(text),
        Spelling::Gemini => dollars(text),
        Spelling::Common => common(text, project, notes),
        // These take every value as it is; a doubled dollar sign would become a single one in Cella.
        Spelling::Goose | Spelling::Codex => text.replace('$', "$$"),
    }
}

/// OpenCode: `{env:NAME}` anywhere, `{file:PATH}`.
fn braces(text: &str) -> String {
    if let Some(path) = text.strip_prefix("{file:").and_then(|t| t.strip_suffix('}')) {
        return format!("file:{path}");
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{env:") {
        let Some((name, tail)) = after.split_once('}') else { break };
        out.push_str(&before.replace('$', "$$"));
        out.push_str(&format!("${{{name}:-}}"));
        rest = tail;
    }
    out + &rest.replace('$', "$$")
}

/// Gemini CLI: `$NAME` beside `${NAME}`.
fn dollars(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let length = after.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        if length == 0 || after.as_bytes()[0].is_ascii_digit() {
            out.push('$');
            rest = after;
        } else {
            out.push_str(&format!("${{{}}}", &after[..length]));
            rest = &after[length..];
        }
    }
    out + rest
}

/// VS Code and Cursor: `${env:NAME}`, `${input:id}`, `${userHome}`, `${workspaceFolder}`; Claude Code's `${NAME}` is ours.
fn common(text: &str, project: Option<&str>, notes: &mut Vec<String>) -> String {
    let mut text = text.replace("${env:", "${").replace("${userHome}", "${HOME}").replace("${/}", "/");
    match project {
        Some(folder) => text = text.replace(FOLDER, folder),
        None if text.contains(FOLDER) => {
            notes.push(format!("`{FOLDER}` means nothing outside an editor: write the path in cella.toml"));
        }
        None => {}
    }
    while let Some(at) = text.find("${input:") {
        let Some(length) = text[at..].find('}') else { break };
        let id = text[at + "${input:".len()..at + length].to_owned();
        let variable: String = id
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        notes.push(format!("the editor asks for `{id}`: set {variable} for the node instead"));
        text.replace_range(at..=at + length, &format!("${{{variable}}}"));
    }
    text
}

/// A password in a URL, or the look of a well-known token.
fn holds_secret(text: &str) -> bool {
    let value = text.split_once('=').map_or(text, |(_, value)| value);
    let in_url = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?']).next());
    let password = in_url.and_then(|authority| authority.rsplit_once('@')).is_some_and(|(user, _)| {
        user.split_once(':').is_some_and(|(_, password)| !password.is_empty() && !password.contains("${"))
    });
    password || cella_contract::looks_like_secret("", value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(spelling: Spelling, text: &str) -> (String, Vec<String>) {
        let mut notes = Vec::new();
        (translated(text, spelling, None, &mut notes), notes)
    }

    #[test]
    fn variables_are_spelled_in_cellas_way() {
        assert_eq!(said(Spelling::OpenCode, "Bearer {env:TOKEN}").0, "Bearer ${TOKEN:-}");
        assert_eq!(said(Spelling::OpenCode, "{file:~/key}").0, "file:~/key");
        assert_eq!(said(Spelling::Gemini, "$A/${B}/$5 $").0, "${A}/${B}/$5 $");
        assert_eq!(said(Spelling::Common, "${env:A} ${userHome}/x ${B:-c}").0, "${A} ${HOME}/x ${B:-c}");
        assert_eq!(said(Spelling::Goose, "a$$b").0, "a$$$$b");
        let (text, notes) = said(Spelling::Common, "${input:api-key}");
        assert_eq!((text.as_str(), notes.len()), ("${API_KEY}", 1));
    }

    #[test]
    fn secrets_in_arguments_are_noticed() {
        assert!(holds_secret("postgresql://me:hunter2@db/app") && holds_secret("--token=ghp_0123456789"));
        assert!(!holds_secret("https://example.com/a@b:c") && !holds_secret("postgresql://me:${PW}@db"));
    }
}
