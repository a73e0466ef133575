//! The triggers that keep facts from being changed. Who takes one away can edit rows unseen until the next start, so a
//! database whose triggers are not those of the migrations is not opened.

use crate::{OpenError, TriggerFault};
use std::collections::BTreeMap;

/// What each trigger does, by table and name, as one engine writes it.
pub(crate) type Triggers = BTreeMap<(String, String), String>;

/// Holds the triggers of a database against those that the migrations make.
pub(crate) fn compare(made: &Triggers, found: &Triggers) -> Result<(), OpenError> {
    let refuse = |(table, trigger): &(String, String), fault| {
        Err(OpenError::Trigger { table: table.clone(), trigger: trigger.clone(), fault })
    };
    for (place, definition) in made {
        match found.get(place) {
            None => return refuse(place, TriggerFault::Missing),
            Some(other) if other != definition => return refuse(place, TriggerFault::Changed),
            Some(_) => {}
        }
    }
    found.keys().find(|place| !made.contains_key(*place)).map_or(Ok(()), |place| refuse(place, TriggerFault::Foreign))
}
