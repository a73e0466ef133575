//! Participants in one process.

use domain::{Did, Digest};
use rand::{SeedableRng as _, rngs::StdRng};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::{LazyLock, Mutex},
};
use threshold::{
    Ciphersuite, CommitmentSet, Ed25519, GroupKey, KeyShare, NoncePool, Participant, ParticipantId, Roster, Secp256k1,
    dkg::{self, Ceremony, DkgError, Echoed, Keys, Packages, Round1, Round2, SecretPackages, Unconfirmed, Untested},
};

pub type Map<T> = BTreeMap<ParticipantId, T>;

pub fn pid(id: u16) -> ParticipantId {
    ParticipantId::new(id).unwrap()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        write!(text, "{b:02x}").unwrap();
        text
    })
}

pub fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

pub fn roster(n: u16, t: u16) -> Roster {
    let member = |id: u16| Participant {
        id: pid(id),
        node: Did::from_key([u8::try_from(id).unwrap(); 32]),
        url: format!("http://127.0.0.1:{}", 7700 + id).parse().unwrap(),
    };
    Roster::new(1, t, (1..=n).map(member).collect()).unwrap()
}

pub fn ceremony(n: u16, t: u16, me: u16) -> Ceremony {
    Ceremony::new(Digest::sha256(b"ceremony"), roster(n, t), pid(me)).unwrap()
}

pub fn begin(n: u16, t: u16, rng: &mut StdRng) -> (Map<Round1>, Map<Packages>) {
    (1..=n)
        .map(|id| {
            let (state, packages) = dkg::begin(ceremony(n, t, id), rng).unwrap();
            ((pid(id), state), (pid(id), packages))
        })
        .unzip()
}

/// Runs one step for everyone. `view` says what each participant receives.
pub fn step<S, M, Next, Out>(
    states: Map<S>,
    mut view: impl FnMut(ParticipantId) -> M,
    run: impl Fn(S, &M) -> Result<(Next, Out), DkgError>,
) -> (Map<Next>, Map<Out>, Map<DkgError>) {
    let (mut next, mut outs, mut errors) = (Map::new(), Map::new(), Map::new());
    for (id, state) in states {
        match run(state, &view(id)) {
            Ok((state, out)) => {
                next.insert(id, state);
                outs.insert(id, out);
            }
            Err(e) => {
                errors.insert(id, e);
            }
        }
    }
    (next, outs, errors)
}

pub fn echo(state: Round1, all: &Map<Packages>) -> Result<(Echoed, Digest), DkgError> {
    state.echo(all)
}

pub fn round2(state: Echoed, all: &Map<Digest>) -> Result<(Round2, Map<SecretPackages>), DkgError> {
    state.round2(all)
}

pub fn finish(state: Round2, mine: &Map<SecretPackages>) -> Result<(Unconfirmed, Digest), DkgError> {
    state.finish(mine)
}

pub fn confirm(state: Unconfirmed, all: &Map<Digest>) -> Result<(Untested, ()), DkgError> {
    state.confirm(all).map(|s| (s, ()))
}

/// What the others made for `to`.
pub fn mail(out: &Map<Map<SecretPackages>>, to: ParticipantId) -> Map<SecretPackages> {
    let copy = |p: &SecretPackages| SecretPackages::from_bytes(&p.to_bytes()).unwrap();
    out.iter().filter_map(|(from, all)| all.get(&to).map(|p| (*from, copy(p)))).collect()
}

/// A whole key generation in which nobody misbehaves, up to the test signature.
pub fn untested(n: u16, t: u16, rng: &mut StdRng) -> Map<Untested> {
    let (states, packages) = begin(n, t, rng);
    let (states, echoes, _) = step(states, |_| packages.clone(), echo);
    let (states, secret, _) = step(states, |_| echoes.clone(), round2);
    let (states, confirmations, _) = step(states, |id| mail(&secret, id), finish);
    let (states, _, errors) = step(states, |_| confirmations.clone(), confirm);
    assert!(errors.is_empty());
    states
}

