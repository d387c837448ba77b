use cella_mcp::Notification;

use super::{super::calling::poll_once, *};

/// A message that says `text`.
fn say(text: &str) -> Message {
    Message::Notification(Notification { method: text.into(), params: None })
}

fn said(text: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{text}"}}"#)
}

async fn drain(reader: &mut Reader) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(frame) = reader.try_next() {
        out.push(String::from_utf8(frame.to_vec()).unwrap());
    }
    out
}

fn resumable() -> Arc<Feed> {
    Feed::new(Framing::Resumable("s".into()))
}

#[tokio::test]
async fn messages_arrive_in_order_and_then_the_end() {
    let feed = Feed::new(Framing::Lines);
    let mut reader = feed.attach(None, None);
    feed.send(&say("1")).await.unwrap();
    feed.send(&say("2")).await.unwrap();
    feed.end();
    assert_eq!(reader.next().await.unwrap(), said("1") + "\n");
    assert_eq!(reader.next().await.unwrap(), said("2") + "\n");
    assert_eq!(reader.next().await, None);
    assert_eq!(feed.send(&say("3")).await, Err(Gone));
}

#[tokio::test]
async fn a_writer_waits_for_a_slow_reader_and_goes_on_when_it_reads() {
    let feed = Feed::new(Framing::Lines);
    let mut reader = feed.attach(None, None);
    for _ in 0..UNREAD_MESSAGES_MAX {
        feed.send(&say("x")).await.unwrap();
    }
    let more = say("late");
    let mut late = pin!(feed.send(&more));
    assert!(poll_once(late.as_mut()).await.is_pending());
    reader.next().await.unwrap();
    assert_eq!(late.await, Ok(()));
}

#[tokio::test]
async fn bytes_are_bounded_but_one_large_message_passes() {
    let feed = Feed::new(Framing::Lines);
    let _reader = feed.attach(None, None);
    feed.send(&say(&"x".repeat(2 * UNREAD_BYTES_MAX))).await.unwrap();
    let more = say("y");
    let mut second = pin!(feed.send(&more));
    assert!(poll_once(second.as_mut()).await.is_pending());
}

#[tokio::test]
async fn a_feed_that_is_not_resumable_is_gone_with_its_reader() {
    let feed = Feed::new(Framing::Events);
    let reader = feed.attach(None, None);
    for _ in 0..UNREAD_MESSAGES_MAX {
        feed.send(&say("x")).await.unwrap();
    }
    let more = say("y");
    let mut waiting = pin!(feed.send(&more));
    assert!(poll_once(waiting.as_mut()).await.is_pending());
    drop(reader);
    assert_eq!(waiting.await, Err(Gone));
    feed.abandoned(Duration::ZERO).await;
}

#[tokio::test]
async fn a_resumed_reader_gets_what_came_after_its_last_event() {
    let feed = resumable();
    feed.prime();
    let mut reader = feed.attach(None, None);
    feed.send(&say("1")).await.unwrap();
    assert_eq!(drain(&mut reader).await.len(), 2);
    drop(reader);
    feed.send(&say("2")).await.unwrap();
    feed.end();
    let frames = drain(&mut feed.attach(Some(1), None)).await;
    let event = |n: u64| format!("id: s-{n}\nevent: message\ndata: {}\n\n", said(&n.to_string()));
    assert_eq!(frames, [event(1), event(2)]);
    assert_eq!(drain(&mut feed.attach(Some(3), None)).await.len(), 0);
}

#[tokio::test]
async fn an_unread_resumable_feed_forgets_the_oldest_and_keeps_the_last() {
    let feed = resumable();
    for n in 0..3 * REPLAY_MESSAGES_MAX {
        feed.send(&say(&n.to_string())).await.unwrap();
    }
    feed.send(&say(&"x".repeat(2 * REPLAY_BYTES_MAX))).await.unwrap();
    let frames = drain(&mut feed.attach(Some(0), None)).await;
    assert_eq!(frames.len(), 1);
    assert!(frames[0].starts_with(&format!("id: s-{}\n", 3 * REPLAY_MESSAGES_MAX)));
}

#[tokio::test]
async fn a_second_reader_takes_over_from_the_first() {
    let feed = resumable();
    let mut first = feed.attach(None, None);
    let mut second = feed.attach(None, None);
    feed.send(&say("1")).await.unwrap();
    assert_eq!(first.next().await, None);
    assert!(second.next().await.is_some());
    drop(first);
    assert!(feed.is_attached());
}

#[tokio::test(start_paused = true)]
async fn a_quiet_feed_says_that_it_lives() {
    let feed = Feed::new(Framing::Events);
    let mut reader = feed.attach(None, Some(Duration::from_secs(15)));
    assert_eq!(reader.next().await.unwrap(), ":\n\n");
    assert_eq!(reader.next().await.unwrap(), ":\n\n");
}

#[tokio::test(start_paused = true)]
async fn a_feed_is_abandoned_only_when_nobody_comes_back_in_time() {
    let feed = resumable();
    let reader = feed.attach(None, None);
    let mut abandoned = pin!(feed.abandoned(Duration::from_secs(60)));
    assert!(poll_once(abandoned.as_mut()).await.is_pending());
    drop(reader);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let reader = feed.attach(None, None);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(poll_once(abandoned.as_mut()).await.is_pending());
    drop(reader);
    abandoned.await;
}
