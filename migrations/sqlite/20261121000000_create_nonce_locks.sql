-- What a signer has signed under the nonces of escrow contracts. A nonce whose digest has ended may be locked again.

create table nonce_locks (
    contract    blob    not null, -- EIP-712 domain separator of the contract, which names its chain
    nonce       integer not null, -- the contract's nonce
    attempt     integer not null, -- counts the digests of the nonce, from 0; all but the last have ended
    digest      blob    not null, -- the only digest that may be signed until it has ended
    valid_until integer not null, -- Unix second after which the contract refuses the digest
    seal        blob    not null, -- digest over the row that only its writer can make
    constraint nonce_locks_pkey primary key (contract, nonce, attempt),
    constraint nonce_locks_contract_check check (length(contract) = 32),
    constraint nonce_locks_nonce_check check (nonce >= 0),
    constraint nonce_locks_attempt_check check (attempt >= 0),
    constraint nonce_locks_digest_check check (length(digest) = 32),
    constraint nonce_locks_valid_until_check check (valid_until >= 0),
    constraint nonce_locks_seal_check check (length(seal) = 32)
) strict;

create trigger nonce_locks_refuse_update before update on nonce_locks
begin
    select raise(abort, 'nonce_locks is insert-only');
end;

create trigger nonce_locks_refuse_delete before delete on nonce_locks
begin
    select raise(abort, 'nonce_locks is insert-only');
end;
