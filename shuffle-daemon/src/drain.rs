//! What "drained" means, and who may ask for it.
//!
//! Draining: no connection is accepted, replies in flight may finish within the drain timeout.
//! Drained: whatever was left is cut off. A signal drains and ends the process; the control plane
//! drains it only, because a container that ends is started again. `app` does it, `control` asks.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How far the daemon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Takes connections.
    Serving,
    /// Finishes replies in flight.
    Draining,
    /// Nothing is served any more.
    Drained {
        /// Connections that were cut off at the timeout.
        cut_off: usize,
    },
}

impl State {
    /// One word.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Drained { .. } => "drained",
        }
    }
}

/// Shared by those who ask and the one who drains.
#[derive(Debug, Clone)]
pub struct Drain {
    asked: CancellationToken,
    state: Arc<watch::Sender<State>>,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            asked: CancellationToken::new(),
            state: Arc::new(watch::Sender::new(State::Serving)),
        }
    }
}

impl Drain {
    /// Asks for it; may be called again. Gives the connections that were cut off, once it is done.
    /// Cancellation-safe.
    pub async fn drain(&self) -> usize {
        self.asked.cancel();
        let mut states = self.state.subscribe();
        loop {
            if let State::Drained { cut_off } = *states.borrow_and_update() {
                return cut_off;
            }
            // The sender is in `self`.
            let _ = states.changed().await;
        }
    }

    /// Waits until somebody asks.
    pub async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Says how far it is. Only `app` calls this.
    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_asks_waits_for_the_end() {
        let drain = Drain::default();
        let work = async {
            drain.asked().await;
            drain.set(State::Draining);
            tokio::task::yield_now().await;
            drain.set(State::Drained { cut_off: 3 });
        };
        let (cut_off, ()) = tokio::join!(drain.drain(), work);
        assert_eq!((cut_off, drain.drain().await), (3, 3));
        assert_eq!(drain.state().label(), "drained");
    }
}
