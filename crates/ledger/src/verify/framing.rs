//! Dividing a block's bytes into events although a length may have been altered: one wrong length must not make every
//! later event of the block look altered.

/// How every event of version 1 ends, and every event begins.
const END: &[u8] = b",\"v\":1}";
const BEGIN: &[u8] = b"{\"";

/// A piece of a block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// What its length says.
    Whole(&'a [u8]),
    /// Its length was wrong; its end was found by its form.
    LengthAltered(&'a [u8]),
    /// This many bytes in which nothing was found any more.
    Rest(usize),
}

pub(crate) fn frames_recovered(mut rest: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (frame, after) = next(rest);
        rest = after;
        Some(frame)
    })
}

fn next(rest: &[u8]) -> (Frame<'_>, &[u8]) {
    let Some((length, after)) = rest.split_first_chunk::<4>() else { return (Frame::Rest(rest.len()), &[]) };
    if let Some((canonical, after)) = after.split_at_checked(u32::from_le_bytes(*length) as usize)
        // One of the two may be altered itself.
        && (canonical.ends_with(END) || starts_frame(after))
    {
        return (Frame::Whole(canonical), after);
    }
    let ends = memchr::memmem::find_iter(after, END).map(|at| at + END.len());
    match ends.map(|end| after.split_at(end)).find(|(_, after)| starts_frame(after)) {
        Some((canonical, after)) => (Frame::LengthAltered(canonical), after),
        None => (Frame::Rest(rest.len()), &[]),
    }
}

/// The end of the block, or a length and then an event. The length itself is not looked at: it may be the altered one.
fn starts_frame(rest: &[u8]) -> bool {
    rest.is_empty() || rest.get(4..).is_some_and(|event| event.starts_with(BEGIN))
}
