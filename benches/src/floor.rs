//! What the kernel and the ciphers alone need on this machine at this moment: one bare loop that reads
//! a cached file and sends it over loopback, one that encrypts in memory, and one that makes connections, with no server around
//! them. Machines differ, and a shared one differs from hour to hour; goals in microseconds mean
//! something only beside this.
//! Called by `loadgen bench` for the report.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use protocol::auth::{Keys, SaslCipher, SaslKeys};
use protocol::cipher::{self, Limits, Side};
use rustix::io::ReadWriteFlags;
use rustix::net::SendFlags;
use rustix::time::{ClockId, clock_gettime};

/// A bare loop and what it cost.
#[derive(Debug)]
pub struct Floor {
    /// What was sent, encrypted, or connected.
    pub work: &'static str,
    /// CPU time of the thread for each block or connection.
    pub cpu: Duration,
    /// What it is a part of.
    pub whole: Whole,
}

/// What a loop comes to in all.
#[derive(Debug, Clone, Copy)]
pub enum Whole {
    /// Blocks; CPU seconds for each GB.
    Bytes(f64),
    /// Connections; from the start of one to the start of the next.
    Connections(Duration),
}

const HEADER_BYTES: usize = 21;
const FILE_BYTES: u64 = 64 << 20;
/// Bytes that each loop sends; the first tenth is not counted.
const SENT_BYTES: usize = 1 << 30;
/// Connections that are made one after another; the first tenth is not counted.
const CONNECTIONS: u32 = 3000;
/// Bytes of what is asked and answered on them.
const ANSWER_BYTES: usize = 100;
/// Bytes that a connection seals at once.
const SEALED_BYTES: usize = 128 << 10;

/// Runs the loops; `work` is a directory for a file of 64 MiB.
///
/// # Errors
/// The system's.
pub fn measure(work: &Path) -> Result<Vec<Floor>> {
    let path = work.join("floor");
    std::fs::write(&path, vec![7u8; FILE_BYTES as usize])
        .with_context(|| path.display().to_string())?;
    let file = File::open(&path)?;
    let floors = [
        loop_of(
            "1 KiB, 100 gathered: one preadv2, one send",
            1 << 10,
            100,
            &file,
        ),
        loop_of("16 KiB: a header, one sendfile", 16 << 10, 1, &file),
        loop_of("64 KiB: a header, one sendfile", 64 << 10, 1, &file),
        loop_of("500 KiB: a header, one sendfile", 512_000, 1, &file),
        loop_of("1 MiB: a header, one sendfile", 1 << 20, 1, &file),
        loop_of("16 MiB: a header, one sendfile", 16 << 20, 1, &file),
    ];
    std::fs::remove_file(&path)?;
    let connections = [
        connecting("a connection: accepted, one answer, closed", 1),
        connecting("a connection: accepted, two answers, closed", 2),
    ];
    floors
        .into_iter()
        .chain(ciphers())
        .chain(connections)
        .collect()
}

fn ciphers() -> [Result<Floor>; 4] {
    let gcm = |bytes| Keys::Gcm {
        key: vec![1; bytes].into(),
    };
    let ctr = Keys::Ctr {
        key: vec![1; 32].into(),
        client_iv: [2; 16],
        server_iv: [3; 16],
    };
    let keys = |byte: u8| {
        // The halves differ: 3DES takes no weak keys.
        let sealing: [u8; 16] = std::array::from_fn(|at| byte + at as u8);
        SaslKeys {
            integrity: [byte; 16].into(),
            sealing: sealing.into(),
        }
    };
    let sasl = Keys::Sasl {
        cipher: SaslCipher::TripleDes,
        client: keys(4),
        server: keys(5),
    };
    [
        sealing("AES-256-CTR, 128 KiB, nothing sent", &ctr, 512 << 20),
        sealing("AES-256-GCM, 128 KiB, nothing sent", &gcm(32), 512 << 20),
        sealing(
            "AES-128-GCM, as TLS has it, 128 KiB, nothing sent",
            &gcm(16),
            512 << 20,
        ),
        sealing("3DES with MD5, 128 KiB, nothing sent", &sasl, 32 << 20),
    ]
}

