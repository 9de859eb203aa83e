//! The contents of the blocks: every byte follows from (map id, reduce id, offset in the block), so that any piece of a
//! reply can be checked without keeping the files in memory. Does no I/O. Used by `fixture` to write and by `load` to verify.

/// Fills `block`, which starts at `offset` of the block (map id, reduce id).
pub fn fill(map_id: i64, reduce_id: i32, offset: u64, block: &mut [u8]) {
    let seed = seed(map_id, reduce_id);
    let mut at = offset;
    for byte in block.iter_mut().take(misaligned(offset, usize::MAX)) {
        *byte = byte_at(seed, at);
        at += 1;
    }
    let skip = usize::try_from(at - offset).unwrap_or(0);
    let mut words = block
        .get_mut(skip..)
        .unwrap_or_default()
        .chunks_exact_mut(8);
    for word in &mut words {
        word.copy_from_slice(&word_at(seed, at));
        at += 8;
    }
    for byte in words.into_remainder() {
        *byte = byte_at(seed, at);
        at += 1;
    }
}

/// Whether `piece` is what stands at `offset` of the block (map id, reduce id).
#[must_use]
pub fn matches(map_id: i64, reduce_id: i32, offset: u64, piece: &[u8]) -> bool {
    let seed = seed(map_id, reduce_id);
    let head_bytes = misaligned(offset, piece.len());
    let (head, rest) = piece.split_at(head_bytes);
    let words = rest.chunks_exact(8);
    let tail = words.remainder();
    let first = offset + head.len() as u64;
    let tail_at = first + (rest.len() - tail.len()) as u64;
    bytes_match(seed, offset, head)
        && words
            .enumerate()
            .all(|(i, word)| word == word_at(seed, first + 8 * i as u64))
        && bytes_match(seed, tail_at, tail)
}

fn bytes_match(seed: u64, offset: u64, bytes: &[u8]) -> bool {
    bytes
        .iter()
        .enumerate()
        .all(|(i, byte)| *byte == byte_at(seed, offset + i as u64))
}

/// Bytes from `offset` to the next multiple of eight, at most `available`.
fn misaligned(offset: u64, available: usize) -> usize {
    usize::try_from(offset.wrapping_neg() % 8)
        .unwrap_or(0)
        .min(available)
}

fn word_at(seed: u64, offset: u64) -> [u8; 8] {
    (seed ^ (offset / 8).wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_le_bytes()
}

fn byte_at(seed: u64, offset: u64) -> u8 {
    word_at(seed, offset)
        .get(usize::try_from(offset % 8).unwrap_or(0))
        .copied()
        .unwrap_or(0)
}

fn seed(map_id: i64, reduce_id: i32) -> u64 {
    Draw::new(map_id.cast_unsigned() ^ u64::from(reduce_id.cast_unsigned()).rotate_left(40)).draw()
}

/// A small generator of numbers (SplitMix64), the same on every machine.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// A generator with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u32) -> u32 {
        let product = u64::from((self.draw() >> 32) as u32) * u64::from(end);
        (product >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::{fill, matches};

    #[test]
    fn any_piece_of_a_block_is_recognised_and_any_flipped_byte_is_not() {
        let mut block = vec![0; 100];
        fill(77, 5, 0, &mut block);
        for start in 0..20 {
            for end in start..block.len() {
                assert!(matches(77, 5, start as u64, &block[start..end]));
            }
        }
        assert!(!matches(77, 6, 0, &block));
        assert!(!matches(78, 5, 0, &block));
        for i in 0..block.len() {
            block[i] ^= 1;
            assert!(!matches(77, 5, 0, &block), "byte {i}");
            block[i] ^= 1;
        }
    }

    #[test]
    fn a_block_filled_in_pieces_is_the_same_block() {
        let mut whole = vec![0; 64];
        fill(1, 2, 0, &mut whole);
        let mut pieces = vec![0; 64];
        fill(1, 2, 0, &mut pieces[..13]);
        fill(1, 2, 13, &mut pieces[13..]);
        assert_eq!(whole, pieces);
    }
}
