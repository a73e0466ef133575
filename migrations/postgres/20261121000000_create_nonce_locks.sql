-- What a signer has signed under the nonces of escrow contracts. A nonce whose digest has ended may be locked again.

create table nonce_locks (
    contract bytea not null,
    nonce bigint not null,
    attempt bigint not null,
    digest bytea not null,
    valid_until bigint not null,
    seal bytea not null,
    constraint nonce_locks_pkey primary key (contract, nonce, attempt),
    constraint nonce_locks_contract_check check (octet_length(contract) = 32),
    constraint nonce_locks_nonce_check check (nonce >= 0),
    constraint nonce_locks_attempt_check check (attempt >= 0),
    constraint nonce_locks_digest_check check (octet_length(digest) = 32),
    constraint nonce_locks_valid_until_check check (valid_until >= 0),
    constraint nonce_locks_seal_check check (octet_length(seal) = 32)
);

comment on column nonce_locks.contract is 'EIP-712 domain separator of the contract, which names its chain';
comment on column nonce_locks.nonce is 'the contract''s nonce';
comment on column nonce_locks.attempt is 'counts the digests of the nonce, from 0; all but the last have ended';
comment on column nonce_locks.digest is 'the only digest that may be signed until it has ended';
comment on column nonce_locks.valid_until is 'Unix second after which the contract refuses the digest';
comment on column nonce_locks.seal is 'digest over the row that only its writer can make';

create trigger nonce_locks_refuse_change before update or delete on nonce_locks
for each row execute function refuse_change();

create trigger nonce_locks_refuse_truncate before truncate on nonce_locks
for each statement execute function refuse_change();
