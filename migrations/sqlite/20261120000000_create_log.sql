-- The log: entries, the tokens they introduced, the Merkle tree's tiles, signed checkpoints, the head and the lease
-- on it. Positions are 0-based, times are Unix seconds, digests are 32 bytes.

create table entries (
    seq       integer not null, -- position in the log, from 0, without gaps
    bytes     blob    not null, -- the entry, canonical DAG-CBOR
    leaf      blob    not null, -- RFC 6962 leaf hash of bytes
    statement blob    not null, -- SHA-256 digest in the CID of the statement that the entry places
    constraint entries_pkey primary key (seq),
    constraint entries_seq_check check (seq >= 0),
    constraint entries_leaf_check check (length(leaf) = 32),
    constraint entries_statement_check check (length(statement) = 32)
) strict;

create table tokens (
    cid     blob    not null, -- SHA-256 digest in the CID of bytes; unique, so that a statement has one place
    seq     integer not null, -- entry that introduced the token
    ordinal integer not null, -- place among the tokens of that entry; 0 is the statement itself
    bytes   blob    not null, -- the token, a canonical DAG-CBOR UCAN envelope
    constraint tokens_pkey primary key (seq, ordinal),
    constraint tokens_cid_key unique (cid),
    constraint tokens_seq_fkey foreign key (seq) references entries (seq),
    constraint tokens_cid_check check (length(cid) = 32),
    constraint tokens_ordinal_check check (ordinal >= 0)
) strict, without rowid;

create table tiles (
    level      integer not null, -- height of the tile in the tree of tiles, 0 at the leaves
    tile_index integer not null, -- place of the tile within its level, from 0
    hashes     blob    not null, -- 256 hashes of 32 bytes: only full tiles are stored
    constraint tiles_pkey primary key (level, tile_index),
    constraint tiles_level_check check (level between 0 and 63),
    constraint tiles_tile_index_check check (tile_index >= 0),
    constraint tiles_hashes_check check (length(hashes) = 8192)
) strict;

create table checkpoints (
    number integer not null, -- place among all notes that were stored, from 0, without gaps
    size   integer not null, -- number of entries that the checkpoint commits to
    note   text    not null, -- C2SP signed note; the newest of a size has all of its signature lines
    chain  blob    not null, -- SHA-256 of the chain before it (zeros at first), size (8 bytes, big-endian) and note
    constraint checkpoints_pkey primary key (number),
    constraint checkpoints_number_check check (number >= 0),
    constraint checkpoints_size_check check (size >= 0),
    constraint checkpoints_note_check check (length(note) > 0),
    constraint checkpoints_chain_check check (length(chain) = 32)
) strict;

create index checkpoints_size_idx on checkpoints (size, number);

create table head (
    id    integer not null, -- always 1: the table has one row
    seq   integer,          -- seq of the newest entry; null while the log is empty
    leaf  blob,             -- leaf hash of the newest entry; null while the log is empty
    epoch integer not null, -- term of the lease whose holder may append
    constraint head_pkey primary key (id),
    constraint head_id_check check (id = 1),
    constraint head_seq_check check (seq >= 0),
    constraint head_leaf_check check (length(leaf) = 32 and (seq is null) = (leaf is null)),
    constraint head_epoch_check check (epoch >= 0)
) strict;

insert into head (id, seq, leaf, epoch) values (1, null, null, 0);

create table leases (
    name       text    not null, -- what is leased: 'sequencer'
    holder     text    not null, -- process that holds or last held the lease
    epoch      integer not null, -- term; one more with each acquisition
    expires_at integer not null, -- Unix seconds after which another process may acquire
    constraint leases_pkey primary key (name),
    constraint leases_name_check check (name in ('sequencer')),
    constraint leases_holder_check check (length(holder) between 1 and 256),
    constraint leases_epoch_check check (epoch > 0),
    constraint leases_expires_at_check check (expires_at >= 0)
) strict;

create trigger entries_refuse_update before update on entries
begin
    select raise(abort, 'entries is insert-only');
end;

create trigger entries_refuse_delete before delete on entries
begin
    select raise(abort, 'entries is insert-only');
end;

create trigger tokens_refuse_update before update on tokens
begin
    select raise(abort, 'tokens is insert-only');
end;

create trigger tokens_refuse_delete before delete on tokens
begin
    select raise(abort, 'tokens is insert-only');
end;

create trigger tiles_refuse_update before update on tiles
begin
    select raise(abort, 'tiles is insert-only');
end;

create trigger tiles_refuse_delete before delete on tiles
begin
    select raise(abort, 'tiles is insert-only');
end;

create trigger checkpoints_refuse_update before update on checkpoints
begin
    select raise(abort, 'checkpoints is insert-only');
end;

create trigger checkpoints_refuse_delete before delete on checkpoints
begin
    select raise(abort, 'checkpoints is insert-only');
end;

create trigger head_moves_forward before update on head
when new.epoch < old.epoch or coalesce(new.seq, -1) < coalesce(old.seq, -1)
begin
    select raise(abort, 'the head only moves forward');
end;

create trigger head_refuse_delete before delete on head
begin
    select raise(abort, 'head is insert-only');
end;
