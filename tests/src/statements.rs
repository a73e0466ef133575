use crate::{Person, Signed, World};
use domain::{
    AccountId, Address, Amount, AssetId, AssetKind, Bps, ChainId, Cid, Digest, EscrowDomain, LineItem, OrderId, Payout,
    PluginId, Split, Time, Version,
};
use ipld_core::ipld::Ipld;
use ledger::{Asset, GroupKeys, GroupPackages, Participant, Quorum, args};
use std::str::FromStr;
use ucan::{Delegation, Verified};

/// The world's only chain.
const CHAIN: ChainId = ChainId(31_337);
/// The plugin's command.
const PAYOUT: &str = "/proposal/payout";

fn parsed<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text} is well-formed"))
}

fn amount(minor_units: u64) -> Amount {
    Amount::new(minor_units).expect("an amount")
}

/// The world's only asset: a token of 6 decimals.
pub fn asset() -> AssetId {
    AssetId { chain: CHAIN, kind: AssetKind::Erc20(Address([0x11; 20])) }
}

/// The `n`th recipient.
pub const fn recipient(n: u8) -> AccountId {
    AccountId { chain: CHAIN, address: Address([n; 20]) }
}

/// The args of `/policy/activate`.
pub fn activation(bundle: &policy::Bundle, reason: &str) -> args::Activate {
    let (modules, data) = (bundle.modules().clone(), bundle.data().to_owned());
    args::Activate { bundle: bundle.id(), modules, data, reason: parsed(reason) }
}

impl World {
    /// `/log/genesis`, by the operator itself.
    pub fn genesis(&self) -> Signed {
        let args = args::Genesis {
            origin: parsed("log.example.com/test"),
            sequencer: self.sequencer.did,
            issuer: self.issuer.did,
            ledger: 1,
            clock_tolerance: 30,
            lift_admins: 1,
        };
        self.invoke(&self.operator, self.operator.did, "/log/genesis", &args, Vec::new())
    }

    /// The tenant root's delegation to the control plane's issuer key; always the same token.
    pub fn tenant_to_issuer(&self) -> Verified<Delegation> {
        let mut new =
            ucan::issue::NewDelegation::new(self.issuer.did, self.tenant.did, parsed("/proposal"), [7_u8; 16]);
        new.expiration = None;
        ucan::issue::delegate(&self.tenant.key, new).expect("a delegation")
    }

    /// `/tenant/create`, by the operator itself.
    pub fn create_tenant(&self) -> Signed {
        let args = args::Create {
            tenant: self.tenant.did,
            name: parsed("Test Market"),
            assets: vec![Asset {
                asset: asset(),
                symbol: parsed("USDC"),
                decimals: 6,
                scale: 0.try_into().expect("a scale"),
            }],
            escrow: EscrowDomain { chain: CHAIN, contract: Address([0xee; 20]) },
            confirmations: 3,
            lift_admins: 1,
            delegation: Ipld::Bytes(self.tenant_to_issuer().bytes().to_vec()),
        };
        self.invoke(&self.operator, self.operator.did, "/tenant/create", &args, Vec::new())
    }

    /// `/publisher/register`, by the operator itself.
    pub fn register_publisher(&self) -> Signed {
        let args = args::Register { publisher: self.publisher.did, name: parsed("Test Publisher") };
        self.invoke(&self.operator, self.operator.did, "/publisher/register", &args, Vec::new())
    }

    /// `/quorum/set` of epoch 1, two of three: signers `signer 1` to `signer 3`; the checkpoint key is that of the
    /// person `quorum`, whole, so that tests can cosign without a ceremony.
    pub fn set_quorum(&self) -> Signed {
        let participant = |id: u16| Participant {
            id,
            node: Person::named(&format!("signer {id}")).did,
            url: parsed(&format!("http://127.0.0.1:{}", 7_710_u32.saturating_add(id.into()))),
        };
        let quorum = Quorum {
            epoch: 1,
            threshold: 2,
            participants: (1..=3).map(participant).collect(),
            keys: GroupKeys { secp256k1: format!("02{}", "79".repeat(32)), ed25519: Person::named("quorum").did },
            packages: GroupPackages { secp256k1: "00".to_owned(), ed25519: "00".to_owned() },
        };
        self.invoke(&self.operator, self.operator.did, "/quorum/set", &quorum, Vec::new())
    }

    /// The plugin's id.
    pub fn plugin(&self) -> PluginId {
        parsed("com.example.payouts")
    }

