use std::{io::ErrorKind, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::{Mux, News, Said, Side};

/// One end over half of a pipe, with its life in a task of its own.
fn end(
    side: Side,
    pipe: DuplexStream,
) -> (Mux, mpsc::Receiver<News>, tokio::task::JoinHandle<std::io::Result<()>>) {
    let (tell, news) = mpsc::channel(16);
    let (reader, writer) = split(pipe);
    let (mux, life) = Mux::over(side, reader, writer, tell);
    (mux, news, tokio::spawn(life))
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let made = TcpStream::connect(listener.local_addr().unwrap());
    let (made, accepted) = tokio::join!(made, listener.accept());
    (made.unwrap(), accepted.unwrap().0)
}

const TO: &str = "203.0.113.9:443";

#[tokio::test]
async fn bytes_arrive_whole_both_ways_and_an_end_is_an_end() {
    let (near, far) = duplex(5000);
    let ((near, _, _), (_far, mut news, _)) = (end(Side::Inside, near), end(Side::Outside, far));
    let (mut program, accepted) = sockets().await;
    let (dialled, mut server) = sockets().await;
    tokio::spawn(near.open(TO.parse().unwrap()).await.unwrap().carry(accepted));
    let Some(News::Open(to, carried)) = news.recv().await else { panic!() };
    assert_eq!(to, TO.parse::<SocketAddr>().unwrap());
    tokio::spawn(carried.carry(dialled));
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let request = sent.clone();
    tokio::spawn(async move {
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, request);
        server.write_all(&received).await.unwrap();
    });
    program.write_all(&sent).await.unwrap();
    program.shutdown().await.unwrap();
    let mut answer = Vec::new();
    program.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, sent);
    // Nothing is left of it on this side.
    while !near.lock().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_that_nobody_reads_holds_up_no_other() {
    let (near, far) = duplex(5000);
    let ((near, _, _), (_far, mut news, _)) = (end(Side::Inside, near), end(Side::Outside, far));
    let (mut stuck, accepted) = sockets().await;
    tokio::spawn(near.open(TO.parse().unwrap()).await.unwrap().carry(accepted));
    // Never carried on: its bytes stay where they are.
    let Some(News::Open(_, _held)) = news.recv().await else { panic!() };
    tokio::spawn(async move { stuck.write_all(&vec![1; 8 << 20]).await });
    let (mut program, accepted) = sockets().await;
    let (dialled, mut server) = sockets().await;
    tokio::spawn(near.open(TO.parse().unwrap()).await.unwrap().carry(accepted));
    let Some(News::Open(_, carried)) = news.recv().await else { panic!() };
    tokio::spawn(carried.carry(dialled));
    program.write_all(b"through").await.unwrap();
    let mut seen = [0; 7];
    server.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"through");
}

#[tokio::test]
async fn a_stream_that_is_let_go_breaks_at_the_other_side() {
    let (near, far) = duplex(5000);
    let ((near, _, _), (_far, mut news, _)) = (end(Side::Inside, near), end(Side::Outside, far));
    let (mut program, accepted) = sockets().await;
    tokio::spawn(near.open(TO.parse().unwrap()).await.unwrap().carry(accepted));
    let Some(News::Open(_, carried)) = news.recv().await else { panic!() };
    carried.reset().await;
    assert!(program.read_to_end(&mut Vec::new()).await.is_err());
}

#[tokio::test]
async fn a_stream_from_outside_is_taken_or_refused_and_has_a_number_of_its_own() {
    let (near, far) = duplex(5000);
    let ((near, mut inner, _), (far, _, _)) = (end(Side::Inside, near), end(Side::Outside, far));
    let _other = near.open(TO.parse().unwrap()).await.unwrap();
    for taken in [true, false] {
        let mut asked = far.open(TO.parse().unwrap()).await.unwrap();
        let Some(News::Open(_, carried)) = inner.recv().await else { panic!() };
        if taken {
            carried.take().await
        } else {
            carried.reset().await
        }
        assert_eq!(asked.is_taken().await, taken);
    }
}

