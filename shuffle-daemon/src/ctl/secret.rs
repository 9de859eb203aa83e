//! `shufflectl secret`: reads a secret from standard input, before a daemon is asked for.
//!
//! A secret is never an argument, which others on the machine could read, and never echoed.

use std::io::{IsTerminal, Read, stdin};

use zeroize::Zeroizing;

use super::Failure;
use super::args::{Output, SecretCommand};
use super::client::Client;
use super::render;
use super::transport::Target;
use crate::auth::secret::BYTES_MAX;

/// Runs a command to its end; gives what is to be shown.
pub(super) async fn run(
    command: &SecretCommand,
    output: Output,
    target: Target,
) -> Result<String, Failure> {
    match command {
        SecretCommand::Put { app } => {
            if stdin().is_terminal() {
                let text = "it is a terminal, which would show the secret; give a file or a pipe";
                return Err(Failure::Secret(text.into()));
            }
            let secret = read(stdin().lock())?;
            let mut client = Client::connect(target).await?;
            let put = client.put_secret(app, &secret).await?;
            Ok(render::secret_put(output, app, &put))
        }
        SecretCommand::Forget { app } => {
            let mut client = Client::connect(target).await?;
            let forgotten = client.forget_secret(app).await?;
            Ok(render::secret_forgotten(output, app, &forgotten))
        }
    }
}

/// All bytes, as a secret's file has them.
fn read(from: impl Read) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // As large as it may get at once, so that no copy of a part is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX + 1));
    from.take(BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::Secret(error.to_string()))?;
    match bytes.len() {
        0 => Err(Failure::Secret("the secret is empty".into())),
        length if length > BYTES_MAX => Err(Failure::Secret(format!(
            "the secret has more than {BYTES_MAX} bytes"
        ))),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use protocol::control::v1;

    use super::*;

    #[test]
    fn a_request_shows_no_secret() {
        let request = v1::PutSecretRequest {
            app: "app-1".into(),
            secret: b"hush".to_vec(),
        };
        let shown = format!("{request:?}");
        let bytes = format!("{:?}", b"hush".as_slice());
        assert!(shown.contains("app-1"), "{shown}");
        assert!(!shown.contains("hush") && !shown.contains(bytes.trim_matches(['[', ']'])));
    }

    #[test]
    fn all_bytes_are_taken_within_the_bound() {
        assert_eq!(*read(&b"secret\n"[..]).unwrap(), b"secret\n");
        assert_eq!(read(&[7; BYTES_MAX][..]).unwrap().len(), BYTES_MAX);
        let refused = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        assert!(refused(b"").contains("empty"));
        let text = refused(&[7; BYTES_MAX + 1]);
        assert!(text.contains("more than 65535 bytes"), "{text}");
        // An input without an end.
        assert!(read(std::io::repeat(7)).is_err());
    }
}
