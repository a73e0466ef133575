//! Clients that keep submitting and remember what they were told.

use crate::{
    plane::{Answer, PATIENCE, Plane},
    system::within,
};
use domain::Cid;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Semaphore, task::JoinSet};

/// Clients at once.
const CLIENTS: usize = 6;
/// How many statements show that all goes on.
const MORE: usize = 20;
/// More statements than any machine takes in a test.
pub const ANY_NUMBER: usize = 1_000_000;
/// How long a client leaves a statement that was not taken alone; a real one would heed what it was told.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Told {
    acknowledged: Mutex<BTreeMap<Cid, u64>>,
    refused: AtomicU64,
}

/// Clients at work.
pub struct Load {
    told: Arc<Told>,
    /// Statements that may still be made; closed at the end.
    turns: Arc<Semaphore>,
    clients: JoinSet<()>,
}

impl Load {
    /// Clients that make so many statements, as fast as they are taken.
    pub fn start(plane: &Arc<Plane>, statements: usize) -> Self {
        let (told, mut clients) = (Arc::<Told>::default(), JoinSet::new());
        let turns = Arc::new(Semaphore::new(statements));
        let chain = plane.home.world.proposal_chain();
        for _ in 0..CLIENTS {
            let (plane, told, turns, chain) = (Arc::clone(plane), Arc::clone(&told), Arc::clone(&turns), chain.clone());
            clients.spawn(async move {
                while let Ok(turn) = turns.acquire().await {
                    turn.forget();
                    let proposal = plane.home.world.propose_over(chain.clone(), 10);
                    let seq = loop {
                        match plane.say(&proposal).await {
                            Answer::Placed(seq) => break seq,
                            Answer::Later(_) => told.refused.fetch_add(1, Ordering::Relaxed),
                        };
                        tokio::time::sleep(PAUSE).await;
                    };
                    told.acknowledged.lock().unwrap().insert(proposal.cid(), seq);
                }
            });
        }
        Self { told, turns, clients }
    }

    /// Lets so many more statements be made.
    pub fn more(&self, statements: usize) {
        self.turns.add_permits(statements);
    }

    fn acknowledged(&self) -> usize {
        self.told.acknowledged.lock().unwrap().len()
    }

    /// Has some more statements made, and waits until as many more were acknowledged.
    pub async fn goes_on(&self, plane: &Plane) {
        let before = self.acknowledged();
        self.more(MORE);
        let more = within(PATIENCE, async || (self.acknowledged() >= before + MORE).then_some(()));
        assert!(more.await.is_some(), "{} were acknowledged:\n{}", self.acknowledged(), plane.log());
    }

    /// How many answers said to come back later.
    pub fn refused(&self) -> u64 {
        self.told.refused.load(Ordering::Relaxed)
    }

    /// Has statements made until somebody is told to come back later.
    pub async fn is_refused(&self, plane: &Plane) {
        let before = self.refused();
        let told = within(PATIENCE, async || {
            self.more(1);
            (self.refused() > before).then_some(())
        });
        assert!(told.await.is_some(), "nobody was refused:\n{}", plane.log());
    }

    /// Lets everybody finish, and gives what was acknowledged.
    pub async fn end(mut self) -> BTreeMap<Cid, u64> {
        self.turns.close();
        let done = tokio::time::timeout(PATIENCE, async {
            while let Some(client) = self.clients.join_next().await {
                client.unwrap();
            }
        });
        done.await.expect("every statement gets its place");
        let acknowledged = self.told.acknowledged.lock().unwrap().clone();
        println!("{} acknowledged, {} times told to come back", acknowledged.len(), self.refused());
        acknowledged
    }
}
