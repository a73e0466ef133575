-- What a signer must never forget, and what it saw that must never have happened.

create table locks (
    intent blob    not null, -- intent id, a SHA-256 digest
    digest blob    not null, -- the only digest that may be signed for the intent
    epoch  integer not null, -- key epoch in which the lock was taken
    seal   blob    not null, -- digest over the row that only its writer can make
    constraint locks_pkey primary key (intent),
    constraint locks_intent_check check (length(intent) = 32),
    constraint locks_digest_check check (length(digest) = 32),
    constraint locks_epoch_check check (epoch >= 0),
    constraint locks_seal_check check (length(seal) = 32)
) strict;

create table evidence (
    seq    integer not null, -- position in the log that the evidence is about
    kind   text    not null, -- what it shows
    digest blob    not null, -- SHA-256 of body
    body   blob    not null, -- the evidence itself
    seal   blob    not null, -- digest over the row that only its writer can make
    constraint evidence_pkey primary key (seq, kind, digest),
    constraint evidence_seq_check check (seq >= 0),
    constraint evidence_kind_check check (length(kind) between 1 and 64),
    constraint evidence_digest_check check (length(digest) = 32),
    constraint evidence_seal_check check (length(seal) = 32)
) strict;

create trigger locks_refuse_update before update on locks
begin
    select raise(abort, 'locks is insert-only');
end;

create trigger locks_refuse_delete before delete on locks
begin
    select raise(abort, 'locks is insert-only');
end;

create trigger evidence_refuse_update before update on evidence
begin
    select raise(abort, 'evidence is insert-only');
end;

create trigger evidence_refuse_delete before delete on evidence
begin
    select raise(abort, 'evidence is insert-only');
end;
