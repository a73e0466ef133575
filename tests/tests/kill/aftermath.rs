//! What must be true after the storm.

use crate::{
    payouts::{Acknowledged, Client, DOLLAR, SHARES},
    system::{System, within},
};
use domain::Cid;
use log::{Note, export};
use messages::ProposalStatus;
use replica::Verifier;
use std::{collections::BTreeMap, time::Duration};

/// Time for everything that is under way to become final.
const SETTLING: Duration = Duration::from_secs(90);

pub async fn everything_holds(system: &System, client: &Client) {
    let acknowledged = client.acknowledged();
    let allowed = ids(&acknowledged, ProposalStatus::Approved);
    let denied = ids(&acknowledged, ProposalStatus::Denied);
    assert!(allowed.len() >= 40 && denied.len() >= 4, "{acknowledged:?}");

    for (id, told) in &acknowledged {
        let last = within(SETTLING, async || {
            let view = client.reader().proposal(id).await.ok()?;
            (told.status == ProposalStatus::Denied || view.status == ProposalStatus::Final).then_some(view)
        });
        let Some(view) = last.await else {
            let now = client.reader().proposal(id).await;
            panic!("{id} is not final: {now:?}\nrelayer:\n{}", system.log("relayer"));
        };
        assert_eq!(view.id, *id);
        assert!(told.status != ProposalStatus::Denied || view.status == ProposalStatus::Denied);
    }

    let executions = system.executions().await;
    assert_eq!(executions.len(), allowed.len(), "nothing else was paid");
    for id in &allowed {
        assert_eq!(executions.get(id.digest()), Some(&1), "{id}");
    }
    let dollars = u128::try_from(allowed.len()).unwrap() * u128::from(DOLLAR);
    for (name, bps) in SHARES {
        let promised = dollars * u128::from(bps) / 10_000;
        assert_eq!(system.balance(client.address(name)).await, promised, "{name}");
    }

    verifies_offline(system, client, &acknowledged).await;
    for signer in &system.record.signers {
        let metrics = system.text(&signer.url, "/metrics").await.unwrap();
        assert!(metrics.contains("countersign_signer_halted 0"), "{}: {metrics}", signer.name);
    }
}

fn ids(acknowledged: &BTreeMap<Cid, Acknowledged>, status: ProposalStatus) -> Vec<Cid> {
    acknowledged.iter().filter(|(_, told)| told.status == status).map(|(id, _)| *id).collect()
}

/// Exports the log, verifies it with nothing but the operator's DID and a published checkpoint, and finds every
/// acknowledged payout at its place.
async fn verifies_offline(system: &System, client: &Client, acknowledged: &BTreeMap<Cid, Acknowledged>) {
    let held = Note::parse(&client.reader().checkpoint().await.unwrap()).unwrap().unverified().clone();
    let mut writer = export::Writer::new(Vec::new(), &system.record.control_plane.origin.parse().unwrap()).unwrap();
    let mut statements = Vec::new();
    loop {
        let page = client.reader().entries(statements.len().try_into().unwrap(), 1_000).await.unwrap();
        if page.entries.is_empty() {
            break;
        }
        for view in page.entries {
            statements.push(log::Entry::decode(&view.entry.0).unwrap().stmt);
            let tokens = view.tokens.into_iter().map(|t| t.0).collect();
            writer.write(&export::Record::Entry { entry: view.entry.0, tokens }).unwrap();
        }
    }
    for (id, told) in acknowledged {
        assert_eq!(statements.get(usize::try_from(told.seq).unwrap()), Some(id), "acknowledged at {}", told.seq);
    }
    let file = writer.finish().unwrap();
    let report = Verifier::new(system.record.operator, vec![held]).verify(file.as_slice()).unwrap();
    assert_eq!(report.entries, u64::try_from(statements.len()).unwrap());
}
