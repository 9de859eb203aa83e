//! The journal: changes since the last transaction of the table, one after another.
//!
//! Each is `length: u32, CRC-32 of the payload: u32, payload`, little-endian; the payload is a
//! message of `record`. What does not check ends the journal: a crash of the node may leave a
//! torn end.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::registry::change::Change;
use crate::registry::record;
use crate::state::Failure;

/// Longest payload; limits of registrations are far below.
const PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    bytes: u64,
}

impl Journal {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Hands changes to the kernel with one write. After a failure nothing of them is kept.
    pub(super) fn append(&mut self, changes: &[Change]) -> Result<(), Failure> {
        let mut out = Vec::new();
        for change in changes {
            let payload = record::encode_entry(change);
            let length = u32::try_from(payload.len())
                .ok()
                .filter(|_| payload.len() <= PAYLOAD_BYTES_MAX)
                .ok_or_else(|| Failure::Io("a registration is too long for the journal".into()))?;
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
            out.extend_from_slice(&payload);
        }
        if let Err(error) = self.file.write_all_at(&out, self.bytes) {
            // Best effort: an unfinished record at the end is recognised, too.
            let _ = self.file.set_len(self.bytes);
            return Err(error.into());
        }
        self.bytes += out.len() as u64;
        Ok(())
    }

    /// All changes, and what is wrong with the rest, if there is one.
    pub(super) fn read(&self) -> Result<(Vec<Change>, Option<String>), Failure> {
        let mut content = vec![
            0;
            usize::try_from(self.bytes)
                .map_err(|_| Failure::Io("the journal is too long".into()))?
        ];
        self.file.read_exact_at(&mut content, 0)?;
        let mut rest = content.as_slice();
        let mut changes = Vec::new();
        while !rest.is_empty() {
            match entry(&mut rest) {
                Ok(change) => changes.push(change),
                Err(problem) => {
                    let at = content.len() - rest.len();
                    return Ok((
                        changes,
                        Some(format!("{problem} near byte {at} of {}", content.len())),
                    ));
                }
            }
        }
        Ok((changes, None))
    }

    pub(super) fn sync(&self) -> Result<(), Failure> {
        Ok(self.file.sync_data()?)
    }

    pub(super) fn clear(&mut self) -> Result<(), Failure> {
        self.file.set_len(0)?;
        self.bytes = 0;
        Ok(())
    }
}

fn entry(rest: &mut &[u8]) -> Result<Change, String> {
    let mut word = || {
        let (word, after) = rest.split_first_chunk::<4>().ok_or("the end is cut")?;
        *rest = after;
        Ok::<_, String>(u32::from_le_bytes(*word))
    };
    let (length, sum) = (word()? as usize, word()?);
    let (payload, after) = rest.split_at_checked(length).ok_or("the end is cut")?;
    if length == 0 || crc32fast::hash(payload) != sum {
        return Err("a checksum is wrong".into());
    }
    *rest = after;
    record::decode_entry(payload).map_err(|error| error.to_string())
}
