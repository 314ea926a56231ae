//! Media: files and what refers to them.

use std::collections::BTreeMap;

use super::{Checker, Report};
use crate::storage::{
    Direction, Json, Read, StorageError,
    records::FileHash,
    tables::{
        MEDIA, MEDIA_FILES, MEDIA_OF_USER, MEDIA_USAGE, PENDING_UPLOADS, PENDING_UPLOADS_OF_USER, THUMBNAILS,
    },
};

impl Checker<'_> {
    /// Each file is referred to as often as its row says, and each user has used what their rows say.
    pub(super) fn check_media(&self, report: &mut Report) -> Result<(), StorageError> {
        let mut references: BTreeMap<FileHash, u64> = BTreeMap::new();
        for row in self.storage.scan(&MEDIA, &MEDIA.all(), Direction::Forward) {
            let ((server_name, media_id), Json(record)) = row?;
            *references.entry(record.file).or_default() += 1;
            if let Some(user) = record.uploader {
                let listed =
                    self.storage.get(&MEDIA_OF_USER, &(user, record.created_ms, media_id.clone()))?;
                report.expect(listed == Some(record.bytes), || {
                    format!("mxc://{server_name}/{media_id} is not in the list of its uploader {user:?}")
                });
            }
        }
        for row in self.storage.scan(&THUMBNAILS, &THUMBNAILS.all(), Direction::Forward) {
            let ((source, ..), Json(thumbnail)) = row?;
            *references.entry(thumbnail.file).or_default() += 1;
            report.expect(self.storage.contains(&MEDIA_FILES, &source)?, || {
                format!("there is a thumbnail of the file {}, which has no row", source.to_hex())
            });
        }
        for row in self.storage.scan(&MEDIA_FILES, &MEDIA_FILES.all(), Direction::Forward) {
            let (file, (counted, _)) = row?;
            let found = references.remove(&file).unwrap_or(0);
            report.expect(counted == found, || {
                format!("the file {} counts {counted} references, and has {found}", file.to_hex())
            });
        }
        for file in references.keys() {
            report.problem(format!("the file {} is referred to and has no row", file.to_hex()));
        }
        self.check_media_usage(report)
    }

    fn check_media_usage(&self, report: &mut Report) -> Result<(), StorageError> {
        for row in self.storage.scan(&MEDIA_USAGE, &MEDIA_USAGE.all(), Direction::Forward) {
            let (user, counted) = row?;
            let (mut files, mut bytes) = (0, 0_u64);
            for row in self.storage.scan(&MEDIA_OF_USER, &MEDIA_OF_USER.prefix(&(user,)), Direction::Forward)
            {
                files += 1;
                bytes = bytes.saturating_add(row?.1);
            }
            report.expect(counted == (files, bytes), || {
                format!("{user:?} counts {counted:?} files and bytes of media, and has {:?}", (files, bytes))
            });
        }
        for row in self.storage.scan(&PENDING_UPLOADS, &PENDING_UPLOADS.all(), Direction::Forward) {
            let (media_id, (user, expires_ms)) = row?;
            let listed = self.storage.get(&PENDING_UPLOADS_OF_USER, &(user, media_id.clone()))?;
            report.expect(listed == Some(expires_ms), || {
                format!("the pending upload {media_id} is not in the list of {user:?}")
            });
        }
        Ok(())
    }
}
