//! Mutations of corpus files, the same ones on every run and machine.

/// The longest mutated input, in bytes.
const INPUT_BYTES_MAX: usize = 4_096;

/// Numbers at which codecs break.
const NUMBERS: [u32; 8] = [0, 1, 4, 0x7f, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/// Makes inputs, one after the other.
#[derive(Debug)]
pub(super) struct Mutator {
    state: u64,
}

impl Mutator {
    /// The seed is the target's name.
    pub(super) fn new(target: &str) -> Self {
        let state = target.bytes().fold(0x5eed, |seed: u64, byte| {
            seed.wrapping_mul(0x0100_0000_01b3)
                .wrapping_add(u64::from(byte))
        });
        Self { state }
    }

    /// A corpus file with one to four changes.
    pub(super) fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut input, corpus);
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        match self.below(7) {
            0 => input.truncate(at),
            1 => input.insert(at, self.random().to_le_bytes()[0]),
            2 if at < input.len() => {
                input.remove(at);
            }
            3 if at < input.len() => input[at] ^= 1 << self.below(8),
            4 => {
                let number = NUMBERS[self.below(NUMBERS.len())].to_be_bytes();
                for (byte, new) in input.iter_mut().skip(at).zip(number) {
                    *byte = new;
                }
            }
            5 => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let bytes = self.below(9);
                let new = self.random().to_le_bytes();
                input.splice(at..at, new.into_iter().take(bytes));
            }
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random() % bound as u64).unwrap()
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
