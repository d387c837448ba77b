//! How long to wait before something that failed is tried again.

use std::time::Duration;

use tokio::time::sleep;

const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(60);

/// Doubles from half a second to a minute, with up to a quarter added at random so that many links do not meet.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// Something worked.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    pub(super) async fn wait(&mut self) {
        let wait = self.next + self.next / 4 * u32::from(random_byte()) / 255;
        self.next = (self.next * 2).min(LAST);
        sleep(wait).await;
    }
}

fn random_byte() -> u8 {
    let mut byte = [0];
    // Without randomness all wait alike, which is only less polite.
    let _filled = getrandom::fill(&mut byte).is_ok();
    byte[0]
}
