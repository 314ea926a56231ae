//! Every row's bytes, and the short ids.

use super::{Checker, Report};
use crate::storage::{
    Direction, Family, Read, ShortIdKind, StorageError,
    tables::{self, COUNTERS, SHORT_ID_TEXTS, SHORT_IDS},
};

impl Checker<'_> {
    /// Every row of every family belongs to a table of that family and decodes.
    pub(super) fn check_rows(&self, report: &mut Report) -> Result<(), StorageError> {
        for family in Family::ALL {
            for row in self.storage.raw_scan(family, &[], None, Direction::Forward) {
                let (key, value) = row?;
                report.rows += 1;
                let Some((&number, rest)) = key.split_first() else {
                    report.problem(format!("family {} has a row with an empty key", family.name()));
                    continue;
                };
                let name = tables::ALL.iter().find(|table| table.number == number && table.family == family);
                match (name, tables::decode_row(number, rest, &value)) {
                    (Some(_), Some(Ok(()))) => {}
                    (Some(table), Some(Err(e))) => {
                        report
                            .problem(format!("{}: the row with key {rest:02x?} is corrupt: {e}", table.name));
                    }
                    _ => report
                        .problem(format!("family {} has a row of unknown table {number}", family.name())),
                }
            }
        }
        Ok(())
    }

    /// Short ids and their texts name each other, and none is above its counter.
    pub(super) fn check_short_ids(&self, report: &mut Report) -> Result<(), StorageError> {
        for row in self.storage.scan(&SHORT_IDS, &SHORT_IDS.all(), Direction::Forward) {
            let ((kind, text), short) = row?;
            let back = self.storage.get(&SHORT_ID_TEXTS, &(kind, short))?;
            report.expect(back.as_ref() == Some(&text), || {
                format!("short id {short} of kind {kind} stands for {text:?} one way and {back:?} the other")
            });
            let counter = self.storage.get(&COUNTERS, &kind)?.unwrap_or(0);
            report.expect(short <= counter, || {
                format!("short id {short} of kind {kind} is above its counter {counter}")
            });
        }
        for row in self.storage.scan(&SHORT_ID_TEXTS, &SHORT_ID_TEXTS.all(), Direction::Forward) {
            let ((kind, short), text) = row?;
            let there = self.storage.get(&SHORT_IDS, &(kind, text.clone()))?;
            report.expect(there == Some(short), || {
                format!("{text:?} of kind {kind} has the short ids {short} and {there:?}")
            });
            let known = kind >= 1 && usize::from(kind) <= ShortIdKind::COUNT;
            report.expect(known, || format!("short id {short} has the unknown kind {kind}"));
        }
        Ok(())
    }
}
