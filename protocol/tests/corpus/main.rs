//! A bounded run of every fuzz target as an ordinary test: each corpus file, then mutations of them from a fixed
//! seed. What the targets check is in `fuzz/bodies.rs`.

#[cfg(test)]
#[path = "../../fuzz/bodies.rs"]
mod bodies;

#[cfg(test)]
mod mutations;

#[cfg(test)]
mod targets {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::path::Path;

    use super::bodies;
    use super::mutations::Mutator;

    /// Mutated inputs per target.
    const MUTATIONS: u32 = 100_000;
    /// The same for targets that compute keys.
    const KEYED_MUTATIONS: u32 = 10_000;

    /// Fewer files than this and the corpus has got lost.
    const CORPUS_FILES_MIN: usize = 10;

    fn run(target: &str, body: fn(&[u8])) {
        run_some(target, body, MUTATIONS);
    }

    fn run_some(target: &str, body: fn(&[u8]), mutations: u32) {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        let mut paths: Vec<_> = std::fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        assert!(
            paths.len() >= CORPUS_FILES_MIN,
            "{}: too few files",
            directory.display()
        );

        let corpus: Vec<Vec<u8>> = paths
            .iter()
            .map(|path| std::fs::read(path).unwrap())
            .collect();
        for (path, input) in paths.iter().zip(&corpus) {
            try_input(body, input, &path.display().to_string());
        }
        let mut mutator = Mutator::new(target);
        for number in 0..mutations {
            let input = mutator.next(&corpus);
            try_input(body, &input, &format!("mutation {number} of {target}"));
        }
    }

    /// Names the input before the panic goes on, so that it can be put into the corpus.
    fn try_input(body: fn(&[u8]), input: &[u8], name: &str) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(input))) {
            let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("{name} fails: {hex}");
            resume_unwind(panic);
        }
    }

    #[test]
    fn frame() {
        run("frame", bodies::frame);
    }

    #[test]
    fn message() {
        run("message", bodies::message);
    }

    #[test]
    fn block_id() {
        run("block_id", bodies::block_id);
    }

    #[test]
    fn index_file() {
        run("index_file", bodies::index_file);
    }

    #[test]
    fn auth() {
        run("auth", bodies::auth);
    }

    #[test]
    fn digest_md5() {
        run_some("digest_md5", bodies::digest_md5, KEYED_MUTATIONS);
    }

    #[test]
    fn auth_engine() {
        run_some("auth_engine", bodies::auth_engine, KEYED_MUTATIONS);
    }

    #[test]
    fn cipher() {
        run_some("cipher", bodies::cipher, KEYED_MUTATIONS);
    }
}
