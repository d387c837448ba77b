//! What makes guests that woke from one snapshot differ: the time, and randomness of their own.
//!
//! A guest's kernel keeps its random state in memory, so every guest of a snapshot would draw the same numbers. Writing to
//! `/dev/urandom` alone changes nothing for up to a minute: what is written is mixed in when the kernel reseeds. So a
//! program credits what it is given and orders the reseeding, before anything of the cell runs. A shell cannot, and no
//! busybox of a distribution can be relied on for it; hence sixty instructions of our own, executed in the guest only.

use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

/// Random bytes that a guest is given: as many as its kernel's own state has.
const RANDOM_BYTES: usize = 64;
/// A `timespec`, the head of a `rand_pool_info`, and the randomness.
const MESSAGE_BYTES: usize = 16 + 8 + RANDOM_BYTES;

/// Reads a message from standard input, sets the clock, gives the randomness to the kernel and has it reseed. Ends with 0 if
/// all of that happened.
const CODE: [u8; 147] = [
    0x48, 0x83, 0xec, 0x60, // sub rsp, 96: the message's place
    0x31, 0xdb, // xor ebx, ebx: bytes read
    0x31, 0xc0, // again: xor eax, eax: read
    0x31, 0xff, // xor edi, edi: standard input
    0x48, 0x8d, 0x34, 0x1c, // lea rsi, [rsp+rbx]
    0xba, 0x58, 0x00, 0x00, 0x00, // mov edx, 88
    0x29, 0xda, // sub edx, ebx
    0x0f, 0x05, // syscall
    0x85, 0xc0, // test eax, eax
    0x7e, 0x5f, // jle failed
    0x01, 0xc3, // add ebx, eax
    0x83, 0xfb, 0x58, // cmp ebx, 88
    0x72, 0xe4, // jb again
    0xb8, 0xe3, 0x00, 0x00, 0x00, // mov eax, 227: clock_settime
    0x31, 0xff, // xor edi, edi: CLOCK_REALTIME
    0x48, 0x89, 0xe6, // mov rsi, rsp
    0x0f, 0x05, // syscall
    0x85, 0xc0, // test eax, eax
    0x75, 0x48, // jnz failed
    0xb8, 0x02, 0x00, 0x00, 0x00, // mov eax, 2: open
    0x48, 0x8d, 0x3d, 0x48, 0x00, 0x00, 0x00, // lea rdi, [path]
    0xbe, 0x02, 0x00, 0x00, 0x00, // mov esi, 2: O_RDWR
    0x0f, 0x05, // syscall
    0x85, 0xc0, // test eax, eax
    0x78, 0x31, // js failed
    0x89, 0xc5, // mov ebp, eax
    0x89, 0xc7, // mov edi, eax
    0xb8, 0x10, 0x00, 0x00, 0x00, // mov eax, 16: ioctl
    0xbe, 0x03, 0x52, 0x08, 0x40, // mov esi, RNDADDENTROPY
    0x48, 0x8d, 0x54, 0x24, 0x10, // lea rdx, [rsp+16]
    0x0f, 0x05, // syscall
    0x85, 0xc0, // test eax, eax
    0x75, 0x18, // jnz failed
    0xb8, 0x10, 0x00, 0x00, 0x00, // mov eax, 16: ioctl
    0x89, 0xef, // mov edi, ebp
    0xbe, 0x07, 0x52, 0x00, 0x00, // mov esi, RNDRESEEDCRNG
    0x31, 0xd2, // xor edx, edx
    0x0f, 0x05, // syscall
    0x85, 0xc0, // test eax, eax
    0x75, 0x04, // jnz failed
    0x31, 0xff, // xor edi, edi: status 0
    0xeb, 0x05, // jmp end
    0xbf, 0x01, 0x00, 0x00, 0x00, // failed: mov edi, 1
    0xb8, 0x3c, 0x00, 0x00, 0x00, // end: mov eax, 60: exit
    0x0f, 0x05, // syscall
    b'/', b'd', b'e', b'v', b'/', b'u', b'r', b'a', b'n', b'd', b'o', b'm', 0,
];

/// Where it is loaded, and the headers before it (ELF-64, `elf(5)`).
const BASE: u64 = 0x40_0000;
const HEADER_BYTES: u16 = 64;
const PROGRAM_HEADER_BYTES: u16 = 56;

/// The program as a file.
pub(super) fn program() -> Vec<u8> {
    let headers = u64::from(HEADER_BYTES + PROGRAM_HEADER_BYTES);
    let size = headers + CODE.len() as u64;
    let (executable, x86_64, version, load, read_and_execute) = (2_u16, 62_u16, 1_u32, 1_u32, 5_u32);
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([executable.to_le_bytes(), x86_64.to_le_bytes()].concat());
    file.extend(version.to_le_bytes());
    file.extend([BASE + headers, u64::from(HEADER_BYTES), 0].map(u64::to_le_bytes).concat());
    file.extend(0_u32.to_le_bytes());
    file.extend([HEADER_BYTES, PROGRAM_HEADER_BYTES, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    file.extend([load, read_and_execute].map(u32::to_le_bytes).concat());
    file.extend([0, BASE, BASE, size, size, 0x1000].map(u64::to_le_bytes).concat());
    file.extend(CODE);
    file
}

/// What it reads: the time now, and randomness that nobody else gets.
pub(super) fn message() -> io::Result<[u8; MESSAGE_BYTES]> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    let mut message = [0; MESSAGE_BYTES];
    message[..8].copy_from_slice(&now.as_secs().to_le_bytes());
    message[8..16].copy_from_slice(&u64::from(now.subsec_nanos()).to_le_bytes());
    let bytes = u32::try_from(RANDOM_BYTES).map_err(io::Error::other)?;
    message[16..20].copy_from_slice(&(bytes * 8).to_le_bytes());
    message[20..24].copy_from_slice(&bytes.to_le_bytes());
    getrandom::fill(&mut message[24..]).map_err(io::Error::other)?;
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::{CODE, message, program};

    #[test]
    fn the_program_is_one_segment_that_begins_with_its_code() {
        let file = program();
        assert_eq!((file.len(), &file[120..]), (120 + 147, &CODE[..]));
        assert_eq!(u64::from_le_bytes(file[24..32].try_into().unwrap()), 0x40_0078);
    }

    #[test]
    fn no_two_messages_are_alike() {
        let (one, other) = (message().unwrap(), message().unwrap());
        assert_ne!(one[24..], other[24..]);
        assert_eq!((one[16..20].to_vec(), one[20..24].to_vec()), (vec![0, 2, 0, 0], vec![64, 0, 0, 0]));
    }
}
