use crate::{ClientError, FollowStream, ReadAccess, follow, http};
use domain::{Cid, Did, NodeUrl};
use messages::{
    AdministrationView, BudgetView, DkgGroupKeys, EntriesView, FreezeView, Health, InstallationView, LogEntryView,
    MAX_PAGE, PageOf, PluginView, ProofView, ProposalStatus, ProposalSummary, ProposalView, PublisherView,
    SimulationDraft, SimulationReply, SubmitReply, TenantView, TokenReply,
};
use reqwest::{Client, Method, RequestBuilder};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::Arc;
use ucan::{
    Parsed,
    container::{self, Limits},
};

const CONTAINER: &str = "application/vnd.ucan.container";
/// What is listed whole is counted in hundreds; more than this is a server that pages in a circle.
const MAX_PAGES: usize = 1_000;
/// Far above what a control plane takes, and what a container that was made to be inflated may cost here.
const MAX_INFLATED: usize = 16 * 1024 * 1024;
/// A note is 64 KiB at most.
const MAX_NOTE: usize = 65_536;

/// The control plane's HTTP API. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    http: Client,
    base: NodeUrl,
    access: Option<Arc<ReadAccess>>,
}

/// Which proposals to list; what is `None` is not asked for.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProposalQuery {
    /// Of this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Did>,
    /// Through this installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installation: Option<Did>,
    /// Where they stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ProposalStatus>,
    /// Of this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Where the last page ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many at most, up to [`MAX_PAGE`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// The signers of the active epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumView {
    /// Counts key changes, from 1.
    pub epoch: u64,
    /// How many sign together.
    pub threshold: u16,
    /// Everyone, by identifier.
    pub participants: Vec<QuorumMember>,
    /// The group's keys.
    pub keys: QuorumKeys,
    /// The public key packages behind them in stored form, against which every share is verified.
    pub packages: DkgGroupKeys,
}

/// One signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumMember {
    /// FROST identifier, 1 to 255.
    pub id: u16,
    /// The node's key.
    pub node: Did,
    /// Where it listens.
    pub url: NodeUrl,
}

/// The group's verifying keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumKeys {
    /// 33 bytes of a compressed point in lower-case hex.
    pub secp256k1: String,
    /// As a DID.
    pub ed25519: Did,
}

impl ControlPlane {
    /// Speaks to the control plane at `base`. Without `access` only public endpoints answer.
    pub fn new(base: NodeUrl, access: Option<ReadAccess>) -> Result<Self, ClientError> {
        Ok(Self { http: http::client()?, base, access: access.map(Arc::new) })
    }

    /// Submits a proposal: a container with one invocation of `/proposal/…`. An answer about another one is none.
    pub async fn submit_proposal(&self, container: &[u8]) -> Result<SubmitReply, ClientError> {
        self.submit("/v1/proposals", container).await
    }

    /// Submits any other statement. An answer about another one is none.
    pub async fn submit_statement(&self, container: &[u8]) -> Result<SubmitReply, ClientError> {
        self.submit("/v1/statements", container).await
    }

    /// What policy would say now to a signed proposal, or to a signed question of `/proposal/payout/simulate`.
    pub async fn simulate(&self, container: &[u8]) -> Result<SimulationReply, ClientError> {
        self.post("/v1/simulations", container, CONTAINER).await
    }

    /// What policy would say to an unsigned draft now.
    pub async fn simulate_draft(&self, draft: &SimulationDraft) -> Result<SimulationReply, ClientError> {
        let body = serde_json::to_vec(draft).map_err(|e| ClientError::Malformed(e.to_string()))?;
        self.post("/v1/simulations", &body, "application/json").await
    }

    /// A short-lived delegation for an installation, which asks with an invocation of `/installation/token`.
    pub async fn token(&self, installation: &Did, container: &[u8]) -> Result<TokenReply, ClientError> {
        self.post(&format!("/v1/installations/{installation}/tokens"), container, CONTAINER).await
    }

    /// One page of proposals.
    pub async fn proposals(&self, query: &ProposalQuery) -> Result<PageOf<ProposalSummary>, ClientError> {
        self.get("/v1/proposals", query).await
    }

