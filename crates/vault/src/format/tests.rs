use super::*;

/// The frozen vector: this very text was written by the first version, and opens for ever.
const FROZEN: &str = include_str!("../../tests/v1.vault");

/// Its key.
const FROZEN_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn frozen_key() -> Key {
    Key::parse(FROZEN_KEY.as_bytes()).unwrap()
}

/// Bytes that count up, in the place of random ones.
fn counting() -> impl FnMut(&mut [u8]) -> Result<(), VaultError> {
    let mut next = 0_u8;
    move |bytes| {
        for byte in bytes {
            *byte = next;
            next = next.wrapping_add(7);
        }
        Ok(())
    }
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// What the frozen vector was made of.
fn made() -> String {
    let mut random = counting();
    let outer = |_: &str| Ok(frozen_key());
    let (mut content, key) = Content::new(SourceKind::File, &outer, &mut random).unwrap();
    for (text, value, now) in [
        ("github", "ghp_frozen", 1_790_000_000),
        ("db.url", "postgres://u:p@h/d", 1_790_000_001),
        ("github", "ghp_later", 1_790_000_002),
        ("umlaut", "Grüße\nzwei Zeilen", 1_790_000_003),
    ] {
        let value = Secret::from(value.to_owned());
        content.put(name(text), &value, now, &key, &mut random).unwrap();
    }
    content.head.generation = 4;
    content.text(&key, &mut random).unwrap()
}

fn opened(text: &str) -> Result<(Content, Key), Fault> {
    let written = read(text)?;
    let key = written.content.unwrap(&frozen_key())?;
    Ok((written.verify(&key)?, key))
}

fn damage(text: &str) -> Damage {
    match opened(text).unwrap_err() {
        Fault::Damage(damage) => damage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_frozen_vector_opens() {
    let (content, key) = opened(FROZEN).unwrap();
    let value = |text: &str| {
        let (name, item) = content.items.get_key_value(text).unwrap();
        content.value(name, item, &key).unwrap().expose_text().unwrap().to_owned()
    };
    assert_eq!(value("github"), "ghp_later");
    assert_eq!(value("db.url"), "postgres://u:p@h/d");
    assert_eq!(value("umlaut"), "Grüße\nzwei Zeilen");
    let item = &content.items["github"];
    assert_eq!((item.created, item.updated), (1_790_000_000, 1_790_000_002));
    assert_eq!((content.head.source, content.head.generation), (SourceKind::File, 4));
}

#[test]
fn the_frozen_vector_is_still_written_byte_for_byte() {
    assert_eq!(made(), FROZEN);
}

#[test]
fn every_flipped_bit_is_noticed() {
    for at in 0..FROZEN.len() {
        for bit in [1, 2, 64] {
            let mut bytes = FROZEN.as_bytes().to_vec();
            bytes[at] ^= bit;
            let text = String::from_utf8_lossy(&bytes);
            assert!(opened(&text).is_err(), "bit {bit} of byte {at} may be flipped");
        }
    }
}

#[test]
fn every_shorter_file_is_noticed_as_cut_off() {
    for end in 1..FROZEN.len() {
        assert_eq!(damage(&FROZEN[..end]), Damage::Truncated, "{end} bytes");
    }
}

#[test]
fn a_changed_value_is_named() {
    let line = FROZEN.lines().find(|line| line.contains("\"github\"")).unwrap();
    let at = line.find("sealed\":\"").unwrap() + 60;
    let other = if &line[at..=at] == "A" { "B" } else { "A" };
    let changed = format!("{}{other}{}", &line[..at], &line[at + 1..]);
    let damaged = damage(&FROZEN.replace(line, &changed));
    assert_eq!(damaged, Damage::Altered { entry: Some("github".into()) });
}

#[test]
fn values_that_changed_places_are_named_whichever_way_it_was_done() {
    let (content, key) = opened(FROZEN).unwrap();
    let mut values = content.items.clone();
    let (a, b) = (values["github"].sealed.clone(), values["umlaut"].sealed.clone());
    values.get_mut("github").unwrap().sealed = b;
    values.get_mut("umlaut").unwrap().sealed = a;
    let mut whole = content.items.clone();
    let (a, b) = (whole["github"].clone(), whole["umlaut"].clone());
    whole.insert(name("github"), b);
    whole.insert(name("umlaut"), a);
    for items in [values, whole] {
        let swapped = Content { head: content.head.clone(), items };
        // Whoever has no key cannot make the seal: the old one stays.
        let text = swapped.text(&key, &mut counting()).unwrap();
        let seal = FROZEN.lines().last().unwrap();
        let text = text.replace(text.lines().last().unwrap(), seal);
        assert_eq!(damage(&text), Damage::Swapped { name: "github".into(), other: "umlaut".into() });
    }
}

#[test]
fn an_earlier_state_of_one_secret_and_one_taken_out_are_noticed() {
    let seal = FROZEN.lines().last().unwrap();
    let without: Vec<&str> = FROZEN.lines().filter(|line| !line.contains("\"github\"")).collect();
    assert_eq!(damage(&format!("{}\n", without.join("\n"))), Damage::RolledBack);

    let (mut content, key) = opened(FROZEN).unwrap();
    let value = Secret::from("ghp_first".to_owned());
    content.put(name("github"), &value, 1_790_000_001, &key, &mut counting()).unwrap();
    let text = content.text(&key, &mut counting()).unwrap();
    assert_eq!(damage(&text.replace(text.lines().last().unwrap(), seal)), Damage::RolledBack);
}

#[test]
fn lines_of_another_vault_with_the_same_key_do_not_open() {
    let (content, key) = opened(FROZEN).unwrap();
    let outer = |_: &str| Ok(frozen_key());
    let mut random = counting();
    random(&mut [0; 5]).unwrap();
    let (mut other, other_key) = Content::new(SourceKind::File, &outer, &mut random).unwrap();
    other.items = content.items;
    let text = other.text(&other_key, &mut random).unwrap();
    let (other, _) = opened(&text).unwrap();
    let (name, item) = other.items.get_key_value("github").unwrap();
    assert!(other.value(name, item, &other_key).is_none() && other.value(name, item, &key).is_none());
}

#[test]
fn another_key_is_told_from_a_damaged_file() {
    let written = read(FROZEN).unwrap();
    let other = Key::parse("11".repeat(32).as_bytes()).unwrap();
    assert_eq!(written.content.unwrap(&other).unwrap_err(), Fault::WrongKey);
}

#[test]
fn what_is_no_vault_of_this_version_is_said() {
    assert_eq!(read("").unwrap_err(), Fault::Foreign);
    assert_eq!(read("hello\nworld\n").unwrap_err(), Fault::Foreign);
    assert_eq!(read(&FROZEN.replace(" v1\n", " v2\n")).unwrap_err(), Fault::Version("v2".into()));
}
