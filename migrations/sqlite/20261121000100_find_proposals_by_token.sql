-- A proposal is found by its id through tokens, which hold every id once: a second index of the same digests, at random
-- places, costs more than anything else of an append. Rows that nothing has changed are found by seq. The index of the
-- others is made while the old table is still there, so that this fails when it has been applied already.

alter table proposals rename to proposals_by_id;

create table proposals (
    id           blob    not null, -- SHA-256 digest in the CID of the proposal's invocation, the statement of entry seq
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
    constraint proposals_id_check check (length(id) = 32),
    constraint proposals_at_check check (at >= 0),
    constraint proposals_kind_check check (length(kind) between 1 and 64),
    constraint proposals_total_check check (total between 1 and 9007199254740991),
    constraint proposals_status_check check (length(status) between 1 and 64),
    constraint proposals_updated_check check (updated >= seq)
) strict;

insert into proposals (id, seq, at, tenant, installation, plugin, kind, order_id, asset, total, status, updated)
select id, seq, at, tenant, installation, plugin, kind, order_id, asset, total, status, updated
from proposals_by_id
order by seq;

create index proposals_changed_idx on proposals (updated) where updated <> seq;

drop table proposals_by_id;

create index proposals_tenant_idx on proposals (tenant, seq);
create index proposals_installation_idx on proposals (installation, seq);
create index proposals_order_idx on proposals (order_id, seq);
create index proposals_status_idx on proposals (status, seq);
