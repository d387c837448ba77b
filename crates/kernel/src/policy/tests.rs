use super::*;

fn target(name: &str) -> Target {
    let (provider, model) = name.split_once('/').expect("provider/model");
    Target { provider: provider.into(), model: model.into() }
}

fn failed(name: &str, class: FailureClass) -> Attempt {
    let failure = Failure { class, status: None, retry_after_ms: None, message: String::new() };
    Attempt { target: target(name), failure: Some(failure), at: Micros(1_000) }
}

fn policy() -> ModelPolicy {
    ModelPolicy {
        fallbacks: vec![
            Fallback { target: target("b/m"), on: vec![FailureClass::RateLimited, FailureClass::Overloaded] },
            Fallback { target: target("c/m"), on: Vec::new() },
        ],
        retries: 1,
        ..ModelPolicy::only(target("a/m"))
    }
}

fn next(attempts: &[Attempt]) -> Next {
    policy().next(&RunId::new("r1").expect("an id"), None, attempts)
}

fn ask(name: &str, not_before: Option<i64>) -> Next {
    Next::Ask { target: target(name), not_before: not_before.map(Micros) }
}

#[test]
fn the_same_model_is_asked_again_after_a_while_and_then_the_next() {
    assert_eq!(next(&[]), ask("a/m", None));
    let mut attempts = vec![failed("a/m", FailureClass::Overloaded)];
    assert_eq!(next(&attempts), ask("a/m", Some(501_000)));
    attempts.push(failed("a/m", FailureClass::Overloaded));
    assert_eq!(next(&attempts), ask("b/m", None));
}

#[test]
fn a_fallback_is_asked_only_after_the_failures_it_is_for() {
    assert_eq!(next(&[failed("a/m", FailureClass::Auth)]), ask("c/m", None));
    assert_eq!(next(&[failed("a/m", FailureClass::BadRequest)]), Next::GiveUp);
    assert_eq!(next(&[failed("a/m", FailureClass::Auth), failed("c/m", FailureClass::Auth)]), Next::GiveUp);
}

#[test]
fn a_provider_says_how_long_to_wait_up_to_a_limit() {
    let mut attempt = failed("a/m", FailureClass::RateLimited);
    let says = |attempt: &mut Attempt, ms| {
        attempt.failure.as_mut().expect("failed").retry_after_ms = Some(ms);
    };
    says(&mut attempt, 7_000);
    assert_eq!(next(std::slice::from_ref(&attempt)), ask("a/m", Some(7_001_000)));
    says(&mut attempt, 3_600_000);
    assert_eq!(next(&[attempt]), ask("b/m", None));
}

#[test]
fn who_answered_before_is_asked_first_and_the_preferred_one_when_it_fails() {
    let run = RunId::new("r1").expect("an id");
    let sticky = target("c/m");
    assert_eq!(policy().next(&run, Some(&sticky), &[]), ask("c/m", None));
    let failed = [failed("c/m", FailureClass::Quota)];
    assert_eq!(policy().next(&run, Some(&sticky), &failed), ask("a/m", None));
}

#[test]
fn a_canary_takes_its_share_of_runs_and_always_the_same_ones() {
    let canary = Canary { target: target("new/m"), percent: 20 };
    let policy = ModelPolicy { canary: Some(canary), ..policy() };
    let chosen = |n: u32| policy.next(&RunId::new(format!("run-{n}")).expect("an id"), None, &[]);
    let taken = (0..1_000).filter(|n| chosen(*n) == ask("new/m", None)).count();
    assert!((150..250).contains(&taken), "{taken} of 1000");
    assert!((0..100).all(|n| chosen(n) == chosen(n)));
}
