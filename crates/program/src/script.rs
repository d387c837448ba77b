//! Which argument of an interpreter is the script that it runs. Only that one is part of the program; every other path in
//! the arguments is data, and data is shown by a contract or not at all.

/// An interpreter, and how its command line is read up to the script.
#[derive(Debug)]
struct Interpreter {
    /// Names of the executable, without a version (`python` for `python3.11`).
    names: &'static [&'static str],
    /// Words that stand before the script (`run` of `deno run`).
    verbs: &'static [&'static str],
    /// Options whose value is the next word.
    valued: &'static [&'static str],
    /// Options after which no script comes: code in the arguments, or a module by name.
    inline: &'static [&'static str],
    /// The option that names the script, where no plain word does (`-jar`).
    named_by: Option<&'static str>,
}

const INTERPRETERS: &[Interpreter] = &[
    Interpreter {
        names: &["node", "nodejs", "tsx", "ts-node"],
        verbs: &["watch"],
        valued: &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "-C",
            "--conditions",
            "--env-file",
            "--env-file-if-exists",
            "--input-type",
            "--title",
            "--tsconfig",
            "--icu-data-dir",
            "--openssl-config",
        ],
        inline: &["-e", "--eval", "-p", "--print", "-pe", "--test", "--run"],
        named_by: None,
    },
    Interpreter {
        names: &["python", "pypy"],
        verbs: &[],
        valued: &["-W", "-X", "--check-hash-based-pycs"],
        inline: &["-c", "-m"],
        named_by: None,
    },
    Interpreter {
        names: &["deno"],
        verbs: &["run", "serve"],
        valued: &["-c", "--config", "--import-map", "--lock", "--cert", "--seed", "--env-file", "--location"],
        inline: &["eval", "repl", "task", "test"],
        named_by: None,
    },
    Interpreter {
        names: &["bun"],
        verbs: &["run"],
        valued: &["-r", "--preload", "-c", "--config", "--cwd", "--env-file", "--tsconfig-override"],
        inline: &["-e", "--eval", "-p", "--print", "x", "test", "install"],
        named_by: None,
    },
    Interpreter {
        names: &["ruby"],
        verbs: &[],
        valued: &["-I", "-r", "-C", "-E", "-K"],
        inline: &["-e"],
        named_by: None,
    },
    Interpreter {
        names: &["perl"],
        verbs: &[],
        valued: &["-I", "-M"],
        inline: &["-e", "-E"],
        named_by: None,
    },
    Interpreter {
        names: &["php"],
        verbs: &[],
        valued: &["-c", "-d", "-z"],
        inline: &["-r", "-S", "-B", "-R"],
        named_by: None,
    },
    Interpreter {
        names: &["sh", "bash", "dash", "zsh", "ksh", "ash"],
        verbs: &[],
        valued: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"],
        inline: &["-c"],
        named_by: None,
    },
    Interpreter { names: &["lua", "luajit"], verbs: &[], valued: &["-l"], inline: &["-e"], named_by: None },
    Interpreter { names: &["java"], verbs: &[], valued: &[], inline: &[], named_by: Some("-jar") },
];

/// The index of the script among the arguments, if this executable is a known interpreter and there is one. An option
/// that is not known counts as one without a value: the word after it is then looked at, and is no file or is hidden.
pub(super) fn position(executable: &str, args: &[String]) -> Option<usize> {
    let name = unversioned(executable);
    let interpreter = INTERPRETERS.iter().find(|known| known.names.contains(&name))?;
    if let Some(option) = interpreter.named_by {
        return args.iter().position(|arg| arg == option).map(|at| at + 1).filter(|at| *at < args.len());
    }
    let mut at = 0;
    let mut verbs = interpreter.verbs;
    while let Some(arg) = args.get(at).map(String::as_str) {
        if interpreter.inline.contains(&arg) || is_inline_cluster(interpreter, arg) {
            return None;
        }
        at += match arg {
            "--" => return (at + 1 < args.len()).then_some(at + 1),
            "-" => return None,
            arg if interpreter.valued.contains(&arg) => 2,
            arg if arg.starts_with('-') || arg.starts_with('+') => 1,
            arg if verbs.contains(&arg) => {
                verbs = &[];
                1
            }
            _ => return Some(at),
        };
    }
    None
}

/// `-lc` of a shell, `-ne` of Perl: short options written together, the last of which takes code.
fn is_inline_cluster(interpreter: &Interpreter, arg: &str) -> bool {
    let letters = arg.strip_prefix('-').filter(|letters| letters.len() > 1 && !letters.starts_with('-'));
    letters.is_some_and(|letters| {
        letters.bytes().all(|letter| letter.is_ascii_alphabetic())
            && interpreter.inline.iter().any(|option| option.len() == 2 && letters.ends_with(&option[1..]))
    })
}

/// `python` for `python3.11`, `node` for `node-20`.
fn unversioned(executable: &str) -> &str {
    executable.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::position;

    fn script(line: &str) -> Option<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        position(&words[0], &words[1..]).map(|at| words[at + 1].clone())
    }

    #[test]
    fn the_script_is_the_first_word_that_no_option_takes() {
        for line in [
            "node S --kubeconfig X",
            "node --no-warnings -r X S",
            "node20 --inspect S",
            "python3.11 -u -X dev S",
            "python -- S",
            "deno run --allow-read --config X S",
            "bun S",
            "bun run S",
            "sh -e S",
            "java -Xmx1g -jar S X",
            "tsx watch S",
        ] {
            assert_eq!(script(line).as_deref(), Some("S"), "{line}");
        }
    }

    #[test]
    fn code_in_the_arguments_and_other_programs_have_no_script() {
        for line in [
            "node -e S X",
            "python3 -m S X",
            "python3 -c S X",
            "sh -c S X",
            "bash -lc S X",
            "perl -ne S X",
            "kubectl X",
            "server --config X",
            "java X",
            "node",
        ] {
            assert_eq!(script(line), None, "{line}");
        }
    }
}
