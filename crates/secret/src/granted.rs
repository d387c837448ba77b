//! Contracts of tests: a host that a secret is bound to must be granted.

/// Text of secrets, with every host that it names granted.
pub(crate) fn granted(secrets: &str) -> String {
    let lines = secrets.lines().filter_map(|line| line.strip_prefix("hosts = "));
    let hosts: Vec<String> = lines
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .map(|host| format!("\"{host}:443\""))
        .collect();
    format!("egress = [{}]\n{secrets}", hosts.join(", "))
}
