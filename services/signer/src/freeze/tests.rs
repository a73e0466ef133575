use super::*;
use domain::PluginId;
use messages::ProblemType::{Conflict, Forbidden, LifetimeTooLong, RateLimited, Revoked, Unavailable};

fn realm(n: u8) -> Did {
    countersign_tests::Person::named(&format!("realm {n}")).did
}

fn plugin(n: usize) -> Scope {
    Scope::Plugin(format!("com.example.plugin{n}").parse::<PluginId>().unwrap())
}

fn time(unix: u64) -> Time {
    Time::from_unix(unix)
}

type Place = (Did, Scope);

fn direct(statement: &str, (realm, scope): &Place, end: u64) -> Direct {
    let (statement, container) = (Cid::of(statement.as_bytes()), Base64(statement.as_bytes().to_vec()));
    let (realm, scope, expires_at) = (*realm, scope.clone(), time(end));
    Direct { statement, realm, scope, expires_at, container, is_answered: false }
}

fn put(freezes: &DirectFreezes, statement: &str, place: &Place, end: u64) -> Result<(), FreezeError> {
    lock(&freezes.held).put(direct(statement, place, end))?;
    freezes.keep().unwrap();
    Ok(())
}

fn logged(statement: &str, (realm, scope): &Place, at: u64) -> [Logged; 1] {
    let statement = Cid::of(statement.as_bytes());
    [Logged { statement, realm: *realm, scope: scope.clone(), seq: 7, at: time(at) }]
}

#[test]
fn only_the_statement_itself_or_one_that_came_when_it_could_not_releases() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    let (place, operator) = ((realm(1), Scope::All), realm(9));
    put(&freezes, "one", &place, 2_000).unwrap();
    put(&freezes, "one", &place, 2_000).unwrap();
    assert_eq!(freezes.list().len(), 1);
    let here = [(&place, 900), (&place, 2_000 + MAX_CLOCK_TOLERANCE)];
    let elsewhere = [(realm(1), plugin(1)), (realm(2), Scope::All)];
    for (place, at) in here.into_iter().chain(elsewhere.iter().map(|place| (place, 9_000))) {
        freezes.release(logged("other", place, at));
        assert!(freezes.holds(operator, realm(1)), "{place:?} at {at}");
    }
    for (statement, at) in [("one", 900), ("other", 2_001 + MAX_CLOCK_TOLERANCE)] {
        let restarted = DirectFreezes::load(folder.path()).unwrap();
        assert!(restarted.holds(operator, realm(1)));
        restarted.release(logged(statement, &place, at));
        assert!(!restarted.holds(operator, realm(1)), "{statement} at {at}");
    }
}

#[test]
fn the_file_lets_go_when_the_logs_key_has_signed_for_the_entry() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    let place = (realm(1), Scope::All);
    put(&freezes, "one", &place, 2_000).unwrap();
    freezes.release(logged("one", &place, 900));
    put(&freezes, "two", &(realm(2), Scope::All), 2_000).unwrap();
    for (size, is_kept) in [(0, true), (7, true), (8, false)] {
        freezes.anchored(size);
        freezes.keep().unwrap();
        assert!(!freezes.holds(realm(9), realm(1)));
        let restarted = DirectFreezes::load(folder.path()).unwrap();
        assert_eq!(restarted.holds(realm(9), realm(1)), is_kept, "{size}");
        assert!(restarted.holds(realm(9), realm(2)));
    }
}

#[test]
fn what_comes_after_its_entry_is_kept_while_the_logs_key_has_not_signed_for_that() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    let place = (realm(1), Scope::All);
    freezes.anchored(7);
    freezes.anchored(3);
    for (seq, is_kept) in [(6, false), (7, true), (7, true)] {
        lock(&freezes.held).put_released(seq, direct("one", &place, 2_000));
        freezes.keep().unwrap();
        assert!(freezes.list().is_empty(), "the log governs it");
        assert_eq!(DirectFreezes::load(folder.path()).unwrap().list().len(), usize::from(is_kept), "{seq}");
    }
    assert_eq!(lock(&freezes.held).released.len(), 1, "once");
    freezes.anchored(8);
    freezes.keep().unwrap();
    assert!(DirectFreezes::load(folder.path()).unwrap().list().is_empty());
}

#[test]
fn what_the_log_can_take_is_passed_on_until_it_answers_and_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    let (place, last) = ((realm(1), Scope::All), 2_000 + MAX_CLOCK_TOLERANCE);
    put(&freezes, "one", &place, 2_000).unwrap();
    let one = (Cid::of(b"one"), Base64(b"one".to_vec()));
    assert_eq!(freezes.unanswered(time(last)), std::slice::from_ref(&one));
    assert_eq!((freezes.unanswered(time(last + 1)), freezes.overdue(time(last + 1))), (Vec::new(), 1));
    freezes.answered(&one.0);
    assert_eq!((freezes.unanswered(time(900)), freezes.overdue(time(last))), (Vec::new(), 0));
    assert_eq!(DirectFreezes::load(folder.path()).unwrap().unanswered(time(900)), [one]);
}

