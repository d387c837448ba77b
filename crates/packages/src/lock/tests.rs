//! The format of `cella.lock`, and what does not get into it.

use super::*;

const GOLDEN: &str = r#"{
  "schema": "cella-lock/v1",
  "packages": {
    "npm-tool-b9ee27548cc7": {
      "asked": [
        "tool@^1"
      ],
      "npm": {
        "lockfileVersion": 3,
        "packages": {
          "": {
            "dependencies": {
              "tool": "^1"
            }
          },
          "node_modules/tool": {
            "integrity": "sha512-YWJj",
            "version": "1.2.3"
          }
        }
      }
    },
    "pypi-tool-6b735d051b69": {
      "asked": [
        "tool==2"
      ],
      "pypi": [
        {
          "name": "tool",
          "version": "2",
          "hashes": [
            "sha256:00ff"
          ]
        }
      ]
    }
  }
}
"#;

fn recipe(line: &str) -> Recipe {
    let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    Recipe::read(&words[0], &words[1..]).expect("readable").expect("a recipe")
}

fn golden() -> Lock {
    let mut lock = Lock::default();
    let npm = serde_json::json!({ "lockfileVersion": 3, "packages": {
        "": { "dependencies": { "tool": "^1" } },
        "node_modules/tool": { "integrity": "sha512-YWJj", "version": "1.2.3" },
    }});
    let tool = recipe("npx tool@^1");
    lock.set(&tool, Locked::npm(&tool, npm).expect("complete"));
    let tool = recipe("uvx tool@2");
    let pin = Pin { name: "tool".into(), version: "2".into(), hashes: vec!["sha256:00ff".into()] };
    lock.set(&tool, Locked::pypi(&tool, vec![pin]).expect("complete"));
    lock
}

#[test]
fn the_format_is_what_it_was() {
    assert_eq!(golden().text(), GOLDEN);
    assert_eq!(Lock::parse(GOLDEN).expect("a lock"), golden());
}

#[test]
fn what_is_no_lock_of_this_version_is_refused_with_the_reason() {
    for (text, why) in [
        ("{}", "schema"),
        (r#"{"schema":"cella-lock/v2","packages":{}}"#, "cella-lock/v1"),
        (r#"{"schema":"cella-lock/v1","packages":{"k":{"asked":[]}}}"#, "one of"),
        (r#"{"schema":"cella-lock/v1","packages":{},"more":1}"#, "more"),
    ] {
        let refused = Lock::parse(text).expect_err("refused");
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn what_has_no_digest_or_is_named_by_an_address_is_not_locked() {
    let pin = |hashes: &[&str]| {
        let hashes = hashes.iter().map(|hash| (*hash).to_owned()).collect();
        vec![Pin { name: "t".into(), version: "1".into(), hashes }]
    };
    assert_eq!(Locked::pypi(&recipe("uvx t"), pin(&[])), None);
    assert_eq!(
        Locked::pypi(&recipe("uvx --from https://u:p@a.example/t-1.whl t"), pin(&["sha256:01"])),
        None
    );
    assert!(Locked::pypi(&recipe("uvx t"), pin(&["sha256:01"])).is_some());
}

#[test]
fn a_lock_cannot_say_anything_but_packages_to_an_installer() {
    let with = |name: &str, version: &str, hashes: &[&str]| {
        let pin = serde_json::json!({ "name": name, "version": version, "hashes": hashes });
        let locked = serde_json::json!({ "asked": [], "pypi": [pin] });
        Lock::parse(&serde_json::json!({ "schema": LOCK_SCHEMA, "packages": { "k": locked } }).to_string())
    };
    assert!(with("a.b-c_d", "1!2.0+local", &["sha256:00ff"]).is_ok());
    for (name, version, hash) in [
        ("a\n--no-binary=:all:", "1", "sha256:00"),
        ("--index-url=http://a.example", "1", "sha256:00"),
        ("a @ http://a.example/", "1", "sha256:00"),
        ("a", "1 --no-binary=:all:", "sha256:00"),
        ("a", "1", "sha256:00 --no-binary=:all:"),
        ("a", "1", "md5:00"),
    ] {
        assert!(with(name, version, &[hash]).is_err(), "{name} {version} {hash}");
    }
    assert!(with("a", "1", &[]).is_err(), "without a digest nothing is pinned");
    for (path, package) in
        [("node_modules/../../x", "{}"), ("x", "{}"), ("node_modules/x", "{\"link\":true}")]
    {
        let npm = format!("{{\"packages\":{{\"{path}\":{package}}}}}");
        let text =
            format!("{{\"schema\":\"{LOCK_SCHEMA}\",\"packages\":{{\"k\":{{\"asked\":[],\"npm\":{npm}}}}}}}");
        assert!(Lock::parse(&text).expect_err("refused").contains("below"), "{text}");
    }
}

#[test]
fn servers_that_are_gone_are_forgotten() {
    let mut lock = golden();
    assert!(lock.keep(&[recipe("npx tool@^1")]) && !lock.keep(&[recipe("npx tool@^1")]));
    assert!(lock.get(&recipe("uvx tool@2")).is_none());
}
