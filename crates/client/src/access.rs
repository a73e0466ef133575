use crate::{SpeakError, Speaker};
use domain::{Did, Time};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};
use ucan::{Command, container::Encoding};

/// A read token may live 15 minutes; the rest is for clocks that differ.
const LIFETIME: u64 = 780;
/// Renewed this long before it ends, so that no request arrives with an expired one.
const RENEW_BEFORE: u64 = 120;

/// Makes read tokens and keeps using one until it is about to expire, so that the reader of it can cache its verdict.
#[derive(Debug)]
pub struct ReadAccess {
    speaker: Speaker,
    subject: Did,
    command: Command,
    current: Mutex<Option<(String, Time)>>,
}

impl ReadAccess {
    /// Reads what `command` (`/read` or narrower) covers of the subject's data: a tenant's, or the operator's for all.
    pub fn new(speaker: Speaker, subject: Did, command: Command) -> Self {
        Self { speaker, subject, command, current: Mutex::new(None) }
    }

    /// The container for an `Authorization: Bearer` header.
    pub fn token(&self) -> Result<String, SpeakError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.speaker.ambient().now();
        if let Some((token, expires_at)) = &*current
            && now.plus(RENEW_BEFORE) < *expires_at
        {
            return Ok(token.clone());
        }
        let chain = self.speaker.chain(&self.command, self.subject)?;
        let args = BTreeMap::<String, u8>::new();
        let (command, encoding) = (self.command.clone(), Encoding::Base64Url);
        let said = self.speaker.say_with(LIFETIME, encoding, command, self.subject, &args, &chain)?;
        let token = String::from_utf8(said.container).map_err(|_| SpeakError::Args("not text".to_owned()))?;
        *current = Some((token.clone(), said.expires_at));
        Ok(token)
    }

    /// Forgets the current token, because the other side would not take it.
    pub fn renew(&self) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ambient, Delegations};
    use ed25519_dalek::SigningKey;
    use keyfile::Identity;
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    #[test]
    fn a_token_is_kept_until_shortly_before_it_ends() {
        let clock = Arc::new(AtomicU64::new(1_000));
        let (time, count) = (clock.clone(), AtomicU64::new(0));
        let ambient = Ambient::new(
            move || Time::from_unix(time.load(Ordering::SeqCst)),
            move |bytes| {
                bytes.fill(u8::try_from(count.fetch_add(1, Ordering::SeqCst)).unwrap());
                true
            },
        );
        let operator = Identity::from_key(SigningKey::from_bytes(&[1; 32]));
        let did = operator.did();
        let speaker = Speaker::new(operator, Delegations::default(), did, ambient);
        let access = ReadAccess::new(speaker, did, "/read".parse().unwrap());
        let first = access.token().unwrap();
        assert!(first.starts_with('C'), "fits a header");
        clock.store(1_000 + LIFETIME - RENEW_BEFORE - 1, Ordering::SeqCst);
        assert_eq!(access.token().unwrap(), first);
        clock.store(1_000 + LIFETIME - RENEW_BEFORE, Ordering::SeqCst);
        let second = access.token().unwrap();
        assert_ne!(second, first);
        access.renew();
        assert_ne!(access.token().unwrap(), second);
    }
}
