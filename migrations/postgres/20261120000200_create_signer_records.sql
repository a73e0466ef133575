-- What a signer must never forget, and what it saw that must never have happened.

create table locks (
    intent bytea not null,
    digest bytea not null,
    epoch bigint not null,
    seal bytea not null,
    constraint locks_pkey primary key (intent),
    constraint locks_intent_check check (octet_length(intent) = 32),
    constraint locks_digest_check check (octet_length(digest) = 32),
    constraint locks_epoch_check check (epoch >= 0),
    constraint locks_seal_check check (octet_length(seal) = 32)
);

comment on column locks.intent is 'intent id, a SHA-256 digest';
comment on column locks.digest is 'the only digest that may be signed for the intent';
comment on column locks.epoch is 'key epoch in which the lock was taken';
comment on column locks.seal is 'digest over the row that only its writer can make';

create table evidence (
    seq bigint not null,
    kind text not null,
    digest bytea not null,
    body bytea not null,
    seal bytea not null,
    constraint evidence_pkey primary key (seq, kind, digest),
    constraint evidence_seq_check check (seq >= 0),
    constraint evidence_kind_check check (length(kind) between 1 and 64),
    constraint evidence_digest_check check (octet_length(digest) = 32),
    constraint evidence_seal_check check (octet_length(seal) = 32)
);

comment on column evidence.seq is 'position in the log that the evidence is about';
comment on column evidence.kind is 'what it shows';
comment on column evidence.digest is 'SHA-256 of body';
comment on column evidence.body is 'the evidence itself';
comment on column evidence.seal is 'digest over the row that only its writer can make';

create trigger locks_refuse_change before update or delete on locks
for each row execute function refuse_change();

create trigger locks_refuse_truncate before truncate on locks
for each statement execute function refuse_change();

create trigger evidence_refuse_change before update or delete on evidence
for each row execute function refuse_change();

create trigger evidence_refuse_truncate before truncate on evidence
for each statement execute function refuse_change();
