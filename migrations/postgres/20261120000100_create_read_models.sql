-- Read models, written in the transaction of the entries they are derived from.
--
-- They have no foreign keys: positions have no gaps, a batch may only name positions of its own, and a replay compares
-- each row with its entry. Four more look-ups for each entry would cost a quarter of the throughput.

create table proposals (
    id bytea not null,
    seq bigint not null,
    at bigint not null,
    tenant text not null,
    installation text not null,
    plugin text not null,
    kind text not null,
    order_id text not null,
    asset text not null,
    total bigint not null,
    status text not null,
    updated bigint not null,
    constraint proposals_pkey primary key (seq),
    constraint proposals_id_key unique (id),
    constraint proposals_id_check check (octet_length(id) = 32),
    constraint proposals_at_check check (at >= 0),
    constraint proposals_kind_check check (length(kind) between 1 and 64),
    constraint proposals_total_check check (total between 1 and 9007199254740991),
    constraint proposals_status_check check (length(status) between 1 and 64),
    constraint proposals_updated_check check (updated >= seq)
);

comment on column proposals.id is 'SHA-256 digest in the CID of the proposal''s invocation';
comment on column proposals.seq is 'entry of the proposal';
comment on column proposals.at is 'Unix seconds at which the sequencer placed the proposal';
comment on column proposals.tenant is 'did:key of the tenant';
comment on column proposals.installation is 'did:key of the installation';
comment on column proposals.plugin is 'reverse-domain id of the plugin';
comment on column proposals.kind is 'kind of intent';
comment on column proposals.order_id is 'the tenant''s id of the order';
comment on column proposals.asset is 'CAIP-19 id of the asset';
comment on column proposals.total is 'amount in the asset''s minor unit';
comment on column proposals.status is 'state of the proposal after entry `updated`';
comment on column proposals.updated is 'entry that last changed the row';

create index proposals_tenant_idx on proposals (tenant, seq);
create index proposals_installation_idx on proposals (installation, seq);
create index proposals_order_idx on proposals (order_id, seq);
create index proposals_status_idx on proposals (status, seq);
create index proposals_updated_idx on proposals (updated);

create table mentions (
    cid bytea not null,
    seq bigint not null,
    kind text not null,
    constraint mentions_pkey primary key (cid, seq, kind),
    constraint mentions_cid_check check (octet_length(cid) = 32),
    constraint mentions_kind_check check (length(kind) between 1 and 64)
);

comment on column mentions.cid is 'SHA-256 digest in the CID that is mentioned';
comment on column mentions.seq is 'entry that mentions it';
comment on column mentions.kind is 'what the entry says about it';

create index mentions_seq_idx on mentions (seq);

create trigger mentions_refuse_change before update or delete on mentions
for each row execute function refuse_change();

create trigger mentions_refuse_truncate before truncate on mentions
for each statement execute function refuse_change();
