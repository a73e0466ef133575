//! Every case runs on both engines: always on SQLite, and on PostgreSQL where `TEST_POSTGRES_URL` says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that panics has failed, which is what it is for"
)]

mod checkpoint;
mod database;
mod lease;
mod log;
mod postgres_only;
mod read_model;
mod samples;
mod schema;
mod signer_record;

/// Turns `fn case(&Database)` into one test for each engine.
macro_rules! on_both_engines {
    ($($module:ident: $($case:ident),* ;)*) => {
        mod sqlite {
            $(mod $module { $(#[test] fn $case() {
                crate::$module::$case(&crate::database::Database::sqlite());
            })* })*
        }
        mod postgres {
            $(mod $module { $(#[test] fn $case() {
                if let Some(database) = crate::database::Database::postgres() {
                    crate::$module::$case(&database);
                }
            })* })*
        }
    };
}

on_both_engines! {
    log:
        an_empty_log_has_no_head,
        what_was_appended_is_read_back,
        a_page_starts_where_asked_and_is_bounded,
        a_page_is_bounded_by_bytes_and_never_empty,
        a_batch_that_contradicts_itself_is_refused,
        a_number_beyond_the_column_is_refused_or_not_found,
        a_duplicate_names_its_table_and_leaves_nothing,
        a_refused_row_rolls_the_whole_batch_back,
        a_second_leader_fences_the_first,
        two_writers_with_one_epoch_never_both_win,
        readers_see_whole_batches_while_appending;
    lease:
        a_lease_is_exclusive_until_it_expires,
        the_same_holder_takes_over_from_itself_in_a_new_epoch,
        a_renewed_lease_keeps_its_epoch_until_another_begins,
        a_released_lease_is_free_at_once,
        one_of_many_acquires,
        a_holder_has_a_name,
        a_lease_of_another_epoch_than_the_heads_is_corrupt;
    checkpoint:
        a_note_that_grows_is_stored_again,
        the_largest_size_up_to_a_bound_is_found,
        a_note_is_lines_of_text;
    read_model:
        proposals_are_filtered_and_paged_newest_first,
        the_last_change_of_a_batch_is_kept,
        a_later_batch_changes_only_status_and_updated,
        a_change_in_the_place_of_another_proposal_is_noticed,
        a_change_of_a_proposal_that_is_gone_is_noticed,
        a_row_in_the_place_of_a_new_proposal_is_noticed,
        proposals_of_an_older_schema_are_kept,
        mentions_are_found_by_cid,
        a_scan_meets_every_row_once;
    signer_record:
        an_intent_is_locked_once,
        one_of_many_digests_is_locked,
        locks_are_listed_by_intent,
        a_nonce_is_locked_to_one_digest_until_that_has_ended,
        one_of_many_digests_is_locked_to_a_nonce,
        locks_on_nonces_are_listed_by_place_with_their_seals,
        evidence_is_kept_once_in_order,
        evidence_about_one_position_is_paged_by_its_whole_key;
    schema:
        insert_only_tables_refuse_update_and_delete,
        the_head_neither_moves_back_nor_vanishes,
        opening_again_changes_nothing,
        many_processes_may_open_a_new_database_at_once,
        a_changed_migration_is_refused,
        a_newer_schema_is_refused,
        a_schema_is_not_changed_under_another_leader,
        whoever_migrates_leads_from_then_on,
        one_of_many_makes_a_new_database_and_leads,
        a_migration_without_its_record_is_refused,
        a_trigger_that_is_not_as_it_was_made_is_refused,
        an_insert_that_something_swallows_is_noticed,
        hostile_rows_are_errors_not_panics,
        missing_tables_are_errors_not_panics;
}
