use crate::{entries, hex, outcome};
use domain::{Cid, Time};
use ipld_core::ipld::Ipld;
use log::{Chain, ChainError, Entry, EntryError, Fault, Hash, Head, MAX_ENTRY_BYTES, leaf_hash};
use proptest::prelude::*;

fn follow(entries: &[Vec<u8>]) -> Result<Chain, ChainError> {
    entries.iter().try_fold(Chain::EMPTY, |chain, bytes| Ok(Chain::at(chain.accept(bytes)?.1)))
}

fn entry() -> Entry {
    Entry {
        seq: 300,
        prev: Hash::from_bytes([0xab; 32]),
        at: Time::from_unix(1_700_000_000),
        stmt: Cid::of(b"statement"),
        out: outcome(7),
    }
}

#[test]
fn entry_bytes_are_literal() {
    let digest = hex(Cid::of(b"statement").digest().as_bytes());
    let expected = [
        "a6 6176 01 626174 1a6553f100 636f7574 a2 616e 07 66656666656374 65616c6c6f77 63736571 19012c".replace(' ', ""),
        format!("6470726576 5820 {}", "ab".repeat(32)).replace(' ', ""),
        format!("6473746d74 d82a 5825 00 01711220 {digest}").replace(' ', ""),
    ]
    .concat();
    let bytes = entry().encode().unwrap();
    assert_eq!(hex(&bytes), expected);
    assert_eq!(Entry::decode(&bytes).unwrap(), entry());
    assert_eq!(entry().leaf().unwrap(), leaf_hash(&bytes));
}

/// The general encoder agrees with the hand-written one.
fn as_ipld(e: &Entry) -> Ipld {
    let link = ipld_core::cid::Cid::try_from(e.stmt.to_bytes().as_slice()).unwrap();
    Ipld::Map(
        [
            ("v".to_owned(), Ipld::Integer(1)),
            ("seq".to_owned(), Ipld::Integer(e.seq.into())),
            ("prev".to_owned(), Ipld::Bytes(e.prev.as_bytes().to_vec())),
            ("at".to_owned(), Ipld::Integer(e.at.unix().into())),
            ("stmt".to_owned(), Ipld::Link(link)),
            ("out".to_owned(), e.out.clone()),
        ]
        .into(),
    )
}

fn ipld() -> impl Strategy<Value = Ipld> {
    let leaf = prop_oneof![
        Just(Ipld::Null),
        any::<bool>().prop_map(Ipld::Bool),
        any::<i64>().prop_map(|i| Ipld::Integer(i.into())),
        any::<u64>().prop_map(|i| Ipld::Integer(i.into())),
        "[a-zé]{0,9}".prop_map(Ipld::String),
        any::<[u8; 5]>().prop_map(|b| Ipld::Bytes(b.to_vec())),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Ipld::List),
            prop::collection::btree_map("[a-z]{0,5}", inner, 0..4).prop_map(Ipld::Map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn entries_read_back_and_agree_with_the_general_encoder(seq in any::<u64>(), shift in 0_u32..64, at in any::<u64>(), out in ipld()) {
        let e = Entry { seq: seq >> shift, at: Time::from_unix(at >> shift), out, ..entry() };
        let bytes = e.encode().unwrap();
        prop_assert_eq!(&bytes, &serde_ipld_dagcbor::to_vec(&as_ipld(&e)).unwrap());
        prop_assert_eq!(Entry::decode(&bytes).unwrap(), e);
    }

    #[test]
    fn an_edited_byte_never_leaves_the_chain_whole(which in 0_usize..6, at in any::<prop::sample::Index>(), flip in 1_u8..=255) {
        let mut log = entries(6);
        let honest = follow(&log).unwrap();
        let position = at.index(log[which].len());
        log[which][position] ^= flip;
        match follow(&log) {
            // The entry itself or the next one, whose `prev` no longer fits.
            Err(e) => prop_assert!(e.seq == which as u64 || e.seq == which as u64 + 1),
            // The last entry has no successor; the head differs, which is what a checkpoint is for.
            Ok(chain) => prop_assert!(which == 5 && chain != honest),
        }
    }

    #[test]
    fn hostile_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Entry::decode(&bytes).is_err());
    }
}

#[test]
fn a_whole_chain_is_followed_to_its_head() {
    let log = entries(10);
    let head = *follow(&log).unwrap().head().unwrap();
    assert_eq!(head, Head { seq: 9, leaf: leaf_hash(&log[9]), at: Time::from_unix(1004) });
    assert_eq!(Chain::EMPTY.head(), None);
    assert_eq!(Entry::decode(&log[0]).unwrap().prev, Hash::ZERO);
}

fn broken_at(log: &[Vec<u8>]) -> (u64, Fault) {
    let e = follow(log).unwrap_err();
    (e.seq, e.kind)
}

