//! Writes and checks the files under `contracts/test/vectors`, which the contract's tests read: what this crate
//! computes is what the contract computes. `UPDATE_VECTORS=1` writes them anew.

use crate::quorum::{Quorum, chain_amount, random_authorisation};
use alloy_primitives::hex;
use domain::{Address, PayoutAuthorisation, Time};
use escrow::{CapChange, Deployment, FIRST_EPOCH, Rotation, Signature, Thaw};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf};

const SEED: u64 = 712;
const DIGESTS: usize = 1_000;
const SIGNATURES: usize = 48;

/// One array element per line, so that a change shows as the lines that changed.
fn pretty(value: &Value) -> String {
    let mut out = String::from("{\n");
    let fields = value.as_object().unwrap();
    for (i, (name, field)) in fields.iter().enumerate() {
        write!(out, "{}: ", json!(name)).unwrap();
        match field {
            Value::Array(items) => {
                let lines: Vec<String> = items.iter().map(|item| format!("  {item}")).collect();
                write!(out, "[\n{}\n]", lines.join(",\n")).unwrap();
            }
            other => write!(out, "{other}").unwrap(),
        }
        out.push_str(if i + 1 < fields.len() { ",\n" } else { "\n" });
    }
    out + "}\n"
}

fn hold(name: &str, value: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contracts/test/vectors").join(name);
    let now = pretty(value);
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(committed == now, "{name} differs from what the code computes; if that is meant, set UPDATE_VECTORS=1");
}

fn prefixed(bytes: impl AsRef<[u8]>) -> String {
    hex::encode_prefixed(bytes)
}

/// Fixed-width fields one after the other: the contract's tests cut them apart again without an ABI decoder, so that
/// encoder and decoder under test share nothing.
fn packed(a: &PayoutAuthorisation) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(a.intent.as_bytes());
    out.extend(a.installation.as_bytes());
    out.extend(a.order.as_bytes());
    out.extend(a.asset.0);
    out.extend(a.valid_until.unix().to_be_bytes());
    out.extend(a.epoch.to_be_bytes());
    for (recipient, amount) in a.recipients.iter().zip(&a.amounts) {
        out.extend(recipient.0);
        out.extend(amount.get().to_be_bytes());
    }
    out
}

#[test]
fn payout_digests_are_what_the_contract_computes() {
    let mut rng = StdRng::seed_from_u64(SEED);
    let all: Vec<PayoutAuthorisation> = (0..DIGESTS).map(|_| random_authorisation(&mut rng)).collect();
    let column = |f: &dyn Fn(&PayoutAuthorisation) -> Value| all.iter().map(f).collect::<Vec<_>>();
    hold(
        "payout-digests.json",
        &json!({
            "chain": column(&|a| json!(a.domain.chain.0)),
            "contract": column(&|a| json!(a.domain.contract.to_string())),
            "payout": column(&|a| json!(prefixed(packed(a)))),
            "digest": column(&|a| json!(prefixed(escrow::payout_digest(a)))),
        }),
    );
}

#[test]
fn frost_signatures_are_taken_by_the_contract() {
    let mut rng = StdRng::seed_from_u64(SEED);
    let quorums = [Quorum::deal(&mut rng), Quorum::deal(&mut rng), Quorum::deal(&mut rng), Quorum::deal(&mut rng)];
    let mut rows: [Vec<String>; 7] = Default::default();
    for quorum in quorums.iter().cycle().take(SIGNATURES) {
        let mut message = [0; 32];
        rng.fill_bytes(&mut message);
        let bytes = quorum.sign(&message, &mut rng);
        let signature = Signature::from_frost(&bytes).unwrap();
        assert_eq!(signature.to_frost(), bytes);
        // `payout` call data ends with the signature's three words.
        let calldata = escrow::payout_calldata(&random_authorisation(&mut rng), &signature);
        let words = &calldata[4 + 32..4 + 32 + 96];
        let key = quorum.key();
        let row = [
            prefixed(key.x()),
            prefixed(key.y()),
            prefixed(message),
            prefixed(bytes),
            prefixed(&words[..32]),
            prefixed(&words[32..64]),
            prefixed(&words[64..]),
        ];
        rows.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
    }
    let [px, py, message, frost, rx, ry, z] = rows;
    hold(
        "frost-signatures.json",
        &json!({"px": px, "py": py, "message": message, "frost": frost, "rx": rx, "ry": ry, "z": z}),
    );
}

