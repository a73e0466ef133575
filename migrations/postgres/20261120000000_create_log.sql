-- The log: entries, the tokens they introduced, the Merkle tree's tiles, signed checkpoints, the head and the lease
-- on it. Positions are 0-based, times are Unix seconds, digests are 32 bytes.

create table entries (
    seq bigint not null,
    bytes bytea not null,
    leaf bytea not null,
    statement bytea not null,
    constraint entries_pkey primary key (seq),
    constraint entries_seq_check check (seq >= 0),
    constraint entries_leaf_check check (octet_length(leaf) = 32),
    constraint entries_statement_check check (octet_length(statement) = 32)
);

comment on column entries.seq is 'position in the log, from 0, without gaps';
comment on column entries.bytes is 'the entry, canonical DAG-CBOR';
comment on column entries.leaf is 'RFC 6962 leaf hash of bytes';
comment on column entries.statement is 'SHA-256 digest in the CID of the statement that the entry places';

create table tokens (
    cid bytea not null,
    seq bigint not null,
    ordinal bigint not null,
    bytes bytea not null,
    constraint tokens_pkey primary key (seq, ordinal),
    constraint tokens_cid_key unique (cid),
    constraint tokens_seq_fkey foreign key (seq) references entries (seq),
    constraint tokens_cid_check check (octet_length(cid) = 32),
    constraint tokens_ordinal_check check (ordinal >= 0)
);

comment on column tokens.cid is 'SHA-256 digest in the CID of bytes; unique, so that a statement has one place';
comment on column tokens.seq is 'entry that introduced the token';
comment on column tokens.ordinal is 'place among the tokens of that entry; 0 is the statement itself';
comment on column tokens.bytes is 'the token, a canonical DAG-CBOR UCAN envelope';

create table tiles (
    level bigint not null,
    tile_index bigint not null,
    hashes bytea not null,
    constraint tiles_pkey primary key (level, tile_index),
    constraint tiles_level_check check (level between 0 and 63),
    constraint tiles_tile_index_check check (tile_index >= 0),
    constraint tiles_hashes_check check (octet_length(hashes) = 8192)
);

comment on column tiles.level is 'height of the tile in the tree of tiles, 0 at the leaves';
comment on column tiles.tile_index is 'place of the tile within its level, from 0';
comment on column tiles.hashes is '256 hashes of 32 bytes: only full tiles are stored';

create table checkpoints (
    number bigint not null,
    size bigint not null,
    note text not null,
    chain bytea not null,
    constraint checkpoints_pkey primary key (number),
    constraint checkpoints_number_check check (number >= 0),
    constraint checkpoints_size_check check (size >= 0),
    constraint checkpoints_note_check check (length(note) > 0),
    constraint checkpoints_chain_check check (octet_length(chain) = 32)
);

create index checkpoints_size_idx on checkpoints (size, number);

comment on column checkpoints.number is 'place among all notes that were stored, from 0, without gaps';
comment on column checkpoints.size is 'number of entries that the checkpoint commits to';
comment on column checkpoints.note is 'C2SP signed note; the newest of a size has all of its signature lines';
comment on column checkpoints.chain is
    'SHA-256 of the chain before it (zeros at first), size (8 bytes, big-endian) and note';

create table head (
    id bigint not null,
    seq bigint,
    leaf bytea,
    epoch bigint not null,
    constraint head_pkey primary key (id),
    constraint head_id_check check (id = 1),
    constraint head_seq_check check (seq >= 0),
    constraint head_leaf_check check (octet_length(leaf) = 32 and (seq is null) = (leaf is null)),
    constraint head_epoch_check check (epoch >= 0)
);

comment on column head.id is 'always 1: the table has one row';
comment on column head.seq is 'seq of the newest entry; null while the log is empty';
comment on column head.leaf is 'leaf hash of the newest entry; null while the log is empty';
comment on column head.epoch is 'term of the lease whose holder may append';

insert into head (id, seq, leaf, epoch) values (1, null, null, 0);

create table leases (
    name text not null,
    holder text not null,
    epoch bigint not null,
    expires_at bigint not null,
    constraint leases_pkey primary key (name),
    constraint leases_name_check check (name in ('sequencer')),
    constraint leases_holder_check check (length(holder) between 1 and 256),
    constraint leases_epoch_check check (epoch > 0),
    constraint leases_expires_at_check check (expires_at >= 0)
);

comment on column leases.name is 'what is leased: ''sequencer''';
comment on column leases.holder is 'process that holds or last held the lease';
comment on column leases.epoch is 'term; one more with each acquisition';
comment on column leases.expires_at is 'Unix seconds after which another process may acquire';

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is insert-only', tg_table_name using errcode = 'restrict_violation';
end
$$;

create trigger entries_refuse_change before update or delete on entries
for each row execute function refuse_change();

create trigger entries_refuse_truncate before truncate on entries
for each statement execute function refuse_change();

create trigger tokens_refuse_change before update or delete on tokens
for each row execute function refuse_change();

create trigger tokens_refuse_truncate before truncate on tokens
for each statement execute function refuse_change();

create trigger tiles_refuse_change before update or delete on tiles
for each row execute function refuse_change();

create trigger tiles_refuse_truncate before truncate on tiles
for each statement execute function refuse_change();

create trigger checkpoints_refuse_change before update or delete on checkpoints
for each row execute function refuse_change();

create trigger checkpoints_refuse_truncate before truncate on checkpoints
for each statement execute function refuse_change();

create function head_moves_forward() returns trigger language plpgsql as $$
begin
    if new.epoch < old.epoch or coalesce(new.seq, -1) < coalesce(old.seq, -1) then
        raise exception 'the head only moves forward' using errcode = 'restrict_violation';
    end if;
    return new;
end
$$;

create trigger head_moves_forward before update on head
for each row execute function head_moves_forward();

create trigger head_refuse_delete before delete on head
for each row execute function refuse_change();

create trigger head_refuse_truncate before truncate on head
for each statement execute function refuse_change();
