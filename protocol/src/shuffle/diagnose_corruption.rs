//! DiagnoseCorruption, CorruptionCause: whose fault a bad block is.
//! Owns their bytes; the comparison is [`crate::checksum::diagnose`]. Called by [`super::BlockTransferMessage`].

use std::borrow::Cow;

use crate::wire::{DecodeError, Reader, Writer};

/// Asks why a block was bad when it was read. Answered by [`CorruptionCause`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagnoseCorruption<'a> {
    /// Application id.
    pub app_id: Cow<'a, str>,
    /// The executor that wrote the block.
    pub exec_id: Cow<'a, str>,
    /// Shuffle id.
    pub shuffle_id: i32,
    /// Map task id.
    pub map_id: i64,
    /// Partition.
    pub reduce_id: i32,
    /// What the reader computed over the bytes it received.
    pub checksum: i64,
    /// With what; a hostile peer may put anything here. See [`crate::checksum::Algorithm::from_name`].
    pub algorithm: Cow<'a, str>,
}

impl<'a> DiagnoseCorruption<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            app_id: r.string()?,
            exec_id: r.string()?,
            shuffle_id: r.i32()?,
            map_id: r.i64()?,
            reduce_id: r.i32()?,
            checksum: r.i64()?,
            algorithm: r.string()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.string(&self.app_id);
        w.string(&self.exec_id);
        w.i32(self.shuffle_id);
        w.i64(self.map_id);
        w.i32(self.reduce_id);
        w.i64(self.checksum);
        w.string(&self.algorithm);
    }
}

/// Why a block was bad. The discriminants are Java's ordinals, which are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum CorruptionCause {
    /// The block on disk does not match the checksum its writer stored.
    DiskIssue = 0,
    /// The block on disk is right, the reader's bytes were not.
    NetworkIssue = 1,
    /// It could not be found out.
    UnknownIssue = 2,
    /// Everything matches.
    ChecksumVerifyPass = 3,
    /// The algorithm is not known.
    UnsupportedChecksumAlgorithm = 4,
}

impl CorruptionCause {
    /// All causes, in the order of their ordinals.
    pub const ALL: [Self; 5] = [
        Self::DiskIssue,
        Self::NetworkIssue,
        Self::UnknownIssue,
        Self::ChecksumVerifyPass,
        Self::UnsupportedChecksumAlgorithm,
    ];

    /// Java's name, for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DiskIssue => "DISK_ISSUE",
            Self::NetworkIssue => "NETWORK_ISSUE",
            Self::UnknownIssue => "UNKNOWN_ISSUE",
            Self::ChecksumVerifyPass => "CHECKSUM_VERIFY_PASS",
            Self::UnsupportedChecksumAlgorithm => "UNSUPPORTED_CHECKSUM_ALGORITHM",
        }
    }

    /// Java's ordinal, the byte on the wire.
    pub const fn ordinal(self) -> i8 {
        self as i8
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ordinal = r.i8()?;
        Self::ALL
            .into_iter()
            .find(|cause| cause.ordinal() == ordinal)
            .ok_or(DecodeError::UnknownCorruptionCause { ordinal })
    }

    pub(super) fn encode(self, w: &mut Writer<'_>) {
        w.i8(self.ordinal());
    }
}
