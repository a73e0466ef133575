use domain::{Address, ChainId};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Proposals of one escrow contract that are carried at once: a quarter of all, so that one tenant whose payouts hang
/// leaves room for the others.
const PER_CONTRACT: usize = 1_024;

/// Counts what is carried for each escrow contract.
#[derive(Debug, Default)]
pub(crate) struct Places {
    contracts: Mutex<BTreeMap<(ChainId, Address), Arc<Semaphore>>>,
}

/// One place, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// A place, unless the contract has all of its own taken.
    pub(crate) fn take(&self, chain: ChainId, contract: Address) -> Option<Place> {
        let mut contracts = self.contracts.lock().unwrap_or_else(PoisonError::into_inner);
        let places = contracts.entry((chain, contract)).or_insert_with(|| Arc::new(Semaphore::new(PER_CONTRACT)));
        places.clone().try_acquire_owned().ok().map(|permit| Place { _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_leaves_room_for_the_others() {
        let (places, chain) = (Places::default(), ChainId(1));
        let mut taken: Vec<_> = (0..PER_CONTRACT).map(|_| places.take(chain, Address([1; 20])).unwrap()).collect();
        assert!(places.take(chain, Address([1; 20])).is_none());
        assert!(places.take(chain, Address([2; 20])).is_some());
        assert!(places.take(ChainId(2), Address([1; 20])).is_some());
        taken.pop();
        assert!(places.take(chain, Address([1; 20])).is_some());
    }
}
