use super::*;
use domain::PluginId;

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

fn direct(statement: &str, (realm, scope): &Place, expires_at: Option<Time>) -> Direct {
    Direct { statement: Cid::of(statement.as_bytes()), realm: *realm, scope: scope.clone(), expires_at }
}

fn put(freezes: &DirectFreezes, statement: &str, place: &Place, end: Option<Time>) -> Result<bool, FreezeError> {
    let is_new = freezes.lock().put(direct(statement, place, end))?;
    freezes.keep().unwrap();
    Ok(is_new)
}

fn logged(statement: &str, place: &Place, at: u64) -> [Logged; 1] {
    [Logged { freeze: direct(statement, place, None), at: time(at) }]
}

#[test]
fn only_the_statement_itself_or_one_that_came_when_it_could_not_releases() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    let (place, operator) = ((realm(1), Scope::All), realm(9));
    assert!(put(&freezes, "one", &place, Some(time(2_000))).unwrap());
    assert!(!put(&freezes, "one", &place, Some(time(2_000))).unwrap(), "held already");
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
        assert!(!DirectFreezes::load(folder.path()).unwrap().holds(operator, realm(1)), "written down");
        freezes.lock().is_unsaved = true;
        freezes.keep().unwrap();
    }
    assert!(put(&freezes, "endless", &place, None).unwrap());
    freezes.release(logged("other", &place, u64::from(u32::MAX)));
    assert!(freezes.holds(operator, realm(1)), "the log can always take it");
}

#[test]
fn each_statement_is_held_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    let place = (realm(1), Scope::All);
    // Whichever of them the log takes and lifts, the other was meant as well.
    for (first, second) in [("one", "two"), ("two", "one")] {
        assert!(put(&freezes, "one", &place, Some(time(2_000))).unwrap());
        assert!(put(&freezes, "two", &place, Some(time(1_500))).unwrap(), "it ends earlier");
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
        assert!(put(&freezes, &n.to_string(), &(realm(1), plugin(n)), Some(time(1))).unwrap());
    }
    let refused = put(&freezes, "more", &(realm(1), plugin(PER_REALM)), Some(time(1)));
    assert!(matches!(refused, Err(FreezeError::Full)), "{refused:?}");
    assert!(put(&freezes, "other", &(realm(2), plugin(0)), Some(time(1))).unwrap(), "another realm");
    assert!(
        put(&freezes, "all", &(realm(1), Scope::All), Some(time(1))).unwrap(),
        "everything can be frozen beside its parts"
    );
    for n in 0..PER_REALM {
        freezes.release(logged(&n.to_string(), &(realm(1), plugin(n)), 1));
    }
    assert!(freezes.holds(realm(9), realm(1)), "the broad one goes on");
}

#[test]
fn what_could_not_be_written_is_written_with_the_next_chance() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    let draft = folder.path().join("freezes.draft");
    fs::create_dir(&draft).unwrap();
    let place = (realm(1), Scope::All);
    assert!(freezes.lock().put(direct("one", &place, Some(time(1)))).unwrap());
    freezes.keep().unwrap_err();
    assert!(freezes.holds(realm(9), realm(1)), "in force all the same");
    fs::remove_dir(&draft).unwrap();
    assert!(!put(&freezes, "one", &place, Some(time(1))).unwrap(), "the same again");
    assert!(DirectFreezes::load(folder.path()).unwrap().holds(realm(9), realm(1)));
}