/// The address of a contract that `deployer` creates: keccak256 of the RLP list of address and nonce. A nonce of zero is
/// the empty string in RLP, 0x80; others below 128 are themselves.
fn created(deployer: Address, nonce: u8) -> Address {
    let rlp = [&[0xd6, 0x94][..], &deployer.0, &[nonce]].concat();
    Address(alloy_primitives::keccak256(rlp)[12..].try_into().unwrap())
}

/// A whole life of a contract in call data: deployed, funded, capped, frozen, thawed, rotated, paid out.
#[test]
fn calldata_drives_the_contract() {
    let mut rng = StdRng::seed_from_u64(SEED);
    let (old, new) = (Quorum::deal(&mut rng), Quorum::deal(&mut rng));
    let deployer = Address(rng.r#gen());
    let (token, contract) = (created(deployer, 0x80), created(deployer, 1));
    let native = Address([0; 20]);
    let domain = domain::EscrowDomain { chain: domain::ChainId(31_337), contract };
    let (guardian, next_guardian) = (Address(rng.r#gen()), Address(rng.r#gen()));
    let order = domain::Digest::sha256(b"order-1");
    let valid_until = Time::from_unix(2_000_000_000);

    let deployment = Deployment { key: old.key(), guardian, caps: vec![(native, chain_amount(1_000_000))] };
    let code = escrow::deployment_code(&deployment);
    let arguments = code.strip_prefix(escrow::creation_code()).unwrap();

    let mut payout = |quorum: &Quorum, asset, epoch| {
        let mut a = random_authorisation(&mut rng);
        a.recipients.truncate(3);
        a.amounts = (1..=a.recipients.len()).map(|n| chain_amount(1_000 * n as u128)).collect();
        let a = PayoutAuthorisation { domain, order, asset, valid_until, epoch, ..a };
        let signature = quorum.sign_escrow(&escrow::payout_digest(&a), &mut rng);
        let calldata = escrow::payout_calldata(&a, &signature);
        (a, calldata)
    };
    let payouts =
        [payout(&old, native, FIRST_EPOCH), payout(&old, token, FIRST_EPOCH), payout(&new, token, FIRST_EPOCH + 1)];
    let change = CapChange { asset: token, cap: chain_amount(5_000_000), nonce: 0, valid_until, epoch: FIRST_EPOCH };
    let thaw = Thaw { guardian: next_guardian, nonce: 2, valid_until, epoch: FIRST_EPOCH };
    let rotation = Rotation { key: new.key(), nonce: 3, valid_until, epoch: FIRST_EPOCH };
    let rotate_digest = escrow::rotate_digest(&domain, &rotation);

    let set_cap = old.sign_escrow(&escrow::set_cap_digest(&domain, &change), &mut rng);
    let lift = old.sign_escrow(&escrow::thaw_digest(&domain, &thaw), &mut rng);
    let (signature, proof) = (old.sign_escrow(&rotate_digest, &mut rng), new.sign_escrow(&rotate_digest, &mut rng));
    hold(
        "life.json",
        &json!({
            "deployer": deployer.to_string(),
            "token": token.to_string(),
            "contract": contract.to_string(),
            "guardian": guardian.to_string(),
            "nextGuardian": next_guardian.to_string(),
            "separator": prefixed(escrow::domain_separator(&domain)),
            "arguments": prefixed(arguments),
            "setCap": prefixed(escrow::set_cap_calldata(&change, &set_cap)),
            "approve": prefixed(escrow::token::approve_calldata(contract, chain_amount(1_000_000))),
            "mint": prefixed(escrow::token::mint_calldata(deployer, chain_amount(1_000_000))),
            "depositNative": prefixed(escrow::deposit_calldata(&order, native, chain_amount(1_000_000))),
            "depositToken": prefixed(escrow::deposit_calldata(&order, token, chain_amount(1_000_000))),
            "freeze": prefixed(escrow::freeze_calldata()),
            "thaw": prefixed(escrow::thaw_calldata(&thaw, &lift)),
            "rotate": prefixed(escrow::rotate_calldata(&rotation, &signature, &proof)),
            "newKey": prefixed(new.key().to_sec1()),
            "payouts": payouts.iter().map(|(_, calldata)| prefixed(calldata)).collect::<Vec<_>>(),
            "executed": payouts.iter().map(|(a, _)| prefixed(escrow::read::executed_calldata(&a.intent))).collect::<Vec<_>>(),
            "balances": [
                prefixed(escrow::read::balance_calldata(&order, native)),
                prefixed(escrow::read::balance_calldata(&order, token)),
            ],
        }),
    );
}
