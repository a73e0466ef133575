//! Cost of verifying a three-hop chain: cold (four signatures) and warm (delegations already opened).

use criterion::{Criterion, criterion_group, criterion_main};
use domain::{Cid, Did, Time};
use ed25519_dalek::SigningKey;
use std::collections::HashMap;
use std::hint::black_box;
use ucan::issue::{NewDelegation, NewInvocation, delegate, did_of, invoke};
use ucan::{Context, Delegation, Error, Ipld, Policy, Trust, Verified, authorise, open_delegation, open_invocation};

const NOW: Time = Time::from_unix(1_800_000_000);

/// Invocation, delegations, subject.
type Issued = (Vec<u8>, Vec<Vec<u8>>, Did);
type Store = HashMap<Cid, Verified<Delegation>>;

fn statement(operator: &str, selector: &str, value: Ipld) -> Ipld {
    Ipld::List(vec![Ipld::String(operator.to_owned()), Ipld::String(selector.to_owned()), value])
}

fn chain() -> Result<Issued, Error> {
    let keys: Vec<SigningKey> = (1u8..=4).map(|seed| SigningKey::from_bytes(&[seed; 32])).collect();
    let [root, service, plugin, instance] = keys.as_slice() else { return Err(Error::Malformed("keys")) };
    let subject = did_of(root);
    let command: ucan::Command = "/proposal/payout".parse().map_err(|_| Error::Malformed("command"))?;
    let policy = Policy::parse(vec![
        statement("<=", ".total", Ipld::Integer(100_000)),
        statement("like", ".asset", Ipld::String("eip155:1/*".to_owned())),
    ])?;
    let mut hops = Vec::new();
    for (from, to) in [(root, service), (service, plugin), (plugin, instance)] {
        let mut new = NewDelegation::new(did_of(to), subject, command.clone(), [7; 12]);
        new.expiration = Some(NOW.plus(900));
        new.policy = policy.clone();
        hops.push(delegate(from, new)?);
    }
    let mut new = NewInvocation::new(subject, command, [9; 12]);
    new.expiration = Some(NOW.plus(300));
    new.args = [
        ("total".to_owned(), Ipld::Integer(500)),
        ("asset".to_owned(), Ipld::String("eip155:1/erc20:0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48".to_owned())),
    ]
    .into();
    new.proofs = hops.iter().map(|hop| hop.cid()).collect();
    let invocation = invoke(instance, new)?;
    Ok((invocation.bytes().to_vec(), hops.iter().map(|hop| hop.bytes().to_vec()).collect(), subject))
}

fn open_all(tokens: &[Vec<u8>]) -> Result<Store, Error> {
    tokens.iter().map(|token| open_delegation(token).map(|hop| (hop.cid(), hop))).collect()
}

fn verify(criterion: &mut Criterion) {
    let Ok((invocation, tokens, subject)) = chain() else { return };
    let Ok(warm) = open_all(&tokens) else { return };
    let Ok(opened) = open_invocation(&invocation) else { return };
    let roots = [subject];
    let context = Context::new(NOW, Trust::Only(&roots));
    criterion.bench_function("cold: open 4 tokens and authorise", |bencher| {
        bencher.iter(|| {
            let store = open_all(black_box(&tokens))?;
            let invocation = open_invocation(black_box(&invocation))?;
            Ok::<_, Error>(authorise(&invocation, &|cid| store.get(cid).cloned(), &context).is_ok())
        });
    });
    criterion.bench_function("warm: open the invocation and authorise", |bencher| {
        bencher.iter(|| {
            let invocation = open_invocation(black_box(&invocation))?;
            Ok::<_, Error>(authorise(&invocation, &|cid| warm.get(cid).cloned(), &context).is_ok())
        });
    });
    criterion.bench_function("authorise alone", |bencher| {
        bencher.iter(|| authorise(black_box(&opened), &|cid| warm.get(cid).cloned(), &context).is_ok());
    });
}

criterion_group!(benches, verify);
criterion_main!(benches);
