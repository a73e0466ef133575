-- Read models, written in the transaction of the entries they are derived from.
--
-- They have no foreign keys: positions have no gaps, a batch may only name positions of its own, and a replay compares
-- each row with its entry. Four more look-ups for each entry would cost a quarter of the throughput.

create table proposals (
    id           blob    not null, -- SHA-256 digest in the CID of the proposal's invocation
    seq          integer not null, -- entry of the proposal
    at           integer not null, -- Unix seconds at which the sequencer placed the proposal
    tenant       text    not null, -- did:key of the tenant
    installation text    not null, -- did:key of the installation
    plugin       text    not null, -- reverse-domain id of the plugin
    kind         text    not null, -- kind of intent
    order_id     text    not null, -- the tenant's id of the order
    asset        text    not null, -- CAIP-19 id of the asset
    total        integer not null, -- amount in the asset's minor unit
    status       text    not null, -- state of the proposal after entry `updated`
    updated      integer not null, -- entry that last changed the row
    constraint proposals_pkey primary key (seq),
    constraint proposals_id_key unique (id),
    constraint proposals_id_check check (length(id) = 32),
    constraint proposals_at_check check (at >= 0),
    constraint proposals_kind_check check (length(kind) between 1 and 64),
    constraint proposals_total_check check (total between 1 and 9007199254740991),
    constraint proposals_status_check check (length(status) between 1 and 64),
    constraint proposals_updated_check check (updated >= seq)
) strict;

create index proposals_tenant_idx on proposals (tenant, seq);
create index proposals_installation_idx on proposals (installation, seq);
create index proposals_order_idx on proposals (order_id, seq);
create index proposals_status_idx on proposals (status, seq);
create index proposals_updated_idx on proposals (updated);

create table mentions (
    cid  blob    not null, -- SHA-256 digest in the CID that is mentioned
    seq  integer not null, -- entry that mentions it
    kind text    not null, -- what the entry says about it
    constraint mentions_pkey primary key (cid, seq, kind),
    constraint mentions_cid_check check (length(cid) = 32),
    constraint mentions_kind_check check (length(kind) between 1 and 64)
) strict, without rowid;

create index mentions_seq_idx on mentions (seq);

create trigger mentions_refuse_update before update on mentions
begin
    select raise(abort, 'mentions is insert-only');
end;

create trigger mentions_refuse_delete before delete on mentions
begin
    select raise(abort, 'mentions is insert-only');
end;