#[tokio::test]
async fn whoever_breaks_the_rules_is_heard_no_more() {
    let opened = |said: &[Said]| {
        let open = Said::Open(TO.parse().unwrap());
        [&open].into_iter().chain(said).flat_map(|said| said.encode(2)).collect::<Vec<u8>>()
    };
    for hostile in [
        vec![9; 4096],
        vec![2, 0, 0, 0, 0, 0xff, 0xff],
        Said::Open(TO.parse().unwrap()).encode(1),
        opened(&vec![Said::Data(vec![0; 16 << 10]); 20]),
        // A queue of many small ones costs more than their bytes.
        opened(&vec![Said::Data(vec![0]); 1000]),
        opened(&[Said::Data(Vec::new())]),
        opened(&[Said::End, Said::End]),
        opened(&[Said::End, Said::Data(vec![0])]),
        opened(&[Said::Opened]),
        opened(&[Said::Credit(1)]),
    ] {
        let (mut near, far) = duplex(1 << 20);
        let (_far, mut news, life) = end(Side::Outside, far);
        near.write_all(&hostile).await.unwrap();
        // A stream is held, as if its socket were still being made, until nothing more is told.
        let held = async {
            let mut streams = Vec::new();
            while let Some(news) = news.recv().await {
                streams.push(news);
            }
        };
        let ((), ended) = tokio::join!(held, life);
        assert_eq!(ended.unwrap().unwrap_err().kind(), ErrorKind::InvalidData);
        drop(near);
    }
}

#[tokio::test]
async fn a_stream_is_taken_once() {
    let (mut near, far) = duplex(1 << 20);
    let (far, _news, life) = end(Side::Outside, far);
    let mut asked = far.open(TO.parse().unwrap()).await.unwrap();
    near.write_all(&Said::Opened.encode(1)).await.unwrap();
    assert!(asked.is_taken().await);
    near.write_all(&Said::Opened.encode(1)).await.unwrap();
    assert_eq!(life.await.unwrap().unwrap_err().kind(), ErrorKind::InvalidData);
}

/// A socket of a stream whose frames nobody reads, while as many as may wait for the port do.
#[tokio::test]
async fn a_broken_stream_of_a_guest_that_reads_nothing_keeps_no_socket() {
    let (mut near, far) = duplex(16);
    let (far, mut news, _life) = end(Side::Outside, far);
    near.write_all(&Said::Open(TO.parse().unwrap()).encode(2)).await.unwrap();
    let Some(News::Open(_, carried)) = news.recv().await else { panic!() };
    let (mut server, dialled) = sockets().await;
    tokio::spawn(carried.carry(dialled));
    while far.frames.capacity() > 0 {
        far.tried(false, TO.parse().unwrap());
        tokio::task::yield_now().await;
    }
    near.write_all(&Said::Reset.encode(2)).await.unwrap();
    let broken = tokio::time::timeout(super::RESET_TIMEOUT / 2, server.read(&mut [0])).await;
    assert!(broken.expect("at once").is_err());
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_reads_nothing_is_given_up_and_a_node_is_not() {
    for (side, given_up) in [(Side::Outside, true), (Side::Inside, false)] {
        let (_unread, far) = duplex(16);
        let (far, _news, life) = end(side, far);
        far.tried(false, TO.parse().unwrap());
        far.tried(false, TO.parse().unwrap());
        let ended = tokio::time::timeout(super::UNREAD_MAX * 2, life).await;
        assert_eq!(ended.is_ok(), given_up, "{side:?}");
    }
}

#[tokio::test]
async fn a_stream_has_its_place_until_its_socket_is_gone() {
    let (mut near, far) = duplex(1 << 20);
    let (_far, mut news, _life) = end(Side::Outside, far);
    let mut held = Vec::new();
    for number in (2..).step_by(2).take(super::STREAMS_MAX) {
        near.write_all(&Said::Open(TO.parse().unwrap()).encode(number)).await.unwrap();
        near.write_all(&Said::Reset.encode(number)).await.unwrap();
        held.push(news.recv().await);
    }
    let refused = Said::Reset.encode(0);
    near.write_all(&Said::Open(TO.parse().unwrap()).encode(0)).await.unwrap();
    let mut answer = vec![0; refused.len()];
    near.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, refused);
}

#[tokio::test]
async fn a_stream_that_is_let_go_takes_no_other_of_its_number_along() {
    let (mut near, far) = duplex(1 << 20);
    let (far, mut news, _life) = end(Side::Outside, far);
    let open = Said::Open(TO.parse().unwrap()).encode(2);
    near.write_all(&[&open[..], &Said::Reset.encode(2), &open].concat()).await.unwrap();
    let (first, second) = (news.recv().await, news.recv().await);
    drop(first);
    assert!(far.lock().contains_key(&2));
    drop(second);
    assert!(far.lock().is_empty());
}