#[test]
fn dropped_swapped_inserted_and_repeated_entries_break_the_chain_where_they_are() {
    let honest = entries(8);
    for i in 0..7 {
        let seq = i as u64;
        let mut dropped = honest.clone();
        dropped.remove(i);
        assert!(matches!(broken_at(&dropped), (s, Fault::Sequence { found }) if s == seq && found == seq + 1));
        let mut swapped = honest.clone();
        swapped.swap(i, i + 1);
        assert!(matches!(broken_at(&swapped), (s, Fault::Sequence { .. }) if s == seq));
        let mut repeated = honest.clone();
        repeated.insert(i, honest[i].clone());
        assert!(matches!(broken_at(&repeated), (s, Fault::Sequence { found }) if s == seq + 1 && found == seq));
        // A well-formed entry in the place of another: the one after it no longer fits.
        let mut edited = honest.clone();
        edited[i] = Entry { out: Ipld::Null, ..Entry::decode(&honest[i]).unwrap() }.encode().unwrap();
        assert!(matches!(broken_at(&edited), (s, Fault::Previous { .. }) if s == seq + 1));
    }
}

#[test]
fn time_never_goes_backwards() {
    let head = Head { seq: 4, leaf: Hash::ZERO, at: Time::from_unix(50) };
    let early = Entry { at: Time::from_unix(49), ..head.next(Time::from_unix(60), Cid::of(b"x"), Ipld::Null) };
    let refused = head.accept(&early.encode().unwrap()).unwrap_err();
    assert!(matches!((refused.seq, refused.kind), (5, Fault::Time { .. })));
    assert_eq!(head.next(Time::from_unix(49), Cid::of(b"x"), Ipld::Null).at, Time::from_unix(50));
}

#[test]
fn the_last_position_of_all_has_no_successor() {
    let head = Head { seq: u64::MAX, leaf: Hash::ZERO, at: Time::ZERO };
    let bytes = head.next(Time::ZERO, Cid::of(b"x"), Ipld::Null).encode().unwrap();
    assert!(matches!(head.accept(&bytes).unwrap_err().kind, Fault::Full));
}

#[test]
fn other_encodings_of_an_entry_are_refused() {
    let good = entry().encode().unwrap();
    let Ipld::Map(map) = as_ipld(&entry()) else { panic!() };
    let with = |key: &str, value: Ipld| {
        let mut map = map.clone();
        map.insert(key.to_owned(), value);
        Entry::decode(&serde_ipld_dagcbor::to_vec(&Ipld::Map(map)).unwrap())
    };
    assert!(matches!(with("v", Ipld::Integer(2)), Err(EntryError::Version { found: 2 })));
    assert!(matches!(with("x", Ipld::Null), Err(EntryError::Malformed { .. })));
    assert!(matches!(with("prev", Ipld::Bytes(vec![0; 31])), Err(EntryError::Malformed { .. })));
    assert!(matches!(with("seq", Ipld::Integer(-1)), Err(EntryError::Malformed { .. })));
    let raw = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy".parse().unwrap();
    assert!(matches!(with("stmt", Ipld::Link(raw)), Err(EntryError::Statement(_))));
    for missing in ["v", "seq", "prev", "at", "stmt", "out"] {
        let mut map = map.clone();
        map.remove(missing);
        let bytes = serde_ipld_dagcbor::to_vec(&Ipld::Map(map)).unwrap();
        assert!(matches!(Entry::decode(&bytes), Err(EntryError::Malformed { .. })), "{missing}");
    }
    assert!(Entry::decode(&[good.as_slice(), &[0]].concat()).is_err());
    assert!(Entry::decode(&good[..good.len() - 1]).is_err());
    // `v` as a two-byte integer: the same value, another spelling.
    let long = [&good[..3], &[0x18, 0x01], &good[4..]].concat();
    assert!(Entry::decode(&long).is_err());
    // `at` before `v`: the same map, another order.
    let order = [&good[..1], &good[4..12], &good[1..4], &good[12..]].concat();
    assert_eq!(order.len(), good.len());
    assert!(matches!(Entry::decode(&order), Err(EntryError::NonCanonical)));
}

#[test]
fn size_and_depth_are_bounded() {
    let sized = |n: usize| Entry { out: Ipld::Bytes(vec![0; n]), ..entry() };
    let overhead = sized(60_000).encode().unwrap().len() - 60_000;
    let largest = sized(MAX_ENTRY_BYTES - overhead).encode().unwrap();
    assert_eq!(largest.len(), MAX_ENTRY_BYTES);
    assert!(Entry::decode(&largest).is_ok());
    assert!(
        matches!(sized(MAX_ENTRY_BYTES - overhead + 1).encode(), Err(EntryError::TooLarge { size }) if size == MAX_ENTRY_BYTES + 1)
    );
    assert!(matches!(Entry::decode(&vec![0; MAX_ENTRY_BYTES + 1]), Err(EntryError::TooLarge { .. })));
    let good = entry().encode().unwrap();
    let nested = [&good[..16], &[0x81].repeat(60_000)[..], &[0xf6], &good[28..]].concat();
    assert!(matches!(Entry::decode(&nested), Err(EntryError::Malformed { .. })));
    // A string that claims 4 GiB.
    let huge = [&good[..16], &[0x7a, 0xff, 0xff, 0xff, 0xff], &good[28..]].concat();
    assert!(matches!(Entry::decode(&huge), Err(EntryError::Malformed { .. })));
    assert!(matches!(Entry { out: Ipld::Integer(i128::MAX), ..entry() }.encode(), Err(EntryError::Outcome { .. })));
}