    /// `/plugin/publish` of version 1.0.0, by the publisher.
    pub fn publish_plugin(&self) -> Signed {
        let args = args::Publish {
            plugin: self.plugin(),
            version: parsed::<Version>("1.0.0"),
            description: parsed("Pays sellers."),
            capabilities: vec![PAYOUT.to_owned()],
            entry_point: parsed("main"),
            code: Digest::sha256(b"code"),
        };
        let proof = self.delegate(&self.operator, self.publisher.did, self.operator.did, "/plugin/publish");
        self.invoke(&self.publisher, self.operator.did, "/plugin/publish", &args, vec![proof])
    }

    /// A statement in the tenant's realm by somebody to whom the tenant's root delegates that command.
    pub fn by(&self, person: &Person, command: &str, args: &impl serde::Serialize) -> Signed {
        let proof = self.delegate(&self.tenant, person.did, self.tenant.did, command);
        self.invoke(person, self.tenant.did, command, args, vec![proof])
    }

    /// `/installation/grant`, by the admin, for a year.
    pub fn grant(&self, max_per_payout: u64, daily_total: u64) -> Signed {
        let args = args::Grant {
            installation: self.installation.did,
            plugin: self.plugin(),
            version: parsed("1.0.0"),
            capabilities: vec![PAYOUT.to_owned()],
            limits: vec![args::GrantLimit {
                asset: asset(),
                max_per_payout: amount(max_per_payout),
                daily_total: amount(daily_total),
            }],
            expires_at: self.now.plus(365 * 86_400),
        };
        self.by(&self.admin, "/installation/grant", &args)
    }

    /// `/recipient/verify` with everything in order, by the provider.
    pub fn verify_recipient(&self, account: AccountId) -> Signed {
        let args = args::Verify { account, kyc_level: 3, sanctioned: false, valid_until: self.now.plus(365 * 86_400) };
        self.by(&self.provider, "/recipient/verify", &args)
    }

    /// `/order/open` without royalties, by the marketplace.
    pub fn open_order(&self, order: &str, minor_units: u64) -> Signed {
        let args = args::Open {
            order: parsed(order),
            buyer: recipient(0xbb),
            asset: asset(),
            amount: amount(minor_units),
            royalties: Vec::new(),
        };
        self.by(&self.market, "/order/open", &args)
    }

    /// Everything up to where the installation can propose: two verified recipients (1 and 2) and order `order-1`.
    pub fn setup(&self, max_per_payout: u64, daily_total: u64) -> Vec<Signed> {
        vec![
            self.genesis(),
            self.create_tenant(),
            self.register_publisher(),
            self.publish_plugin(),
            self.grant(max_per_payout, daily_total),
            self.verify_recipient(recipient(1)),
            self.verify_recipient(recipient(2)),
            self.open_order("order-1", domain::MAX_AMOUNT),
        ]
    }

    /// The chain of a proposal: tenant → issuer → installation, the last for ten minutes.
    pub fn proposal_chain(&self) -> Vec<Verified<Delegation>> {
        let until = Some(self.now.plus(600));
        let last = self.delegate_until(&self.issuer, self.installation.did, self.tenant.did, PAYOUT, until);
        vec![self.tenant_to_issuer(), last]
    }

    /// A payout of `order-1` to recipients 1 (90 %) and 2 (10 %).
    pub fn payout(&self, total: u64) -> Payout {
        Payout {
            order: parsed::<OrderId>("order-1"),
            asset: asset(),
            total: amount(total),
            splits: vec![split(1, 9_000), split(2, 1_000)],
            line_items: vec![LineItem { description: parsed("Goods"), amount: amount(total) }],
            valid_until: self.valid_until(),
        }
    }

    /// Half an hour from now.
    pub fn valid_until(&self) -> Time {
        self.now.plus(1_800)
    }

    /// `/proposal/payout` by the installation, over a chain of its own.
    pub fn propose(&self, total: u64) -> Signed {
        self.propose_over(self.proposal_chain(), total)
    }

    /// `/proposal/payout` by the installation, over this chain.
    pub fn propose_over(&self, chain: Vec<Verified<Delegation>>, total: u64) -> Signed {
        self.invoke(&self.installation, self.tenant.did, PAYOUT, &self.payout(total), chain)
    }

    /// `/approval/give`.
    pub fn approve(&self, approver: &Person, proposal: Cid, review: Digest) -> Signed {
        self.by(approver, "/approval/give", &args::Give { proposal, review })
    }

    /// The installation's own request for a token.
    pub fn token_request(&self) -> Signed {
        let args = std::collections::BTreeMap::from([("tenant", self.tenant.did.to_string())]);
        self.invoke(&self.installation, self.installation.did, "/installation/token", &args, Vec::new())
    }
}

/// A share of the `n`th recipient.
fn split(n: u8, bps: u16) -> Split {
    Split { recipient: recipient(n), bps: Bps::new(bps).expect("a share") }
}