    /// One proposal. An answer about another one is none.
    pub async fn proposal(&self, id: &Cid) -> Result<ProposalView, ClientError> {
        let view: ProposalView = self.get(&format!("/v1/proposals/{id}"), &()).await?;
        if view.id != *id {
            return Err(ClientError::Malformed(format!("proposal {} in place of {id}", view.id)));
        }
        Ok(view)
    }

    /// Every tenant that the caller may see.
    pub async fn tenants(&self) -> Result<Vec<TenantView>, ClientError> {
        self.list("/v1/tenants", &[]).await
    }

    /// One tenant.
    pub async fn tenant(&self, tenant: &Did) -> Result<TenantView, ClientError> {
        self.get(&format!("/v1/tenants/{tenant}"), &()).await
    }

    /// Every plugin.
    pub async fn plugins(&self) -> Result<Vec<PluginView>, ClientError> {
        self.list("/v1/plugins", &[]).await
    }

    /// Every publisher.
    pub async fn publishers(&self) -> Result<Vec<PublisherView>, ClientError> {
        self.list("/v1/publishers", &[]).await
    }

    /// A tenant's installations.
    pub async fn installations(&self, tenant: &Did) -> Result<Vec<InstallationView>, ClientError> {
        self.list("/v1/installations", &[("tenant", tenant.to_string())]).await
    }

    /// One installation of a tenant.
    pub async fn installation(&self, tenant: &Did, installation: &Did) -> Result<InstallationView, ClientError> {
        self.get(&format!("/v1/installations/{installation}"), &[("tenant", tenant)]).await
    }

    /// A tenant's budgets.
    pub async fn budgets(&self, tenant: &Did) -> Result<Vec<BudgetView>, ClientError> {
        self.list("/v1/budgets", &[("tenant", tenant.to_string())]).await
    }

    /// The freezes in force.
    pub async fn freezes(&self) -> Result<Vec<FreezeView>, ClientError> {
        self.list("/v1/freezes", &[]).await
    }

    /// Changes of escrow contracts that admins have asked for and that have not expired.
    pub async fn administrations(&self) -> Result<Vec<AdministrationView>, ClientError> {
        self.list("/v1/administrations", &[]).await
    }

    /// The signers and keys of the active epoch; `None` while there is no quorum.
    pub async fn quorum(&self) -> Result<Option<QuorumView>, ClientError> {
        match self.get("/v1/quorum", &()).await {
            Err(ClientError::Problem(p)) if p.status == 404 => Ok(None),
            other => other,
        }
    }

    /// The entry of the statement that set the active quorum, the statement, and its whole chain of delegations; `None` while
    /// there is no quorum.
    pub async fn quorum_statement(&self) -> Result<Option<LogEntryView>, ClientError> {
        match self.get("/v1/quorum/statement", &()).await {
            Err(ClientError::Problem(p)) if p.status == 404 => Ok(None),
            other => other.map(Some),
        }
    }

    /// Entries from `from` on, at most `limit` (1000).
    pub async fn entries(&self, from: u64, limit: u32) -> Result<EntriesView, ClientError> {
        self.get("/v1/log/entries", &[("from", from), ("limit", limit.into())]).await
    }

    /// The log's entries from `from` on as they are committed, and its checkpoints. Ends with the connection; the
    /// caller follows on from the entry it saw last.
    pub async fn follow(&self, from: u64) -> Result<FollowStream, ClientError> {
        let url = self.url("/v1/log/follow");
        let request = self.authorised(self.http.request(Method::GET, &url).query(&[("from", from)]))?;
        let answer = tokio::time::timeout(http::REQUEST_TIMEOUT, self.sent(&url, request)).await;
        Ok(follow::stream(url, answer.map_err(|_| ClientError::Silent)??))
    }

    /// The newest checkpoint: a signed note, not verified.
    pub async fn checkpoint(&self) -> Result<String, ClientError> {
        let url = self.url("/v1/log/checkpoint");
        let request = self.http.get(&url).timeout(http::REQUEST_TIMEOUT);
        http::text(&url, http::send(&url, request).await?, MAX_NOTE).await
    }

    /// The stored checkpoint of the largest size up to `size`, with the quorum's signature when it has one: a signed
    /// note, not verified.
    pub async fn stored_checkpoint(&self, size: u64) -> Result<String, ClientError> {
        let url = self.url(&format!("/v1/log/checkpoints/{size}"));
        let request = self.authorised(self.http.get(&url).timeout(http::REQUEST_TIMEOUT))?;
        http::text(&url, self.sent(&url, request).await?, MAX_NOTE).await
    }

