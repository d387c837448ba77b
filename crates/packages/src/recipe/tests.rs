use super::*;

fn read(line: &str) -> Option<Recipe> {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    Recipe::read(&words[0], &words[1..]).expect("readable")
}

#[test]
fn npx_lines_name_package_program_and_arguments() {
    let fs = read("npx -y @modelcontextprotocol/server-filesystem@2026.8.31 /data").expect("a recipe");
    assert_eq!(fs.packages, ["@modelcontextprotocol/server-filesystem@2026.8.31"]);
    assert_eq!(fs.package_name(), "@modelcontextprotocol/server-filesystem");
    assert_eq!(fs.args, ["/data"]);
    let tool = read("npx -p typescript -p ts-node tsc --version").expect("a recipe");
    assert_eq!((tool.packages.len(), tool.program.as_deref()), (2, Some("tsc")));
    assert_eq!(tool.args, ["--version"]);
}

#[test]
fn uvx_lines_name_package_program_and_arguments() {
    let sqlite = read("uvx --with mcp<2 mcp-server-sqlite --db-path /x.db").expect("a recipe");
    assert_eq!(sqlite.packages, ["mcp-server-sqlite", "mcp<2"]);
    assert_eq!(sqlite.args, ["--db-path", "/x.db"]);
    let pinned = read("uvx mcp-server-time@2026.10.19").expect("a recipe");
    assert_eq!(
        (pinned.packages[0].as_str(), pinned.package_name()),
        ("mcp-server-time==2026.10.19", "mcp-server-time")
    );
    assert_eq!(read("uvx --from git+x prog").expect("a recipe").program.as_deref(), Some("prog"));
}

#[test]
fn an_index_is_never_lost_and_never_taken_for_the_package() {
    let (private, other) = ("https://a.example/simple", "https://b.example/simple");
    let public = read("uvx tool").expect("a recipe");
    for flag in ["--index-url ", "--index-url=", "-i ", "--default-index "] {
        let recipe = read(&format!("uvx {flag}{private} tool --index-url x")).expect("a recipe");
        assert_eq!((recipe.packages.as_slice(), recipe.args.len()), (&["tool".to_owned()][..], 2));
        assert_eq!(recipe.indexes, [Index::Instead(private.into())], "{flag}");
        assert_ne!(recipe.key(), public.key(), "the same name from elsewhere is another package");
    }
    let recipe = read(&format!("uvx --index {private} --extra-index-url={other} tool")).expect("a recipe");
    assert_eq!(recipe.indexes, [Index::Before(private.into()), Index::Before(other.into())]);
    let npm = read(&format!("npx -y --registry {private} @a/tool")).expect("a recipe");
    assert_eq!((npm.package_name(), npm.indexes.len()), ("@a/tool", 1));
}

#[test]
fn a_python_that_is_asked_for_makes_another_installation() {
    let any = read("uvx tool").expect("a recipe");
    for line in ["uvx --python 3.12 tool", "uvx -p=3.12 tool", "pipx run --python 3.12 tool"] {
        let recipe = read(line).expect("a recipe");
        assert_eq!((recipe.python.as_deref(), recipe.packages.len()), (Some("3.12"), 1), "{line}");
        assert_ne!(recipe.key(), any.key());
    }
}

#[test]
fn addresses_of_registries_in_a_servers_environment_are_taken_and_secrets_are_not() {
    let env = [
        ("UV_INDEX_URL", "https://${HOST}/simple"),
        ("npm_config_registry", "https://a.example"),
        ("PIP_INDEX_URL", "env:SECRET_URL"),
        ("PIP_EXTRA_INDEX_URL", "https://${UNSET}/simple"),
        ("API_TOKEN", "secret"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let expand = |text: &str| (!text.contains("UNSET")).then(|| text.replace("${HOST}", "b.example"));
    let mut recipe = read("uvx tool").expect("a recipe");
    let key = recipe.key();
    recipe.take_registries(&env, &expand);
    let taken: Vec<_> = recipe.registries.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        taken,
        [("UV_INDEX_URL", "https://b.example/simple"), ("npm_config_registry", "https://a.example")]
    );
    assert_ne!(recipe.key(), key, "the same name from elsewhere is another package");
}

#[test]
fn a_flag_that_is_not_known_is_refused_with_its_name() {
    for line in ["npx --userconfig x tool", "npx -c tool", "uvx --constraints c.txt tool", "uvx --with"] {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let refused = Recipe::read(&words[0], &words[1..]).expect_err("refused");
        assert!(refused.code() == "CE2208" && refused.to_string().contains(&words[1]), "{refused}");
    }
    let late = read("npx tool --userconfig x").expect("a recipe");
    assert_eq!(late.args, ["--userconfig", "x"], "after the package flags are the program's own");
    assert_eq!(read("npx -- tool -y").expect("a recipe").args, ["-y"]);
}

#[test]
fn other_commands_are_left_alone_and_containers_refused() {
    assert_eq!(read("node server.js"), None);
    let docker = Recipe::read("docker", &["run".into(), "x".into()]);
    assert!(matches!(docker, Err(InstallError::Container { .. })));
    assert!(matches!(Recipe::read("npx", &["-y".into()]), Err(InstallError::NoPackage { .. })));
}
