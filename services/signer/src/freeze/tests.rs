use super::*;
use domain::PluginId;

fn realm(n: u8) -> Did {
    countersign_tests::Person::named(&format!("realm {n}")).did
}

fn plugin(n: usize) -> Scope {
    Scope::Plugin(format!("com.example.plugin{n}").parse::<PluginId>().unwrap())
}

fn put(freezes: &DirectFreezes, statement: &str, place: &Place, since: u64) -> Result<bool, FreezeError> {
    let is_new = freezes.lock().put(Cid::of(statement.as_bytes()), place.clone(), since)?;
    freezes.keep().unwrap();
    Ok(is_new)
}

#[test]
fn a_later_freeze_of_the_same_place_releases_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    let (place, operator) = ((realm(1), Scope::All), realm(9));
    assert!(put(&freezes, "one", &place, 7).unwrap());
    assert!(!put(&freezes, "one", &place, 8).unwrap(), "held already");
    assert!(put(&freezes, "two", &place, 9).unwrap(), "another statement");
    for (other, seq) in [((realm(1), plugin(1)), 9), ((realm(2), Scope::All), 9), (place.clone(), 6)] {
        freezes.release([(other, seq)]);
        assert!(freezes.holds(operator, realm(1)));
    }
    let restarted = DirectFreezes::load(folder.path()).unwrap();
    for freezes in [&freezes, &restarted] {
        freezes.release([(place.clone(), 7)]);
        assert!(!freezes.holds(operator, realm(1)));
    }
    assert!(!DirectFreezes::load(folder.path()).unwrap().holds(operator, realm(1)), "written down");
}

#[test]
fn what_is_not_held_is_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    for n in 0..PER_REALM {
        assert!(put(&freezes, &n.to_string(), &(realm(1), plugin(n)), 1).unwrap());
    }
    let refused = put(&freezes, "more", &(realm(1), plugin(PER_REALM)), 1);
    assert!(matches!(refused, Err(FreezeError::Full)), "{refused:?}");
    assert!(put(&freezes, "other", &(realm(2), plugin(0)), 1).unwrap(), "another realm");
    assert!(put(&freezes, "all", &(realm(1), Scope::All), 1).unwrap(), "everything always can be frozen");
    let narrow = (0..PER_REALM).map(|n| ((realm(1), plugin(n)), 5));
    freezes.release(narrow);
    assert!(freezes.holds(realm(9), realm(1)), "the broad one goes on");
}

#[test]
fn what_could_not_be_written_is_written_with_the_next_chance() {
    let folder = tempfile::tempdir().unwrap();
    let freezes = DirectFreezes::load(folder.path()).unwrap();
    let draft = folder.path().join("freezes.draft");
    fs::create_dir(&draft).unwrap();
    let place = (realm(1), Scope::All);
    assert!(freezes.lock().put(Cid::of(b"one"), place.clone(), 1).unwrap());
    freezes.keep().unwrap_err();
    assert!(freezes.holds(realm(9), realm(1)), "in force all the same");
    fs::remove_dir(&draft).unwrap();
    assert!(!put(&freezes, "one", &place, 1).unwrap(), "the same again");
    assert!(DirectFreezes::load(folder.path()).unwrap().holds(realm(9), realm(1)));
}
