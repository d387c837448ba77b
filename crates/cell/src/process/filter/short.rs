//! The short way through a filter: calls whose number alone decides are found by halving.
//!
//! When a filter is installed, the kernel walks through it once for each system call number, to remember which calls always
//! pass. A list that is asked entry by entry makes that a walk of hundreds of steps, hundreds of times, at the birth of each
//! cell and twice: it was a tenth of a cell's start. Halving takes eight or nine steps. What it does not decide goes to
//! the list behind it, which is unchanged.

use seccompiler::{BpfProgram, sock_filter};

/// What the kernel says of this machine's own calls (`linux/audit.h`); of another machine's the numbers mean something else.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCHITECTURE: u32 = 0xc000_00f3;

/// Where the number and the architecture lie in what a filter looks at (`struct seccomp_data`).
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const ANSWER: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Numbers from `first` to the next span's: all of them pass, or none is decided here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    first: u32,
    passes: bool,
}

/// Lets the numbers below `end` pass of which `passes` says so, and asks `list` about every other call.
pub(super) fn before(list: BpfProgram, end: u32, passes: impl Fn(u32) -> bool) -> BpfProgram {
    let mut program =
        vec![step(LOAD, 0, 0, ARCHITECTURE_AT), step(JUMP_IF_EQUAL, 1, 0, ARCHITECTURE), undecided()];
    program.push(step(LOAD, 0, 0, NUMBER_AT));
    halve(&spans(end, passes), &mut program);
    let length = program.len();
    for (at, step) in program.iter_mut().enumerate().filter(|(_, step)| is_undecided(step)) {
        step.k = distance(length - at - 1);
    }
    program.extend(list);
    program
}

fn spans(end: u32, passes: impl Fn(u32) -> bool) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for number in 0..=end {
        let passes = number < end && passes(number);
        if spans.last().is_none_or(|last| last.passes != passes) {
            spans.push(Span { first: number, passes });
        }
    }
    spans
}

fn halve(spans: &[Span], program: &mut BpfProgram) {
    match spans {
        [] => {}
        [span] if span.passes => program.push(step(ANSWER, 0, 0, libc::SECCOMP_RET_ALLOW)),
        [_] => program.push(undecided()),
        _ => {
            let (lower, upper) = spans.split_at(spans.len() / 2);
            program.push(step(JUMP_IF_AT_LEAST, 0, 1, upper[0].first));
            let jump = program.len();
            program.push(step(JUMP, 0, 0, 0));
            halve(lower, program);
            program[jump].k = distance(program.len() - jump - 1);
            halve(upper, program);
        }
    }
}

/// A jump to what is put behind; how far that is, is known at the end.
fn undecided() -> sock_filter {
    step(JUMP, 0, 0, u32::MAX)
}

fn is_undecided(step: &sock_filter) -> bool {
    step.code == JUMP && step.k == u32::MAX
}

/// A program of more steps the kernel takes from nobody.
fn distance(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or_default()
}

fn step(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use seccompiler::BpfProgram;

    use super::{
        ANSWER, ARCHITECTURE, ARCHITECTURE_AT, JUMP, JUMP_IF_AT_LEAST, JUMP_IF_EQUAL, LOAD, before, step,
    };

    const LIST: u32 = 7;

    /// The answer to a call, and how many steps it took.
    fn walk(program: &BpfProgram, architecture: u32, number: u32) -> (u32, usize) {
        let (mut at, mut loaded, mut steps) = (0, 0, 0);
        loop {
            let step = &program[at];
            steps += 1;
            at += 1 + match step.code {
                LOAD => {
                    loaded = if step.k == ARCHITECTURE_AT { architecture } else { number };
                    0
                }
                JUMP => step.k as usize,
                JUMP_IF_EQUAL => usize::from(if loaded == step.k { step.jt } else { step.jf }),
                JUMP_IF_AT_LEAST => usize::from(if loaded >= step.k { step.jt } else { step.jf }),
                ANSWER => return (step.k, steps),
                code => panic!("{code}"),
            };
        }
    }

    #[test]
    fn every_number_is_judged_as_it_is_said_and_within_few_steps() {
        let listed = |number: u32| number % 7 < 3 || (100..200).contains(&number);
        let program = before(vec![step(ANSWER, 0, 0, LIST)], 463, listed);
        for number in 0..1000 {
            let (answer, steps) = walk(&program, ARCHITECTURE, number);
            let wanted = if number < 463 && listed(number) { libc::SECCOMP_RET_ALLOW } else { LIST };
            assert_eq!(answer, wanted, "{number}");
            assert!(steps <= 22, "{number}: {steps} steps");
        }
    }

    #[test]
    fn another_machines_numbers_are_left_to_the_list() {
        let program = before(vec![step(ANSWER, 0, 0, LIST)], 463, |_| true);
        assert_eq!(walk(&program, ARCHITECTURE, 0).0, libc::SECCOMP_RET_ALLOW);
        assert_eq!(walk(&program, 0x4000_0003, 0).0, LIST);
        assert_eq!(walk(&program, ARCHITECTURE, 0x4000_0000).0, LIST);
    }
}
