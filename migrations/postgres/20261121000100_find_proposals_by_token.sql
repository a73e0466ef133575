-- A proposal is found by its id through tokens, which hold every id once: a second index of the same digests, at random
-- places, costs more than anything else of an append. Rows that nothing has changed are found by seq.

create index proposals_changed_idx on proposals (updated) where updated <> seq;
drop index proposals_updated_idx;

alter table proposals drop constraint proposals_id_key;

comment on column proposals.id is
    'SHA-256 digest in the CID of the proposal''s invocation, the statement of entry seq';