    /// The hashes that prove entry `seq` to be in the log of `size` entries.
    pub async fn inclusion_proof(&self, seq: u64, size: u64) -> Result<ProofView, ClientError> {
        self.get("/v1/log/proofs/inclusion", &[("seq", seq), ("size", size)]).await
    }

    /// The hashes that prove the log of `old` entries to be a prefix of that of `new` entries.
    pub async fn consistency_proof(&self, old: u64, new: u64) -> Result<ProofView, ClientError> {
        self.get("/v1/log/proofs/consistency", &[("old", old), ("new", new)]).await
    }

    /// Hands in a note that the quorum has signed too.
    pub async fn cosign(&self, note: &str) -> Result<(), ClientError> {
        let url = self.url("/v1/log/cosignatures");
        let request = self.http.post(&url).header("content-type", "text/plain; charset=utf-8").body(note.to_owned());
        http::send(&url, request.timeout(http::REQUEST_TIMEOUT)).await.map(|_| ())
    }

    /// What the process says about itself, ready or not.
    pub async fn health(&self) -> Result<Health, ClientError> {
        let url = self.url("/healthz");
        http::json(&url, http::send(&url, self.http.get(&url).timeout(http::REQUEST_TIMEOUT)).await?).await
    }

    async fn get<Q: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, query: &Q) -> Result<T, ClientError> {
        let url = self.url(path);
        let request = self.authorised(self.http.get(&url).query(query).timeout(http::REQUEST_TIMEOUT))?;
        http::json(&url, self.sent(&url, request).await?).await
    }

    /// A whole list, page by page.
    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<Vec<T>, ClientError> {
        let mut all = Vec::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let mut asked = query.to_vec();
            asked.push(("limit", MAX_PAGE.to_string()));
            asked.extend(cursor.map(|c| ("cursor", c)));
            let page: PageOf<T> = self.get(path, &asked).await?;
            all.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return Ok(all);
            }
        }
        Err(ClientError::TooLarge { limit: all.len() })
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &[u8], media: &str) -> Result<T, ClientError> {
        let url = self.url(path);
        let request = self.http.post(&url).header("content-type", media).body(body.to_vec());
        let request = self.authorised(request.timeout(http::SUBMIT_TIMEOUT))?;
        http::json(&url, self.sent(&url, request).await?).await
    }

    async fn submit(&self, path: &str, container: &[u8]) -> Result<SubmitReply, ClientError> {
        let reply: SubmitReply = self.post(path, container, CONTAINER).await?;
        match invocation(container) {
            Some(said) if said == reply.id => Ok(reply),
            said => {
                let said = said.map_or_else(|| "one statement".to_owned(), |said| said.to_string());
                let what = format!("it names {}, and {said} was sent: nothing says whether that was taken", reply.id);
                Err(ClientError::Malformed(what))
            }
        }
    }

    fn authorised(&self, request: RequestBuilder) -> Result<RequestBuilder, ClientError> {
        match &self.access {
            Some(access) => Ok(request.bearer_auth(access.token()?)),
            None => Ok(request),
        }
    }

    /// Sends; when the other side does not take the read token, the next request makes a new one.
    async fn sent(&self, url: &str, request: RequestBuilder) -> Result<reqwest::Response, ClientError> {
        let answer = http::send(url, request).await;
        if let (Err(ClientError::Problem(problem)), Some(access)) = (&answer, &self.access)
            && problem.status == 401
        {
            access.renew();
        }
        answer
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }
}

/// CID of the one invocation in a container that was sent.
fn invocation(container: &[u8]) -> Option<Cid> {
    let limits = Limits { max_container_bytes: container.len(), max_inflated_bytes: MAX_INFLATED, ..Limits::default() };
    let tokens = container::decode(container, &limits).ok()?;
    let mut invocations = tokens.iter().filter_map(|token| match ucan::parse(token) {
        Ok(Parsed::Invocation(invocation)) => Some(invocation.claims().cid()),
        _ => None,
    });
    let said = invocations.next()?;
    invocations.next().is_none().then_some(said)
}
