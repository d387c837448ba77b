//! The kernel's own surface: rights, namespaces, dangerous calls.

use super::{
    Outcome, Test,
    bench::{Bench, check, skip},
};

pub(crate) const TESTS: &[Test] = &[
    ("there_are_no_capabilities_and_none_can_come", rights),
    ("a_new_user_namespace_is_refused", user_namespace),
    ("nothing_can_be_mounted", mounting),
    ("dangerous_calls_are_not_reached", calls),
    ("a_call_that_this_list_does_not_know_is_said_not_to_exist", unknown_calls),
    ("arguments_of_permitted_calls_are_checked", arguments),
    ("a_terminal_cannot_be_typed_on", terminal),
    ("protections_cannot_be_switched_off", personality),
    ("proc_shows_processes_only", proc_shows_little),
    ("the_report_names_every_wall", report),
    ("the_doctor_finds_what_the_class_needs", doctor),
];

fn rights(bench: &Bench) -> Outcome {
    let seen = bench.run(&bench.attempt(&["status"])).stdout;
    let none = "0000000000000000";
    let wanted = ["Inh", "Prm", "Eff", "Bnd", "Amb"].map(|set| format!("Cap{set}:={none}"));
    for part in wanted.iter().map(String::as_str).chain([
        "NoNewPrivs:=1",
        "Seccomp:=2",
        "Uid:=1000=1000=1000=1000",
        "Gid:=1000=1000=1000=1000",
        "umask=22",
        "core=0",
        "leader=true",
    ]) {
        check(seen.contains(part), || format!("no {part} in {seen}"))?;
    }
    let outside = bench.outside(&["status"]);
    check(outside.contains("NoNewPrivs:=0"), || format!("control: {outside}"))
}

fn user_namespace(bench: &Bench) -> Outcome {
    bench.must_not_get_out(&["user-namespace"])?;
    bench.must_not_get_out(&["clone-user-namespace"])
}

fn mounting(bench: &Bench) -> Outcome {
    bench.must_not_get_out(&["mount"])
}

fn calls(bench: &Bench) -> Outcome {
    let calls = [
        "io_uring_setup",
        "userfaultfd",
        "keyctl",
        "add_key",
        "bpf",
        "perf_event_open",
        "setns",
        "open_tree",
        "clone3",
        "kcmp",
        "io_setup",
        "open_by_handle_at",
        "memfd_secret",
        "fanotify_init",
        "statmount",
        "unknown",
    ];
    for call in calls {
        if bench.outside(&["syscall", call]).contains("DENIED") {
            println!("skipped: {call} is refused outside too");
            continue;
        }
        bench.must_not_get_out(&["syscall", call])?;
    }
    Ok(())
}

fn unknown_calls(bench: &Bench) -> Outcome {
    for call in ["unknown", "clone3", "statmount", "io_setup"] {
        let ran = bench.run(&bench.attempt(&["syscall", call]));
        check(ran.stdout.contains("Function not implemented"), || format!("{call}: {ran:?}"))?;
    }
    let ran = bench.run(&bench.attempt(&["syscall", "bpf"]));
    check(ran.stdout.contains("Operation not permitted"), || format!("{ran:?}"))
}

fn arguments(bench: &Bench) -> Outcome {
    let multipath = ["socket", "2", "1", "262"];
    let ran = bench.run(&bench.attempt(&multipath));
    check(ran.stdout.contains("Protocol not supported"), || format!("{ran:?}"))?;
    let raw = ["socket", "2", "3", "1"];
    let ran = bench.run(&bench.attempt(&raw));
    check(ran.stdout.contains("Operation not permitted"), || format!("{ran:?}"))?;
    for words in [["option", "36"], ["option", "59"], ["request", "1074041865"], ["request", "1082156677"]] {
        let ran = bench.run(&bench.attempt(&words));
        // A subreaper and a cloned file are an ordinary program's wish; dispatching its own calls and sealing a file are not.
        let permitted = ["36", "1074041865"].contains(&words[1]);
        let refused = ran.stdout.contains("Operation not permitted");
        check(refused != permitted, || format!("{words:?}: {ran:?}"))?;
    }
    Ok(())
}

fn terminal(bench: &Bench) -> Outcome {
    bench.must_not_get_out(&["type-on-terminal"])
}

fn personality(bench: &Bench) -> Outcome {
    bench.must_not_get_out(&["personality"])
}

fn proc_shows_little(bench: &Bench) -> Outcome {
    let ran = bench.run(
        &bench.script("ls /proc; ls /proc/sys /proc/kcore /proc/kallsyms /proc/keys /proc/sysrq-trigger"),
    );
    let strange = ran
        .stdout
        .lines()
        .find(|name| !matches!(*name, "self" | "thread-self") && name.parse::<u32>().is_err());
    check(strange.is_none(), || format!("{strange:?} is shown"))?;
    check(ran.stderr.matches("cannot access").count() == 5, || format!("{ran:?}"))
}

fn report(bench: &Bench) -> Outcome {
    let running = bench.spawn(&bench.script("true")).map_err(|error| error.to_string())?;
    let report = running.cell.report().clone();
    for wall in [
        "namespaces",
        "root",
        "network",
        "identity",
        "capabilities",
        "seccomp",
        "landlock",
        "process tree",
        "processes",
    ] {
        check(report.enforced.iter().any(|enforced| enforced.what == wall), || {
            format!("{wall} is not in {report:?}")
        })?;
    }
    let memory = report.enforced.iter().any(|wall| wall.what == "memory");
    let short =
        report.degraded.iter().any(|shortfall| shortfall.what == "memory" && !shortfall.fix.is_empty());
    check(memory != short, || format!("memory is either limited or said not to be: {report:?}"))
}

fn doctor(bench: &Bench) -> Outcome {
    let facts = cella_cell::doctor().map_err(|error| error.to_string())?;
    check(facts.can_confine() && facts.root == bench.is_root(), || format!("{facts:?}"))?;
    if facts.landlock_abi == 0 {
        return skip("this kernel has no Landlock");
    }
    check(facts.landlock.works && facts.seccomp.works, || format!("{facts:?}"))
}
