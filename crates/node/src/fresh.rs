//! Identifiers that nobody can guess and that are never made twice. Each call needs one, so the operating system is asked
//! for randomness once per [`TAKEN_AT_ONCE`] bytes and not once per call.

use std::cell::RefCell;

/// Bytes asked for at once. 512 make 32 call ids; more would only keep more of the future in memory.
const TAKEN_AT_ONCE: usize = 512;

/// Randomness that was taken and not used yet; what is used is overwritten.
struct Stock {
    bytes: [u8; TAKEN_AT_ONCE],
    left: usize,
}

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Stock { bytes: [0; TAKEN_AT_ONCE], left: 0 }) };
}

/// `N` random bytes in hexadecimal, `2 * N` characters.
///
/// # Errors
/// The operating system gives no randomness.
pub(crate) fn hex<const N: usize>() -> Result<String, getrandom::Error> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes = STOCK.with_borrow_mut(Stock::take::<N>)?;
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    Ok(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect())
}

impl Stock {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], getrandom::Error> {
        const { assert!(N <= TAKEN_AT_ONCE) }
        if self.left < N {
            getrandom::fill(&mut self.bytes)?;
            self.left = TAKEN_AT_ONCE;
        }
        let mut taken = [0; N];
        let from = &mut self.bytes[self.left - N..self.left];
        taken.copy_from_slice(from);
        from.fill(0);
        self.left -= N;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_identifier_is_made_twice_across_refills_and_threads() {
        let make = || (0..500).map(|_| hex::<16>().expect("random")).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(make)).collect();
        let all: Vec<_> = threads.into_iter().flat_map(|t| t.join().expect("joined")).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 2000);
        assert!(all.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    }
}
