use std::io::ErrorKind;

use cella_cell::SocketOrder;
use tokio::{
    net::UnixStream,
    sync::{mpsc, oneshot},
};

use super::serve;

#[tokio::test(start_paused = true)]
async fn a_guest_that_takes_no_connection_does_not_hold_up_the_next() {
    let (port, _guest_says_nothing) = UnixStream::pair().unwrap();
    let (sockets, _nobody_makes_any) = mpsc::channel(1);
    let orders = serve(port, sockets, Vec::new());
    for port in [8080, 8081] {
        let (reply, made) = oneshot::channel();
        orders.send(SocketOrder { port, v6: false, datagrams: false, reply }).await.unwrap();
        assert_eq!(made.await.unwrap().unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