/// The test signatures of the first t participants.
pub fn test_signatures(states: &mut Map<Untested>, t: u16, rng: &mut StdRng) -> (Vec<u8>, Vec<u8>) {
    let first = states.values().next().unwrap().groups();
    let (secp, ed) = (first.secp256k1.clone(), first.ed25519.clone());
    let id = Digest::sha256(b"ceremony");
    let made: Vec<_> = states.iter_mut().take(t.into()).map(|(id, s)| (*id, s.commit(rng).unwrap())).collect();
    let secp_set = CommitmentSet::new(&secp, made.iter().map(|(id, c)| (*id, &c.secp256k1.bytes))).unwrap();
    let ed_set = CommitmentSet::new(&ed, made.iter().map(|(id, c)| (*id, &c.ed25519.bytes))).unwrap();
    let (mut secp_shares, mut ed_shares) = (Map::new(), Map::new());
    for (id, _) in &made {
        let state = states.get_mut(id).unwrap();
        secp_shares.insert(*id, state.sign_secp256k1(&secp_set).unwrap());
        ed_shares.insert(*id, state.sign_ed25519(&ed_set).unwrap());
    }
    let (m, e) = (dkg::test_message(&id, &secp).unwrap(), dkg::test_message(&id, &ed).unwrap());
    (
        threshold::aggregate(&secp, &secp_set, m.as_bytes(), &secp_shares).unwrap(),
        threshold::aggregate(&ed, &ed_set, e.as_bytes(), &ed_shares).unwrap(),
    )
}

pub fn keys(n: u16, t: u16, rng: &mut StdRng) -> Vec<Keys> {
    let mut states = untested(n, t, rng);
    let (secp, ed) = test_signatures(&mut states, t, rng);
    states.into_values().map(|s| s.accept(&secp, &ed).unwrap()).collect()
}

type Stored = HashMap<(u16, u16), Vec<(Vec<u8>, Vec<u8>)>>;
static STORED: LazyLock<Mutex<Stored>> = LazyLock::new(Mutex::default);

/// Shares of one fixed key per (n, t), generated once and reloaded from their stored form.
pub fn stored(n: u16, t: u16) -> Vec<Keys> {
    let mut all = STORED.lock().unwrap();
    let bytes = all.entry((n, t)).or_insert_with(|| {
        let keys = keys(n, t, &mut rng(u64::from(n) << 8 | u64::from(t)));
        let secret = |k: &Keys| {
            let bytes = (k.secp256k1.to_secret_bytes().unwrap(), k.ed25519.to_secret_bytes().unwrap());
            (bytes.0.to_vec(), bytes.1.to_vec())
        };
        keys.iter().map(secret).collect()
    });
    let load = |(secp, ed): &(Vec<u8>, Vec<u8>)| Keys {
        secp256k1: KeyShare::from_secret_bytes(secp).unwrap(),
        ed25519: KeyShare::from_secret_bytes(ed).unwrap(),
    };
    bytes.iter().map(load).collect()
}

/// One suite's share of [`Keys`].
pub trait Pick: Ciphersuite {
    fn pick(keys: Keys) -> KeyShare<Self>;
}

impl Pick for Secp256k1 {
    fn pick(keys: Keys) -> KeyShare<Self> {
        keys.secp256k1
    }
}

impl Pick for Ed25519 {
    fn pick(keys: Keys) -> KeyShare<Self> {
        keys.ed25519
    }
}

pub struct Signer<C: Ciphersuite> {
    pub share: KeyShare<C>,
    pub pool: NoncePool<C>,
}

pub fn signers<C: Pick>(n: u16, t: u16) -> (GroupKey<C>, Vec<Signer<C>>) {
    let signers: Vec<_> = (stored(n, t).into_iter())
        .map(|k| Signer { share: C::pick(k), pool: NoncePool::new(8.try_into().unwrap()) })
        .collect();
    (signers[0].share.group().clone(), signers)
}
