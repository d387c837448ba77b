use proptest::prelude::*;

use super::*;

fn run(name: &str) -> RunId {
    RunId::new(name).expect("an id")
}

fn tokens(tokens: u64) -> Amounts {
    Amounts { tokens, ..Amounts::ZERO }
}

fn limit(tokens: u64, window: Window) -> Budget {
    Budget { limits: Limits { tokens: Some(tokens), ..Limits::default() }, window }
}

fn book(budgets: &[(&str, Budget)]) -> Book {
    Book::new(budgets.iter().map(|(name, budget)| ((*name).to_owned(), *budget)).collect(), Limits::default())
}

fn question(name: &str) -> ReservationId {
    ReservationId::Question(run(name))
}

#[test]
fn a_reservation_is_made_on_every_level_or_on_none() {
    let mut book = book(&[("acme", limit(100, Window::Total)), ("acme/sales", limit(10, Window::Total))]);
    book.begin(&run("r"), Some("acme/sales/invoices"), None, None);
    let refused = book.reserve(question("r"), &run("r"), tokens(11), Micros(0)).expect_err("too much");
    assert_eq!((refused.account.as_str(), refused.limit, refused.wanted), ("acme/sales", 10, 11));
    assert_eq!(book.left("acme", Micros(0)).reserved, Amounts::ZERO);
    book.reserve(question("r"), &run("r"), tokens(10), Micros(0)).expect("it fits");
    assert_eq!(book.left("acme", Micros(0)).reserved, tokens(10));
    book.settle(&question("r"), tokens(4), Seq(1), Micros(0));
    let left = book.left("acme/sales", Micros(0));
    assert_eq!((left.spent, left.reserved), (tokens(4), Amounts::ZERO));
}

#[test]
fn a_day_and_a_month_begin_anew_and_what_is_reserved_stays() {
    for (window, next) in [(Window::Day, DAY_US), (Window::Month, 31 * DAY_US)] {
        let mut book = book(&[("a", limit(10, window))]);
        book.begin(&run("r"), Some("a"), None, None);
        book.reserve(question("r"), &run("r"), tokens(8), Micros(0)).expect("it fits");
        book.settle(&question("r"), tokens(8), Seq(1), Micros(0));
        assert!(book.reserve(question("r"), &run("r"), tokens(3), Micros(DAY_US - 1)).is_err());
        assert!(book.reserve(question("r"), &run("r"), tokens(3), Micros(next)).is_ok());
    }
}

#[test]
fn months_end_where_the_calendar_says() {
    // 1970-01-31, 1970-02-01, 1972-02-29, 1972-03-01, 2000-02-29, 2000-03-01
    for (last, first) in [(30, 31), (789, 790), (11_016, 11_017)] {
        assert_eq!(month(last) + 1, month(first), "{last}");
        assert_eq!(month(last), month(last - 5));
    }
}

#[test]
fn a_task_for_another_agent_is_paid_by_the_run_that_gave_it() {
    let mut book = Book::new(BTreeMap::new(), Limits { tokens: Some(10), ..Limits::default() });
    book.begin(&run("r"), None, None, None);
    book.begin(&run("r.s1"), None, Some(&run("r")), Some(Limits { tokens: Some(6), ..Limits::default() }));
    book.reserve(question("r.s1"), &run("r.s1"), tokens(6), Micros(0)).expect("it fits");
    let refused = book.reserve(question("r"), &run("r"), tokens(5), Micros(0)).expect_err("4 are left");
    assert_eq!((refused.account.as_str(), refused.reserved), ("run:r", 6));
}

#[test]
fn a_fork_has_spent_what_its_original_had_at_that_event() {
    let mut book = Book::new(BTreeMap::new(), Limits { tokens: Some(10), ..Limits::default() });
    book.begin(&run("r"), None, None, None);
    for (seq, spent) in [(3, 2), (6, 3), (9, 4)] {
        book.reserve(question("r"), &run("r"), tokens(spent), Micros(0)).expect("it fits");
        book.settle(&question("r"), tokens(spent), Seq(seq), Micros(0));
    }
    book.fork(&run("f"), &run("r"), Seq(7));
    assert_eq!(book.left_of_run(&run("f"), Micros(0)).spent, tokens(5));
    assert!(book.reserve(question("f"), &run("f"), tokens(5), Micros(0)).is_ok());
    assert!(book.reserve(question("r"), &run("r"), tokens(2), Micros(0)).is_err());
}

#[test]
fn calls_that_a_lost_node_had_under_way_cost_what_was_reserved() {
    let mut book = Book::new(BTreeMap::new(), Limits { calls: Some(2), ..Limits::default() });
    book.begin(&run("r"), None, None, None);
    let id = ReservationId::Call(CallId::new("c").expect("an id"));
    let one = Amounts { calls: 1, ..Amounts::ZERO };
    book.reserve(id.clone(), &run("r"), one, Micros(0)).expect("it fits");
    book.forfeit_calls(&run("r"), Seq(4), Micros(0));
    assert_eq!((book.left_of_run(&run("r"), Micros(0)).spent, book.reserved(&id)), (one, None));
}

#[derive(Clone, Debug)]
enum Act {
    Reserve(u8, u64),
    Settle(u8, u64),
    Release(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        (0..4_u8, 0..60_u64).prop_map(|(run, upper)| Act::Reserve(run, upper)),
        (0..4_u8, 0..100_u64).prop_map(|(run, percent)| Act::Settle(run, percent)),
        (0..4_u8).prop_map(Act::Release),
    ];
    proptest::collection::vec(act, 0..60)
}

proptest! {
    #[test]
    fn no_account_ever_has_more_spent_and_reserved_than_its_limit(acts in acts()) {
        let limits = [("a", 100), ("a/b", 70)];
        let budgets: Vec<(&str, Budget)> =
            limits.iter().map(|(name, tokens)| (*name, limit(*tokens, Window::Total))).collect();
        let mut book = book(&budgets);
        let name = |n: u8| format!("r{n}");
        for n in 0..4 {
            let account = if n % 2 == 0 { "a/b/c" } else { "a/d" };
            book.begin(&run(&name(n)), Some(account), None, Some(Limits { tokens: Some(50), ..Limits::default() }));
        }
        for (seq, act) in acts.into_iter().enumerate() {
            let seq = Seq(seq as u64 + 1);
            match act {
                Act::Reserve(n, upper) => {
                    if book.reserved(&question(&name(n))).is_none() {
                        let _full = book.reserve(question(&name(n)), &run(&name(n)), tokens(upper), Micros(0));
                    }
                }
                Act::Settle(n, percent) => {
                    let upper = book.reserved(&question(&name(n))).unwrap_or_default().tokens;
                    book.settle(&question(&name(n)), tokens(upper * percent / 100), seq, Micros(0));
                }
                Act::Release(n) => book.release(&question(&name(n))),
            }
            for (account, max) in limits.into_iter().map(|(a, m)| (a.to_owned(), m)).chain((0..4).map(|n| (own(&run(&name(n))), 50))) {
                let left = book.left(&account, Micros(0));
                prop_assert!(left.spent.tokens + left.reserved.tokens <= max, "{account}: {left:?}");
            }
        }
    }
}
