use crate::{
    database::Database,
    samples::{batch, cid, did, lead, proposal},
};
use storage::{AppendError, Batch, Mention, ProposalFilter, ProposalRow};

pub fn proposals_are_filtered_and_paged_newest_first(db: &Database) {
    let s = db.storage();
    let rows: Vec<_> = (0..12)
        .map(|n| ProposalRow {
            tenant: did(u8::try_from(n % 2).unwrap()),
            installation: did(u8::try_from(n % 3).unwrap()),
            status: if n < 6 { "approved" } else { "review" }.to_owned(),
            ..proposal(n)
        })
        .collect();
    s.append(&Batch { proposals: rows.clone(), ..batch(lead(s), None, 12) }).unwrap();
    let seqs = |filter: ProposalFilter, before, limit| {
        s.proposals(&filter, before, limit).unwrap().iter().map(|p| p.seq).collect::<Vec<_>>()
    };
    let any = ProposalFilter::default;
    assert_eq!(seqs(any(), None, 3), [11, 10, 9]);
    assert_eq!(seqs(any(), Some(9), 3), [8, 7, 6]);
    assert_eq!(seqs(any(), Some(0), 3), [] as [u64; 0]);
    assert_eq!(seqs(ProposalFilter { tenant: Some(did(1)), ..any() }, Some(9), 3), [7, 5, 3]);
    assert_eq!(seqs(ProposalFilter { installation: Some(did(2)), ..any() }, None, 9), [11, 8, 5, 2]);
    assert_eq!(seqs(ProposalFilter { status: Some("review".into()), ..any() }, None, 2), [11, 10]);
    assert_eq!(seqs(ProposalFilter { order: Some("order-4".parse().unwrap()), ..any() }, None, 2), [4]);
    let everything = ProposalFilter {
        tenant: Some(did(1)),
        installation: Some(did(2)),
        status: Some("review".into()),
        order: Some("order-11".parse().unwrap()),
    };
    assert_eq!(seqs(everything, None, 9), [11]);
    // A filter is a value, never SQL.
    assert_eq!(seqs(ProposalFilter { status: Some("' or 1=1 --".into()), ..any() }, None, 9), [] as [u64; 0]);
    assert_eq!(s.proposal(&rows[7].id).unwrap().as_ref(), rows.get(7));
    assert_eq!(s.proposal(&cid("absent")).unwrap(), None);
}

pub fn the_last_change_of_a_batch_is_kept(db: &Database) {
    let s = db.storage();
    let changed = ProposalRow { status: "executed".into(), updated: 2, ..proposal(0) };
    let proposals = vec![proposal(0), proposal(1), changed.clone()];
    s.append(&Batch { proposals, ..batch(lead(s), None, 3) }).unwrap();
    assert_eq!(s.proposal(&changed.id).unwrap(), Some(changed));
    assert_eq!(s.proposal(&proposal(1).id).unwrap(), Some(proposal(1)));
    assert_eq!(s.counts().unwrap().proposals, 2);
}

pub fn a_later_batch_changes_only_status_and_updated(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    s.append(&Batch { proposals: vec![proposal(0)], ..batch(epoch, None, 1) }).unwrap();
    let change = ProposalRow { tenant: did(9), status: "void".into(), updated: 1, ..proposal(0) };
    s.append(&Batch { proposals: vec![change], ..batch(epoch, Some(0), 1) }).unwrap();
    let stored = s.proposal(&proposal(0).id).unwrap().unwrap();
    assert_eq!(stored, ProposalRow { status: "void".into(), updated: 1, ..proposal(0) });
}

pub fn a_change_in_the_place_of_another_proposal_is_noticed(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    s.append(&Batch { proposals: vec![proposal(0)], ..batch(epoch, None, 2) }).unwrap();
    let change = ProposalRow { id: proposal(1).id, status: "void".into(), updated: 2, ..proposal(0) };
    let result = s.append(&Batch { proposals: vec![change], ..batch(epoch, Some(1), 1) });
    assert!(matches!(&result, Err(AppendError::Corrupt { table: "proposals", .. })), "{result:?}");
    assert_eq!(s.proposal(&proposal(0).id).unwrap(), Some(proposal(0)));
    assert_eq!((s.proposal(&proposal(1).id).unwrap(), s.head().unwrap().unwrap().seq), (None, 1));
}

pub fn a_change_of_a_proposal_that_is_gone_is_noticed(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    s.append(&Batch { proposals: vec![proposal(0), proposal(1)], ..batch(epoch, None, 2) }).unwrap();
    db.raw("delete from proposals where seq = 0").unwrap();
    let changed = |seq| ProposalRow { status: "void".into(), updated: 2, ..proposal(seq) };
    let append = |proposals| s.append(&Batch { proposals, ..batch(epoch, Some(1), 3) });
    let result = append(vec![changed(1), changed(0), proposal(2)]);
    assert!(matches!(&result, Err(AppendError::Corrupt { table: "proposals", .. })), "{result:?}");
    assert_eq!((s.proposal(&proposal(0).id).unwrap(), s.proposal(&proposal(1).id).unwrap()), (None, Some(proposal(1))));
    assert_eq!((s.counts().unwrap().proposals, s.head().unwrap().unwrap().seq), (1, 1));
    append(vec![changed(1), proposal(2)]).unwrap();
    assert_eq!(s.proposal(&proposal(1).id).unwrap(), Some(changed(1)));
}