fn sealing(work: &'static str, keys: &Keys, bytes: usize) -> Result<Floor> {
    let pair = cipher::pair(keys, Side::Server, Limits::default())?;
    let (_, mut sealer) = pair.context("something is encrypted")?;
    let (plain, mut sealed) = (vec![0x5a; SEALED_BYTES], Vec::new());
    let blocks = bytes / SEALED_BYTES;
    let begin = cpu_time()?;
    for _ in 0..blocks {
        sealed.clear();
        sealer.seal(&plain, &mut sealed)?;
    }
    let spent = cpu_time()? - begin;
    ensure!(sealed.len() >= SEALED_BYTES, "less than was sealed");
    Ok(Floor {
        work,
        cpu: spent / u32::try_from(blocks)?,
        whole: Whole::Bytes(spent.as_secs_f64() * 1e9 / bytes as f64),
    })
}

fn loop_of(work: &'static str, block: usize, gathered: usize, file: &File) -> Result<Floor> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let reader = std::thread::spawn(move || -> std::io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        let mut buffer = vec![0; 256 << 10];
        while stream.read(&mut buffer)? > 0 {}
        Ok(())
    });
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let turns = SENT_BYTES / (block * gathered);
    let mut begin = Duration::ZERO;
    let mut offset = 0;
    for turn in 0..turns + turns / 10 {
        if turn == turns / 10 {
            begin = cpu_time()?;
        }
        if offset + (block * gathered) as u64 > FILE_BYTES {
            offset = 0;
        }
        if gathered > 1 {
            send_gathered(&mut stream, file, offset, block, gathered)?;
        } else {
            send_one(&stream, file, offset, block)?;
        }
        offset += (block * gathered) as u64;
    }
    let spent = cpu_time()? - begin;
    drop(stream);
    let read = reader
        .join()
        .map_err(|_| anyhow::anyhow!("the reader panicked"))?;
    read.context("read")?;
    let blocks = turns * gathered;
    Ok(Floor {
        work,
        cpu: spent / u32::try_from(blocks)?,
        whole: Whole::Bytes(spent.as_secs_f64() * 1e9 / (blocks * block) as f64),
    })
}

/// Serves a client that connects, asks and closes, again and again.
fn connecting(work: &'static str, answers: usize) -> Result<Floor> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let unmeasured = CONNECTIONS / 10;
    let client = std::thread::spawn(move || -> std::io::Result<()> {
        for _ in 0..unmeasured + CONNECTIONS {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            for _ in 0..answers {
                stream.write_all(&[0; ANSWER_BYTES])?;
                stream.read_exact(&mut [0; ANSWER_BYTES])?;
            }
        }
        Ok(())
    });
    let (mut cpu, mut begin) = (cpu_time()?, Instant::now());
    for number in 0..unmeasured + CONNECTIONS {
        if number == unmeasured {
            (cpu, begin) = (cpu_time()?, Instant::now());
        }
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        for _ in 0..answers {
            stream.read_exact(&mut [0; ANSWER_BYTES])?;
            stream.write_all(&[0; ANSWER_BYTES])?;
        }
        ensure!(stream.read(&mut [0])? == 0, "the client asks for more");
    }
    let (spent, wall) = (cpu_time()? - cpu, begin.elapsed());
    let done = client
        .join()
        .map_err(|_| anyhow::anyhow!("the client panicked"))?;
    done.context("connect")?;
    Ok(Floor {
        work,
        cpu: spent / CONNECTIONS,
        whole: Whole::Connections(wall / CONNECTIONS),
    })
}

fn send_gathered(
    stream: &mut TcpStream,
    file: &File,
    offset: u64,
    block: usize,
    count: usize,
) -> Result<()> {
    let mut buffer = vec![0u8; count * (HEADER_BYTES + block)];
    let mut places: Vec<_> = buffer
        .chunks_mut(HEADER_BYTES + block)
        .map(|frame| IoSliceMut::new(frame.split_at_mut(HEADER_BYTES).1))
        .collect();
    let read = rustix::io::preadv2(file, &mut places, offset, ReadWriteFlags::NOWAIT)?;
    ensure!(read == count * block, "the file is not in the page cache");
    Ok(stream.write_all(&buffer)?)
}

fn send_one(stream: &TcpStream, file: &File, mut offset: u64, block: usize) -> Result<()> {
    rustix::net::send(stream.as_fd(), &[0; HEADER_BYTES], SendFlags::MORE)?;
    let mut left = block;
    while left > 0 {
        left -= rustix::fs::sendfile(stream, file, Some(&mut offset), left)?;
    }
    Ok(())
}

fn cpu_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Ok(Duration::new(
        u64::try_from(time.tv_sec)?,
        u32::try_from(time.tv_nsec)?,
    ))
}