#[test]
fn what_is_passed_on_is_written_down_first_if_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    for (statement, n) in [("one", 1), ("two", 2)] {
        lock(&freezes.held).put(direct(statement, &(realm(n), Scope::All), 2_000)).unwrap();
        assert_eq!(freezes.outgoing(time(900)).len(), usize::from(n));
        assert!(DirectFreezes::load(folder.path()).unwrap().holds(realm(9), realm(n)), "{statement}");
    }
    fs::create_dir(folder.path().join("freezes.json.draft")).unwrap();
    lock(&freezes.held).put(direct("three", &(realm(3), Scope::All), 2_000)).unwrap();
    assert_eq!(freezes.outgoing(time(900)).len(), 3);
}

#[test]
fn only_a_no_of_the_control_plane_itself_is_final() {
    let problem = |kind| ClientError::Problem(Box::new(messages::Problem::new(kind, "")));
    let cases = [
        (problem(Conflict), true),
        (problem(Forbidden), true),
        (problem(Revoked), true),
        (problem(LifetimeTooLong), false),
        (problem(RateLimited), false),
        (problem(Unavailable), false),
        (ClientError::Status(502), false),
        (ClientError::Status(404), false),
        (ClientError::Silent, false),
    ];
    for (error, is_no) in cases {
        assert_eq!(is_final(&error), is_no, "{error:?}");
    }
}

#[test]
fn each_statement_is_held_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    let place = (realm(1), Scope::All);
    // Whichever of them the log takes and lifts, the other was meant as well.
    for (first, second) in [("one", "two"), ("two", "one")] {
        put(&freezes, "one", &place, 2_000).unwrap();
        // It ends earlier.
        put(&freezes, "two", &place, 1_500).unwrap();
        freezes.release(logged(first, &place, 1_000));
        assert!(freezes.holds(realm(9), realm(1)), "{second}");
        freezes.release(logged(second, &place, 1_000));
        assert!(!freezes.holds(realm(9), realm(1)));
    }
}

#[test]
fn what_is_not_held_is_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    for n in 0..PER_REALM {
        put(&freezes, &n.to_string(), &(realm(1), plugin(n)), 1).unwrap();
    }
    let refused = put(&freezes, "more", &(realm(1), plugin(PER_REALM)), 1);
    assert!(matches!(refused, Err(FreezeError::Full)), "{refused:?}");
    put(&freezes, "other", &(realm(2), plugin(0)), 1).expect("another realm");
    put(&freezes, "all", &(realm(1), Scope::All), 1).expect("everything can be frozen beside its parts");
    for n in 0..PER_REALM {
        freezes.release(logged(&n.to_string(), &(realm(1), plugin(n)), 1));
    }
    assert!(freezes.holds(realm(9), realm(1)), "the broad one goes on");
}

#[test]
fn what_would_not_fit_when_it_is_passed_on_is_refused() {
    let tokens = |last: usize| [vec![1; 60_000], vec![2; 60_000], vec![3; last]];
    let plain = |last| container::encode(Encoding::Raw, &tokens(last)).unwrap().len();
    let last = 9_000 + (MAX_STATEMENT - plain(9_000));
    for (last, is_too_large) in [(last, false), (last + 1, true)] {
        let body = container::encode(Encoding::RawGzip, &tokens(last)).unwrap();
        let refused = read(&body).unwrap_err().to_string();
        assert_eq!(refused.contains("container content"), is_too_large, "{}: {refused}", plain(last));
    }
}

#[test]
fn a_status_lists_those_that_end_first_and_counts_all() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    for n in 0..9_u8 {
        // They end in another order than their ids have.
        put(&freezes, &n.to_string(), &(realm(n), Scope::All), 900 + u64::from(n * 4 % 9)).unwrap();
    }
    let (listed, count) = freezes.soonest(3);
    assert_eq!(listed.iter().map(|held| held.expires_at).collect::<Vec<_>>(), [time(900), time(901), time(902)]);
    assert_eq!((count, freezes.soonest(99).0.len()), (9, 9));
}

#[test]
fn what_could_not_be_written_is_written_with_the_next_chance() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    let draft = folder.path().join("freezes.json.draft");
    fs::create_dir(&draft).unwrap();
    let place = (realm(1), Scope::All);
    lock(&freezes.held).put(direct("one", &place, 1)).unwrap();
    freezes.keep().unwrap_err();
    assert!(freezes.holds(realm(9), realm(1)), "in force all the same");
    fs::remove_dir(&draft).unwrap();
    // The same again.
    put(&freezes, "one", &place, 1).unwrap();
    assert!(DirectFreezes::load(folder.path()).unwrap().holds(realm(9), realm(1)));
}