pub fn a_row_in_the_place_of_a_new_proposal_is_noticed(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    s.append(&Batch { proposals: vec![proposal(0)], ..batch(epoch, None, 1) }).unwrap();
    // What the next entry makes is there before it, with another total.
    let id = proposal(1).id.digest().to_string();
    let id = if db.is_sqlite() { format!("x'{id}'") } else { format!("'\\x{id}'") };
    db.raw(&format!(
        "insert into proposals select {id}, 1, at, tenant, installation, plugin, kind, order_id, asset, 7, status, 1
         from proposals"
    ))
    .unwrap();
    let result = s.append(&Batch { proposals: vec![proposal(1)], ..batch(epoch, Some(0), 1) });
    assert!(matches!(&result, Err(AppendError::Corrupt { table: "proposals", .. })), "{result:?}");
    assert_eq!(s.head().unwrap().unwrap().seq, 0);
}

pub fn proposals_of_an_older_schema_are_kept(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    s.append(&Batch { proposals: (0..3).map(proposal).collect(), ..batch(epoch, None, 4) }).unwrap();
    let late = ProposalRow { status: "executed".into(), updated: 4, ..proposal(1) };
    s.append(&Batch { proposals: vec![late.clone()], ..batch(epoch, Some(3), 1) }).unwrap();
    let before = s.scan_entries(0, 9).unwrap();

    crate::samples::take_back_the_last_migration(db);
    let again = db.another();
    assert_eq!(again.scan_entries(0, 9).unwrap(), before);
    assert_eq!(again.proposal(&late.id).unwrap(), Some(late));
    let change = ProposalRow { status: "void".into(), updated: 5, ..proposal(2) };
    again.append(&Batch { proposals: vec![change.clone()], ..batch(epoch, Some(4), 1) }).unwrap();
    assert_eq!(again.proposal(&change.id).unwrap(), Some(change));
    assert_eq!(again.counts().unwrap().proposals, 3);
}

pub fn mentions_are_found_by_cid(db: &Database) {
    let s = db.storage();
    let mention = |name, seq, kind| Mention { cid: cid(name), seq, kind };
    let mentions = vec![mention("a", 1, "approved"), mention("b", 1, "revoked"), mention("a", 0, "proposed")];
    s.append(&Batch { mentions, ..batch(lead(s), None, 2) }).unwrap();
    let found: Vec<_> = s.mentions(&cid("a")).unwrap().into_iter().map(|m| (m.seq, m.kind)).collect();
    assert_eq!(found, [(0, "proposed".to_owned()), (1, "approved".to_owned())]);
    assert!(s.mentions(&cid("c")).unwrap().is_empty());
}

pub fn a_scan_meets_every_row_once(db: &Database) {
    let s = db.storage();
    let epoch = lead(s);
    let mention = |name, seq| Mention { cid: cid(name), seq, kind: "seen" };
    let mentions = vec![mention("x", 0), mention("x", 3), mention("y", 3)];
    s.append(&Batch { proposals: (0..3).map(proposal).collect(), mentions, ..batch(epoch, None, 4) }).unwrap();
    let late = ProposalRow { status: "executed".into(), updated: 4, ..proposal(1) };
    s.append(&Batch { proposals: vec![late.clone()], ..batch(epoch, Some(3), 2) }).unwrap();

    let mut pages = Vec::new();
    while let page = s.scan_entries(pages.len() as u64, 4).unwrap()
        && !page.is_empty()
    {
        pages.extend(page);
    }
    let counts = s.counts().unwrap();
    assert_eq!(pages.len() as u64, counts.entries);
    assert_eq!(pages.iter().map(|e| e.entry.tokens.len() as u64).sum::<u64>(), counts.tokens);
    assert_eq!(pages.iter().map(|e| e.proposals.len() as u64).sum::<u64>(), counts.proposals);
    assert_eq!(pages.iter().map(|e| e.mentions.len() as u64).sum::<u64>(), counts.mentions);
    assert_eq!(pages[0].proposals, [proposal(0)]);
    assert!(pages[1].proposals.is_empty(), "the row is no longer what entry 1 made it");
    assert_eq!(pages[4].proposals, [late]);
    assert!(pages[3].mentions.iter().all(|m| m.seq == 3) && pages[3].mentions.len() == 2);
    assert_eq!(s.entries(0, 10).unwrap(), pages.into_iter().map(|e| e.entry).collect::<Vec<_>>());
}
