//! The floor of any gateway on this machine: bytes are handed on over two connections, and nobody reads them. What a
//! gateway adds beyond this is its own work; what the relay adds is the kernel's, and no gateway escapes it.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

/// Larger than any message of the bench.
const BUFFER_BYTES: usize = 1 << 16;

/// Serves until it is killed.
pub fn serve(port: u16, upstream: u16) -> Result<(), String> {
    let listener = TcpListener::bind(("127.0.0.1", port)).map_err(|e| e.to_string())?;
    for client in listener.incoming() {
        let pair = client.and_then(|client| Ok((client, TcpStream::connect(("127.0.0.1", upstream))?)));
        let (client, server) = pair.map_err(|e| e.to_string())?;
        let both = [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))];
        for (from, to) in both {
            let (from, to) = (from.map_err(|e| e.to_string())?, to.map_err(|e| e.to_string())?);
            thread::spawn(move || hand_on(from, to));
        }
    }
    Ok(())
}

fn hand_on(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    to.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer)? {
            0 => return to.shutdown(std::net::Shutdown::Write),
            read => to.write_all(&buffer[..read])?,
        }
    }
}
