//! What the ciphers of a connection cost: 128 KiB sealed as the daemon does it, and opened as a client does it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::auth::{Keys, SaslCipher, SaslKeys};
use protocol::cipher::{self, Limits, Side};

const BYTES: usize = 128 << 10;

fn all() -> [(&'static str, Keys); 6] {
    let ctr = |bytes| Keys::Ctr {
        key: vec![1; bytes].into(),
        client_iv: [2; 16],
        server_iv: [3; 16],
    };
    let gcm = |bytes| Keys::Gcm {
        key: vec![1; bytes].into(),
    };
    let keys = |byte: u8| {
        // The halves differ: 3DES takes no weak keys.
        let sealing: [u8; 16] = std::array::from_fn(|at| byte + at as u8);
        SaslKeys {
            integrity: [byte; 16].into(),
            sealing: sealing.into(),
        }
    };
    let sasl = |cipher| Keys::Sasl {
        cipher,
        client: keys(4),
        server: keys(5),
    };
    [
        ("ctr_256", ctr(32)),
        ("ctr_128", ctr(16)),
        ("gcm_256", gcm(32)),
        ("gcm_128", gcm(16)),
        ("sasl_3des", sasl(SaslCipher::TripleDes)),
        ("sasl_rc4", sasl(SaslCipher::Rc4)),
    ]
}

fn ciphers(criterion: &mut Criterion) {
    let plain = vec![0x5a; BYTES];
    for (name, keys) in all() {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(BYTES as u64));
        let mut sealed = Vec::new();
        let (_, mut sealer) = pair(&keys, Side::Server);
        group.bench_function("seal", |bencher| {
            bencher.iter(|| {
                sealed.clear();
                sealer
                    .seal(black_box(&plain), &mut sealed)
                    .expect("the keys are good");
            });
        });
        let (mut opener, _) = pair(&keys, Side::Client);
        let (_, mut sealer) = pair(&keys, Side::Server);
        let mut opened = vec![0; sealed.len() + cipher::ROOM_BYTES];
        group.bench_function("seal_and_open", |bencher| {
            bencher.iter(|| {
                sealed.clear();
                sealer.seal(&plain, &mut sealed).expect("the keys are good");
                let done = opener
                    .open(&sealed, &mut opened)
                    .expect("the keys are good");
                assert_eq!(done.produced, BYTES);
            });
        });
    }
}

fn pair(keys: &Keys, side: Side) -> (cipher::Opener, cipher::Sealer) {
    cipher::pair(keys, side, Limits::default())
        .expect("the keys are good")
        .expect("something is encrypted")
}

criterion_group!(benches, ciphers);
criterion_main!(benches);
